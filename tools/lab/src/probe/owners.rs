//! Who answers for the virtual addresses of a segment, asked from outside all the time: broadcast
//! ARP requests, which every data plane that answers for the address would answer.
//!
//! Each question bears another sender address, of which nobody on the segment has one, and its
//! answers name that address as their target. So an answer belongs to one question, however late it
//! comes.
//!
//! Two boxes that answer a question are not yet two owners: a question that waits at one box while
//! the address moves to it has been answered by the old owner before. What an answer proves is that
//! its box was the owner at some time between question and answer. So two boxes are owners at once
//! where one surely was between two times at which the other surely was, and these are too close
//! for the address to have gone there and back. What is shorter than two questions is not seen.
//!
//! IPv4 only: addresses of one `group` move together, whatever their family.

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
use std::time::{Duration, Instant};

/// What of the interface is held: frames are few.
const MEMORY: Memory =
    Memory { block_size: 2 * BLOCK, blocks: 8, large_frames: 2, receive_buffer: 1 << 20 };
/// How long answers are waited for behind the last question.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// No address is moved away and back in so short a time.
const RETURN: Duration = Duration::from_millis(250);
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
    /// Who answered, each once, in order, and when its answer came.
    pub answers: Vec<(Mac, Duration)>,
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
    start: Instant,
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
        let (start, mac) = (clock::now(), link.mac);
        Ok(Neighbor { inquiry, start, mac, receiver, transmitter, records, last })
    }

    fn run(mut self, stop: &AtomicBool) -> Vec<Record> {
        let start = self.start;
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
            let now = clock::since(self.start);
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
                if answers.iter().all(|(mac, _)| *mac != reply.sender_mac) {
                    answers.push((reply.sender_mac, now));
                }
            }
        }
    }
}

impl Record {
    /// The longest time during which two stations were owners.
    pub fn doubled(&self) -> Duration {
        let mut longest = Duration::ZERO;
        let mut run: Option<(Duration, Duration)> = None;
        for (from, to) in self.overlaps() {
            let joined = match run {
                Some((since, until)) if from <= until => (since, until.max(to)),
                Some(_) | None => (from, to),
            };
            run = Some(joined);
            longest = longest.max(joined.1.saturating_sub(joined.0));
        }
        longest
    }

    /// When one station surely was the owner before and after another one, in order.
    fn overlaps(&self) -> Vec<(Duration, Duration)> {
        let mut overlaps = Vec::new();
        for (number, question) in self.questions.iter().enumerate() {
            for (mac, came) in &question.answers {
                let before = self.questions[..number].iter().rev();
                let before = before
                    .take_while(|one| one.asked + RETURN >= question.asked)
                    .flat_map(|one| &one.answers)
                    .filter(|(other, at)| other != mac && *at <= question.asked);
                let after = self.questions[number..].iter();
                let after = after
                    .skip_while(|one| one.asked < *came)
                    .take_while(|one| one.asked <= question.asked + RETURN);
                let after: Vec<_> = after
                    .flat_map(|one| one.answers.iter().map(|(mac, _)| (mac, one.asked)))
                    .collect();
                let pairs = before.filter_map(|(other, from)| {
                    let back = after.iter().find(|(again, _)| *again == other)?;
                    Some((*from, back.1)).filter(|(from, to)| *to <= *from + RETURN)
                });
                overlaps.extend(pairs.max_by_key(|(from, _)| *from));
            }
        }
        overlaps.sort_unstable();
        overlaps
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

    /// When a question was first asked that two stations answered, which, and when.
    pub fn first_double(&self) -> Option<(Duration, &[(Mac, Duration)])> {
        let double = self.questions.iter().find(|question| question.answers.len() > 1);
        double.map(|question| (question.asked, &question.answers[..]))
    }

    /// When who began to answer, one after the other.
    pub fn changes(&self) -> Vec<(Duration, Mac)> {
        let mut changes: Vec<(Duration, Mac)> = Vec::new();
        for question in &self.questions {
            if let [(one, _)] = question.answers[..]
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
    /// Answers come after a millisecond.
    fn record(text: &str) -> Record {
        let question = |(index, letter)| {
            let asked = Duration::from_millis(10 * index as u64);
            let came = asked + Duration::from_millis(1);
            let answers = match letter {
                'a' => vec![(A, came)],
                'b' => vec![(B, came)],
                '2' => vec![(A, came), (B, came)],
                _ => vec![],
            };
            Question { asked, answers }
        };
        Record { questions: text.char_indices().map(question).collect() }
    }

    #[test]
    fn two_owners_at_once_and_nobody_are_measured() {
        let cases = [
            ("aaa", 0, 0, 1),
            ("aa..bb", 0, 20, 2),
            ("a2bb", 0, 0, 2),
            ("a2222b", 49, 0, 2),
            ("a22.2a", 49, 10, 1),
            ("aaabaaa", 19, 0, 3),
        ];
        for (text, doubled, silent, owners) in cases {
            let record = record(text);
            assert_eq!(record.doubled(), Duration::from_millis(doubled), "{text}");
            assert_eq!(record.silent(), Duration::from_millis(silent), "{text}");
            assert_eq!(record.owners().len(), owners, "{text}");
        }
        assert_eq!(record("aabaa").owners(), [A, B, A]);
    }

    #[test]
    fn an_answer_that_comes_late_is_no_second_owner() {
        let late = |text: &str, number: usize, by: u64| {
            let mut record = record(text);
            record.questions[number].answers[0].1 += Duration::from_millis(by);
            record
        };
        assert_eq!(late("aabbbb", 1, 25).doubled(), Duration::ZERO, "sent before the move");
        let mut waited = record("aa2222bb");
        for question in &mut waited.questions[2..6] {
            question.answers[1].1 = Duration::from_millis(55);
        }
        assert_eq!(waited.doubled(), Duration::ZERO, "questions that waited where it moved to");
        assert_eq!(record("aa222bb").doubled(), Duration::from_millis(39));
        let mut there_and_back = "a".to_owned() + &"b".repeat(30);
        there_and_back.push('a');
        assert_eq!(record(&there_and_back).doubled(), Duration::ZERO, "it was moved twice");
    }
}
