//! bpf(2): a hash map and a socket-filter program in the kernel, and attaching the program to a
//! fanout group. Sources: bpf(2), `linux/bpf.h`, packet(7) (`PACKET_FANOUT_EBPF`).
//!
//! The structures are the leading fields of `union bpf_attr` for each command, as the kernel takes
//! them: it treats what a shorter structure leaves out as zero.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::checked;
use super::socket::PacketSocket;

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const PROGRAM_LOAD: libc::c_int = 5;

const MAP_TYPE_HASH: u32 = 1;
const PROGRAM_TYPE_SOCKET_FILTER: u32 = 1;

/// Octets of the verifier's log that are kept when it refuses a program.
const LOG: usize = 64 * 1024;

/// One instruction of the kernel's machine: operation, registers (source in the high half),
/// offset, immediate.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Class, size or source, operation.
    pub code: u8,
    /// Source register << 4 | destination register.
    pub registers: u8,
    /// For jumps and memory.
    pub offset: i16,
    /// Constant operand.
    pub immediate: i32,
}

/// A set of 16-octet keys in the kernel.
#[derive(Debug)]
pub struct KeySet(OwnedFd);

impl KeySet {
    /// An empty set that holds up to `capacity` keys. Its values are four unused octets.
    pub fn new(capacity: u32) -> io::Result<Self> {
        #[repr(C)]
        struct Create {
            map_type: u32,
            key_size: u32,
            value_size: u32,
            entries: u32,
        }
        let request =
            Create { map_type: MAP_TYPE_HASH, key_size: 16, value_size: 4, entries: capacity };
        // SAFETY: the structure holds no pointers.
        let result = unsafe { bpf(MAP_CREATE, &request) };
        own(result?).map(Self)
    }

    /// Puts a key in; one that is there stays.
    pub fn insert(&self, key: [u8; 16]) -> io::Result<()> {
        self.element(MAP_UPDATE, key)
    }

    /// Takes a key out.
    pub fn remove(&self, key: [u8; 16]) -> io::Result<()> {
        self.element(MAP_DELETE, key)
    }

    fn element(&self, command: libc::c_int, key: [u8; 16]) -> io::Result<()> {
        #[repr(C)]
        struct Element {
            map: u32,
            reserved: u32,
            key: u64,
            value: u64,
            flags: u64,
        }
        let value = [0u8; 4];
        // A deletion takes no value, and the kernel insists on that.
        let value = if command == MAP_UPDATE { address_of(&value) } else { 0 };
        let map = number(self.0.as_raw_fd());
        let request = Element { map, reserved: 0, key: address_of(&key), value, flags: 0 };
        // SAFETY: key and value are as long as the map was made for, and live until the call ends.
        let result = unsafe { bpf(command, &request) };
        result.map(drop)
    }
}

impl AsFd for KeySet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A program that the kernel has verified.
#[derive(Debug)]
pub struct Program(OwnedFd);

/// The kernel refused a program.
#[derive(Debug)]
pub struct LoadError {
    /// What bpf(2) said.
    pub source: io::Error,
    /// What the verifier had to say, empty when it was not asked.
    pub log: String,
}

impl Program {
    /// Hands a program to the kernel. Its licence is told as GPL-compatible, as the kernel wants
    /// for some helpers; none of those is used.
    pub fn load(code: &[Instruction]) -> Result<Self, LoadError> {
        match Self::try_load(code, &mut []) {
            Ok(program) => Ok(program),
            Err(source) => {
                // Once more, for the reason. It fails the same way.
                let mut log = vec![0; LOG];
                let _again = Self::try_load(code, &mut log);
                let end = log.iter().position(|&octet| octet == 0).unwrap_or(0);
                let log = String::from_utf8_lossy(log.get(..end).unwrap_or_default());
                Err(LoadError { source, log: log.into_owned() })
            }
        }
    }

    fn try_load(code: &[Instruction], log: &mut [u8]) -> io::Result<Self> {
        #[repr(C)]
        struct Load {
            program_type: u32,
            instructions: u32,
            code: u64,
            licence: u64,
            log_level: u32,
            log_size: u32,
            log: u64,
            kernel_version: u32,
            flags: u32,
        }
        let request = Load {
            program_type: PROGRAM_TYPE_SOCKET_FILTER,
            instructions: u32::try_from(code.len()).unwrap_or(u32::MAX),
            code: address_of(code),
            licence: address_of(c"Dual MIT/GPL".to_bytes_with_nul()),
            log_level: u32::from(!log.is_empty()),
            log_size: u32::try_from(log.len()).unwrap_or(0),
            log: if log.is_empty() { 0 } else { address_of(log) },
            kernel_version: 0,
            flags: 0,
        };
        // SAFETY: the pointers are to a string that ends in zero, to as many instructions and to
        // as much writable memory as the structure says; all of it lives until the call ends.
        let result = unsafe { bpf(PROGRAM_LOAD, &request) };
        own(result?).map(Self)
    }

    /// Makes the program decide in a fanout group that the socket is a member of.
    pub fn steer(&self, member: &PacketSocket) -> io::Result<()> {
        member.set_packet_option(libc::PACKET_FANOUT_DATA, self.0.as_raw_fd())
    }

    /// Runs the program over one frame, in the kernel but away from any interface, and gives what
    /// it returned (bpf(2), `BPF_PROG_TEST_RUN`).
    #[cfg(test)]
    pub fn run(&self, frame: &[u8]) -> io::Result<u32> {
        #[repr(C)]
        struct Run {
            program: u32,
            returned: u32,
            input_size: u32,
            output_size: u32,
            input: u64,
            output: u64,
            repeat: u32,
            duration: u32,
        }
        let mut request = Run {
            program: number(self.0.as_raw_fd()),
            returned: 0,
            input_size: u32::try_from(frame.len()).unwrap_or(0),
            output_size: 0,
            input: address_of(frame),
            output: 0,
            repeat: 1,
            duration: 0,
        };
        let length = size_of::<Run>();
        let pointer = &raw mut request;
        // SAFETY: the structure lives until the call ends and may be written to; its one pointer
        // is to as many octets as it says.
        let result = unsafe { libc::syscall(libc::SYS_bpf, 10, pointer, length) };
        checked(libc::c_int::try_from(result).unwrap_or(-1))?;
        Ok(request.returned)
    }
}

/// The system call, which libc has no function for.
///
/// # Safety
/// The pointers in `request` must be to what `command` expects, for the length of the call.
unsafe fn bpf<T>(command: libc::c_int, request: &T) -> io::Result<libc::c_int> {
    let pointer = std::ptr::from_ref(request);
    // SAFETY: the structure is as long as the call is told; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) };
    checked(libc::c_int::try_from(result).unwrap_or(-1))
}

fn own(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: bpf(2) has just returned the descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn address_of<T>(slice: &[T]) -> u64 {
    slice.as_ptr().expose_provenance() as u64
}

fn number(descriptor: RawFd) -> u32 {
    u32::try_from(descriptor).unwrap_or(u32::MAX)
}
