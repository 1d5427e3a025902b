//! No text makes the parser panic, or leaves a document neither read nor refused with reasons.

use model::{Config, NodeDocument, Problem, limits};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("example.toml");

/// What every outcome must be, whatever the text.
fn check(text: &str) {
    assess(text, Config::parse(text).err());
    assess(text, NodeDocument::parse(text).err());
}

fn assess(text: &str, problems: Option<Vec<Problem>>) {
    let Some(problems) = problems else { return };
    assert!(!problems.is_empty(), "refused without a reason");
    assert!(problems.len() <= limits::PROBLEMS + 1);
    let lines = text.split('\n').count() as u32;
    let mut last = (0, 0);
    for problem in &problems {
        let place = (problem.line, problem.column);
        assert!(place >= last, "problems stand in the order of their places");
        last = place;
        assert!((1..=lines).contains(&problem.line), "{problem}");
        let line = text.split('\n').nth(problem.line as usize - 1).unwrap_or_default();
        let columns = line.chars().count() as u32 + 1;
        assert!((1..=columns).contains(&problem.column), "{problem}: {columns} columns");
        let told = problem.to_string();
        assert!(!told.chars().any(char::is_control), "{told:?}");
        assert!(told.len() < 2_000, "{} octets", told.len());
        assert!(!problem.path.is_empty() && !problem.what.is_empty() && !problem.legal.is_empty());
    }
}

/// A change somewhere in a text: a piece of it cut out, doubled, or replaced.
#[derive(Clone, Debug)]
enum Change {
    Cut(usize, usize),
    Double(usize, usize),
    Write(usize, String),
}

fn change() -> impl Strategy<Value = Change> {
    let scrap = prop_oneof![
        Just("[".to_string()),
        Just("]".to_string()),
        Just("[[".to_string()),
        Just("{ x = ".to_string()),
        Just("\"\"\"".to_string()),
        Just("\n".to_string()),
        Just("=".to_string()),
        Just("a.b.".to_string()),
        Just("\u{0}".to_string()),
        Just("99999999999999999999".to_string()),
        Just("1979-05-27T07:32:00Z".to_string()),
        "[ -~]{0,8}",
        any::<char>().prop_map(String::from),
    ];
    prop_oneof![
        (any::<usize>(), 0..200_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<usize>(), 0..200_usize).prop_map(|(at, length)| Change::Double(at, length)),
        (any::<usize>(), scrap).prop_map(|(at, text)| Change::Write(at, text)),
    ]
}

fn apply(text: &mut Vec<char>, change: &Change) {
    let place = |at: usize, length: usize| at % (length + 1);
    match change {
        Change::Cut(at, length) => {
            let at = place(*at, text.len());
            text.drain(at..text.len().min(at + length));
        }
        Change::Double(at, length) => {
            let at = place(*at, text.len());
            let piece = text[at..text.len().min(at + length)].to_vec();
            text.splice(at..at, piece);
        }
        Change::Write(at, scrap) => {
            let at = place(*at, text.len());
            text.splice(at..at, scrap.chars());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_damaged_document_is_read_or_refused_with_reasons(
        changes in prop::collection::vec(change(), 1..12),
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for change in &changes {
            apply(&mut text, change);
        }
        check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_text_is_read_or_refused_with_reasons(text in "\\PC{0,400}") {
        check(&text);
    }

    #[test]
    fn anything_that_looks_like_toml_is_read_or_refused_with_reasons(
        text in "([\\[\\]{}=\",.#'\n a-z0-9]|\\[\\[|\"\"\"|= |\n\\[){0,200}",
    ) {
        check(&text);
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_use_up_the_stack() {
    for piece in ["[", "{a=", "a.", "[[", "[a.", "a={b.", "x=["] {
        check(&piece.repeat(50_000));
        check(&format!("x = {}", piece.repeat(50_000)));
    }
}

#[test]
fn a_large_heap_of_garbage_is_refused_within_bounds() {
    for piece in ["]", "?\n", "a=1\n", "\"", "'''\n", "[a]\n", "=\n", "x = 1a\n", "\u{e4} "] {
        let text = piece.repeat(limits::DOCUMENT_OCTETS / piece.len() / 8);
        assess(&text, Config::parse(&text).err());
    }
}
