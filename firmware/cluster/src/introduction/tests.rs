//! A newcomer and two members, in simulated time.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use base::rng::Rng;
use base::time::Duration;
use base::{Instant, NodeId, Prefix};
use model::config::{self, NewPort};
use model::limits::CLUSTER_BODY;
use proptest::prelude::*;

use super::*;
use crate::config::message::CHUNK;
use crate::config::{About, DocumentId, Record};
use crate::seal::{OVERHEAD, Refusal, Secret, Secrets};

const SECRET: &str = "a secret of the tests";

fn secrets(text: &str) -> Secrets {
    Secrets::one(Secret::new(text))
}

fn address(last: u8) -> IpAddr {
    core::net::Ipv4Addr::new(192, 0, 2, last).into()
}

fn brings(ports: usize) -> config::Newcomer {
    let port = |number| NewPort {
        name: alloc::format!("eth{number}"),
        network: "outside".into(),
        addresses: vec![Prefix::new(address(14), 24).unwrap()],
        vlan: Some(7),
        interface: Some("enp1".into()),
    };
    let ports = (0..ports).map(port).collect();
    config::Newcomer { name: "n4".into(), id: None, ports }
}

fn newcomer(secret: &str, peers: usize) -> Newcomer {
    let peers = [11, 12].into_iter().take(peers).map(address).collect();
    Newcomer::new(Instant::ZERO, [4; 16], &secrets(secret), &brings(1), peers).unwrap()
}

fn porter(node: u8) -> Porter {
    Porter::new(NodeId(node.into()), [node; 16], &secrets(SECRET))
}

fn record(octets: usize) -> Record {
    Record::first("#".repeat(octets), About::default())
}

/// What a member does about those who want to come in.
#[derive(Clone)]
enum Manner {
    /// It wants to know that they live, and has committed them after so many questions.
    Commits(u32),
    /// It says why not.
    Refuses(&'static str),
    /// It is off.
    Silent,
}

struct World {
    now: Instant,
    newcomer: Newcomer,
    members: Vec<(Porter, Manner)>,
    record: Record,
    /// Thousandths of datagrams that get lost.
    loss: u64,
    rng: Rng,
    /// Octets of every question and of every answer.
    octets: (usize, usize),
    events: Vec<(Instant, Event)>,
}

impl World {
    fn new(manners: &[Manner], octets: usize) -> Self {
        let members = [11, 12].map(porter).into_iter().zip(manners.iter().cloned());
        Self {
            now: Instant::ZERO,
            newcomer: newcomer(SECRET, manners.len()),
            members: members.collect(),
            record: record(octets),
            loss: 0,
            rng: Rng::new(1),
            octets: (0, 0),
            events: Vec::new(),
        }
    }

    fn lost(&mut self) -> bool {
        self.rng.below(1_000) < self.loss
    }

    /// Until it is in, or for so long.
    fn run(&mut self, time: Duration) -> Option<Record> {
        let end = self.now + time;
        while self.now < end {
            self.newcomer.handle_timeout(self.now);
            while let Some((to, mut question)) = self.newcomer.poll_transmit() {
                if !self.lost() {
                    self.octets.0 += question.len();
                    self.ask(to, &mut question);
                }
            }
            while let Some(event) = self.newcomer.poll_event() {
                if let Event::Welcome { record, .. } = event {
                    return Some(*record);
                }
                self.events.push((self.now, event));
            }
            self.now = self.newcomer.next_deadline().max(self.now + Duration::from_millis(1));
        }
        None
    }

    fn ask(&mut self, to: IpAddr, question: &mut [u8]) {
        let place = usize::from(to == address(12));
        let record = self.record.clone();
        let (porter, manner) = &mut self.members[place];
        if matches!(manner, Manner::Silent) {
            return;
        }
        let Some(visit) = porter.handle(self.now, question).unwrap() else { return };
        let answer = match (&visit.question, manner) {
            (Question::Want { id, index }, _) => match porter.piece(*id, *index) {
                Some(piece) => piece,
                None => return,
            },
            (Question::Enter(_), Manner::Refuses(why)) => {
                Answer::Outside { why: String::from(*why) }
            }
            (Question::Enter(_), Manner::Commits(0)) => {
                porter.handle_record(self.now, record.id(), || record)
            }
            (Question::Enter(entry), Manner::Commits(left)) if visit.lives => {
                assert_eq!(entry.newcomer(), Some(brings(1)));
                *left -= 1;
                Answer::Soon
            }
            (Question::Enter(_), Manner::Commits(_)) => Answer::Prove,
            (Question::Enter(_), Manner::Silent) => return,
        };
        let mut datagram = Vec::new();
        porter.answer(&visit, answer, &mut datagram);
        if !self.lost() {
            self.octets.1 += datagram.len();
            self.newcomer.handle(self.now, &mut datagram).unwrap();
        }
    }
}

#[test]
fn a_newcomer_that_lives_is_let_in_with_the_document_of_the_cluster() {
    let mut world = World::new(&[Manner::Commits(2)], 5_000);
    assert_eq!(world.run(Duration::from_secs(1)), Some(record(5_000)));
    assert!(world.now < Instant::from_millis(300), "{:?}", world.now);
    assert_eq!(world.events, []);
    assert!(world.octets.1 <= world.octets.0, "an answer is never longer: {:?}", world.octets);
}

#[test]
fn whoever_refuses_is_told_of_once_and_the_next_peer_is_asked() {
    let mut world = World::new(&[Manner::Refuses("no"), Manner::Refuses("nor I")], 10);
    assert_eq!(world.run(Duration::from_secs(60)), None);
    let told = |last, why: &str| Event::Outside { peer: address(last), why: why.into() };
    let events: Vec<_> = world.events.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(events, [told(11, "no"), told(12, "nor I")]);
    world.members[1].1 = Manner::Commits(1);
    assert!(world.run(Duration::from_secs(5)).is_some());
}

#[test]
fn silence_is_told_of_once_and_again_after_somebody_was_heard() {
    let mut world = World::new(&[Manner::Silent, Manner::Silent], 10);
    assert_eq!(world.run(Duration::from_secs(60)), None);
    let silent = Event::Silent { peers: vec![address(11), address(12)] };
    assert_eq!(world.events.len(), 1, "{:?}", world.events);
    assert_eq!(world.events[0].1, silent);
    world.members[0].1 = Manner::Refuses("no");
    world.run(Duration::from_secs(20));
    world.members[0].1 = Manner::Silent;
    world.run(Duration::from_secs(20));
    assert_eq!(world.events.len(), 3, "{:?}", world.events);
    assert_eq!(world.events[2].1, silent);
}

#[test]
fn a_recording_of_a_newcomer_lives_no_second_time() {
    let (mut porter, mut newcomer) = (porter(11), newcomer(SECRET, 1));
    let now = Instant::from_millis(1);
    let next = |newcomer: &mut Newcomer, at| {
        newcomer.handle_timeout(at);
        newcomer.poll_transmit().unwrap().1
    };
    let first = next(&mut newcomer, now);
    let visit = porter.handle(now, &mut first.clone()).unwrap().unwrap();
    assert!(!visit.lives);
    let mut answer = Vec::new();
    porter.answer(&visit, Answer::Prove, &mut answer);
    newcomer.handle(now, &mut answer.clone()).unwrap();
    let proof = next(&mut newcomer, now);
    assert!(porter.handle(now, &mut proof.clone()).unwrap().unwrap().lives);
    assert!(!porter.handle(now, &mut proof.clone()).unwrap().unwrap().lives);
    assert_eq!(newcomer.handle(now, &mut answer), Err(Refusal::Replayed));
}

/// A newcomer's question that repeats the member's challenge.
fn proof(porter: &mut Porter, now: Instant) -> Vec<u8> {
    let mut newcomer = newcomer(SECRET, 1);
    newcomer.handle_timeout(now);
    let mut question = newcomer.poll_transmit().unwrap().1;
    let visit = porter.handle(now, &mut question).unwrap().unwrap();
    let mut answer = Vec::new();
    porter.answer(&visit, Answer::Prove, &mut answer);
    newcomer.handle(now, &mut answer).unwrap();
    newcomer.handle_timeout(now);
    newcomer.poll_transmit().unwrap().1
}

#[test]
fn a_question_that_was_held_back_does_not_live_for_long() {
    let begun = Instant::from_millis(1);
    for (seconds, lives) in [(0, true), (4, true), (5, false), (3_600, false)] {
        let mut porter = porter(11);
        let mut proof = proof(&mut porter, begun);
        let visit = porter.handle(begun + Duration::from_secs(seconds), &mut proof);
        assert_eq!(visit.unwrap().unwrap().lives, lives, "after {seconds} s");
    }
    let mut proof = proof(&mut porter(11), begun);
    let mut restarted = Porter::new(NodeId(11), [77; 16], &secrets(SECRET));
    assert!(!restarted.handle(begun, &mut proof).unwrap().unwrap().lives, "of an earlier start");
}

#[test]
fn no_answer_is_longer_than_its_question() {
    let now = Instant::from_millis(1);
    let mut newcomer = newcomer(SECRET, 1);
    newcomer.handle_timeout(now);
    let question = newcomer.poll_transmit().unwrap().1;
    let mut porter = porter(11);
    let mut visit = porter.handle(now, &mut question.clone()).unwrap().unwrap();
    visit.number = u64::MAX;
    let id = DocumentId { generation: u64::MAX, ..DocumentId::default() };
    let (total, mark, index) = (u32::MAX, u64::MAX, u32::MAX);
    let answers = [
        Answer::Outside { why: "no ".repeat(5_000) },
        Answer::Piece { id, total, mark, index, bytes: vec![255; CHUNK] },
    ];
    for answer in answers {
        let mut datagram = Vec::new();
        porter.answer(&visit, answer, &mut datagram);
        assert!(!datagram.is_empty() && datagram.len() <= question.len(), "{}", datagram.len());
    }
}

#[test]
fn a_record_is_written_once_for_all_who_ask_and_anew_when_it_is_old() {
    let (mut porter, mut written) = (porter(11), 0);
    let id = record(10).id();
    for seconds in [0, 1, 59, 60, 61] {
        let now = Instant::ZERO + Duration::from_secs(seconds);
        let answer = porter.handle_record(now, id, || {
            written += 1;
            record(10)
        });
        assert_eq!(answer, Answer::Welcome { id });
    }
    assert_eq!(written, 2);
}

#[test]
fn who_has_another_secret_or_was_not_asked_is_refused() {
    let now = Instant::from_millis(1);
    let mut stranger = newcomer("another secret of theirs", 1);
    stranger.handle_timeout(now);
    let mut question = stranger.poll_transmit().unwrap().1;
    let refused = porter(11).handle(now, &mut question.clone()).unwrap_err();
    assert!(matches!(refused, Refusal::UnknownKey | Refusal::BadSeal), "{refused:?}");
    let mut own = newcomer(SECRET, 1);
    own.handle_timeout(now);
    question = own.poll_transmit().unwrap().1;
    let mut porter = porter(11);
    let visit = porter.handle(now, &mut question.clone()).unwrap().unwrap();
    let mut answer = Vec::new();
    porter.answer(&visit, Answer::Soon, &mut answer);
    let mut other =
        Newcomer::new(now, [5; 16], &secrets(SECRET), &brings(1), vec![address(11)]).unwrap();
    assert_eq!(other.handle(now, &mut answer), Err(Refusal::BadSeal));
    assert_eq!(own.handle(now, &mut question), Err(Refusal::BadSeal), "a question is no answer");
}

#[test]
fn a_flood_of_questions_is_not_judged_and_passes() {
    let (mut porter, mut newcomer) = (porter(11), newcomer(SECRET, 1));
    newcomer.handle_timeout(Instant::ZERO);
    let question = newcomer.poll_transmit().unwrap().1;
    let now = Instant::from_millis(500);
    let judged = (0..1_000).filter(|_| {
        let mut question = question.clone();
        porter.handle(now, &mut question).unwrap().is_some()
    });
    assert_eq!(judged.count(), 64);
    let later = now + Duration::from_millis(100);
    for _ in 0..1_000 {
        let mut junk = question.clone();
        junk[100] ^= 1;
        assert_eq!(porter.handle(later, &mut junk), Err(Refusal::BadSeal));
    }
    assert!(porter.handle(later, &mut question.clone()).unwrap().is_some(), "junk does not count");
}

#[test]
fn ports_that_do_not_fit_a_question_are_said_to() {
    let new = |ports| {
        let peers = vec![address(11)];
        Newcomer::new(Instant::ZERO, [4; 16], &secrets(SECRET), &brings(ports), peers).is_ok()
    };
    assert!(new(8) && !new(40));
}

#[test]
fn a_document_that_is_another_by_now_is_asked_for_anew() {
    let (mut porter, mut world) = (porter(11), World::new(&[Manner::Commits(0)], 60_000));
    porter.handle_record(Instant::ZERO, record(10).id(), || record(10));
    assert_eq!(
        porter.piece(DocumentId::default(), 0),
        Some(Answer::Gone { id: DocumentId::default() })
    );
    assert_eq!(world.run(Duration::from_millis(5)), None);
    world.record = record(500);
    let now = world.now;
    world.members[0].0.handle_record(now, record(500).id(), || record(500));
    assert_eq!(world.run(Duration::from_secs(2)), Some(record(500)));
}

proptest! {
    #[test]
    fn a_newcomer_comes_in_whatever_gets_lost(
        octets in 0_usize..40_000, loss in 0_u64..500, seed in any::<u64>(),
    ) {
        let mut world = World::new(&[Manner::Commits(3)], octets);
        (world.loss, world.rng) = (loss, Rng::new(seed));
        prop_assert_eq!(world.run(Duration::from_secs(120)), Some(record(octets)));
    }

    #[test]
    fn any_octets_are_an_introduction_or_not(
        mut octets in proptest::collection::vec(any::<u8>(), 0..CLUSTER_BODY + OVERHEAD + 9),
    ) {
        if let Some(kind) = octets.get_mut(1) {
            *kind = CHANNEL;
        }
        prop_assert!(porter(11).handle(Instant::ZERO, &mut octets.clone()).is_err());
        prop_assert!(newcomer(SECRET, 1).handle(Instant::ZERO, &mut octets).is_err());
    }
}
