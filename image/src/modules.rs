//! From the modules that a board names to the files that the image carries, in load order.
//!
//! Each module says in its `.modinfo` section which others it needs; that is what `depmod` reads
//! too, so the builder does without that tool. What the kernel has built in needs no file.
//!
//! Reading list: `modinfo(8)`, `modprobe.d(5)` (softdep), the kernel's
//! Documentation/kbuild/kbuild.rst (modules.builtin).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use board::Purpose;
use object::{Object, ObjectSection};

/// A module of the image, its parameters, and its content as the kernel loads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Path below `/lib/modules/RELEASE`, ending in `.ko`.
    pub path: String,
    /// What it is told when loaded.
    pub parameters: String,
    /// The object file, decompressed.
    pub content: Vec<u8>,
}

/// Why the modules of a board could not be put together.
#[derive(Debug)]
pub enum ModulesError {
    /// A file or folder of the package could not be read.
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The kernel package neither has the module nor has it built in.
    Unknown {
        /// The module.
        name: String,
        /// Which module or board list asks for it.
        wanted_by: String,
    },
    /// A module's file is no object file with a `.modinfo` section.
    Object {
        /// Its path.
        path: PathBuf,
        /// What the reader said.
        what: String,
    },
    /// Modules need each other in a circle.
    Circle {
        /// One of them.
        name: String,
    },
}

impl fmt::Display for ModulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Unknown { name, wanted_by } => write!(
                f,
                "the kernel package has no module {name}, which {wanted_by} wants; \
                 a name that `modinfo` knows, with underscores, would be right"
            ),
            Self::Object { path, what } => {
                write!(f, "{} is no kernel module: {what}", path.display())
            }
            Self::Circle { name } => write!(f, "the module {name} needs itself in a circle"),
        }
    }
}

impl std::error::Error for ModulesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Unknown { .. } | Self::Object { .. } | Self::Circle { .. } => None,
        }
    }
}

/// The modules for the board's purposes with all that they need, each after what it needs.
///
/// `folder` is the package's `lib/modules/RELEASE`.
///
/// # Errors
/// [`ModulesError`].
pub fn choose(folder: &Path, purposes: &[Purpose]) -> Result<Vec<Chosen>, ModulesError> {
    let mut resolver = Resolver {
        folder,
        files: find_modules(folder)?,
        built_in: read_built_in(folder)?,
        chosen: Vec::new(),
        done: BTreeSet::new(),
        under_way: Vec::new(),
    };
    for purpose in purposes {
        let wanted_by = format!("the board's list `{}`", purpose.name);
        for module in &purpose.modules {
            resolver.add(&module.name, &module.parameters, &wanted_by)?;
        }
    }
    Ok(resolver.chosen)
}

struct Resolver<'a> {
    folder: &'a Path,
    /// Module name to its path below `folder`.
    files: BTreeMap<String, String>,
    built_in: BTreeSet<String>,
    chosen: Vec<Chosen>,
    done: BTreeSet<String>,
    /// The modules whose needs are being resolved, outermost first.
    under_way: Vec<String>,
}

impl Resolver<'_> {
    fn add(&mut self, name: &str, parameters: &str, wanted_by: &str) -> Result<(), ModulesError> {
        if self.built_in.contains(name) || self.done.contains(name) {
            return Ok(());
        }
        if self.under_way.iter().any(|other| other == name) {
            return Err(ModulesError::Circle { name: name.to_owned() });
        }
        let Some(file) = self.files.get(name).cloned() else {
            let (name, wanted_by) = (name.to_owned(), wanted_by.to_owned());
            return Err(ModulesError::Unknown { name, wanted_by });
        };
        let path = self.folder.join(&file);
        let content = decompress(&path)?;
        let needs = needs(&content).map_err(|what| ModulesError::Object { path, what })?;
        self.under_way.push(name.to_owned());
        for need in &needs.modules {
            self.add(need, "", &format!("the module {name}"))?;
        }
        for need in &needs.soft {
            // Wanted, not needed: a package that lacks it is no error.
            if self.files.contains_key(need) {
                self.add(need, "", &format!("the module {name}"))?;
            }
        }
        self.under_way.pop();
        self.done.insert(name.to_owned());
        let stem = file.find(".ko").map_or(file.as_str(), |end| &file[..end]);
        let path = format!("{stem}.ko");
        self.chosen.push(Chosen { path, parameters: parameters.to_owned(), content });
        Ok(())
    }
}

/// Every module file below the folder, by the kernel's name for it.
fn find_modules(folder: &Path) -> Result<BTreeMap<String, String>, ModulesError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.join("kernel")];
    while let Some(current) = folders.pop() {
        let unread = |source| ModulesError::Read { path: current.clone(), source };
        for entry in std::fs::read_dir(&current).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let path = entry.path();
            if entry.file_type().map_err(unread)?.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.file_name().and_then(module_name)
                && let Ok(below) = path.strip_prefix(folder)
            {
                found.insert(name, below.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

/// `net-failover.ko.xz` is the module `net_failover`.
fn module_name(file_name: &std::ffi::OsStr) -> Option<String> {
    let (stem, ending) = file_name.to_str()?.split_once(".ko")?;
    ["", ".xz", ".zst"].contains(&ending).then(|| stem.replace('-', "_"))
}

fn read_built_in(folder: &Path) -> Result<BTreeSet<String>, ModulesError> {
    let path = folder.join("modules.builtin");
    let text = std::fs::read_to_string(&path)
        .map_err(|source| ModulesError::Read { path: path.clone(), source })?;
    Ok(text.lines().filter_map(|line| module_name(Path::new(line).file_name()?)).collect())
}

/// The module's content. Debian 12 stores modules plain, later releases compressed.
fn decompress(path: &Path) -> Result<Vec<u8>, ModulesError> {
    let unread = |source| ModulesError::Read { path: path.to_owned(), source };
    let name = path.to_string_lossy();
    if name.ends_with(".zst") {
        let packed = std::fs::read(path).map_err(unread)?;
        zstd::decode_all(packed.as_slice()).map_err(unread)
    } else if name.ends_with(".xz") {
        let output = Command::new("xz").arg("-dc").arg(path).output().map_err(unread)?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            let what = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(ModulesError::Object { path: path.to_owned(), what })
        }
    } else {
        std::fs::read(path).map_err(unread)
    }
}

/// What a module says that must be loaded before it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    modules: Vec<String>,
    soft: Vec<String>,
}

/// Reads the `.modinfo` section of an object file.
fn needs(content: &[u8]) -> Result<Needs, String> {
    let file = object::File::parse(content).map_err(|error| error.to_string())?;
    let section = file.section_by_name(".modinfo").ok_or("it has no .modinfo section")?;
    let data = section.data().map_err(|error| error.to_string())?;
    Ok(parse_modinfo(data))
}

/// `.modinfo` is a row of `key=value`, each closed by NUL.
fn parse_modinfo(data: &[u8]) -> Needs {
    let mut needs = Needs::default();
    for entry in data.split(|&octet| octet == 0) {
        let entry = String::from_utf8_lossy(entry);
        match entry.split_once('=') {
            Some(("depends", names)) => needs.modules.extend(
                names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")),
            ),
            Some(("softdep", row)) => needs.soft.extend(before(row)),
            Some(_) | None => {}
        }
    }
    needs
}

/// The modules of a softdep row that come before: `pre: a b post: c` gives a and b.
fn before(row: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_before = false;
    for word in row.split_ascii_whitespace() {
        match word {
            "pre:" => is_before = true,
            "post:" => is_before = false,
            name if is_before => names.push(name.replace('-', "_")),
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_give_the_kernels_names() {
        let cases = [
            ("virtio_net.ko", Some("virtio_net")),
            ("net-failover.ko.xz", Some("net_failover")),
            ("a.ko.zst", Some("a")),
            ("modules.order", None),
            ("a.ko.sig", None),
        ];
        for (file, name) in cases {
            assert_eq!(module_name(file.as_ref()).as_deref(), name, "{file}");
        }
    }

    #[test]
    fn modinfo_gives_hard_and_soft_needs() {
        let data = b"license=GPL\0depends=dca,i2c-algo-bit\0softdep=pre: realtek x-y post: z\0";
        let needs = parse_modinfo(data);
        assert_eq!(needs.modules, ["dca", "i2c_algo_bit"]);
        assert_eq!(needs.soft, ["realtek", "x_y"]);
        assert_eq!(parse_modinfo(b"depends=\0"), Needs::default());
        assert_eq!(parse_modinfo(b""), Needs::default());
    }

    #[test]
    fn a_module_that_the_package_lacks_is_named_with_who_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("kernel")).unwrap();
        std::fs::write(folder.path().join("modules.builtin"), "kernel/a/in-side.ko\n").unwrap();
        let module = |name: &str| board::ModuleName { name: name.into(), parameters: "".into() };
        let purpose = |name| Purpose { name: "network", modules: vec![module(name)] };
        assert_eq!(choose(folder.path(), &[purpose("in_side")]).unwrap(), [], "built in");
        let error = choose(folder.path(), &[purpose("absent")]).expect_err("absent").to_string();
        assert!(error.contains("absent") && error.contains("`network`"), "{error}");
        std::fs::write(folder.path().join("kernel/broken.ko"), "no object").unwrap();
        let error = choose(folder.path(), &[purpose("broken")]).expect_err("broken").to_string();
        assert!(error.contains("broken.ko is no kernel module"), "{error}");
    }
}
