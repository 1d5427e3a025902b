//! `sigaction(2)` for dispositions that run no code of ours.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Ignores a signal or gives it its default action; handlers are not for this program.
pub(crate) fn set_disposition(signal: Signal, disposition: SigHandler) -> Result<(), Errno> {
    match disposition {
        SigHandler::SigDfl | SigHandler::SigIgn => {}
        SigHandler::Handler(_) | SigHandler::SigAction(_) => return Err(Errno::EINVAL),
    }
    let action = SigAction::new(disposition, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed, as checked above, so none can be unsafe in a signal.
    unsafe { sigaction(signal, &action) }.map(drop)
}
