use super::*;
use std::time::Duration;

const A: u8 = 1;
const B: u8 = 2;
const EVERYBODY: [u8; 6] = [255; 6];

fn switch() -> Switch {
    Switch::new(["a", "b", "c"].map(str::to_owned).to_vec(), 7)
}

fn station(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, number]
}

fn frame(destination: [u8; 6], source: u8, content: u8) -> Vec<u8> {
    [&destination[..], &station(source), &[8, 0], &[content; 46]].concat()
}

/// Sends a frame and gives the ports to which it goes now, at once or by the queue.
fn ports(switch: &mut Switch, now: Instant, from: usize, frame: &[u8]) -> Vec<usize> {
    let mut ports = switch.handle_frame(now, from, frame, Offload::NONE);
    while let Some((to, sent)) = switch.poll(now) {
        assert_eq!(sent.bytes, frame);
        ports.push(to);
    }
    ports
}

fn link(from: &str, to: &str) -> Link {
    let end = |name: &str| match name {
        "*" => End::Segment,
        host => End::Host(host.into()),
    };
    Link { from: end(from), to: end(to) }
}

#[test]
fn frames_go_where_their_station_was_heard_and_everywhere_before() {
    let mut switch = switch();
    let now = Instant::from_millis(1);
    assert_eq!(ports(&mut switch, now, 0, &frame(station(B), A, 0)), [1, 2]);
    assert_eq!(ports(&mut switch, now, 1, &frame(station(A), B, 0)), [0]);
    assert_eq!(ports(&mut switch, now, 0, &frame(station(B), A, 0)), [1]);
    assert_eq!(ports(&mut switch, now, 0, &frame(EVERYBODY, A, 0)), [1, 2]);
    // A station that moved is reached at its new place; nothing goes back where it came from.
    assert_eq!(ports(&mut switch, now, 2, &frame(station(A), B, 0)), [0]);
    assert_eq!(ports(&mut switch, now, 0, &frame(station(B), A, 0)), [2]);
    assert_eq!(ports(&mut switch, now, 2, &frame(station(B), A, 0)), Vec::<usize>::new());
    let later = now + table::AGEING + Duration::from_secs(1);
    assert_eq!(ports(&mut switch, later, 1, &frame(station(99), B, 0)), [0, 2]);
}

#[test]
fn what_is_no_frame_goes_nowhere() {
    let mut switch = switch();
    assert_eq!(ports(&mut switch, Instant::ZERO, 0, &[0; 13]), Vec::<usize>::new());
}

#[test]
fn a_cut_concerns_its_link_and_its_direction_alone() {
    let now = Instant::from_millis(1);
    let everywhere = [vec![1, 2], vec![0, 2], vec![0, 1]];
    let cases = [
        (link("a", "*"), [vec![], vec![0, 2], vec![0, 1]]),
        (link("*", "a"), [vec![1, 2], vec![2], vec![1]]),
        (link("a", "b"), [vec![2], vec![0, 2], vec![0, 1]]),
    ];
    for (cut, expected) in cases {
        let mut switch = switch();
        switch.change(&cut, Change::Cut);
        for (from, expected) in expected.iter().enumerate() {
            let flooded = frame(EVERYBODY, from as u8, 0);
            assert_eq!(ports(&mut switch, now, from, &flooded), *expected, "{cut:?}");
        }
        assert_eq!(switch.list().len(), 1);
        switch.heal(|_| true);
        for (from, expected) in everywhere.iter().enumerate() {
            assert_eq!(ports(&mut switch, now, from, &frame(EVERYBODY, from as u8, 0)), *expected);
        }
        assert_eq!(switch.list(), []);
    }
}

#[test]
fn a_station_behind_a_cut_is_not_learned() {
    let mut switch = switch();
    switch.change(&link("a", "*"), Change::Cut);
    assert_eq!(ports(&mut switch, Instant::ZERO, 0, &frame(station(B), A, 0)), Vec::<usize>::new());
    assert_eq!(ports(&mut switch, Instant::ZERO, 1, &frame(station(A), B, 0)), [0, 2]);
}

#[test]
fn a_frame_passes_every_pipe_on_its_way() {
    let mut switch = switch();
    let milliseconds = Duration::from_millis;
    for (one, delay) in [(link("a", "*"), 10), (link("a", "b"), 20), (link("*", "b"), 40)] {
        let change = Change::Delay { delay: milliseconds(delay), jitter: Duration::ZERO };
        switch.change(&one, change);
    }
    let start = Instant::from_millis(1000);
    let bytes = frame(EVERYBODY, A, 1);
    assert_eq!(switch.handle_frame(start, 0, &bytes, Offload::NONE), Vec::<usize>::new());
    let mut arrived = Vec::new();
    while let Some(next) = switch.next_deadline() {
        while let Some((to, _)) = switch.poll(next) {
            arrived.push((to, next.since(start)));
        }
    }
    assert_eq!(arrived, [(2, milliseconds(10)), (1, milliseconds(70))]);
    assert_eq!(switch.buffered, 0);
}

#[test]
fn a_frame_that_was_held_back_goes_on_when_its_fault_ends() {
    let mut switch = switch();
    let reorder = |share: &str| Change::Reorder(share.parse().expect("a share"));
    switch.change(&link("a", "b"), reorder("100%"));
    let bytes = frame(EVERYBODY, A, 1);
    assert_eq!(ports(&mut switch, Instant::ZERO, 0, &bytes), [2]);
    switch.change(&link("a", "b"), reorder("0%"));
    assert_eq!(switch.list(), []);
    assert_eq!(switch.poll(Instant::ZERO).map(|(to, _)| to), Some(1));
}

#[test]
fn what_is_delayed_finds_an_end_of_the_room_for_it() {
    let mut switch = switch();
    let delay = Duration::from_secs(1);
    switch.change(&link("a", "b"), Change::Delay { delay, jitter: Duration::ZERO });
    let large = [frame(station(B), A, 0), vec![0; 65_000]].concat();
    for _ in 0..5000 {
        switch.handle_frame(Instant::ZERO, 0, &large, Offload::NONE);
    }
    let fits = BUFFER / large.len();
    let mut sent = 0;
    while let Some((_, _)) = switch.poll(Instant::ZERO + delay) {
        sent += 1;
    }
    assert_eq!(sent, fits);
    assert_eq!(switch.buffered, 0);
}
