//! `cargo xtask fuzz`: libFuzzer over everything that takes octets from outside.
//!
//! What must hold stands in `firmware/fuzz`; `firmware/fuzz/libfuzzer` makes a program of each
//! target. This builds them, runs each for a number of inputs, and says what came of it. Corpora
//! stay in `target/fuzz/TARGET/corpus` and are gone on with by the next run.

use crate::{cargo, packages};
use clap::Args;
use lab::clock;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The targets, with the octets of their longest inputs: long enough for several of whatever
/// comes in, short enough for thousands a second.
const TARGETS: &[(&str, usize)] =
    &[("frame", 2048), ("config", 400), ("console", 200), ("http", 700)];

/// Edge counters are what libFuzzer needs of the compiler. Given here, the flags replace the
/// static linking of the firmware's own builds, under which libFuzzer cannot look for its optional
/// functions. The operands of comparisons are not traced: that takes half of the speed, and the
/// dictionaries know the words.
const FLAGS: &str = "--cfg=fuzzing -Cpasses=sancov-module \
                     -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table";

/// Lines that libFuzzer wrote last, kept to be shown if it fails.
const LAST_LINES: usize = 60;

/// What `fuzz` is told.
#[derive(Args)]
pub struct Fuzz {
    /// frame, config, console, http; none: all of them
    targets: Vec<String>,
    /// How many inputs each target gets
    #[arg(long, default_value_t = 20_000)]
    inputs: u64,
    /// Run this one input, as a failure left it, through the one target
    #[arg(long, value_name = "FILE", conflicts_with = "inputs")]
    replay: Option<PathBuf>,
}

/// Builds the targets and runs them one after the other, all of them even after one failed.
///
/// # Errors
/// A sentence where a target is unknown, or something cannot be built or started.
pub fn run(root: &Path, fuzz: &Fuzz) -> Result<ExitCode, String> {
    let targets = chosen(&fuzz.targets)?;
    let only = fuzz.replay.as_ref().map(|file| match targets[..] {
        [(name, _)] => Ok((name, file)),
        _ => Err("--replay wants the one target to run the input through".to_owned()),
    });
    let only = only.transpose()?;
    packages::need(&[packages::FUZZ]).map_err(|missing| missing.to_string())?;
    let folder = root.join("target/fuzz");
    let programs = build(root, &folder, &targets)?;
    if let Some((name, file)) = only {
        let status = Command::new(programs.join(name))
            .arg(file)
            .status()
            .map_err(|error| format!("{name} cannot be run: {error}"))?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut failed = 0;
    for (name, octets) in targets {
        if !search(&folder, &programs, name, octets, fuzz.inputs)? {
            failed += 1;
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The rows of the table that were asked for.
fn chosen(names: &[String]) -> Result<Vec<(&'static str, usize)>, String> {
    if names.is_empty() {
        return Ok(TARGETS.to_vec());
    }
    let known = || TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        let found = TARGETS.iter().find(|(own, _)| own == name);
        found.copied().ok_or_else(|| format!("no target \"{name}\", expected {}", known()))
    };
    names.iter().map(find).collect()
}

/// Builds the programs, and returns the folder that they are in.
fn build(root: &Path, folder: &Path, targets: &[(&str, usize)]) -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(folder.join("build"), PathBuf::from);
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--release", "--locked"]);
    for (name, _) in targets {
        command.args(["--bin", name]);
    }
    let status = command
        .current_dir(root.join("firmware/fuzz/libfuzzer"))
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", FLAGS)
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err("the targets could not be built".into());
    }
    // The triple of the tree's own builds (.cargo/config.toml).
    Ok(target.join("x86_64-unknown-linux-gnu/release"))
}

/// Runs one target; whether every input held.
fn search(
    folder: &Path,
    programs: &Path,
    name: &str,
    octets: usize,
    inputs: u64,
) -> Result<bool, String> {
    let place = folder.join(name);
    std::fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let start = clock::now();
    // Without entropic scheduling a third more inputs fit into a second.
    let mut child = Command::new(programs.join(name))
        .args(["corpus", "-dict=dictionary", "-entropic=0", "-timeout=20"])
        .args([format!("-runs={inputs}"), format!("-max_len={octets}")])
        .current_dir(&place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name} cannot be run: {error}"))?;
    let said = child.stderr.take().map(|pipe| listen(BufReader::new(pipe))).unwrap_or_default();
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    let seconds = clock::now().duration_since(start).as_secs_f64();
    let clean = status.success() && said.inputs >= inputs;
    println!("{}", said.summary(name, seconds, clean));
    if clean {
        return Ok(true);
    }
    said.last.iter().for_each(|line| println!("    {line}"));
    if let Some(input) = &said.found {
        let path = place.join(input);
        println!("{name}: the input is in {}", path.display());
        println!("again: cargo xtask fuzz {name} --replay {}", path.display());
    }
    Ok(false)
}

/// What libFuzzer said.
#[derive(Default)]
struct Said {
    inputs: u64,
    /// Edges of the program that were taken.
    edges: u64,
    /// Inputs that are kept because each takes an edge that no other does, or as often.
    kept: String,
    /// The file with the input that failed.
    found: Option<String>,
    last: VecDeque<String>,
}

impl Said {
    /// Takes a line: `#4096 pulse cov: 5477 ft: 20699 corp: 831/578Kb …` and others.
    fn line(&mut self, line: String) {
        if let Some(found) = line.split("Test unit written to ").nth(1) {
            self.found = Some(found.trim_start_matches("./").to_owned());
        }
        let mut words = line.split_whitespace();
        let number = words.next().and_then(|word| word.strip_prefix('#')?.parse().ok());
        match number {
            Some(number) => {
                self.inputs = number;
                while let Some(word) = words.next() {
                    match word {
                        "cov:" => {
                            let edges = words.next().and_then(|word| word.parse().ok());
                            self.edges = edges.unwrap_or(self.edges);
                        }
                        "corp:" => self.kept = words.next().unwrap_or_default().to_owned(),
                        _ => {}
                    }
                }
            }
            None => {
                if self.last.len() == LAST_LINES {
                    self.last.pop_front();
                }
                self.last.push_back(line);
            }
        }
    }

    fn summary(&self, name: &str, seconds: f64, clean: bool) -> String {
        let Self { inputs, edges, kept, .. } = self;
        let rate = *inputs as f64 / seconds.max(0.001);
        let verdict = if clean { "clean" } else { "FAILED" };
        format!(
            "{name:<8} {verdict:<6} {inputs:>10} inputs  {seconds:7.1} s  {rate:8.0}/s  \
             {edges:>6} edges  corpus {kept}"
        )
    }
}

/// Reads to the end.
fn listen(pipe: impl BufRead) -> Said {
    let mut said = Said::default();
    // Inputs are printed raw: what is no text is shown as far as it is.
    for line in pipe.split(b'\n').map_while(Result::ok) {
        said.line(String::from_utf8_lossy(&line).into_owned());
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_a_target() {
        let manifest = crate::root().join("firmware/fuzz/libfuzzer/Cargo.toml");
        let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
        let programs = manifest["bin"].as_array().unwrap().iter();
        let mut programs: Vec<&str> = programs.map(|bin| bin["name"].as_str().unwrap()).collect();
        let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        programs.sort_unstable();
        targets.sort_unstable();
        assert_eq!(programs, targets);
    }

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let text = "INFO: Seed: 1\n#2\tINITED cov: 9 ft: 9 corp: 1/1b exec/s: 0 rss: 29Mb\n\
                    #4096\tpulse  cov: 5477 ft: 20699 corp: 831/578Kb lim: 12 exec/s: 2048\n\
                    thread 'x' panicked at config.rs:1:1:\n\
                    artifact_prefix='./'; Test unit written to ./crash-e009\n";
        let said = listen(text.as_bytes());
        assert_eq!((said.inputs, said.edges, said.kept.as_str()), (4096, 5477, "831/578Kb"));
        assert_eq!(said.found.as_deref(), Some("crash-e009"));
        assert_eq!(said.last.len(), 3);
        let summary = said.summary("config", 2.0, false);
        assert!(summary.starts_with("config   FAILED       4096 inputs      2.0 s      2048/s"));
    }

    #[test]
    fn an_unknown_target_is_refused_by_its_name() {
        let refusal = chosen(&["configs".to_owned()]).unwrap_err();
        assert_eq!(refusal, "no target \"configs\", expected frame, config, console, http");
        assert_eq!(chosen(&[]).unwrap().len(), TARGETS.len());
    }
}
