//! Counts the instructions of the whole guest.
//!
//! On a counting machine the guest's clock goes on by a nanosecond with each instruction, and jumps
//! to the next timer when there is nothing to execute. So instructions are the time that has passed
//! less the time spent idle, which the kernel keeps to the nanosecond.

use crate::BenchError;
use std::time::Instant;

/// Where the kernel tells how long each processor was idle.
const TIMERS: &str = "/proc/timer_list";

/// A measurement under way.
#[derive(Debug)]
pub struct Meter {
    idle: u64,
    start: Instant,
}

impl Meter {
    /// Begins.
    ///
    /// # Errors
    /// [`BenchError::CannotMeasure`] on a kernel that does not tell its idle time.
    pub fn start() -> Result<Self, BenchError> {
        let idle = idle()?;
        Ok(Self { idle, start: crate::clock::now() })
    }

    /// Ends, and gives the instructions executed meanwhile.
    ///
    /// # Errors
    /// As [`Meter::start`].
    pub fn stop(self) -> Result<u64, BenchError> {
        let passed = crate::clock::now() - self.start;
        let idle = idle()?.saturating_sub(self.idle);
        let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        Ok(passed.saturating_sub(idle))
    }
}

fn idle() -> Result<u64, BenchError> {
    let text = std::fs::read_to_string(TIMERS).map_err(BenchError::at(TIMERS))?;
    idle_of(&text).ok_or_else(|| {
        BenchError::CannotMeasure(format!("{TIMERS} tells no time spent idle (idle_sleeptime)"))
    })
}

/// The sum over all processors of lines such as `  .idle_sleeptime : 12345 nsecs`.
fn idle_of(text: &str) -> Option<u64> {
    let times = text.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix(".idle_sleeptime")?;
        rest.trim_start_matches([' ', ':']).split(' ').next()?.parse::<u64>().ok()
    });
    times.reduce(|sum, time| sum + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_that_of_all_processors() {
        let text = "cpu: 0\n  .idle_calls     : 7\n  .idle_sleeptime : 1500000001 nsecs\n\
                    cpu: 1\n  .idle_sleeptime : 2 nsecs\n  .iowait_sleeptime: 9 nsecs\n";
        assert_eq!(idle_of(text), Some(1_500_000_003));
        assert_eq!(idle_of("cpu: 0\n"), None);
    }
}
