//! Attaching a person's terminal, or a pipe, to the console of a node.

use crate::place::Place;
use crate::{LabError, clock};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

/// Ctrl-] leaves, as in telnet.
const LEAVE: u8 = 0x1d;
/// How long the console must be silent after the end of a pipe before we leave.
const SILENCE: Duration = Duration::from_millis(700);

/// Puts a terminal back as it was when dropped.
struct Restored(Termios);

impl Drop for Restored {
    fn drop(&mut self) {
        // There is nothing left to try when a terminal does not take its own settings back.
        let _ = tcsetattr(stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Connects standard input and output with the console of a node. With a terminal, until Ctrl-];
/// with a pipe, until it has ended and the console has fallen silent.
///
/// # Errors
/// [`LabError::File`] where the console cannot be opened or breaks.
pub fn attach(place: &Place, node: &str) -> Result<(), LabError> {
    let path = place.host_folder(node).join("console");
    let mut console = open(&path)?;
    let failed = |source| LabError::File { path: path.clone(), source };
    let _restored = if stdin().is_terminal() {
        println!("console of {node}; Ctrl-] leaves\r");
        Some(make_raw().map_err(|errno| failed(errno.into()))?)
    } else {
        None
    };
    pump(&mut console).map_err(failed)
}

/// Opens the pty of a node. Its line discipline must neither echo nor collect lines: on the other
/// end is the appliance, which does both itself.
pub(crate) fn open(path: &PathBuf) -> Result<File, LabError> {
    let console =
        OpenOptions::new().read(true).write(true).open(path).map_err(LabError::file(path))?;
    let raw = tcgetattr(&console).and_then(|mut settings| {
        cfmakeraw(&mut settings);
        tcsetattr(&console, SetArg::TCSANOW, &settings)
    });
    raw.map_err(|errno| LabError::File { path: path.clone(), source: errno.into() })?;
    Ok(console)
}

/// Makes standard input a raw terminal.
fn make_raw() -> nix::Result<Restored> {
    let before = tcgetattr(stdin())?;
    let mut raw = before.clone();
    cfmakeraw(&mut raw);
    tcsetattr(stdin(), SetArg::TCSANOW, &raw)?;
    Ok(Restored(before))
}

/// Carries octets both ways.
fn pump(console: &mut File) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    let mut input_open = true;
    let mut last = clock::now();
    loop {
        let timeout = if input_open { PollTimeout::NONE } else { PollTimeout::from(50_u8) };
        let (from_console, from_input) = {
            let input = stdin();
            let mut waiting = vec![PollFd::new(console.as_fd(), PollFlags::POLLIN)];
            if input_open {
                waiting.push(PollFd::new(input.as_fd(), PollFlags::POLLIN));
            }
            poll(&mut waiting, timeout)?;
            let ready = |fd: &PollFd| fd.any().unwrap_or(false);
            (ready(&waiting[0]), waiting.get(1).is_some_and(ready))
        };
        if from_console {
            let length = console.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            let mut output = stdout().lock();
            output.write_all(&buffer[..length])?;
            output.flush()?;
            last = clock::now();
        }
        if from_input {
            let length = stdin().read(&mut buffer)?;
            let typed = &buffer[..length];
            let leave = stdin().is_terminal().then(|| typed.iter().position(|c| *c == LEAVE));
            if let Some(Some(at)) = leave {
                return console.write_all(&typed[..at]);
            }
            console.write_all(typed)?;
            input_open = length > 0;
            last = clock::now();
        }
        if !input_open && clock::now().duration_since(last) > SILENCE {
            return Ok(());
        }
    }
}
