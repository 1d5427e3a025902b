//! Who answers for the virtual addresses of a segment, asked from outside all the time: broadcast
//! ARP requests, which every data plane that answers for the address would answer.
//!
//! Each question bears another sender address, of which nobody on the segment has one, and its
//! answers name that address as their target. So an answer belongs to one question, however late it
//! comes, and two answers to one question are two owners. IPv4 only: addresses of one `group` move
//! together, whatever their family.

use crate::{clock, inside};
use base::{Mac, Offload};
use netio::{BLOCK, BURST, Link, Memory, PortOptions, Receiver, Transmitter};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};
use packet::arp::{self, Arp, Operation};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What of the interface is held: frames are few.
const MEMORY: Memory =
    Memory { block_size: 2 * BLOCK, blocks: 8, large_frames: 2, receive_buffer: 1 << 20 };
/// How long answers are waited for behind the last question.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// Octets of a frame with ARP in it.
const FRAME: usize = 60;
/// Where a frame says what it is, and what it says for ARP.
const KIND: std::ops::Range<usize> = 12..14;
const ARP: [u8; 2] = [0x08, 0x06];

/// What is asked.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// The interface in the namespace.
    pub interface: String,
    /// For which addresses.
    pub vips: Vec<Ipv4Addr>,
    /// Sender addresses that nobody has, used in turn.
    pub senders: Vec<Ipv4Addr>,
    /// Questions a second for each address.
    pub rate: u32,
}

/// A neighbor that asks on.
#[derive(Debug)]
pub struct Owners {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Record>, String>>,
}

/// What was answered for one address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Each question, in order.
    pub questions: Vec<Question>,
}

/// One question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// When it was asked, since the start.
    pub asked: Duration,
    /// Who answered, each once, in order.
    pub answers: Vec<Mac>,
}

impl Owners {
    /// Starts to ask from a namespace.
    pub fn start(namespace: &str, inquiry: Inquiry) -> Owners {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let work = move || Neighbor::open(inquiry).map(|neighbor| neighbor.run(&flag));
        Owners { stop, thread: inside::spawn(namespace, work) }
    }

    /// Ends it and gives a record for each address.
    ///
    /// # Errors
    /// Where the interface could not be used.
    pub fn end(self) -> Result<Vec<Record>, String> {
        self.stop.store(true, Ordering::Relaxed);
        inside::join(self.thread)
    }
}

struct Neighbor {
    inquiry: Inquiry,
    mac: Mac,
    receiver: Receiver,
    transmitter: Transmitter,
    records: Vec<Record>,
    /// For each address and sender the question that was asked last.
    last: Vec<Vec<Option<usize>>>,
}

impl Neighbor {
    fn open(inquiry: Inquiry) -> Result<Neighbor, String> {
        let link = Link::read(&inquiry.interface).map_err(|error| error.to_string())?;
        let options = PortOptions { memory: MEMORY, ..PortOptions::new(&inquiry.interface) };
        let pairs = netio::open(&options).map_err(|error| error.to_string())?;
        let none = || format!("{} has no worker", inquiry.interface);
        let (receiver, transmitter) = pairs.into_iter().next().ok_or_else(none)?;
        let records = vec![Record::default(); inquiry.vips.len()];
        let last = vec![vec![None; inquiry.senders.len()]; inquiry.vips.len()];
        Ok(Neighbor { inquiry, mac: link.mac, receiver, transmitter, records, last })
    }

    fn run(mut self, stop: &AtomicBool) -> Vec<Record> {
        let start = clock::now();
        let every = Duration::from_secs(1) / self.inquiry.rate.max(1);
        let (mut round, mut ended) = (0_u32, None);
        loop {
            let now = clock::since(start);
            if ended.is_none() && stop.load(Ordering::Relaxed) {
                ended = Some(now);
            }
            let next = every * round;
            if ended.is_none() && now >= next {
                self.ask(round, now);
                // After a stall the questions that were not asked stay unasked.
                round = round.max((now.as_nanos() / every.as_nanos().max(1)) as u32) + 1;
            }
            self.listen();
            if ended.is_some_and(|ended| now > ended + AFTERWARDS) {
                return self.records;
            }
            let wait = (every * round).saturating_sub(clock::since(start)).min(every);
            let mut polled = [PollFd::new(self.receiver.fd(), PollFlags::POLLIN)];
            let time = TimeSpec::nanoseconds(wait.as_nanos() as i64);
            // What interrupts a wait only means that there is nothing yet.
            let _ = ppoll(&mut polled, Some(time), None);
        }
    }

    /// Asks for every address.
    fn ask(&mut self, round: u32, now: Duration) {
        let senders = self.inquiry.senders.len().max(1);
        let tag = round as usize % senders;
        let Some(sender) = self.inquiry.senders.get(tag).copied() else { return };
        let mut frames = Vec::new();
        for (index, target) in self.inquiry.vips.iter().enumerate() {
            let question = Question { asked: now, answers: Vec::new() };
            self.last[index][tag] = Some(self.records[index].questions.len());
            self.records[index].questions.push(question);
            let mut frame = [0; FRAME];
            let (operation, target_mac) = (Operation::Request, Mac::ZERO);
            let request =
                Arp { operation, sender_mac: self.mac, sender, target_mac, target: *target };
            if arp::emit(&mut frame, self.mac, Mac::BROADCAST, &request).is_some() {
                frames.push(frame);
            }
        }
        let frames: Vec<_> = frames.iter().map(|frame| (frame.as_slice(), Offload::NONE)).collect();
        self.transmitter.send(&frames);
    }

    /// Takes what has come.
    fn listen(&mut self) {
        loop {
            let mut batch = self.receiver.batch(BURST);
            if batch.is_empty() {
                return;
            }
            for frame in &batch.frames() {
                if frame.bytes.get(KIND) != Some(&ARP) {
                    continue;
                }
                let Ok(reply) = arp::parse(frame.bytes) else { continue };
                if reply.operation != Operation::Reply {
                    continue;
                }
                let vip = self.inquiry.vips.iter().position(|vip| *vip == reply.sender);
                let tag = self.inquiry.senders.iter().position(|one| *one == reply.target);
                let Some((vip, tag)) = vip.zip(tag) else { continue };
                let Some(number) = self.last[vip][tag] else { continue };
                let answers = &mut self.records[vip].questions[number].answers;
                if !answers.contains(&reply.sender_mac) {
                    answers.push(reply.sender_mac);
                }
            }
        }
    }
}

impl Record {
    /// The longest time during which every question had answers of two stations.
    pub fn doubled(&self) -> Duration {
        self.longest(|question| question.answers.len() > 1)
    }

    /// How many questions had answers of two stations.
    pub fn doubles(&self) -> usize {
        self.questions.iter().filter(|question| question.answers.len() > 1).count()
    }

    /// The longest time during which no question was answered.
    pub fn silent(&self) -> Duration {
        self.longest(|question| question.answers.is_empty())
    }

    /// From the first to the last question of the longest run of such, and one question more.
    fn longest(&self, such: impl Fn(&Question) -> bool) -> Duration {
        let mut longest = Duration::ZERO;
        let mut first: Option<Duration> = None;
        for (index, question) in self.questions.iter().enumerate() {
            if !such(question) {
                first = None;
                continue;
            }
            let from = *first.get_or_insert(question.asked);
            let to = self.questions.get(index + 1).map_or(question.asked, |next| next.asked);
            longest = longest.max(to.saturating_sub(from));
        }
        longest
    }

    /// When two stations first answered one question, and which.
    pub fn first_double(&self) -> Option<(Duration, &[Mac])> {
        let double = self.questions.iter().find(|question| question.answers.len() > 1);
        double.map(|question| (question.asked, &question.answers[..]))
    }

    /// When who began to answer, one after the other.
    pub fn changes(&self) -> Vec<(Duration, Mac)> {
        let mut changes: Vec<(Duration, Mac)> = Vec::new();
        for question in &self.questions {
            if let [one] = question.answers[..]
                && changes.last().is_none_or(|(_, last)| *last != one)
            {
                changes.push((question.asked, one));
            }
        }
        changes
    }

    /// Who answered, one after the other. A question with two answers tells nothing here.
    pub fn owners(&self) -> Vec<Mac> {
        self.changes().into_iter().map(|(_, owner)| owner).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    /// A record with a question every ten milliseconds: `a`, `b`, `2` for both, `.` for nobody.
    fn record(text: &str) -> Record {
        let question = |(index, letter)| Question {
            asked: Duration::from_millis(10 * index as u64),
            answers: match letter {
                'a' => vec![A],
                'b' => vec![B],
                '2' => vec![A, B],
                _ => vec![],
            },
        };
        Record { questions: text.char_indices().map(question).collect() }
    }

    #[test]
    fn two_owners_at_once_and_nobody_are_measured_by_the_questions() {
        let cases =
            [("aaa", 0, 0, 1), ("aa..bb", 0, 20, 2), ("a2bb", 10, 0, 2), ("a22.2a", 20, 10, 1)];
        for (text, doubled, silent, owners) in cases {
            let record = record(text);
            assert_eq!(record.doubled(), Duration::from_millis(doubled), "{text}");
            assert_eq!(record.silent(), Duration::from_millis(silent), "{text}");
            assert_eq!(record.owners().len(), owners, "{text}");
        }
        assert_eq!(record("aabaa").owners(), [A, B, A]);
    }
}
