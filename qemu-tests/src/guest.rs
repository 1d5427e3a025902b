//! A machine that runs.

use std::fmt;
use std::io::{self, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::Machine;
use crate::monitor::{Monitor, MonitorError};
use crate::serial::{Silence, Transcript};
use crate::time::{Limit, Start};

/// A running machine; dropping it cuts its power.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    serial: Transcript,
    complaints: Transcript,
    monitor: Monitor,
    started: Start,
    _folder: TempDir,
}

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It switched itself off.
    PowerOff,
    /// It restarted itself (which ends it here: QEMU runs with `-no-reboot`).
    Restart,
    /// Its watchdog bit.
    Watchdog,
    /// QEMU ended for another reason; see its exit status.
    Other(ExitStatus),
}

/// Why a guest could not be started or driven.
#[derive(Debug)]
pub enum GuestError {
    /// A file or process could not be made.
    Start(io::Error),
    /// The monitor failed; with what QEMU complained about.
    Monitor(MonitorError, String),
    /// The serial line could not be written.
    Serial(io::Error),
    /// It did not end in time; with the last it said.
    StillRuns(String),
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(source) => write!(
                f,
                "cannot start qemu-system-x86_64: {source}; the packages qemu-system-x86, \
                 iproute2 and util-linux are needed"
            ),
            Self::Monitor(source, complaints) => write!(f, "{source}; QEMU said: {complaints}"),
            Self::Serial(source) => write!(f, "cannot write to the serial line: {source}"),
            Self::StillRuns(tail) => {
                write!(f, "the guest still runs when it should have ended; it said:\n{tail}")
            }
        }
    }
}

impl std::error::Error for GuestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(source) | Self::Serial(source) => Some(source),
            Self::Monitor(source, _) => Some(source),
            Self::StillRuns(_) => None,
        }
    }
}

impl Guest {
    pub(crate) fn start(machine: &Machine) -> Result<Self, GuestError> {
        let folder = tempfile::Builder::new().prefix("portico-qemu-").tempdir();
        let folder = folder.map_err(GuestError::Start)?;
        let socket = folder.path().join("monitor");
        let words = machine.command(&socket);
        let started = Start::now();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(GuestError::Start)?;
        let missing = || GuestError::Start(io::ErrorKind::BrokenPipe.into());
        let serial = Transcript::of(child.stdout.take().ok_or_else(missing)?);
        let complaints = Transcript::of(child.stderr.take().ok_or_else(missing)?);
        match Monitor::connect(&socket, Limit::ANSWER) {
            Ok(monitor) => {
                Ok(Self { child, serial, complaints, monitor, started, _folder: folder })
            }
            Err(source) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(GuestError::Monitor(source, complaints.text()))
            }
        }
    }

    /// Waits for a text on the serial line; see [`Transcript::expect`].
    ///
    /// # Errors
    /// [`Silence`].
    pub fn expect(&mut self, text: &str, limit: Limit) -> Result<String, Silence> {
        self.serial.expect(text, limit)
    }

    /// Everything that the guest has said on the serial line.
    pub fn transcript(&self) -> String {
        self.serial.text()
    }

    /// Types on the serial line; Enter is `\r`.
    ///
    /// # Errors
    /// [`GuestError::Serial`].
    pub fn type_text(&mut self, text: &str) -> Result<(), GuestError> {
        let line = self.child.stdin.as_mut();
        let line = line.ok_or_else(|| GuestError::Serial(io::ErrorKind::BrokenPipe.into()))?;
        line.write_all(text.as_bytes()).and_then(|()| line.flush()).map_err(GuestError::Serial)
    }

    /// Presses the power button for a moment.
    ///
    /// # Errors
    /// [`GuestError::Monitor`].
    pub fn press_power_button(&mut self) -> Result<(), GuestError> {
        self.command("system_powerdown", json!({})).map(drop)
    }

    /// Presses Ctrl, Alt and Delete together on the keyboard.
    ///
    /// # Errors
    /// [`GuestError::Monitor`].
    pub fn press_ctrl_alt_delete(&mut self) -> Result<(), GuestError> {
        let keys = ["ctrl", "alt", "delete"].map(|key| json!({ "type": "qcode", "data": key }));
        self.command("send-key", json!({ "keys": keys })).map(drop)
    }

    /// Stops the guest's processors, its clock running on outside.
    ///
    /// # Errors
    /// [`GuestError::Monitor`].
    pub fn pause(&mut self) -> Result<(), GuestError> {
        self.command("stop", json!({})).map(drop)
    }

    /// Lets a paused guest go on.
    ///
    /// # Errors
    /// [`GuestError::Monitor`].
    pub fn resume(&mut self) -> Result<(), GuestError> {
        self.command("cont", json!({})).map(drop)
    }

    /// Plugs or pulls the cable of a port, counted from 0.
    ///
    /// # Errors
    /// [`GuestError::Monitor`].
    pub fn set_link(&mut self, port: usize, up: bool) -> Result<(), GuestError> {
        let arguments = json!({ "name": format!("port{port}"), "up": up });
        self.command("set_link", arguments).map(drop)
    }

    fn command(&mut self, command: &str, arguments: Value) -> Result<Value, GuestError> {
        let result = self.monitor.command(command, arguments);
        result.map_err(|source| GuestError::Monitor(source, self.complaints.text()))
    }

    /// Time since it was switched on.
    pub fn age(&self) -> Duration {
        self.started.age()
    }

    /// The emulator's process, for whoever wants to look at its memory or stop it by signals.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the guest has ended and says how.
    ///
    /// # Errors
    /// [`GuestError::StillRuns`], `Start` if the process cannot be waited for.
    pub fn wait_for_end(&mut self, limit: Limit) -> Result<End, GuestError> {
        let start = Start::now();
        loop {
            if let Some(status) = self.child.try_wait().map_err(GuestError::Start)? {
                return Ok(self.end(status));
            }
            if start.left(limit).is_none() {
                return Err(GuestError::StillRuns(self.serial.text()));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn end(&mut self, status: ExitStatus) -> End {
        let events = self.monitor.events_at_end();
        if events.iter().any(|event| event["event"] == "WATCHDOG") {
            return End::Watchdog;
        }
        let shutdown = events.iter().rev().find(|event| event["event"] == "SHUTDOWN");
        match shutdown.and_then(|event| event["data"]["reason"].as_str()) {
            Some("guest-shutdown") => End::PowerOff,
            Some("guest-reset") => End::Restart,
            Some(_) | None => End::Other(status),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and nothing to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
