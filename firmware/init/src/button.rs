//! The power button, and every other key that means it, as one descriptor to poll.
//!
//! The ACPI `button` module makes an input device of it, `evdev` shows it below `/dev/input`.
//!
//! Reading list: the kernel's Documentation/input/input.rst (event interface), event-codes.rst
//! (`EV_KEY`, `KEY_POWER`), `epoll(7)`.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::sys::input;

/// Most input devices looked at.
const MOST_DEVICES: usize = 64;

/// Most events taken from one device by one call.
const MOST_EVENTS: usize = 256;

/// All input devices that have a power key.
#[derive(Debug)]
pub struct PowerButton {
    devices: Vec<File>,
    names: Vec<PathBuf>,
    poll: Epoll,
}

/// Why the button cannot be watched.
#[derive(Debug)]
pub enum ButtonError {
    /// `/dev/input` is there and cannot be listed.
    List(io::Error),
    /// The descriptor that joins the devices could not be made.
    Poll(Errno),
}

impl fmt::Display for ButtonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(source) => write!(f, "cannot list /dev/input: {source}"),
            Self::Poll(source) => write!(f, "cannot watch the power button: {source}"),
        }
    }
}

impl std::error::Error for ButtonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::List(source) => Some(source),
            Self::Poll(source) => Some(source),
        }
    }
}

impl PowerButton {
    /// Opens every input device with a power key; a machine without any gives an empty set, which
    /// never becomes readable.
    ///
    /// # Errors
    /// [`ButtonError`]. A single device that cannot be opened is passed over.
    pub fn open() -> Result<Self, ButtonError> {
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(ButtonError::Poll)?;
        let mut button = Self { devices: Vec::new(), names: Vec::new(), poll };
        for path in event_devices().map_err(ButtonError::List)? {
            let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
            let Ok(device) = opened else { continue };
            if input::has_key(device.as_fd(), input::KEY_POWER).unwrap_or(false) {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, 0);
                button.poll.add(&device, event).map_err(ButtonError::Poll)?;
                button.devices.push(device);
                button.names.push(path);
            }
        }
        Ok(button)
    }

    /// The devices watched, for the boot list to name.
    pub fn devices(&self) -> &[PathBuf] {
        &self.names
    }

    /// Takes the events that have come, without waiting: whether the key went down.
    pub fn was_pressed(&mut self) -> bool {
        // Every device is drained, so that the descriptor is quiet until the next press.
        self.devices.iter_mut().fold(false, |pressed, device| drain(device) | pressed)
    }
}

impl AsFd for PowerButton {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.0.as_fd()
    }
}

fn event_devices() -> io::Result<Vec<PathBuf>> {
    let folder = match std::fs::read_dir("/dev/input") {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = folder
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("event"))
        .map(|entry| entry.path())
        .take(MOST_DEVICES)
        .collect();
    paths.sort();
    Ok(paths)
}

/// Reads until the device has no more; whether the power key went down.
fn drain(device: &mut impl Read) -> bool {
    let mut pressed = false;
    for _ in 0..MOST_EVENTS {
        let mut event = [0u8; input::EVENT_LENGTH];
        // The kernel hands out whole events only; anything else is "no more" or a lost device.
        match device.read(&mut event) {
            Ok(length) if length == event.len() => {}
            Ok(_) | Err(_) => break,
        }
        pressed |= input::key_down(&event) == Some(input::KEY_POWER);
    }
    pressed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![0u8; input::EVENT_LENGTH - 8];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    #[test]
    fn only_the_power_key_going_down_counts() {
        let cases = [
            ("down", event(1, 116, 1), true),
            ("up", event(1, 116, 0), false),
            ("repeat", event(1, 116, 2), false),
            ("another key", event(1, 30, 1), false),
            ("a synchronisation event of the same code", event(0, 116, 1), false),
            ("half an event", event(1, 116, 1)[..10].to_vec(), false),
            ("nothing", Vec::new(), false),
        ];
        for (name, bytes, pressed) in cases {
            assert_eq!(drain(&mut bytes.as_slice()), pressed, "{name}");
        }
    }

    #[test]
    fn a_press_followed_by_other_events_is_not_missed() {
        let bytes = [event(1, 116, 1), event(0, 0, 0), event(1, 116, 0), event(0, 0, 0)].concat();
        assert!(drain(&mut bytes.as_slice()));
    }
}
