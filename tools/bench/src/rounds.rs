//! Rounds: everybody in turn, and again.

use crate::{BenchError, Options};

/// What was sampled of each subject: for each of its quantities, a sample a round.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples(Vec<Vec<Vec<f64>>>);

impl Samples {
    /// The samples of a quantity of a subject, both by number.
    pub fn of(&self, subject: usize, quantity: usize) -> Vec<f64> {
        let quantities = self.0.get(subject);
        quantities.and_then(|all| all.get(quantity)).cloned().unwrap_or_default()
    }
}

/// Measures every subject once a round: A B C A B C … A round in which something went wrong counts
/// for nobody, and is told; another is tried in its place, as long as those are few.
///
/// # Errors
/// What `measure` gives in the first round, or in more than a third of them.
pub fn interleave<S, const QUANTITIES: usize>(
    options: &Options,
    group: &str,
    subjects: &mut [S],
    mut measure: impl FnMut(&mut S) -> Result<[f64; QUANTITIES], BenchError>,
) -> Result<Samples, BenchError> {
    let mut samples = vec![vec![Vec::with_capacity(options.rounds); QUANTITIES]; subjects.len()];
    let (mut done, mut failed) = (0, 0);
    while done < options.rounds {
        let round: Result<Vec<_>, _> = subjects.iter_mut().map(&mut measure).collect();
        match round {
            Err(error) if done == 0 || (failed + 1) * 3 > options.rounds => return Err(error),
            Err(error) => {
                failed += 1;
                eprintln!("bench: {group}: a round counts for nobody: {error}");
            }
            Ok(round) => {
                done += 1;
                for (subject, all) in round.into_iter().zip(&mut samples) {
                    subject.into_iter().zip(all).for_each(|(sample, into)| into.push(sample));
                }
                if done == options.rounds || done % 5 == 0 {
                    eprintln!("bench: {group}: {done} of {} rounds", options.rounds);
                }
            }
        }
    }
    Ok(Samples(samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn options(rounds: usize) -> Options {
        let nowhere = PathBuf::new;
        let (folder, root) = (nowhere(), nowhere());
        Options { rounds, quick: true, seed: 1, supervisor: None, folder, root }
    }

    fn wrong() -> BenchError {
        BenchError::CannotMeasure("it broke".into())
    }

    #[test]
    fn everybody_has_a_turn_in_each_round() {
        let mut turns = Vec::new();
        let mut subjects = [1.0, 2.0];
        let samples = interleave(&options(3), "x", &mut subjects, |subject| {
            turns.push(*subject);
            Ok([*subject, *subject * 10.0])
        });
        let samples = samples.expect("nothing went wrong");
        assert_eq!(turns, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        assert_eq!(samples.of(1, 1), [20.0, 20.0, 20.0]);
        assert_eq!(samples.of(2, 0), Vec::<f64>::new());
    }

    #[test]
    fn a_round_that_failed_is_done_again_for_all() {
        let mut calls = 0.0;
        let samples = interleave(&options(3), "x", &mut ["a", "b"], |subject| {
            calls += 1.0;
            // The second subject of the second round.
            if calls == 4.0 {
                Err(wrong())
            } else {
                Ok([if *subject == "a" { calls } else { 0.0 }])
            }
        });
        let samples = samples.expect("one of three may fail");
        assert_eq!(samples.of(0, 0), [1.0, 5.0, 7.0]);
        assert_eq!(samples.of(1, 0).len(), 3);
    }

    #[test]
    fn what_fails_at_once_or_often_is_an_error() {
        let at_once = interleave::<_, 1>(&options(9), "x", &mut [()], |()| Err(wrong()));
        assert!(at_once.is_err());
        let mut calls = 0;
        let often = interleave(&options(9), "x", &mut [()], |()| {
            calls += 1;
            if calls % 2 == 0 { Err(wrong()) } else { Ok([1.0]) }
        });
        assert!(often.is_err());
    }
}
