//! Kernel modules: the image lists them in load order, PID 1 loads them and then shuts the door.
//!
//! The list is a text file, one module a line: its path below the list's own folder, then its
//! parameters. The builder has resolved dependencies, so that loading down the list never meets
//! an unknown symbol. `#` starts a comment.
//!
//! ```text
//! # watchdog
//! kernel/drivers/watchdog/i6300esb.ko heartbeat=30
//! ```
//!
//! Reading list: `finit_module(2)`, the kernel's Documentation/admin-guide/sysctl/kernel.rst
//! (`modules_disabled`).

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use crate::kernel::{SettingError, set};

/// More modules than any board names; a longer list is a broken image.
const MOST_MODULES: usize = 512;

/// The list of an image, in load order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleList {
    /// The modules, first to load first.
    pub modules: Vec<Module>,
}

/// One module of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file that holds it.
    pub path: PathBuf,
    /// What it is told, as `name=value name=value`; usually nothing.
    pub parameters: String,
}

/// What became of a module that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is in, by this call.
    Fresh,
    /// It was in before.
    Already,
    /// It found none of the hardware it is for, and said so.
    NoSuchDevice,
}

/// Why the list cannot be used. No module has been loaded.
#[derive(Debug)]
pub enum ListError {
    /// The list could not be read.
    Read {
        /// Its path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A line leaves the list's folder.
    Outside {
        /// The number of the line, from 1.
        line: usize,
        /// The path it names.
        path: String,
    },
    /// More lines than [`ModuleList`] takes.
    TooLong,
}

/// Why one module is not in. The others are not concerned.
#[derive(Debug)]
pub enum LoadError {
    /// The file could not be opened.
    Open {
        /// Its path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The parameters hold a NUL.
    Parameters {
        /// The module.
        path: PathBuf,
    },
    /// The kernel refused it.
    Refused {
        /// The module.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "cannot read the list of modules {}: {source}", path.display())
            }
            Self::Outside { line, path } => write!(
                f,
                "line {line} of the list of modules names {path:?}; \
                 a path below the list's own folder would be right"
            ),
            Self::TooLong => write!(f, "the list has more than {MOST_MODULES} modules"),
        }
    }
}

impl std::error::Error for ListError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Outside { .. } | Self::TooLong => None,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, source } => {
                write!(f, "cannot open the module {}: {source}", path.display())
            }
            Self::Parameters { path } => {
                write!(f, "the parameters of {} hold a NUL", path.display())
            }
            Self::Refused { path, source } => {
                write!(f, "the kernel refused the module {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { source, .. } => Some(source),
            Self::Refused { source, .. } => Some(source),
            Self::Parameters { .. } => None,
        }
    }
}

impl ModuleList {
    /// Reads the list of the running kernel: `/lib/modules/RELEASE/load.list`. An image without
    /// one has everything built in, which is an empty list and no error.
    ///
    /// # Errors
    /// [`ListError`] if it is there and cannot be used, or if the release cannot be read.
    pub fn of_running_kernel() -> Result<Self, ListError> {
        let release = crate::kernel::release().map_err(|source| ListError::Read {
            path: PathBuf::from("/proc/sys/kernel/osrelease"),
            source,
        })?;
        let path = Path::new("/lib/modules").join(release).join("load.list");
        if path.exists() { Self::read(&path) } else { Ok(Self::default()) }
    }

    /// Reads a list; its paths lie below the folder that it lies in.
    ///
    /// # Errors
    /// [`ListError`] if it cannot be read or names a path outside.
    pub fn read(path: &Path) -> Result<Self, ListError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ListError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("/")))
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, ListError> {
        let mut modules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, parameters) = line.split_once(' ').unwrap_or((line, ""));
            let inside = Path::new(name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside {
                return Err(ListError::Outside { line: index + 1, path: name.to_owned() });
            }
            if modules.len() == MOST_MODULES {
                return Err(ListError::TooLong);
            }
            let parameters = parameters.trim().to_owned();
            modules.push(Module { path: folder.join(name), parameters });
        }
        Ok(Self { modules })
    }
}

impl Module {
    /// The module's name: its file's without `.ko`, with `_` for `-` as the kernel has it.
    pub fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().replace('-', "_")
    }

    /// Loads it and waits until its start-up code has run.
    ///
    /// # Errors
    /// [`LoadError`]; a module that is in already or finds no hardware is none.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let path = || self.path.clone();
        let file =
            File::open(&self.path).map_err(|source| LoadError::Open { path: path(), source })?;
        let parameters = CString::new(self.parameters.as_str())
            .map_err(|_nul| LoadError::Parameters { path: path() })?;
        match finit_module(&file, &parameters, ModuleInitFlags::empty()) {
            Ok(()) => Ok(Loaded::Fresh),
            Err(Errno::EEXIST) => Ok(Loaded::Already),
            Err(Errno::ENODEV) => Ok(Loaded::NoSuchDevice),
            Err(source) => Err(LoadError::Refused { path: path(), source }),
        }
    }
}

/// Forbids loading and unloading until the next boot: `kernel.modules_disabled = 1`.
///
/// # Errors
/// [`SettingError`] if the kernel refuses.
pub fn forbid_more() -> Result<(), SettingError> {
    set("kernel/modules_disabled", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "/lib/modules/6.1";

    #[test]
    fn a_list_gives_paths_and_parameters_in_its_order() {
        let text = "# watchdog first\nkernel/w/i6300esb.ko heartbeat=30 nowayout=0\n\n\
                    kernel/net/net-failover.ko   # before virtio_net\n";
        let list = ModuleList::parse(text, Path::new(FOLDER)).unwrap();
        let first = Module {
            path: PathBuf::from("/lib/modules/6.1/kernel/w/i6300esb.ko"),
            parameters: "heartbeat=30 nowayout=0".to_owned(),
        };
        assert_eq!(list.modules[0], first);
        assert_eq!(list.modules[1].name(), "net_failover");
        assert_eq!(list.modules[1].parameters, "");
        assert_eq!(list.modules.len(), 2);
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused_with_its_line() {
        for bad in ["../evil.ko", "/etc/evil.ko", "a/../../evil.ko", "./a.ko"] {
            let text = format!("good.ko\n{bad}\n");
            match ModuleList::parse(&text, Path::new(FOLDER)) {
                Err(ListError::Outside { line, path }) => {
                    assert_eq!((line, path.as_str()), (2, bad))
                }
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_endless_list_is_refused() {
        let text = "m.ko\n".repeat(MOST_MODULES + 1);
        assert!(matches!(ModuleList::parse(&text, Path::new(FOLDER)), Err(ListError::TooLong)));
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let module = Module { path: PathBuf::from("/nowhere/none.ko"), parameters: String::new() };
        let error = module.load().expect_err("no such file");
        assert!(error.to_string().contains("/nowhere/none.ko"), "{error}");
    }
}
