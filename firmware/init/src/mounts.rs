//! The kernel's own file systems, and a small RAM disk for what runs.
//!
//! Reading list: `mount(2)`, the kernel's Documentation/filesystems/proc.rst, sysfs.rst and
//! tmpfs.rst.

use std::fmt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

/// One file system of the list: where, what, and with which options.
struct FileSystem {
    target: &'static str,
    kind: &'static str,
    flags: MsFlags,
    options: &'static str,
}

/// Everything that is mounted, in order: a target may lie on a file system before it.
const FILE_SYSTEMS: [FileSystem; 5] = [
    FileSystem { target: "/proc", kind: "proc", flags: NOTHING_RUNS, options: "" },
    FileSystem { target: "/sys", kind: "sysfs", flags: NOTHING_RUNS, options: "" },
    // Devices are the purpose of /dev, so no MS_NODEV.
    FileSystem {
        target: "/dev",
        kind: "devtmpfs",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        options: "mode=0755",
    },
    FileSystem {
        target: "/dev/pts",
        kind: "devpts",
        flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        options: "mode=0600,ptmxmode=0600",
    },
    // A bound, because a full RAM disk is a full machine.
    FileSystem { target: "/run", kind: "tmpfs", flags: NOTHING_RUNS, options: "mode=0755,size=8m" },
];

const NOTHING_RUNS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// What [`mount_all`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounted {
    /// Mounted by this call.
    pub fresh: Vec<&'static str>,
    /// There before; left as they were.
    pub already: Vec<&'static str>,
}

/// Why a file system of the list is not there. Those before it in the list are.
#[derive(Debug)]
pub enum MountError {
    /// The folder to mount on could not be made.
    Folder {
        /// The folder.
        target: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The kernel refused the mount.
    Mount {
        /// The folder to mount on.
        target: &'static str,
        /// The kind of file system.
        kind: &'static str,
        /// What the kernel said.
        source: Errno,
    },
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { target, source } => {
                write!(f, "cannot make the folder {target} to mount on: {source}")
            }
            Self::Mount { target, kind, source } => {
                write!(f, "cannot mount {kind} on {target}: {source}; PID 1 needs CAP_SYS_ADMIN")
            }
        }
    }
}

impl std::error::Error for MountError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder { source, .. } => Some(source),
            Self::Mount { source, .. } => Some(source),
        }
    }
}

/// Mounts proc, sysfs, devtmpfs, devpts and a tmpfs on `/run`, each unless it is there already.
///
/// # Errors
/// [`MountError`] for the first one that fails; the later ones are then not tried.
pub fn mount_all() -> Result<Mounted, MountError> {
    let mut mounted = Mounted::default();
    for system in &FILE_SYSTEMS {
        // Without /proc nothing is known to be mounted, and /proc is the first of the list.
        let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        if is_mounted(&table, system.target) {
            mounted.already.push(system.target);
        } else if mount_one(system)? {
            mounted.fresh.push(system.target);
        } else {
            mounted.already.push(system.target);
        }
    }
    Ok(mounted)
}

/// Mounts one; false if the kernel says that this very file system is there already.
fn mount_one(system: &FileSystem) -> Result<bool, MountError> {
    let FileSystem { target, kind, flags, options } = *system;
    if !Path::new(target).is_dir() {
        std::fs::create_dir_all(target).map_err(|source| MountError::Folder { target, source })?;
    }
    match mount(Some(kind), target, Some(kind), flags, Some(options)) {
        Ok(()) => Ok(true),
        Err(Errno::EBUSY) => Ok(false),
        Err(source) => Err(MountError::Mount { target, kind, source }),
    }
}

/// Whether `/proc/self/mounts` has a line for exactly this target (`proc(5)`: device, target, …).
fn is_mounted(table: &str, target: &str) -> bool {
    table.lines().any(|line| line.split(' ').nth(1) == Some(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_counts_as_mounted_only_when_it_stands_in_the_second_column_whole() {
        let table =
            "proc /proc proc rw 0 0\n/dev/vda / ext4 rw 0 0\ndevpts /dev/pts devpts rw 0 0\n";
        assert!(is_mounted(table, "/proc"));
        assert!(is_mounted(table, "/dev/pts"));
        assert!(!is_mounted(table, "/dev"), "a file system below it is not it");
        assert!(!is_mounted(table, "proc"), "the device column does not count");
        assert!(!is_mounted("", "/proc"));
    }

    #[test]
    fn every_target_comes_after_the_file_system_that_it_lies_on() {
        for (index, system) in FILE_SYSTEMS.iter().enumerate() {
            for later in &FILE_SYSTEMS[index + 1..] {
                assert!(!system.target.starts_with(&format!("{}/", later.target)));
            }
        }
        assert_eq!(FILE_SYSTEMS[0].target, "/proc", "the list of mounts is read from it");
    }
}
