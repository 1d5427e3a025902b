//! The fuzz target's checks over its seeds and random changes of them, as an ordinary test.

#[cfg(test)]
#[path = "../fuzz/src/corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "../fuzz/src/exercise.rs"]
mod exercise;

use proptest::prelude::*;

#[test]
fn every_seed_holds() {
    for input in corpus::inputs() {
        exercise::input(&input);
    }
}

#[test]
fn every_seed_cut_anywhere_holds() {
    for input in corpus::inputs() {
        for length in 0..input.len().min(200) {
            exercise::input(&input[..length]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn changed_frames_hold(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0usize..160, any::<u8>()), 0..6),
    ) {
        let inputs = corpus::inputs();
        let mut input = inputs[seed.index(inputs.len())].clone();
        for (at, octet) in changes {
            let at = at % input.len();
            input[at] = octet;
        }
        exercise::input(&input);
    }

    #[test]
    fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        exercise::input(&bytes);
    }
}
