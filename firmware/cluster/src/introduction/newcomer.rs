//! The newcomer's part: asks one peer after the other until one lets it in.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use base::time::Duration;
use base::{Instant, NodeId};
use chacha20poly1305::XChaCha20Poly1305;
use model::config;

use super::wire::{Answer, Answered, Asked, Entry, Question};
use super::{CHANNEL, is_introduction};
use crate::Incarnation;
use crate::config::message::DocumentMessage;
use crate::config::pull::{Progress, Pull};
use crate::config::{DocumentId, Record};
use crate::seal::introduction::{keys, open, seal};
use crate::seal::{Header, Refusal, Salt, Secrets};

/// Between two questions, answered or not.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two questions while a commit is under way.
const SOON: Duration = Duration::from_millis(50);
/// Questions without an answer after which another peer is asked.
const TRIES: u32 = 3;
/// How long a document that cannot be carried out is not asked for again.
const UNFIT: Duration = Duration::from_secs(5);

/// What a newcomer brings does not fit a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer does not let us in for now. Told again only when it says something else.
    Outside {
        /// Which peer.
        peer: IpAddr,
        /// Why, for people.
        why: String,
    },
    /// A peer lets us in once our entry was committed.
    Unlisted {
        /// Which peer.
        peer: IpAddr,
        /// A number that is free.
        id: u8,
    },
    /// No peer answers.
    Silent {
        /// All of them.
        peers: Vec<IpAddr>,
    },
    /// We are in this document.
    Welcome {
        /// Which peer gave it.
        peer: IpAddr,
        /// The document.
        record: Box<Record>,
    },
}

/// A box that asks to be let in.
pub struct Newcomer {
    keys: Vec<(u8, XChaCha20Poly1305)>,
    salt: Salt,
    counter: u64,
    entry: Entry,
    /// Never empty.
    peers: Vec<IpAddr>,
    /// Which of them is asked.
    place: usize,
    /// Questions to it since it last answered with anything but a no.
    unanswered: u32,
    /// Whether any of them has answered in this round.
    heard: bool,
    /// The newest question that was answered: older answers say nothing.
    answered: u64,
    echo: (Salt, u64),
    ask_at: Instant,
    pull: Option<Pull>,
    /// What was told last of each peer.
    told: Vec<Option<Event>>,
    /// It was told that no peer answers, and none has since.
    silent: bool,
    events: VecDeque<Event>,
    frames: VecDeque<(IpAddr, Vec<u8>)>,
}

impl Newcomer {
    /// Asks `peers`, the first one at once.
    ///
    /// # Errors
    /// What it brings does not fit a datagram.
    pub fn new(
        now: Instant,
        salt: Salt,
        secrets: &Secrets,
        newcomer: &config::Newcomer,
        peers: Vec<IpAddr>,
    ) -> Result<Self, TooLong> {
        let entry = Entry::of(newcomer);
        // With the longest numbers.
        let echo = (salt, u64::MAX);
        let longest = Asked { echo, question: Question::Enter(entry.clone()) };
        if peers.is_empty() || longest.write().is_none() {
            return Err(TooLong);
        }
        let told = peers.iter().map(|_| None).collect();
        Ok(Self {
            keys: keys(secrets),
            salt,
            counter: 0,
            entry,
            peers,
            place: 0,
            unanswered: 0,
            heard: false,
            answered: 0,
            echo: (Salt::default(), 0),
            ask_at: now,
            pull: None,
            told,
            silent: false,
            events: VecDeque::new(),
            frames: VecDeque::new(),
        })
    }

    /// A datagram that came.
    ///
    /// # Errors
    /// Why it was refused; nothing was changed then but the datagram's octets.
    pub fn handle(&mut self, now: Instant, datagram: &mut [u8]) -> Result<(), Refusal> {
        if !is_introduction(datagram) {
            return Err(Refusal::Malformed);
        }
        let (header, body) = open(&self.keys, &self.salt, datagram)?;
        let Answered { to, challenge, answer } = Answered::read(body).ok_or(Refusal::Malformed)?;
        if let Answer::Piece { id, total, mark, index, bytes } = answer {
            self.take(now, id, (total, mark), index, &bytes);
            return Ok(());
        }
        if to <= self.answered || to > self.counter {
            return Err(Refusal::Replayed);
        }
        (self.answered, self.heard, self.silent) = (to, true, false);
        self.echo = (header.salt, challenge);
        self.obey(now, answer);
        Ok(())
    }

    fn obey(&mut self, now: Instant, answer: Answer) {
        let peer = self.peer();
        // Whoever does not let us in has his turn, and then the next one has.
        if !matches!(answer, Answer::Outside { .. } | Answer::Unlisted { .. }) {
            self.unanswered = 0;
        }
        match answer {
            Answer::Prove => self.ask_at = now,
            Answer::Soon => self.ask_at = self.ask_at.min(now + SOON),
            Answer::Welcome { id } => {
                if self.pull.as_ref().is_none_or(|pull| pull.id != id) {
                    self.pull = Some(Pull::new(now, id, NodeId::default()));
                }
            }
            Answer::Unlisted { id } => self.tell(Event::Unlisted { peer, id }),
            Answer::Outside { why } => self.tell(Event::Outside { peer, why }),
            Answer::Gone { id } => {
                if self.pull.take_if(|pull| pull.id == id).is_some() {
                    self.ask_at = now;
                }
            }
            Answer::Piece { .. } => {}
        }
    }

    fn take(&mut self, now: Instant, id: DocumentId, whole: (u32, u64), index: u32, bytes: &[u8]) {
        let Some(pull) = self.pull.as_mut().filter(|pull| pull.id == id) else { return };
        let progress = pull.take(now, whole, index, bytes);
        self.go_on(now, progress);
    }

    fn go_on(&mut self, now: Instant, progress: Progress) {
        match progress {
            Progress::Waits => {}
            Progress::Ask(DocumentMessage::Want { id, first, count }) => {
                for index in first..first.saturating_add(count) {
                    self.ask(Question::Want { id, index });
                }
            }
            Progress::Ask(_) | Progress::Failed => {
                (self.pull, self.ask_at) = (None, now);
            }
            Progress::Complete(octets) => {
                let id = self.pull.take().map(|pull| pull.id).unwrap_or_default();
                self.ask_at = now + UNFIT;
                if let Some(record) = Record::decode(&octets, id) {
                    let (peer, record) = (self.peer(), Box::new(record));
                    self.events.push_back(Event::Welcome { peer, record });
                }
            }
        }
    }

    /// Asks what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(pull) = &mut self.pull {
            let progress = pull.handle_timeout(now);
            return self.go_on(now, progress);
        }
        if now < self.ask_at {
            return;
        }
        if self.unanswered >= TRIES {
            self.unanswered = 0;
            self.place = (self.place + 1) % self.peers.len();
            let unheard = self.place == 0 && !core::mem::take(&mut self.heard);
            if unheard && !core::mem::replace(&mut self.silent, true) {
                self.events.push_back(Event::Silent { peers: self.peers.clone() });
            }
        }
        self.unanswered += 1;
        self.ask_at = now + AGAIN;
        self.ask(Question::Enter(self.entry.clone()));
    }

    /// When [`Newcomer::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Instant {
        self.pull.as_ref().map_or(self.ask_at, Pull::next_deadline)
    }

    /// The next datagram, and to which address it goes.
    pub fn poll_transmit(&mut self) -> Option<(IpAddr, Vec<u8>)> {
        self.frames.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn peer(&self) -> IpAddr {
        self.peers[self.place]
    }

    fn tell(&mut self, event: Event) {
        let told = &mut self.told[self.place];
        if told.as_ref() != Some(&event) {
            *told = Some(event.clone());
            self.events.push_back(event);
        }
    }

    fn ask(&mut self, question: Question) {
        let Some(body) = (Asked { echo: self.echo, question }).write() else { return };
        let Some((mark, key)) = self.keys.first() else { return };
        self.counter += 1;
        let header = Header {
            channel: CHANNEL,
            key: *mark,
            cluster: 0,
            network: 0,
            sender: NodeId::default(),
            receiver: NodeId::default(),
            incarnation: Incarnation::default(),
            counter: self.counter,
            salt: self.salt,
        };
        let mut datagram = Vec::new();
        // Whom it asks, it does not know.
        seal(key, &header, &Salt::default(), &body, &mut datagram);
        self.frames.push_back((self.peer(), datagram));
    }
}
