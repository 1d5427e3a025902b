//! What is printed: the arrangement, a table of rows, and the same as JSON.

use crate::row::Row;
use crate::statistics::estimate;
use crate::{BenchError, Options};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// What the machine is and how it was when the run began.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Arrangement {
    /// Name and number of the processors.
    pub processor: String,
    /// How many of them we may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Load averages of one, five and fifteen minutes before the run.
    pub load: String,
    /// What idle processors do.
    pub idle: String,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    arrangement: Arrangement,
    rounds: usize,
    quick: bool,
    seed: u64,
    groups: Vec<Measured>,
}

/// What one group gave.
#[derive(Debug, Default)]
struct Measured {
    name: &'static str,
    rows: Vec<Row>,
    failure: Option<String>,
    took: Duration,
    load: String,
}

impl Arrangement {
    /// Reads what the kernel tells about the machine.
    pub fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let name = processors.lines().find_map(|line| line.strip_prefix("model name"));
        let name = name.unwrap_or_default().trim_start_matches([' ', '\t', ':']);
        let idle = |file: &str| read(&format!("/sys/devices/system/cpu/cpuidle/{file}"));
        let (driver, governor) = (idle("current_driver"), idle("current_governor_ro"));
        let idle = match (driver.trim(), governor.trim()) {
            ("" | "none", _) => "no driver: a processor without work halts".to_owned(),
            (driver, governor) => format!("driver {driver}, governor {governor}"),
        };
        Self {
            processor: name.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: Self::load(),
            idle,
        }
    }

    /// The load averages now.
    pub fn load() -> String {
        let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    }
}

impl Report {
    /// A report without rows.
    pub fn new(arrangement: Arrangement, options: &Options) -> Self {
        let Options { rounds, quick, seed, .. } = *options;
        Self { arrangement, rounds, quick, seed, groups: Vec::new() }
    }

    /// Adds what a group found.
    pub fn add(&mut self, group: &'static str, rows: Vec<Row>) {
        self.groups.push(Measured { name: group, rows, ..Measured::default() });
    }

    /// Notes that a group could not be measured.
    pub fn fail(&mut self, group: &'static str, error: &BenchError) {
        let failure = Some(error.to_string());
        self.groups.push(Measured { name: group, failure, ..Measured::default() });
    }

    /// Notes how long the last group took, and how loaded the machine was before.
    pub fn took(&mut self, group: &'static str, took: Duration, load: &str) {
        if let Some(measured) = self.groups.iter_mut().rfind(|measured| measured.name == group) {
            measured.took = took;
            measured.load = load.to_owned();
        }
    }

    /// Whether a group could not be measured.
    pub fn failed(&self) -> bool {
        self.groups.iter().any(|group| group.failure.is_some())
    }

    /// What stands above the groups, for people.
    pub fn head(&self) -> String {
        let machine = &self.arrangement;
        let quick = if self.quick { ", quick: not for figures" } else { "" };
        format!(
            "machine  {} × {}, Linux {}\nidle     {}\nload     {} before the run\n\
             rounds   {} unless said otherwise, interleaved{quick}; seed {}\n\
             figures  median (95 % interval); ratios are taken within a round\n",
            machine.cores,
            machine.processor,
            machine.kernel,
            machine.idle,
            machine.load,
            self.rounds,
            self.seed
        )
    }

    /// The group that was measured last, for people.
    pub fn last(&self) -> String {
        self.groups.last().map(table).unwrap_or_default()
    }

    /// The report for programs.
    pub fn json(&self) -> String {
        let groups: Vec<Value> = self.groups.iter().map(group_json).collect();
        let report = json!({
            "arrangement": self.arrangement,
            "rounds": self.rounds,
            "quick": self.quick,
            "seed": self.seed,
            "groups": groups,
        });
        format!("{report:#}\n")
    }
}

/// A group with its rows.
fn table(group: &Measured) -> String {
    let (seconds, load) = (group.took.as_secs(), &group.load);
    let mut text = format!("\n{}  ({seconds} s; load before {load})\n", group.name);
    if let Some(failure) = &group.failure {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  not measured: {failure}");
    }
    let mut before = None;
    for row in &group.rows {
        text.push_str(&lines(row, before));
        before = Some(row);
    }
    text
}

/// A row as lines: the quantity and the subject, where the row before has not said them, the peer
/// with the ratio, and the note.
fn lines(row: &Row, before: Option<&Row>) -> String {
    let mut text = String::new();
    let bar = row.bar.map(|bar| {
        let met = match row.met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "not judged",
        };
        format!("   bar {}: {met}", bar.shown(row.unit))
    });
    let bar = bar.unwrap_or_default();
    // Writing to a string cannot fail.
    if before.is_none_or(|before| before.what != row.what) {
        let _ = writeln!(text, "  {}", row.what);
    }
    let said = before.is_some_and(|before| {
        before.what == row.what && before.subject == row.subject && before.samples == row.samples
    });
    let own = if row.peer.is_none() { &*bar } else { "" };
    if !said {
        let _ = writeln!(text, "{}{own}", column(&row.subject, &interval(row, &row.samples)));
    }
    if let Some(peer) = &row.peer {
        let ratio = estimate(&row.ratios());
        let ratio = ratio.map_or_else(|| "none".to_owned(), |ratio| ratio.to_string());
        let peer = column(&peer.name, &interval(row, &peer.samples));
        let _ = writeln!(text, "{peer:<62} {ratio}{bar}");
    }
    if !row.note.is_empty() {
        let _ = writeln!(text, "      {}", row.note);
    }
    text
}

/// A name and a figure, in columns.
fn column(name: &str, figure: &str) -> String {
    format!("    {name:<24} {figure}")
}

/// The median of some samples of a row, with its interval.
fn interval(row: &Row, samples: &[f64]) -> String {
    match estimate(samples) {
        None => "not measured".into(),
        Some(estimate) if samples.len() == 1 => row.unit.shown(estimate.median),
        Some(estimate) if estimate.coverage < 0.95 => {
            format!("{} range", row.unit.interval(&estimate))
        }
        Some(estimate) => row.unit.interval(&estimate),
    }
}

fn group_json(group: &Measured) -> Value {
    let rows: Vec<Value> = group.rows.iter().map(row_json).collect();
    json!({
        "name": group.name,
        "seconds": group.took.as_secs_f64(),
        "load_before": group.load,
        "failure": group.failure,
        "rows": rows,
    })
}

fn row_json(row: &Row) -> Value {
    let side = |name: &str, samples: &[f64]| {
        let estimate = estimate(samples);
        json!({"name": name, "samples": samples, "estimate": estimate})
    };
    json!({
        "what": row.what,
        "unit": row.unit,
        "subject": side(&row.subject, &row.samples),
        "peer": row.peer.as_ref().map(|peer| side(&peer.name, &peer.samples)),
        "ratio": estimate(&row.ratios()),
        "bar": row.bar,
        "met": row.met(),
        "note": row.note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Of, Side, Unit};

    fn report() -> Report {
        let arrangement = Arrangement {
            processor: "P".into(),
            cores: 2,
            kernel: "6.1".into(),
            load: "0 0 0".into(),
            idle: "halts".into(),
        };
        let groups = Vec::new();
        let mut report = Report { arrangement, rounds: 3, quick: true, seed: 1, groups };
        let row = Row::new("frames/s", Unit::PerSecond, vec![3e5, 2e5, 4e5])
            .against("nftables", vec![1e5, 1e5, 1e5])
            .bar(Of::Ratio, Side::AtLeast, 4.5)
            .note("one worker");
        report.add("frames", vec![row]);
        report.took("frames", Duration::from_secs(7), "0.5 0 0");
        report
    }

    #[test]
    fn the_table_shows_everything_that_a_reader_needs() {
        let table = report().head() + &report().last();
        for part in [
            "2 × P, Linux 6.1",
            "load     0 0 0 before the run",
            "quick: not for figures",
            "frames  (7 s; load before 0.5 0 0)",
            "Portico                  300 k/s (200–400) range",
            "nftables                 100 k/s",
            "3.00× (2.00–4.00)   bar ≥ 4.50×: NOT MET",
            "one worker",
        ] {
            assert!(table.contains(part), "{part} is not in\n{table}");
        }
    }

    #[test]
    fn what_the_row_before_has_said_is_not_said_again() {
        let row = |peer| Row::new("x/s", Unit::PerSecond, vec![1.0]).against(peer, vec![2.0]);
        let text = lines(&row("one"), None) + &lines(&row("two"), Some(&row("one")));
        assert_eq!(text.matches("x/s").count(), 1, "{text}");
        assert_eq!(text.matches("Portico").count(), 1, "{text}");
        assert_eq!(text.matches("0.50×").count(), 2, "{text}");
    }

    #[test]
    fn a_group_that_cannot_be_measured_is_told_and_the_others_stay() {
        let mut report = report();
        assert!(!report.failed());
        report.fail("bulk", &BenchError::CannotMeasure("no iperf3".into()));
        assert!(report.failed());
        assert!(report.last().contains("not measured: no iperf3"), "{}", report.last());
        assert!(report.json().contains("frames/s"), "{}", report.json());
    }

    #[test]
    fn the_json_holds_every_sample() {
        let value: Value = serde_json::from_str(&report().json()).expect("it is JSON");
        let row = &value["groups"][0]["rows"][0];
        assert_eq!(row["subject"]["samples"], json!([3e5, 2e5, 4e5]));
        assert_eq!(row["ratio"]["median"], json!(3.0));
        assert_eq!(row["met"], json!(false));
        assert_eq!(row["unit"], json!("per-second"));
    }
}
