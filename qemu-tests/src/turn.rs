//! One set of guests at a time: emulated machines beside each other would only measure how few
//! cores there are.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The right to start guests, held until dropped. Processes wait for each other; what a crash
/// leaves behind is no turn, for the kernel gives the lock back.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
    folder: PathBuf,
}

impl Turn {
    /// Waits for the turn; `target` is cargo's target folder, where the lock lies.
    ///
    /// # Errors
    /// As making or locking the file fails.
    pub fn take(target: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(target)?;
        let lock = File::create(target.join("qemu.lock"))?;
        lock.lock()?;
        Ok(Self { _lock: lock, folder: target.to_owned() })
    }

    /// Cargo's target folder, for what is to be kept from turn to turn.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_had_once_and_given_back_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let turn = Turn::take(folder.path()).unwrap();
        let other = File::create(folder.path().join("qemu.lock")).unwrap();
        other.try_lock().expect_err("somebody has it");
        drop(turn);
        other.try_lock().expect("nobody has it");
    }
}
