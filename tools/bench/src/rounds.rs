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

/// Measures every subject once a round: A B C A B C …
///
/// # Errors
/// The first that `measure` gives.
pub fn interleave<S, const QUANTITIES: usize>(
    options: &Options,
    group: &str,
    subjects: &mut [S],
    mut measure: impl FnMut(&mut S) -> Result<[f64; QUANTITIES], BenchError>,
) -> Result<Samples, BenchError> {
    let mut samples = vec![vec![Vec::with_capacity(options.rounds); QUANTITIES]; subjects.len()];
    for round in 1..=options.rounds {
        for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
            for (sample, into) in measure(subject)?.into_iter().zip(samples) {
                into.push(sample);
            }
        }
        if round == options.rounds || round % 5 == 0 {
            eprintln!("bench: {group}: {round} of {} rounds", options.rounds);
        }
    }
    Ok(Samples(samples))
}
