//! Group `faces`: whether console and page answer while forwarding is saturated, and what live
//! pages cost it.

use super::flooded::Flooded;
use crate::arrangement::document::{CREDENTIALS, Document, PASSWORD, USER};
use crate::arrangement::{Front, Ground, Set};
use crate::load::console::Console;
use crate::load::flood::{Flood, Pattern};
use crate::load::page::{self, Viewers};
use crate::rounds::interleave;
use crate::row::{Of, Row, Side, Unit};
use crate::{BenchError, Options};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Questions to each face, and where many frames are lost, too.
const QUESTIONS: usize = 50;
const QUESTIONS_IN_OVERLOAD: usize = 10;
/// Live pages.
const VIEWERS: usize = 50;
/// The longest that an answer may take, in seconds.
const ANSWER: f64 = 2.0;
/// What must be left of the forwarding rate beside the live pages.
const LEFT: f64 = 0.97;
/// How many times its peak is offered to a forwarder that is to lose frames.
const OVERLOAD: f64 = 1.5;
/// How long one flood of many lasts.
const FLOOD: Duration = Duration::from_millis(500);
/// How long a flood lasts that live pages are measured by: they come each second.
const LONG_FLOOD: Duration = Duration::from_secs(2);

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let document = Document { page: true, ..Document::default() };
    let set = Set::with_document(options, Front::Portico, "faces", &document)?;
    // So that the worker's core is the one that has too much to do, and the generator's has not.
    set.steer_to_one_core()?;
    let mut flooded = Flooded::new(&set)?;
    let highest = flooded.flood(Pattern::Known, FLOOD, None)?;
    let peak = flooded.tolerated(&highest)?;
    let mut console = Console::open(&options.folder.join("faces/console"), USER, PASSWORD)?;
    let count = if options.quick { QUESTIONS_IN_OVERLOAD } else { QUESTIONS };
    let mut rows = Vec::new();
    for (when, rate, count, bar) in [
        ("with its peak at ≤ 1 % loss offered", peak, count, true),
        ("with 1.5 times that offered", peak * OVERLOAD, QUESTIONS_IN_OVERLOAD, false),
    ] {
        let (shown, got) = under_flood(&set, rate, || {
            let (mut shown, mut got) = (Vec::new(), Vec::new());
            for _ in 0..count {
                shown.push(console.ask("show version")?.1.as_secs_f64());
                got.push(page::get(&set.client, CREDENTIALS, "/metrics")?.as_secs_f64());
            }
            Ok((shown, got))
        })?;
        rows.extend(answers("`show version` on the console", when, shown, bar));
        rows.extend(answers("metrics over TLS, a new connection each", when, got, bar));
    }
    rows.push(live_pages(options, &set, &mut flooded, peak)?);
    Ok(rows)
}

/// The median and the longest of some answers.
fn answers(what: &str, when: &str, seconds: Vec<f64>, bar: bool) -> [Row; 2] {
    let longest = seconds.iter().copied().fold(0.0, f64::max);
    let patience = page::PATIENCE.as_secs_f64();
    let missed = seconds.iter().filter(|seconds| **seconds >= patience).count();
    let note = format!(
        "{} asked, {missed} not answered in {patience} s; the asking programs share the \
         generator's core",
        seconds.len()
    );
    let all = Row::new(format!("{what}, {when}"), Unit::Seconds, seconds).note(note);
    let longest = Row::new(format!("the longest of these, {when}"), Unit::Seconds, vec![longest]);
    [all, if bar { longest.bar(Of::Samples, Side::AtMost, ANSWER) } else { longest }]
}

/// Does something while frames come at a rate.
fn under_flood<T>(
    set: &Set,
    rate: f64,
    work: impl FnOnce() -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut flood = Flood::default();
            while !over.load(Ordering::Relaxed) {
                flood.run(&set.client, Pattern::Known, FLOOD, Some(rate))?;
            }
            Ok(())
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        let flooded = flood.join().unwrap_or_else(|_| {
            Err(BenchError::CannotMeasure("the generator's thread panicked".into()))
        });
        flooded.and(done)
    })
}

/// The forwarding rate with and without live pages.
fn live_pages(
    options: &Options,
    set: &Set,
    flooded: &mut Flooded<'_>,
    peak: f64,
) -> Result<Row, BenchError> {
    let folder = options.folder.join("faces");
    let mut seen = usize::MAX;
    let samples = interleave(options, "faces", &mut [true, false], |live| {
        let viewers = match live {
            true => Some(Viewers::open(&set.client, CREDENTIALS, VIEWERS, &folder)?),
            false => None,
        };
        let count = |viewers: &Viewers| viewers.snapshots().into_iter().min().unwrap_or(0);
        let before = viewers.as_ref().map(count);
        let outcome = flooded.flood(Pattern::Known, LONG_FLOOD, Some(peak * OVERLOAD))?;
        if let Some((viewers, before)) = viewers.as_ref().zip(before) {
            seen = seen.min(count(viewers).saturating_sub(before));
        }
        Ok([outcome.forwarded()])
    })?;
    let what = format!("UDP frames of 64 octets forwarded while {VIEWERS} live pages are open");
    let row = Row::new(what, Unit::PerSecond, samples.of(0, 0)).against("none", samples.of(1, 0));
    let note = format!(
        "all receiving on the worker's core, {OVERLOAD} times its peak offered; each page saw at \
         least {seen} snapshots in a flood of {} s",
        LONG_FLOOD.as_secs()
    );
    Ok(row.bar(Of::Ratio, Side::AtLeast, LEFT).note(note))
}
