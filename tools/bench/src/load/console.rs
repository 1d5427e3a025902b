//! A person at the serial line of a supervisor, which in a namespace is a pseudo-terminal.

use crate::{BenchError, clock};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take until nobody waits any more.
const PATIENCE: Duration = Duration::from_secs(20);
/// The prompt of somebody who may look.
const PROMPT: &str = "n1> ";

/// An open console at which somebody has signed in.
#[derive(Debug)]
pub struct Console {
    terminal: File,
}

impl Console {
    /// Opens the terminal and signs in where that is asked for.
    ///
    /// # Errors
    /// Where it is not there or does not answer.
    pub fn open(path: &Path, user: &str, password: &str) -> Result<Self, BenchError> {
        let flags = nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags);
        let terminal = options.open(path).map_err(BenchError::at(path.display()))?;
        let mut console = Self { terminal };
        console.type_text("\r")?;
        if console.read_until(&[PROMPT, "login: "])?.ends_with("login: ") {
            console.type_text(&format!("{user}\r"))?;
            console.read_until(&["assword: "])?;
            console.type_text(&format!("{password}\r"))?;
            console.read_until(&[PROMPT])?;
        }
        Ok(console)
    }

    /// Types a command; what is shown until the next prompt, and how long that took.
    ///
    /// # Errors
    /// Where no answer comes.
    pub fn ask(&mut self, command: &str) -> Result<(String, Duration), BenchError> {
        let begin = clock::now();
        self.type_text(&format!("{command}\r"))?;
        self.read_until(&["\n"])?;
        let answer = self.read_until(&[PROMPT])?;
        Ok((answer, clock::now() - begin))
    }

    fn type_text(&mut self, text: &str) -> Result<(), BenchError> {
        self.terminal.write_all(text.as_bytes()).map_err(BenchError::at("typing at the console"))
    }

    /// Reads until what was read ends with one of some texts.
    fn read_until(&mut self, texts: &[&str]) -> Result<String, BenchError> {
        let end = clock::now() + PATIENCE;
        let mut seen = String::new();
        loop {
            let mut octet = [0];
            match self.terminal.read(&mut octet) {
                Ok(1) => seen.push(char::from(octet[0])),
                Ok(_) | Err(_) if clock::now() >= end => {
                    let why = format!("the console does not show {texts:?}, but {seen:?}");
                    return Err(BenchError::CannotMeasure(why));
                }
                Ok(_) | Err(_) => {
                    let mut fds = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
                    let _ = poll(&mut fds, PollTimeout::from(100_u8));
                }
            }
            if texts.iter().any(|text| seen.ends_with(text)) {
                return Ok(seen);
            }
        }
    }
}
