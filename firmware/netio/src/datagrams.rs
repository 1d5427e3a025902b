//! UDP datagrams past the data path: what the boxes of a cluster tell each other has sockets of its
//! own, on which nothing else can queue in front of it.
//!
//! The kernel sorts by the second octet of the datagram, which says its kind, so that each thread
//! gets its own and is not woken by the others'. It also says when each came in, by its clock of
//! the day: how long something waited here must not look like silence of its sender.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::port::{check_vlan, index, refused};
use crate::sys::socket::PacketSocket;
use crate::{OpenError, filter};

/// What may wait in the kernel, in octets: a second of everything that 32 boxes say.
const RECEIVE_BUFFER: libc::c_int = 1 << 20;

/// A socket for the datagrams of some kinds that come to one port of the box.
#[derive(Debug)]
pub struct Datagrams {
    socket: PacketSocket,
    buffer: Box<[u8; 2048]>,
}

/// What came in.
#[derive(Debug)]
pub struct Arrival<'b> {
    /// The whole frame, untagged; its checksums are not verified.
    pub frame: &'b mut [u8],
    /// When the kernel took it, by the clock of the day (clock_gettime(2), `CLOCK_REALTIME`, since
    /// its epoch). `None`: the kernel did not say.
    pub stamp: Option<Duration>,
}

impl Datagrams {
    /// Opens a socket on an interface, for UDP to `port` whose second octet is one of `kinds` (at
    /// most 100).
    ///
    /// # Errors
    /// No such interface, or the kernel refuses a step; nothing stays open then.
    pub fn open(
        interface: &str,
        vlan: Option<u16>,
        port: u16,
        kinds: &[u8],
    ) -> Result<Self, OpenError> {
        check_vlan(vlan)?;
        if kinds.len() > 100 {
            return Err(OpenError::Illegal { what: "a socket is for at most 100 kinds" });
        }
        let index = index(interface)?;
        let socket = PacketSocket::new().map_err(refused(interface, "opening a socket"))?;
        // Before it is bound: nothing else must ever get in.
        socket
            .attach_filter(&filter::datagrams(vlan, port, kinds))
            .map_err(refused(interface, "attaching the filter for datagrams"))?;
        socket
            .set_socket_option(libc::SO_TIMESTAMPNS, 1)
            .map_err(refused(interface, "asking for times of arrival"))?;
        socket
            .set_socket_option(libc::SO_RCVBUFFORCE, RECEIVE_BUFFER)
            .map_err(refused(interface, "making room for datagrams"))?;
        socket.bind(index, true).map_err(refused(interface, "binding for datagrams"))?;
        Ok(Self { socket, buffer: Box::new([0; 2048]) })
    }

    /// The next datagram; none if none waits. Frames longer than 2,048 octets are cut off there.
    pub fn receive(&mut self) -> Option<Arrival<'_>> {
        let mut control = nix::cmsg_space!(libc::timespec);
        let mut slices = [IoSliceMut::new(&mut self.buffer[..])];
        let descriptor = self.socket.as_fd().as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        // An interface that went away or is down has nothing to say; its watcher tells.
        let message = recvmsg::<()>(descriptor, &mut slices, Some(&mut control), flags).ok()?;
        let length = message.bytes;
        let mut stamp = None;
        for control in message.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::ScmTimestampns(time) = control {
                stamp = Some(Duration::from(time));
            }
        }
        Some(Arrival { frame: self.buffer.get_mut(..length)?, stamp })
    }

    /// How many datagrams were lost since this was asked last, because nobody took those before
    /// them. Of an interface that went away: none.
    pub fn take_lost(&mut self) -> u64 {
        self.socket.take_statistics().map_or(0, |news| u64::from(news.tp_drops))
    }

    /// To wait for datagrams.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
