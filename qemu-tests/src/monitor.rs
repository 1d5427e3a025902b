//! QEMU's machine monitor: buttons, keys and the reason why a guest ended.
//!
//! Reading list: QEMU's docs/interop/qmp-spec (greeting, `qmp_capabilities`, replies, events) and
//! qemu-qmp-ref (`system_powerdown`, `send-key`, the SHUTDOWN event).

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::time::{Limit, Start};

/// Why a command was not carried out.
#[derive(Debug)]
pub enum MonitorError {
    /// The monitor did not come up or closed the line.
    Gone(io::Error),
    /// It did not answer in time.
    Silent(String),
    /// It refused the command.
    Refused {
        /// The command.
        command: String,
        /// QEMU's words.
        what: String,
    },
}

impl fmt::Display for MonitorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(source) => write!(f, "QEMU's monitor is gone: {source}"),
            Self::Silent(command) => write!(f, "QEMU's monitor did not answer {command:?}"),
            Self::Refused { command, what } => write!(f, "QEMU refused {command:?}: {what}"),
        }
    }
}

impl std::error::Error for MonitorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gone(source) => Some(source),
            Self::Silent(_) | Self::Refused { .. } => None,
        }
    }
}

/// A monitor that takes commands.
#[derive(Debug)]
pub(crate) struct Monitor {
    line: UnixStream,
    replies: Receiver<Value>,
    events: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Connects to the socket that a QEMU just started is about to make.
    pub(crate) fn connect(path: &Path, limit: Limit) -> Result<Self, MonitorError> {
        let start = Start::now();
        let line = loop {
            match UnixStream::connect(path) {
                Ok(line) => break line,
                Err(error) if start.left(limit).is_none() => return Err(MonitorError::Gone(error)),
                Err(_not_yet) => std::thread::park_timeout(Duration::from_millis(10)),
            }
        };
        let reader = BufReader::new(line.try_clone().map_err(MonitorError::Gone)?);
        let events = Arc::new(Mutex::new(Vec::new()));
        let (sender, replies) = channel();
        let kept = Arc::clone(&events);
        let reader = Some(std::thread::spawn(move || sort(reader, &kept, &sender)));
        let mut monitor = Self { line, replies, events, reader };
        monitor.command("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// Carries out a command and returns what it returns.
    pub(crate) fn command(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> Result<Value, MonitorError> {
        let message = json!({ "execute": command, "arguments": arguments });
        self.line.write_all(format!("{message}\n").as_bytes()).map_err(MonitorError::Gone)?;
        match self.replies.recv_timeout(Limit::ANSWER.0) {
            Ok(reply) if reply["error"].is_null() => Ok(reply["return"].clone()),
            Ok(reply) => Err(MonitorError::Refused {
                command: command.to_owned(),
                what: reply["error"]["desc"].as_str().unwrap_or("no reason given").to_owned(),
            }),
            Err(RecvTimeoutError::Timeout) => Err(MonitorError::Silent(command.to_owned())),
            Err(RecvTimeoutError::Disconnected) => {
                Err(MonitorError::Gone(io::ErrorKind::UnexpectedEof.into()))
            }
        }
    }

    /// All events, oldest first, once QEMU has ended and closed the line.
    pub(crate) fn events_at_end(&mut self) -> Vec<Value> {
        if let Some(reader) = self.reader.take() {
            // It cannot have panicked: every message that it cannot read is passed over.
            let _ = reader.join();
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps events, passes replies on; ends with the line.
fn sort(reader: impl BufRead, events: &Mutex<Vec<Value>>, replies: &Sender<Value>) {
    for line in reader.lines() {
        let Ok(line) = line else { return };
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        if message.get("event").is_some() {
            events.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        } else if message.get("QMP").is_none() && replies.send(message).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_is_passed_over_events_are_kept_and_replies_passed_on() {
        let lines = "{\"QMP\": {}}\n{\"event\": \"RESET\"}\nno json\n{\"return\": {\"a\": 1}}\n";
        let events = Mutex::new(Vec::new());
        let (sender, replies) = channel();
        sort(lines.as_bytes(), &events, &sender);
        drop(sender);
        assert_eq!(events.into_inner().unwrap(), [json!({"event": "RESET"})]);
        assert_eq!(replies.iter().collect::<Vec<_>>(), [json!({"return": {"a": 1}})]);
    }
}
