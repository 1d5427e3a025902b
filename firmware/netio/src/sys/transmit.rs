//! sendmmsg(2): a burst of frames in one system call, each gathered from where it lies.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::BURST;

/// Pieces of one message: offload header, addresses, tag, rest.
const PIECES: usize = 4;

/// One frame to be sent: an offload header, then the frame in up to three pieces (empty ones
/// stand for nothing).
pub type Gather<'a> = (&'a [u8], [&'a [u8]; PIECES - 1]);

/// Room for the kernel's description of one burst, allocated once.
pub struct Messages {
    headers: Box<[libc::mmsghdr; BURST]>,
    pieces: Box<[[libc::iovec; PIECES]; BURST]>,
}

// SAFETY: the pointers inside are written anew by every `send` and not used after it.
unsafe impl Send for Messages {}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Messages {
    /// Empty room.
    pub fn new() -> Self {
        // SAFETY: a message header without address, pieces and control data is all zeroes.
        let header = unsafe { MaybeUninit::<libc::mmsghdr>::zeroed().assume_init() };
        let piece = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self { headers: Box::new([header; BURST]), pieces: Box::new([[piece; PIECES]; BURST]) }
    }

    /// Sends frames in order, up to [`BURST`] of them, and says how many went out. An error is
    /// about the first frame; one about a later frame shows when the rest is sent.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        frames: impl Iterator<Item = Gather<'a>>,
    ) -> io::Result<usize> {
        let mut count = 0;
        let rooms = self.headers.iter_mut().zip(self.pieces.iter_mut());
        for ((offload, parts), (header, pieces)) in frames.zip(rooms) {
            pieces[0] = piece(offload);
            let mut used = 1;
            for part in parts.into_iter().filter(|part| !part.is_empty()) {
                pieces[used] = piece(part);
                used += 1;
            }
            header.msg_hdr.msg_iov = pieces.as_mut_ptr();
            header.msg_hdr.msg_iovlen = used;
            count += 1;
        }
        let length = u32::try_from(count).unwrap_or(0);
        let (descriptor, headers) = (socket.as_raw_fd(), self.headers.as_mut_ptr());
        // SAFETY: `headers` holds at least `length` messages whose pieces were all set above from
        // slices that live until 'a ends, which is after this call. The kernel only reads them.
        let result = unsafe { libc::sendmmsg(descriptor, headers, length, libc::MSG_DONTWAIT) };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }
}

/// A slice as the kernel's gather list wants it.
fn piece(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
