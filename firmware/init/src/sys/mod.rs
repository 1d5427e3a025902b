//! Everything that is `unsafe` in this crate: the system calls for which there is no safe wrapper.
//! Each function is safe to call with any argument.

pub(crate) mod input;
pub(crate) mod memory;
pub(crate) mod scheduler;
pub(crate) mod signal;
pub(crate) mod watchdog;
