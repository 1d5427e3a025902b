//! A member's part: who asks, and whether it lives.

use alloc::string::String;
use alloc::vec::Vec;

use base::time::Duration;
use base::{Instant, NodeId};
use chacha20poly1305::XChaCha20Poly1305;

use super::wire::{Answer, Answered, Asked, Question, clipped};
use super::{CHANNEL, is_introduction};
use crate::Incarnation;
use crate::config::DocumentId;
use crate::config::message::DocumentMessage;
use crate::config::pull::Blob;
use crate::config::record::Record;
use crate::seal::introduction::{keys, open, seal};
use crate::seal::{Header, Refusal, Salt, Secrets};

/// Questions that are judged in each [`WHILE`]: a document of 64,000 octets is pulled in one, and a
/// flood of questions costs a thousandth of a processor.
const QUESTIONS: u32 = 64;
/// See [`QUESTIONS`].
const WHILE: Duration = Duration::from_millis(100);
/// A challenge that was told is good for so long: whoever holds back what repeats it, instead of
/// recording it, does not have it for later. A newcomer that lives repeats it at once.
const FRESH: Duration = Duration::from_secs(5);
/// A record is given away for so long: what it says of its own age grows wrong.
const KEPT: Duration = Duration::from_secs(60);

/// Judges and answers questions of newcomers.
pub struct Porter {
    own: NodeId,
    salt: Salt,
    keys: Vec<(u8, XChaCha20Poly1305)>,
    counter: u64,
    /// The challenge that a newcomer has to repeat; the next one once somebody has. Begins at 1.
    challenge: u64,
    /// Since when it is that.
    challenged: Instant,
    /// Since when questions are counted, and how many there were.
    judged: (Instant, u32),
    /// What is given away, and since when.
    blob: Option<(Blob, Instant)>,
}

/// A question that was sealed by somebody with the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Whose answer it is.
    salt: Salt,
    pub(super) number: u64,
    /// Sealed with which secret.
    mark: u8,
    /// It has repeated our challenge: no recording.
    pub lives: bool,
    /// What is asked.
    pub question: Question,
}

impl Porter {
    /// The porter of a node in one of its starts.
    pub fn new(own: NodeId, salt: Salt, secrets: &Secrets) -> Self {
        Self {
            own,
            salt,
            keys: keys(secrets),
            counter: 0,
            challenge: 1,
            challenged: Instant::ZERO,
            judged: (Instant::ZERO, 0),
            blob: None,
        }
    }

    /// Seals and accepts with these secrets from now on.
    pub fn set_secrets(&mut self, secrets: &Secrets) {
        self.keys = keys(secrets);
    }

    /// Judges a question. `None`: too many come. What nobody with the secret has sealed does not
    /// count: it would keep out those who have.
    ///
    /// # Errors
    /// Why it was refused; nothing was changed then but the datagram's octets.
    pub fn handle(&mut self, now: Instant, datagram: &mut [u8]) -> Result<Option<Visit>, Refusal> {
        if !is_introduction(datagram) {
            return Err(Refusal::Malformed);
        }
        let (header, body) = open(&self.keys, &Salt::default(), datagram)?;
        if now.since(self.judged.0) >= WHILE {
            self.judged = (now, 0);
        }
        if self.judged.1 >= QUESTIONS {
            return Ok(None);
        }
        self.judged.1 += 1;
        let Asked { echo, question } = Asked::read(body).ok_or(Refusal::Malformed)?;
        if now.since(self.challenged) >= FRESH {
            self.draw(now);
        }
        let lives = echo == (self.salt, self.challenge);
        if lives {
            self.draw(now);
        }
        let (salt, number, mark) = (header.salt, header.counter, header.key);
        Ok(Some(Visit { salt, number, mark, lives, question }))
    }

    /// No question repeats the challenge from now on.
    const fn draw(&mut self, now: Instant) {
        self.challenge += 1;
        self.challenged = now;
    }

    /// Appends an answer to `out`.
    pub fn answer(&mut self, visit: &Visit, answer: Answer, out: &mut Vec<u8>) {
        let answer = match answer {
            Answer::Outside { why } => Answer::Outside { why: clipped(why) },
            other @ (Answer::Prove
            | Answer::Soon
            | Answer::Welcome { .. }
            | Answer::Unlisted { .. }
            | Answer::Piece { .. }
            | Answer::Gone { .. }) => other,
        };
        let answered = Answered { to: visit.number, challenge: self.challenge, answer };
        let Ok(body) = postcard::to_allocvec(&answered) else { return };
        let Some((mark, key)) = self.keys.iter().find(|(mark, _)| *mark == visit.mark) else {
            return;
        };
        self.counter += 1;
        let header = Header {
            channel: CHANNEL,
            key: *mark,
            cluster: 0,
            network: 0,
            sender: self.own,
            receiver: NodeId::default(),
            incarnation: Incarnation::default(),
            counter: self.counter,
            salt: self.salt,
        };
        seal(key, &header, &visit.salt, &body, out);
    }

    /// What newcomers that are in the document in force are given: `id`, which is made by `record`
    /// where it is not at hand.
    pub fn handle_record(
        &mut self,
        now: Instant,
        id: DocumentId,
        record: impl FnOnce() -> Record,
    ) -> Answer {
        // Whoever has begun to pull it goes on, and nobody makes us write it for each question.
        let at_hand = |(blob, since): &(Blob, Instant)| blob.id == id && now.since(*since) < KEPT;
        if !self.blob.as_ref().is_some_and(at_hand) {
            let Some(octets) = record().encode() else {
                let why = "the document and its history are too long to be given away";
                return Answer::Outside { why: String::from(why) };
            };
            self.blob = Some((Blob::new(id, octets), now));
        }
        Answer::Welcome { id }
    }

    /// A piece of it; none where there is none.
    pub fn piece(&self, id: DocumentId, index: u32) -> Option<Answer> {
        let Some((blob, _)) = self.blob.as_ref().filter(|(blob, _)| blob.id == id) else {
            return Some(Answer::Gone { id });
        };
        let piece = blob.chunks(index, 1).pop()?;
        let DocumentMessage::Chunk { id, total, mark, index, bytes } = piece else { return None };
        Some(Answer::Piece { id, total, mark, index, bytes })
    }
}
