//! Whatever arrives on the line, the session does not panic, does not grow without bound, and
//! sends nothing that a terminal could misunderstand; and what it draws is what was typed.

use crate::support::{self, Terminal, carry, flush, type_in};
use console::{Access, Ask, Session};
use model::limits;
use model::operator::{Reply, Request, Topic};
use model::status::{Counter, Version};
use proptest::prelude::*;

const BANNER: &str = "Portico";

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20),
        4 => "[ -~]{0,20}".prop_map(String::into_bytes),
        2 => prop::sample::select(vec![
            "show ports\r", "show counters | json\r", "sh", "show ", "\t", "?", "\x1b[A", "\x1b[B",
            "\x1b[C", "\x1b[D", "\x03", "\x15", "| match ", "\"", "\x1b[3~", "\x1b", "\x1b[",
            "\r\n", "configure\r", "set pool.", "load\r", "\x04", "exit discard\r", " ", "q",
            "show log\r", "anna\rconfigure\r", "logout\r", "commit confirmed 5\r",
        ]).prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// A key with what a plain editor makes of it.
#[derive(Clone, Debug)]
enum Edit {
    Type(char),
    Backspace,
    Delete,
    Left,
    Right,
    Home,
    End,
    EraseToStart,
    EraseToEnd,
    EraseWord,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => "[a-z ]".prop_map(|text| Edit::Type(text.chars().next().unwrap())),
        1 => Just(Edit::Backspace),
        1 => Just(Edit::Delete),
        2 => Just(Edit::Left),
        1 => Just(Edit::Right),
        1 => Just(Edit::Home),
        1 => Just(Edit::End),
        1 => prop::sample::select(vec![Edit::EraseToStart, Edit::EraseToEnd, Edit::EraseWord]),
    ]
}

fn bytes(edit: &Edit) -> Vec<u8> {
    match edit {
        Edit::Type(letter) => letter.to_string().into_bytes(),
        Edit::Backspace => b"\x7f".to_vec(),
        Edit::Delete => b"\x1b[3~".to_vec(),
        Edit::Left => b"\x1b[D".to_vec(),
        Edit::Right => b"\x1b[C".to_vec(),
        Edit::Home => b"\x1b[H".to_vec(),
        Edit::End => b"\x1b[F".to_vec(),
        Edit::EraseToStart => b"\x15".to_vec(),
        Edit::EraseToEnd => b"\x0b".to_vec(),
        Edit::EraseWord => b"\x17".to_vec(),
    }
}

/// The line as text before and behind the cursor.
fn apply(before: &mut String, behind: &mut String, edit: &Edit) {
    match edit {
        Edit::Type(letter) => before.push(*letter),
        Edit::Backspace => drop(before.pop()),
        Edit::Delete if !behind.is_empty() => drop(behind.remove(0)),
        Edit::Left => behind.insert_str(0, &before.pop().map(String::from).unwrap_or_default()),
        Edit::Right if !behind.is_empty() => before.push(behind.remove(0)),
        Edit::Home => *behind = std::mem::take(before) + behind,
        Edit::End => before.push_str(&std::mem::take(behind)),
        Edit::EraseToStart => before.clear(),
        Edit::EraseToEnd => behind.clear(),
        Edit::EraseWord => {
            let word = before.trim_end();
            before.truncate(word.rfind(' ').map_or(0, |space| space + 1));
        }
        Edit::Delete | Edit::Right => {}
    }
}

proptest! {
    #[test]
    fn any_bytes_are_harmless(
        pieces in prop::collection::vec(piece(), 0..40),
        sent in 0..3_usize,
        access in prop::sample::select(vec![Access::Open, Access::Login, Access::Closed]),
    ) {
        let mut session = Session::new("n1", BANNER, access);
        let mut terminal = Terminal::default();
        for bytes in pieces {
            match sent {
                // A line that takes everything, one that takes a little, one that takes nothing.
                0 => type_in(&mut session, &mut terminal, &bytes),
                1 => {
                    let mut ask = session.input(&bytes).or_else(|| session.advance(7));
                    while let Some(asked) = ask {
                        ask = carry(&mut session, asked);
                    }
                }
                _ => drop(session.input(&bytes)),
            }
        }
        let rest = session.output().len();
        prop_assert!(rest < 64 << 10, "{} octets wait", rest);
        session.notice("a line of the log");
        session.end("nobody has typed for long");
        prop_assert!(session.is_over());
        prop_assert_eq!(session.input(b"show ports\r"), None, "it is over");
    }

    #[test]
    fn the_screen_shows_the_line_and_the_cursor(edits in prop::collection::vec(edit(), 0..60)) {
        let mut session = Session::new("n1", BANNER, Access::Open);
        let mut terminal = Terminal::default();
        let (mut before, mut behind) = (String::new(), String::new());
        flush(&mut session, &mut terminal);
        for edit in &edits {
            apply(&mut before, &mut behind, edit);
            type_in(&mut session, &mut terminal, &bytes(edit));
            let expected = format!("n1> {before}{behind}");
            prop_assert_eq!(terminal.last(), expected.trim_end());
            prop_assert_eq!(terminal.column, 4 + before.len());
        }
    }

    #[test]
    fn a_long_line_stays_within_the_screen(edits in prop::collection::vec(edit(), 0..400)) {
        let mut session = Session::new("n1", BANNER, Access::Open);
        let mut terminal = Terminal::default();
        flush(&mut session, &mut terminal);
        let (mut before, mut behind) = (String::new(), String::new());
        for edit in &edits {
            if before.len() + behind.len() < limits::CONSOLE_LINE_OCTETS {
                apply(&mut before, &mut behind, edit);
                type_in(&mut session, &mut terminal, &bytes(edit));
            }
            let last = terminal.last();
            let shown = last.get(4..).unwrap_or_default();
            let line = format!("{before}{behind}");
            prop_assert!(last.len() <= 79 && terminal.column <= 79, "{}", last);
            prop_assert!(line.contains(shown), "{} is a piece of {}", shown, line);
            // The letter before the cursor is the one that was typed there.
            if let (Some(letter), true) = (before.chars().last(), terminal.column > 4) {
                let cell = terminal.lines.last().unwrap().get(terminal.column - 1);
                prop_assert_eq!(cell.copied().unwrap_or(' '), letter);
            }
        }
    }

    #[test]
    fn json_is_json_whatever_the_names_are(name in any::<String>(), value in any::<u64>()) {
        let counters = vec![Counter { name: name.clone(), value }];
        prop_assert_eq!(&json(Reply::Counters(counters))[&name], value);
        prop_assert_eq!(&json(Reply::Lines(vec![name.clone()]))[0], &name);
        let mut ports = support::ports();
        ports[0].name.clone_from(&name);
        prop_assert_eq!(&json(Reply::Ports(ports))[0]["port"], &name);
        prop_assert_eq!(&json(Reply::Refused(name.clone()))["refused"], &name);
    }

    #[test]
    fn text_from_outside_cannot_control_the_terminal(name in any::<String>()) {
        let mut ports = support::ports();
        ports[0].name.clone_from(&name);
        let version = Version {
            version: name.clone(),
            kernel: name.clone(),
            board: name.clone(),
            cluster: name.clone(),
            node: name.clone(),
            uptime: base::time::Duration::ZERO,
        };
        for reply in [
            Reply::Ports(ports),
            Reply::Version(version),
            Reply::Log(vec![support::entry(0, &name)]),
            Reply::Config(name.clone()),
            Reply::Done(name.clone()),
        ] {
            // The terminal of these tests fails at any control character but a few.
            let mut session = Session::new(&name, &name, Access::Open);
            session.notice(&name);
            let _ = session.input(b"show ports\r");
            session.reply(reply);
            let output = String::from_utf8(session.output().to_vec()).unwrap();
            Terminal::default().print(output.replace('\t', " ").as_bytes());
        }
    }
}

/// What a program gets for `| json`: the reply alone, between the echo and the next prompt.
fn json(reply: Reply) -> serde_json::Value {
    let mut session = Session::new("n1", BANNER, Access::Open);
    assert!(session.input(b"show ports | json\r").is_some());
    let echo = session.output().len();
    let _ = session.advance(echo);
    session.reply(reply);
    let output = String::from_utf8(session.output().to_vec()).unwrap();
    serde_json::from_str(output.strip_suffix("n1> ").unwrap()).unwrap()
}

fn shows(topic: Topic) -> Option<Ask> {
    Some(Ask::Request(Request::Show(topic)))
}

#[test]
fn what_is_typed_while_waiting_is_looked_at_afterwards() {
    let mut session = Session::new("n1", BANNER, Access::Open);
    let first = session.input(b"show ports\rshow vips\rshow fl");
    assert_eq!(first, shows(Topic::Ports));
    assert_eq!(session.input(b"ows\r"), None, "one request at a time");
    let second = session.reply(Reply::Ports(Vec::new()));
    assert_eq!(second, shows(Topic::Vips));
    let third = session.reply(Reply::Vips(Vec::new()));
    assert_eq!(third, shows(Topic::Flows));
    assert_eq!(session.reply(Reply::Log(Vec::new())), None);
    assert_eq!(session.reply(Reply::Log(Vec::new())), None, "nobody asked");
}

#[test]
fn a_line_that_takes_nothing_makes_nothing_grow() {
    let mut session = Session::new("n1", BANNER, Access::Open);
    for _ in 0..10_000 {
        assert_eq!(session.input(b"help\r?\t"), None);
        session.notice("[    1.000] portico: port eth0 link down");
    }
    assert!(session.output().len() < 32 << 10, "{}", session.output().len());
    // Once it takes them again, the keys that waited are looked at.
    while !session.output().is_empty() {
        let _ = session.advance(1_000);
    }
    assert_eq!(session.input(b"\x03reboot\r"), Some(Ask::Request(Request::Reboot)));
}

#[test]
fn an_interrupt_stops_a_long_reply() {
    let mut session = Session::new("n1", BANNER, Access::Open);
    let request = session.input(b"show log | nopage\r");
    assert!(request.is_some());
    session.reply(Reply::Log(vec![support::entry(0, "a line of the log"); 10_000]));
    let _ = session.advance(1_000);
    assert!(session.output().len() > 100_000);
    assert_eq!(session.input(b"\x03"), None);
    assert_eq!(session.output(), b"^C\r\nn1> ");
}

#[test]
fn a_notice_leaves_the_line_being_typed_as_it_was() {
    let mut session = Session::new("n1", BANNER, Access::Open);
    let mut terminal = Terminal::default();
    type_in(&mut session, &mut terminal, b"show po\x1b[D");
    session.notice("[    9.001] portico: port eth0 link down");
    flush(&mut session, &mut terminal);
    let above = terminal.line(terminal.lines.len() - 2);
    assert_eq!(above, "[    9.001] portico: port eth0 link down");
    assert_eq!((terminal.last().as_str(), terminal.column), ("n1> show po", 10));
    type_in(&mut session, &mut terminal, b"x");
    assert_eq!(terminal.last(), "n1> show pxo");
}
