//! Two nodes, and somebody in between.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use base::{NetworkId, NodeId};
use model::limits::CLUSTER_BODY;
use proptest::prelude::*;

use super::greeter::is_greeting;
use super::window::Window;
use super::*;
use crate::{Channel, Incarnation, Peer};

const OUTSIDE: NetworkId = NetworkId(0);
const INSIDE: NetworkId = NetworkId(1);
const BOTH: [Channel; 2] = [Channel::Token, Channel::Control];

fn identity(node: u16, incarnation: u32, salt: u8) -> Identity {
    Identity {
        cluster: tag("edge"),
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        salt: [salt; 16],
        networks: vec![tag("outside"), tag("inside")],
    }
}

fn secrets() -> Secrets {
    Secrets::one(Secret::new("a secret of the tests"))
}

/// One node's seal.
struct Node {
    guard: Guard,
    greeter: Greeter,
}

impl Node {
    fn new(identity: Identity, secrets: &Secrets) -> Self {
        let nodes = [NodeId(1), NodeId(2)];
        Self {
            guard: Guard::new(identity.clone(), secrets.clone(), &BOTH, nodes),
            greeter: Greeter::new(identity, secrets, nodes),
        }
    }

    fn hear(&mut self, greeting: &[u8]) -> (Result<Greeting, Refusal>, Vec<u8>) {
        assert!(is_greeting(greeting));
        let mut answer = Vec::new();
        let heard = self.greeter.handle(OUTSIDE, &mut greeting.to_vec(), &mut answer);
        if let Ok(Greeting::Admitted(admission)) = heard {
            self.guard.admit(admission);
        }
        (heard, answer)
    }

    fn greet(&mut self, to: u16) -> Vec<u8> {
        let mut greeting = Vec::new();
        self.greeter.greet(OUTSIDE, NodeId(to), &mut greeting);
        greeting
    }

    fn say(&mut self, to: u16, body: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        self.guard.seal(Channel::Token, OUTSIDE, NodeId(to), body, &mut datagram);
        datagram
    }

    fn open(&mut self, datagram: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut datagram = datagram.to_vec();
        self.guard.open(OUTSIDE, &mut datagram).map(|opened| opened.body.to_vec())
    }
}

/// Delivers greetings until nobody answers.
fn acquaint(first: &mut Node, second: &mut Node) -> Vec<Greeting> {
    let (mut results, mut message, mut to_second) = (Vec::new(), first.greet(2), true);
    for _ in 0..10 {
        if message.is_empty() {
            return results;
        }
        let receiver = if to_second { &mut *second } else { &mut *first };
        let (heard, answer) = receiver.hear(&message);
        results.push(heard.expect("greetings between friends"));
        (message, to_second) = (answer, !to_second);
    }
    panic!("two nodes greet for ever: {results:?}");
}

fn friends() -> (Node, Node) {
    let mut nodes =
        (Node::new(identity(1, 1, 0xa1), &secrets()), Node::new(identity(2, 1, 0xb1), &secrets()));
    acquaint(&mut nodes.0, &mut nodes.1);
    nodes
}

#[test]
fn what_one_seals_the_other_opens_once() {
    let (mut ann, mut ben) = friends();
    let sealed = ann.say(2, b"view 7");
    assert_eq!(sealed.len(), OVERHEAD + 6);
    let mut copy = sealed.clone();
    let opened = ben.guard.open(OUTSIDE, &mut copy).expect("from a friend");
    let from = Peer { id: NodeId(1), incarnation: Incarnation(1) };
    assert_eq!(opened, Opened { from, channel: Channel::Token, body: b"view 7" });
    assert_eq!(ben.open(&sealed), Err(Refusal::Replayed));
    let (second, third) = (ann.say(2, b"8"), ann.say(2, b"9"));
    assert_eq!(ben.open(&third), Ok(b"9".to_vec()));
    assert_eq!(ben.open(&second), Ok(b"8".to_vec()), "overtaken, and still new");
}

#[test]
fn octets_of_header_and_seal_stay_what_they_are() {
    let mut ann = Node::new(identity(1, 3, 0x5a), &secrets());
    let (node, incarnation) = (NodeId(2), Incarnation(1));
    ann.guard.admit(Admission { node, incarnation, salt: [0xb1; 16] });
    assert_eq!(hex(&ann.say(2, b"token")), GOLDEN_TOKEN);
    assert_eq!(hex(&ann.greet(2)), GOLDEN_GREETING);
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| alloc::format!("{octet:02x}")).collect()
}

/// Changing these means nodes of two versions do not understand each other.
const GOLDEN_TOKEN: &str = concat!(
    "010172004a8c7a3c2cf16e0a000100020000000300000000000000015a5a5a5a5a5a5a5a5a5a5a5a",
    "5a5a5a5a2394f0ab77f481dd08e4bab58a42a08c4f07ef0fe7",
);
const GOLDEN_GREETING: &str = concat!(
    "018072004a8c7a3c2cf16e0a000100020000000300000000000000015a5a5a5a5a5a5a5a5a5a5a5a",
    "5a5a5a5aa323fc9f2d2482eb1244363b5dc656b33ead8862097db502a94694af382f3f8a3a3cf432",
    "688b483653fe8f378d4f5e9d484a3e9ab459",
);

#[test]
fn what_is_not_right_in_every_respect_is_refused() {
    type Case = (&'static str, fn(&mut Vec<u8>), Refusal);
    let cases: [Case; 12] = [
        ("cut off in the header", |d| d.truncate(30), Refusal::Malformed),
        ("cut off in the seal", |d| d.truncate(59), Refusal::Malformed),
        ("another version", |d| d[0] = 2, Refusal::Malformed),
        ("a channel that is not this guard's", |d| d[1] = 0, Refusal::Malformed),
        ("another channel of this guard", |d| d[1] = Channel::Control as u8, Refusal::BadSeal),
        ("an unknown secret", |d| d[2] ^= 0xff, Refusal::UnknownKey),
        ("another cluster", |d| d[7] ^= 1, Refusal::OtherCluster),
        ("another network", |d| d[8] ^= 1, Refusal::OtherNetwork),
        ("an unknown node", |d| d[13] = 9, Refusal::UnknownSender),
        ("for another node", |d| d[15] = 3, Refusal::NotForUs),
        ("of another start", |d| d[40] ^= 1, Refusal::NotAdmitted),
        ("too long", |d| d.resize(CLUSTER_BODY + OVERHEAD + 1, 0), Refusal::Malformed),
    ];
    let (mut ann, mut ben) = friends();
    for (what, change, expected) in cases {
        let mut datagram = ann.say(2, b"view 7");
        change(&mut datagram);
        assert_eq!(ben.open(&datagram), Err(expected), "{what}");
    }
    let sealed = ann.say(2, b"view 7");
    for bit in 0..sealed.len() * 8 {
        let mut datagram = sealed.clone();
        datagram[bit / 8] ^= 1 << (bit % 8);
        assert!(ben.open(&datagram).is_err(), "bit {bit} was changed");
    }
    let mut copy = sealed.clone();
    assert_eq!(ben.guard.open(INSIDE, &mut copy), Err(Refusal::OtherNetwork));
    assert_eq!(ann.open(&sealed), Err(Refusal::NotForUs), "sent back");
    assert_eq!(ben.open(&sealed), Ok(b"view 7".to_vec()), "none of these closed the window");
}

#[test]
fn a_start_counts_only_after_it_has_repeated_a_challenge() {
    let mut ann = Node::new(identity(1, 1, 0xa1), &secrets());
    let mut ben = Node::new(identity(2, 1, 0xb1), &secrets());
    assert_eq!(ann.say(2, b"early"), b"", "nobody is there who could open it");
    let (heard, answer) = ben.hear(&ann.greet(2));
    assert_eq!(heard, Ok(Greeting::Heard));
    let (heard, last) = ann.hear(&answer);
    assert!(matches!(heard, Ok(Greeting::Admitted(of)) if of.node == NodeId(2)));
    let early = ann.say(2, b"early");
    assert_eq!(ben.open(&early), Err(Refusal::NotAdmitted));
    let (heard, nothing) = ben.hear(&last);
    assert!(matches!(heard, Ok(Greeting::Admitted(of)) if of.node == NodeId(1)));
    assert_eq!(nothing, b"", "what does not ask is not answered");
    assert_eq!(ben.open(&early), Ok(b"early".to_vec()));
}

#[test]
fn recordings_of_an_earlier_start_admit_nobody() {
    let mut ann = Node::new(identity(1, 1, 0xa1), &secrets());
    let mut ben = Node::new(identity(2, 1, 0xb1), &secrets());
    let first = ann.greet(2);
    let (_, answer) = ben.hear(&first);
    let (_, last) = ann.hear(&answer);
    let said = ann.say(2, b"old");
    assert!(matches!(ben.hear(&last).0, Ok(Greeting::Admitted(_))));
    let mut later = Node::new(identity(1, 2, 0xa2), &secrets());
    let admitted = acquaint(&mut later, &mut ben);
    assert_eq!(admitted.len(), 3);
    for recording in [&first, &answer, &last] {
        let (heard, answer) = ben.hear(recording);
        assert!(matches!(heard, Ok(Greeting::Heard) | Err(Refusal::NotForUs)));
        assert!(answer.len() <= recording.len());
    }
    assert_eq!(ben.open(&said), Err(Refusal::NotAdmitted));
    let fresh = later.say(2, b"new");
    assert_eq!(ben.open(&fresh), Ok(b"new".to_vec()));
    let mut restarted = Node::new(identity(2, 2, 0xb2), &secrets());
    assert_eq!(restarted.hear(&last).0, Ok(Greeting::Heard), "an echo of another start of ours");
}

#[test]
fn what_was_recorded_for_an_earlier_start_of_its_receiver_does_not_open() {
    let (mut ann, mut ben) = friends();
    let recorded = [ann.say(2, b"one"), ann.say(2, b"two")];
    assert_eq!(ben.open(&recorded[0]), Ok(b"one".to_vec()));
    let mut again = Node::new(identity(2, 2, 0xb2), &secrets());
    acquaint(&mut ann, &mut again);
    for recording in &recorded {
        assert_eq!(again.open(recording), Err(Refusal::BadSeal));
    }
    let fresh = ann.say(2, b"three");
    assert_eq!(again.open(&fresh), Ok(b"three".to_vec()));
}

#[test]
fn a_node_that_lost_its_count_is_told_to_begin_above_it() {
    let mut ann = Node::new(identity(1, 7, 0xa1), &secrets());
    let mut ben = Node::new(identity(2, 1, 0xb1), &secrets());
    acquaint(&mut ann, &mut ben);
    for forgotten in [1, 7] {
        let mut again = Node::new(identity(1, forgotten, 0xa0 + forgotten as u8 + 1), &secrets());
        let told = acquaint(&mut again, &mut ben);
        assert!(told.contains(&Greeting::Outrun(Incarnation(7))), "{told:?}");
        assert_eq!(
            ben.guard.admitted(NodeId(1)).map(|peer| peer.incarnation),
            Some(Incarnation(7))
        );
    }
    let mut above = Node::new(identity(1, 8, 0xa9), &secrets());
    acquaint(&mut above, &mut ben);
    let said = above.say(2, b"x");
    assert_eq!(ben.open(&said), Ok(b"x".to_vec()));
}

#[test]
fn crossing_and_lost_greetings_outrun_nobody() {
    let mut ann = Node::new(identity(1, 1, 0xa1), &secrets());
    let mut ben = Node::new(identity(2, 1, 0xb1), &secrets());
    let (from_ann, from_ben) = (ann.greet(2), ben.greet(1));
    let (_, _lost) = ben.hear(&from_ann);
    let (_, echo) = ann.hear(&from_ben);
    assert!(matches!(ben.hear(&echo).0, Ok(Greeting::Admitted(_))), "Ben knows Ann first");
    let (_, answer) = ben.hear(&ann.greet(2));
    assert!(matches!(ann.hear(&answer).0, Ok(Greeting::Admitted(_))));
}

#[test]
fn a_secret_changes_without_an_interruption() {
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    let both =
        |send: &Secret, also: &Secret| Secrets { send: send.clone(), also: Some(also.clone()) };
    let mut ann = Node::new(identity(1, 1, 0xa1), &Secrets::one(old.clone()));
    let mut ben = Node::new(identity(2, 1, 0xb1), &Secrets::one(old.clone()));
    acquaint(&mut ann, &mut ben);
    let steps = [
        (both(&old, &new), Secrets::one(old.clone())),
        (both(&old, &new), both(&old, &new)),
        (both(&new, &old), both(&old, &new)),
        (both(&new, &old), both(&new, &old)),
        (Secrets::one(new.clone()), both(&new, &old)),
        (Secrets::one(new.clone()), Secrets::one(new)),
    ];
    for (number, (of_ann, of_ben)) in steps.into_iter().enumerate() {
        ann.greeter.set_secrets(&of_ann);
        ann.guard.set_secrets(of_ann);
        ben.greeter.set_secrets(&of_ben);
        ben.guard.set_secrets(of_ben);
        let sealed = ann.say(2, b"hello");
        assert_eq!(ben.open(&sealed), Ok(b"hello".to_vec()), "step {number}");
        assert_eq!(ben.open(&sealed), Err(Refusal::Replayed), "step {number}");
        let sealed = ben.say(1, b"hello");
        assert_eq!(ann.open(&sealed), Ok(b"hello".to_vec()), "step {number}");
        assert!(ben.hear(&ann.greet(2)).0.is_ok(), "step {number}");
    }
    let stranger = Secret::new("another");
    let mut eve = Node::new(identity(1, 9, 0xee), &Secrets::one(stranger));
    let refused = ben.hear(&eve.greet(2)).0;
    assert!(matches!(refused, Err(Refusal::UnknownKey | Refusal::BadSeal)), "{refused:?}");
}

#[test]
fn nodes_that_leave_the_configuration_are_strangers_and_others_stay_admitted() {
    let (mut ann, mut ben) = friends();
    ben.guard.set_peers([NodeId(1), NodeId(2), NodeId(3)]);
    let sealed = ann.say(2, b"hello");
    assert_eq!(ben.open(&sealed), Ok(b"hello".to_vec()));
    ben.guard.set_peers([NodeId(2), NodeId(3)]);
    let sealed = ann.say(2, b"hello");
    assert_eq!(ben.open(&sealed), Err(Refusal::UnknownSender));
    assert_eq!(ben.guard.admitted(NodeId(1)), None);
}

#[test]
fn what_nobody_could_open_is_not_sealed() {
    let (mut ann, _) = friends();
    let mut out = Vec::new();
    ann.guard.seal(Channel::Heartbeat, OUTSIDE, NodeId(2), b"x", &mut out);
    ann.guard.seal(Channel::Token, NetworkId(7), NodeId(2), b"x", &mut out);
    ann.guard.seal(Channel::Token, OUTSIDE, NodeId(2), &[0; CLUSTER_BODY + 1], &mut out);
    ann.greeter.greet(OUTSIDE, NodeId(9), &mut out);
    ann.greeter.greet(NetworkId(7), NodeId(2), &mut out);
    assert_eq!(out, b"");
}

proptest! {
    #[test]
    fn octets_from_anybody_neither_panic_nor_count(
        octets in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (_, mut ben) = friends();
        let mut copy = octets.clone();
        prop_assert!(ben.guard.open(OUTSIDE, &mut copy).is_err());
        let mut answer = Vec::new();
        prop_assert!(ben.greeter.handle(OUTSIDE, &mut octets.clone(), &mut answer).is_err());
        prop_assert!(answer.is_empty());
    }

    #[test]
    fn a_window_accepts_every_counter_once_and_none_that_it_has_forgotten(
        counters in prop::collection::vec(0_u64..400, 1..300),
        base in prop_oneof![Just(0_u64), Just(u64::MAX - 400)],
    ) {
        let (mut window, mut heard) = (Window::default(), alloc::collections::BTreeSet::new());
        for counter in counters {
            let counter = base + counter;
            let highest = heard.last().copied().unwrap_or(0);
            let known = heard.contains(&counter) || highest.saturating_sub(counter) >= 128;
            let fresh = counter > 0 && !known;
            prop_assert_eq!(window.is_new(counter), fresh);
            if fresh {
                window.accept(counter);
                heard.insert(counter);
            }
        }
    }
}
