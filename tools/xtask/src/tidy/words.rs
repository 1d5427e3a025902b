//! Gates on single words: what the code must not call, and what may not be left lying about.

use super::Finding;
use super::source::{Source, whole_words};
use super::tree::Tree;

/// Where a word is banned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// In every Rust file, tests included.
    Everywhere,
    /// In every Rust file, outside tests.
    OutsideTests,
    /// Under `firmware/`, outside tests.
    Firmware,
    /// Under `firmware/`, outside tests and outside the supervisor's clock module.
    FirmwareButClock,
}

/// The one module of the firmware that reads a clock.
const CLOCK: [&str; 2] = ["firmware/supervisor/src/clock.rs", "firmware/supervisor/src/clock/"];

/// Words, where they are banned, and what would be right instead.
///
/// Outside `firmware/` clippy's `disallowed_methods` asks a reason for each reading of a clock.
const BANNED: &[(&str, Scope, &str)] = &[
    ("Instant::now", Scope::FirmwareButClock, "take `now` as an argument"),
    ("SystemTime::now", Scope::FirmwareButClock, "take the time as an argument"),
    (".elapsed()", Scope::FirmwareButClock, "compare with a `now` that is an argument"),
    ("clock_gettime", Scope::FirmwareButClock, "take `now` as an argument"),
    ("thread::sleep", Scope::Firmware, "wait for an event with a deadline"),
    ("process::exit", Scope::OutsideTests, "return a code from main"),
    ("process::abort", Scope::OutsideTests, "return an error, or panic with last words"),
    (".unwrap()", Scope::OutsideTests, "handle the other case, or `expect` with the reason"),
    ("anyhow", Scope::Firmware, "an error enum with a sentence for each variant"),
    ("todo!", Scope::Everywhere, "the code itself"),
    ("unimplemented!", Scope::Everywhere, "the code itself"),
    ("dbg!", Scope::Everywhere, "no traces of debugging"),
];

/// Marks of unfinished work, which belong into the documents with a sentence that owns them.
const MARKS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// Looks for every banned word.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for source in &tree.rust {
        for (word, scope, right) in BANNED {
            for at in source.find(word) {
                if applies(*scope, source, at) {
                    let what = format!("`{word}`");
                    findings.push(Finding::new(&source.path, source.line(at), what, *right));
                }
            }
        }
        for mark in MARKS {
            for at in whole_words(&source.comments, mark) {
                findings.push(Finding::new(
                    &source.path,
                    source.line(at),
                    format!("a comment says {mark}"),
                    "the work done, or a sentence about it in the documents",
                ));
            }
        }
    }
}

/// Whether a ban holds at a place.
fn applies(scope: Scope, source: &Source, at: usize) -> bool {
    let firmware = source.path.starts_with("firmware/");
    let clock = CLOCK.iter().any(|path| source.path.starts_with(path));
    match scope {
        Scope::Everywhere => true,
        Scope::OutsideTests => !source.is_test(at),
        Scope::Firmware => firmware && !source.is_test(at),
        Scope::FirmwareButClock => firmware && !clock && !source.is_test(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::found_in;

    #[test]
    fn every_banned_word_is_found_in_firmware() {
        for (word, _, right) in BANNED {
            let text = format!("fn f() {{\n    x{word}(y);\n}}\n").replace("x.", "a.");
            let text = if word.starts_with('.') { text } else { text.replacen('x', "", 1) };
            let found = found_in(check, "firmware/node/src/lib.rs", &text);
            assert_eq!(found, [format!("firmware/node/src/lib.rs:2: `{word}`, {right}")], "{text}");
        }
    }

    #[test]
    fn exceptions_are_as_narrow_as_they_say() {
        let now = "fn f() { Instant::now(); }";
        let test = "#[cfg(test)]\nmod tests { fn f() { Instant::now(); x.unwrap(); } }";
        let cases = [
            ("firmware/supervisor/src/clock.rs", now, 0),
            ("firmware/supervisor/src/main.rs", now, 1),
            ("firmware/supervisor/src/clock_face.rs", now, 1),
            ("tools/lab/src/lib.rs", now, 0),
            ("firmware/netio/src/lib.rs", test, 0),
            ("firmware/netio/tests/ring.rs", now, 0),
            ("tools/lab/src/lib.rs", "fn f() { x.unwrap(); }", 1),
            ("tools/lab/src/lib.rs", "fn f() { x.unwrap_or(1); } // .unwrap()", 0),
            ("tools/lab/src/lib.rs", "#[test]\nfn f() { todo!() }", 1),
        ];
        for (path, text, expected) in cases {
            assert_eq!(found_in(check, path, text).len(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn marks_of_unfinished_work_are_found_in_comments_only() {
        for mark in MARKS {
            let text = format!("// {mark} later\nfn f() {{ g(\"{mark}\") }}\n");
            assert_eq!(found_in(check, "board/src/lib.rs", &text).len(), 1, "{text}");
        }
    }
}
