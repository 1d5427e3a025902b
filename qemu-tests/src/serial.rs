//! The serial line's transcript: a thread of its own reads all the time, so that a guest never
//! waits for a test, and whoever expects a text searches what has come.

use std::fmt;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::time::{Limit, Start};

/// How much of the end of a transcript an error shows.
const TAIL: usize = 3000;

/// Most octets kept; a guest that says more is out of its mind.
const MOST: usize = 16 << 20;

/// All that has come over the line, and how far it has been searched.
#[derive(Clone, Debug)]
pub struct Transcript {
    shared: Arc<Shared>,
    searched: usize,
}

#[derive(Debug, Default)]
struct Shared {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    octets: Vec<u8>,
    is_over: bool,
}

/// A text that did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// What was expected.
    pub expected: String,
    /// How long it was waited for.
    pub limit: Limit,
    /// Whether the line was closed: the guest has ended.
    pub is_over: bool,
    /// The last that came.
    pub tail: String,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_over {
            write!(f, "the guest ended without saying {:?}", self.expected)?;
        } else {
            write!(f, "the guest did not say {:?} in {:?}", self.expected, self.limit.0)?;
        }
        write!(f, "; the last it said:\n{}", self.tail)
    }
}

impl std::error::Error for Silence {}

impl Transcript {
    /// Starts to read. The thread ends with the line.
    pub(crate) fn of(mut line: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            loop {
                let length = line.read(&mut buffer).unwrap_or(0);
                let mut said = writer.said.lock().unwrap_or_else(PoisonError::into_inner);
                said.octets.extend_from_slice(&buffer[..length]);
                said.is_over = length == 0 || said.octets.len() > MOST;
                writer.more.notify_all();
                if said.is_over {
                    return;
                }
            }
        });
        Self { shared, searched: 0 }
    }

    /// Waits until `text` comes behind what was found before; returns everything up to its end
    /// from there on.
    ///
    /// # Errors
    /// [`Silence`] when the limit has passed or the line has closed; the search then starts from
    /// the same place again.
    pub fn expect(&mut self, text: &str, limit: Limit) -> Result<String, Silence> {
        let start = Start::now();
        let mut said = self.shared.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = self.searched;
        loop {
            if let Some(at) = find(&said.octets[from..], text.as_bytes()) {
                let end = from + at + text.len();
                let found = String::from_utf8_lossy(&said.octets[self.searched..end]).into_owned();
                self.searched = end;
                return Ok(found);
            }
            // The text's beginning may stand at the end already.
            from = said.octets.len().saturating_sub(text.len()).max(self.searched);
            let left = start.left(limit).filter(|_| !said.is_over);
            let Some(left) = left else {
                let tail = said.octets.len().saturating_sub(TAIL);
                return Err(Silence {
                    expected: text.to_owned(),
                    limit,
                    is_over: said.is_over,
                    tail: String::from_utf8_lossy(&said.octets[tail..]).into_owned(),
                });
            };
            said = match self.shared.more.wait_timeout(said, left) {
                Ok((said, _)) => said,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Everything that has come so far.
    pub fn text(&self) -> String {
        let said = self.shared.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said.octets).into_owned()
    }
}

fn find(octets: &[u8], text: &[u8]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    octets.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    const SOON: Limit = Limit(Duration::from_millis(50));

    #[test]
    fn a_text_is_found_across_pieces_and_once_only() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut transcript = Transcript::of(reader);
        writer.write_all(b"boot: po").unwrap();
        transcript.expect("ports", SOON).expect_err("half of it");
        writer.write_all(b"rts up\r\nports\r\n").unwrap();
        assert_eq!(transcript.expect("ports", Limit::ANSWER).unwrap(), "boot: ports");
        assert_eq!(transcript.expect("ports", Limit::ANSWER).unwrap(), " up\r\nports");
        let silence = transcript.expect("ports", SOON).expect_err("no third time");
        assert!(!silence.is_over);
        assert!(silence.tail.contains("boot: ports up"));
    }

    #[test]
    fn a_closed_line_ends_the_wait_at_once() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut transcript = Transcript::of(reader);
        writer.write_all(b"last words").unwrap();
        drop(writer);
        let silence = transcript.expect("more", Limit::BOOT).expect_err("it ended");
        assert!(silence.is_over);
        assert!(silence.to_string().contains("last words"), "{silence}");
        transcript.expect("last words", SOON).expect("what came before the end counts");
    }
}
