//! Conversations as they look on the screen.
//!
//! A transcript is a file of steps. A step begins with a line `» keys`, in which `\r`, `\t`, `\e`
//! and `\^X` (Ctrl-X) are keys; the lines behind it are what the screen shows from the line on in
//! which the cursor stood, until the next step; a bell is a last line `(bell)`. With
//! `PORTICO_WRITE_TRANSCRIPTS` set the files are written instead of compared.

use crate::support::{Terminal, flush, type_in};
use console::commands::{COMMANDS, FILTERS};
use console::{Access, Session};

fn keys(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut letters = text.bytes();
    while let Some(letter) = letters.next() {
        bytes.push(match letter {
            b'\\' => match letters.next() {
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'e') => 0x1b,
                Some(b'^') => letters.next().expect("a letter behind \\^") & 0x1f,
                other => panic!("\\{other:?} is no key"),
            },
            other => other,
        });
    }
    bytes
}

fn replay(transcript: &str, access: Access) -> String {
    let mut session = Session::new("n1", "Portico 0.1.0\nnode n1 of cluster edge", access);
    let mut terminal = Terminal::default();
    let mut written = String::new();
    let mut shown = 0;
    flush(&mut session, &mut terminal);
    for step in transcript.lines().filter_map(|line| line.strip_prefix("» ")) {
        let bells = terminal.bells;
        type_in(&mut session, &mut terminal, &keys(step));
        written.push_str(&format!("» {step}\n"));
        for line in shown..terminal.lines.len() {
            let text = terminal.line(line);
            assert!(text.len() < 80 || text.starts_with('{'), "too wide, and no JSON: {text}");
            written.push_str(&text);
            written.push('\n');
        }
        if terminal.bells > bells {
            written.push_str("(bell)\n");
        }
        shown = terminal.lines.len() - 1;
    }
    written
}

fn transcripts() -> Vec<(std::path::PathBuf, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_transcript_is_what_the_screen_shows() {
    let files = transcripts();
    assert!(files.len() >= 4);
    for (path, transcript) in files {
        let access = if path.ends_with("login.txt") { Access::Login } else { Access::Open };
        let written = replay(&transcript, access);
        if std::env::var_os("PORTICO_WRITE_TRANSCRIPTS").is_some() {
            std::fs::write(&path, written).unwrap();
        } else {
            assert_eq!(written, transcript, "{}", path.display());
        }
    }
}

#[test]
fn every_command_and_filter_has_a_transcript() {
    let all: String = transcripts().into_iter().map(|(_, transcript)| transcript).collect();
    for command in COMMANDS {
        let (alone, given) = (format!("» {}\\r", command.name), format!("» {} ", command.name));
        assert!(all.contains(&alone) || all.contains(&given), "{}", command.name);
    }
    for filter in FILTERS {
        assert!(all.contains(&format!(" | {}", filter.name)), "{}", filter.name);
    }
}
