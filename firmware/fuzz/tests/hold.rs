//! Every target over its seeds and random changes of them, as ordinary tests. libFuzzer does the
//! same for longer and looks where it leads (`cargo xtask fuzz`).

use fuzz::{TARGETS, Target};
use proptest::prelude::*;

#[test]
fn every_seed_holds() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.inputs.is_empty(), "{}", target.name);
        seeds.inputs.iter().for_each(|input| (target.input)(input));
    }
}

#[test]
fn every_seed_cut_anywhere_holds() {
    for target in TARGETS {
        for input in (target.seeds)().inputs {
            for length in 0..input.len().min(200) {
                (target.input)(&input[..length]);
            }
        }
    }
}

/// A seed with pieces of it changed, doubled or replaced by words.
fn changed(target: &'static Target) -> impl Strategy<Value = Vec<u8>> {
    let seeds = (target.seeds)();
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        "[ -~]{0,3}".prop_map(String::into_bytes),
        prop::sample::select([seeds.words, vec![Vec::new()]].concat()),
    ];
    let change = (any::<prop::sample::Index>(), 0_usize..4, piece);
    let changes = prop::collection::vec(change, 0..6);
    (prop::sample::select(seeds.inputs), changes).prop_map(|(mut input, changes)| {
        for (at, gone, piece) in changes {
            let at = at.index(input.len() + 1);
            let end = input.len().min(at + gone);
            input.splice(at..end, piece);
        }
        input
    })
}

fn holds(name: &str, cases: u32) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&changed(target), |input| {
        (target.input)(&input);
        Ok(())
    });
    outcome.expect("it holds");
}

#[test]
fn changed_frames_hold() {
    holds("frame", 4096);
}

#[test]
fn changed_documents_hold() {
    holds("config", 512);
}

#[test]
fn changed_sessions_hold() {
    holds("console", 512);
}

#[test]
fn changed_requests_hold() {
    holds("http", 512);
}
