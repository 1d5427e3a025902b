//! Memory: how much there is, keeping it resident, and large pages for large tables.
//!
//! Reading list: `proc(5)` (meminfo), `mlockall(2)`, `madvise(2)` (MADV_HUGEPAGE), the kernel's
//! Documentation/admin-guide/mm/transhuge.rst.

use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};

/// What the kernel says about memory, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All that the kernel manages.
    pub total: u64,
    /// What can be had without swapping.
    pub available: u64,
}

/// Why the amount of memory is not known.
#[derive(Debug)]
pub enum MemoryError {
    /// `/proc/meminfo` could not be read.
    Read(io::Error),
    /// It has no such line, or the line is no number of kB.
    Line(&'static str),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(source) => write!(f, "cannot read /proc/meminfo: {source}"),
            Self::Line(name) => write!(f, "/proc/meminfo has no usable line {name}"),
        }
    }
}

impl std::error::Error for MemoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(source) => Some(source),
            Self::Line(_) => None,
        }
    }
}

impl Memory {
    /// Reads `/proc/meminfo`.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn read() -> Result<Self, MemoryError> {
        Self::parse(&std::fs::read_to_string("/proc/meminfo").map_err(MemoryError::Read)?)
    }

    fn parse(text: &str) -> Result<Self, MemoryError> {
        let octets = |name: &'static str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .and_then(|rest| rest.trim().strip_suffix(" kB"))
                .and_then(|number| number.trim().parse::<u64>().ok())
                .and_then(|kilobytes| kilobytes.checked_mul(1024))
                .ok_or(MemoryError::Line(name))
        };
        Ok(Self { total: octets("MemTotal")?, available: octets("MemAvailable")? })
    }
}

/// Keeps every page resident that has been touched, now and later. Untouched pages are not brought
/// in, so that large tables cost only what they hold.
///
/// # Errors
/// `EPERM` or `ENOMEM` above RLIMIT_MEMLOCK without CAP_IPC_LOCK.
pub fn keep_resident() -> Result<(), Errno> {
    let on_touch = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_touch)
}

/// Asks for huge pages behind a table, before it is first touched: a lookup in a large table then
/// misses the TLB far less often. Advice only; contents do not change.
///
/// # Errors
/// `EINVAL` where the kernel has no transparent huge pages.
pub fn advise_huge_pages<T>(table: &mut [T]) -> Result<(), Errno> {
    crate::sys::memory::advise_huge_pages(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_octets() {
        let text = "MemTotal:         192000 kB\nMemFree:  7 kB\nMemAvailable:      96000 kB\n";
        let memory = Memory::parse(text).unwrap();
        assert_eq!(memory, Memory { total: 192_000 * 1024, available: 96_000 * 1024 });
    }

    #[test]
    fn a_missing_or_senseless_line_is_named() {
        let cases = [
            ("MemAvailable: 1 kB\n", "MemTotal"),
            ("MemTotal: 1 kB\n", "MemAvailable"),
            ("MemTotal: many kB\nMemAvailable: 1 kB\n", "MemTotal"),
            ("MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n", "MemTotal"),
        ];
        for (text, name) in cases {
            let error = Memory::parse(text).expect_err(text);
            assert!(error.to_string().contains(name), "{text}: {error}");
        }
    }

    #[test]
    fn advice_leaves_a_table_as_it_was_whatever_its_size() {
        for length in [0, 1, 5000, 3 << 20] {
            let mut table = vec![7u8; length];
            advise_huge_pages(&mut table).unwrap();
            assert!(table.iter().all(|&octet| octet == 7));
        }
    }
}
