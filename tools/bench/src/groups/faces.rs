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

/// Questions to each face.
const QUESTIONS: usize = 50;
/// Live pages.
const VIEWERS: usize = 50;
/// The longest that an answer may take, in seconds.
const ANSWER: f64 = 2.0;
/// What must be left of the forwarding rate beside the live pages.
const LEFT: f64 = 0.97;
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
    let folder = options.folder.join("faces");
    let questions = if options.quick { QUESTIONS / 5 } else { QUESTIONS };
    let mut flooded = Flooded::new(&set)?;
    let mut console = Console::open(&folder.join("console"), USER, PASSWORD)?;
    let mut rows = Vec::new();
    let (shown, got) = under_flood(&set, || {
        let (mut shown, mut got) = (Vec::new(), Vec::new());
        for _ in 0..questions {
            shown.push(console.ask("show version")?.1.as_secs_f64());
            got.push(page::get(&set.client, CREDENTIALS, "/metrics")?.as_secs_f64());
        }
        Ok((shown, got))
    })?;
    for (what, seconds) in [
        ("`show version` on the console while forwarding is saturated", shown),
        ("the metrics over TLS, a new connection each, while forwarding is saturated", got),
    ] {
        let longest = seconds.iter().copied().fold(0.0, f64::max);
        rows.push(Row::new(format!("{what}: answers"), Unit::Seconds, seconds));
        let row = Row::new(format!("{what}: the longest"), Unit::Seconds, vec![longest]);
        let note = format!("of {questions}; the asking programs share the generator's core");
        rows.push(row.bar(Of::Samples, Side::AtMost, ANSWER).note(note));
    }
    rows.push(live_pages(options, &set, &mut flooded)?);
    Ok(rows)
}

/// Does something while frames come without limit.
fn under_flood<T>(
    set: &Set,
    work: impl FnOnce() -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut flood = Flood::default();
            while !over.load(Ordering::Relaxed) {
                flood.run(&set.client, Pattern::Known, FLOOD, None)?;
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
fn live_pages(options: &Options, set: &Set, flooded: &mut Flooded<'_>) -> Result<Row, BenchError> {
    let folder = options.folder.join("faces");
    let mut seen = usize::MAX;
    let samples = interleave(options, "faces", &mut [true, false], |live| {
        let viewers = match live {
            true => Some(Viewers::open(&set.client, CREDENTIALS, VIEWERS, &folder)?),
            false => None,
        };
        let count = |viewers: &Viewers| viewers.snapshots().into_iter().min().unwrap_or(0);
        let before = viewers.as_ref().map(count);
        let outcome = flooded.flood(Pattern::Known, LONG_FLOOD, None)?;
        if let Some((viewers, before)) = viewers.as_ref().zip(before) {
            seen = seen.min(count(viewers).saturating_sub(before));
        }
        Ok([outcome.forwarded()])
    })?;
    let what = format!("UDP frames of 64 octets forwarded while {VIEWERS} live pages are open");
    let row = Row::new(what, Unit::PerSecond, samples.of(0, 0)).against("none", samples.of(1, 0));
    let note = format!(
        "each page saw at least {seen} snapshots in each flood of {} s; the pages' programs share \
         the generator's core",
        LONG_FLOOD.as_secs()
    );
    Ok(row.bar(Of::Ratio, Side::AtLeast, LEFT).note(note))
}
