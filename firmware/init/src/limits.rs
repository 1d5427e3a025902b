//! Limits of the process: how many descriptors, and no core dumps.
//!
//! Reading list: `getrlimit(2)`, `core(5)`.

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};

/// Allows this many open descriptors.
///
/// # Errors
/// `EPERM` above the hard limit without CAP_SYS_RESOURCE, or above `fs.nr_open`.
pub fn allow_open_files(count: u64) -> Result<(), Errno> {
    setrlimit(Resource::RLIMIT_NOFILE, count, count)
}

/// Forbids core dumps: they would hold keys, and the box has no place for them.
///
/// # Errors
/// None on Linux, where lowering a limit is always allowed; the kernel's if it disagrees.
pub fn forbid_core_dumps() -> Result<(), Errno> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::getrlimit;

    #[test]
    fn core_dumps_are_off_afterwards() {
        forbid_core_dumps().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, 0));
    }
}
