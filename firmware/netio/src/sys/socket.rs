//! Packet sockets: creation, binding and options. Sources: packet(7), socket(7),
//! `linux/if_packet.h`.

use std::ffi::CString;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use base::Mac;

use super::{checked, length_of};

/// Every frame, before the protocol's own handler sees it (`ETH_P_ALL`, `linux/if_ether.h`).
const ALL_PROTOCOLS: u16 = 0x0003_u16.to_be();

/// A socket for whole link-layer frames. Without `receive` it never gets one.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// A raw packet socket that is bound to nothing and receives nothing yet.
    pub fn new() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket(2) takes no pointers.
        let result = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        let descriptor = checked(result)?;
        // SAFETY: the descriptor was just returned by the kernel and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Another descriptor of the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Binds to an interface: to receive every frame of it, or only to send there.
    pub fn bind(&self, interface: u32, receive: bool) -> io::Result<()> {
        let address = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
            sll_protocol: if receive { ALL_PROTOCOLS } else { 0 },
            sll_ifindex: i32::try_from(interface).unwrap_or(i32::MAX),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let pointer = (&raw const address).cast::<libc::sockaddr>();
        let length = length_of::<libc::sockaddr_ll>();
        // SAFETY: the pointer and length describe `address`, which outlives the call.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), pointer, length) };
        checked(result).map(drop)
    }

    /// Sets an option of level `SOL_PACKET` whose value is a number.
    pub fn set_packet_option(&self, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        set(self.as_fd(), libc::SOL_PACKET, name, &value)
    }

    /// Sets an option of level `SOL_SOCKET` whose value is a number.
    pub fn set_socket_option(&self, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        set(self.as_fd(), libc::SOL_SOCKET, name, &value)
    }

    /// Lets only those frames in for which the classic BPF program returns non-zero.
    pub fn attach_filter(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        let filter = libc::sock_fprog {
            len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            filter: program.as_ptr().cast_mut(), // only read by the kernel
        };
        set(self.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
    }

    /// Joins (or leaves) the receive filter of an interface for one group address, or for all
    /// frames when `group` is none (promiscuous).
    pub fn membership(&self, interface: u32, group: Option<Mac>, join: bool) -> io::Result<()> {
        let mut request = libc::packet_mreq {
            mr_ifindex: i32::try_from(interface).unwrap_or(i32::MAX),
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or_default(),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        if let Some(mac) = group {
            request.mr_type = u16::try_from(libc::PACKET_MR_MULTICAST).unwrap_or_default();
            request.mr_alen = 6;
            request.mr_address[..6].copy_from_slice(&mac.0);
        }
        let name = if join { libc::PACKET_ADD_MEMBERSHIP } else { libc::PACKET_DROP_MEMBERSHIP };
        set(self.as_fd(), libc::SOL_PACKET, name, &request)
    }

    /// The kernel's counts since the last call: frames that passed the filter, and those of them
    /// that found no room. Reading resets them (packet(7), `PACKET_STATISTICS`).
    pub fn take_statistics(&self) -> io::Result<libc::tpacket_stats> {
        let mut value = MaybeUninit::<libc::tpacket_stats>::zeroed();
        let mut length = length_of::<libc::tpacket_stats>();
        let (descriptor, name) = (self.0.as_raw_fd(), libc::PACKET_STATISTICS);
        let pointer = value.as_mut_ptr().cast();
        // SAFETY: the pointer and length describe `value`, which the kernel may write to.
        let result = unsafe {
            libc::getsockopt(descriptor, libc::SOL_PACKET, name, pointer, &raw mut length)
        };
        checked(result)?;
        // SAFETY: two integers, zeroed before the call, so every bit pattern is a value.
        Ok(unsafe { value.assume_init() })
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// setsockopt(2) with a value of a kernel ABI type.
pub(super) fn set<T: Copy>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast();
    let descriptor = socket.as_raw_fd();
    debug_assert!(size_of::<T>() > 0);
    // SAFETY: the pointer and length describe `value`; the kernel only reads it.
    let result = unsafe { libc::setsockopt(descriptor, level, name, pointer, length_of::<T>()) };
    checked(result).map(drop)
}

/// The number of an interface in the calling thread's network namespace.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: the pointer is to a string that ends in zero and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 { Err(io::Error::last_os_error()) } else { Ok(index) }
}
