//! Who is at the line, what waits there, and how it ends.

use crate::support::{Terminal, carry, flush, type_in};
use console::{Access, Ask, Session};
use model::operator::{Reply, Request, Role, Topic};

fn session(access: Access) -> Session {
    Session::new("n1", "Portico", access)
}

fn told(session: &Session) -> String {
    String::from_utf8(session.output().to_vec()).unwrap()
}

/// A session in configuration.
fn configuring() -> Session {
    let mut session = session(Access::Open);
    let enter = |take_over| Some(Ask::Request(Request::ConfigureEnter { take_over }));
    assert_eq!(session.input(b"configure\r"), enter(false));
    assert_eq!(session.reply(Reply::Refused("somebody else has it".into())), None);
    assert_eq!(session.input(b"configure take-over\r"), enter(true));
    assert_eq!(session.reply(Reply::Done("yours".into())), None);
    session
}

#[test]
fn nobody_is_anybody_before_a_login() {
    let mut session = session(Access::Login);
    assert_eq!(session.user(), None);
    assert_eq!(session.input(b"show ports\r"), None, "that is a name");
    let Some(Ask::Login { user, password }) = session.input(b"show vips\r") else {
        panic!("name and password are to be verified")
    };
    assert_eq!((user.as_str(), password.as_str()), ("show ports", "show vips"));
    assert_eq!(session.reply(Reply::Done("in".into())), None, "a reply is no login");
    assert_eq!(session.user(), None);
    assert_eq!(session.login_result(Err("no".into())), None);
    assert_eq!(session.user(), None);
    assert!(session.input(b"eve\rview\r").is_some());
    assert_eq!(session.login_result(Ok(Role::View)), None);
    assert_eq!(session.user(), Some(("eve", Role::View)));
    let open = Session::new("n1", "", Access::Open);
    assert_eq!(open.user(), Some(("console", Role::Configure)));
}

#[test]
fn a_line_that_is_closed_says_why_and_how_to_get_in_and_takes_nothing() {
    let mut session = Session::new("n1", "", Access::Closed);
    assert!(told(&session).contains("Start the box with a document that is right"));
    assert_eq!(session.input(b"configure\rreboot\r"), None);
    assert_eq!(session.user(), None);
    assert!(session.is_over(), "the next key begins another one");
}

#[test]
fn a_password_is_neither_echoed_nor_logged() {
    let mut session = session(Access::Login);
    let ask = session.input(b"anna\rhunter2\r").unwrap();
    assert!(!told(&session).contains("hunter"));
    assert!(!format!("{ask:?} {session:?}").contains("hunter"));
    // Nor is it there to be recalled.
    session.login_result(Ok(Role::View));
    session.input(b"\x1b[A\x1b[A");
    assert!(!told(&session).contains("hunter"));
}

#[test]
fn what_is_typed_behind_a_password_is_done_by_the_user_only() {
    let mut session = session(Access::Login);
    assert!(matches!(session.input(b"eve\rwrong\rreboot\r"), Some(Ask::Login { .. })));
    assert_eq!(session.login_result(Err("no".into())), None, "reboot is a name now");
    assert_eq!(session.user(), None);
}

#[test]
fn a_pasted_list_of_commands_is_done_in_order_and_none_is_lost() {
    let mut session = configuring();
    let line = |number: u32| format!("set pool.web.server.s{number}.address 10.0.1.{number}\r");
    let pasted: String = (0..200).map(line).collect();
    let mut ask = session.input(pasted.as_bytes());
    for number in 0..200 {
        let path = format!("pool.web.server.s{number}.address");
        let value = format!("10.0.1.{number}");
        assert_eq!(ask, Some(Ask::Request(Request::Set { path, value })));
        ask = session.reply(Reply::Done(String::new()));
        let sent = session.output().len();
        ask = ask.or_else(|| session.advance(sent));
    }
    assert_eq!(ask, None);
}

#[test]
fn a_document_of_which_a_part_is_lost_is_not_taken() {
    let mut session = configuring();
    assert_eq!(session.input(b"load\r"), None);
    // The line takes nothing, so that the echo stops the rest, until there is no room.
    let comment = "# a comment in a document that does not end\r".repeat(4_000);
    assert!(comment.len() > session.room());
    assert_eq!(session.input(comment.as_bytes()), None);
    assert_eq!(session.room(), 0);
    let mut ended = false;
    while !ended {
        assert_eq!(session.advance(session.output().len()), None);
        ended = session.room() > 0 && session.output().is_empty();
    }
    assert_eq!(session.input(b"\x04"), None, "no request");
    assert!(told(&session).contains("nothing was changed"), "{}", told(&session));
}

#[test]
fn a_document_in_pieces_is_one_request() {
    let mut session = configuring();
    let mut terminal = Terminal::default();
    let document: String = (0..5_000).map(|number| format!("# line {number}\n")).collect();
    assert_eq!(session.input(b"load\r"), None);
    let mut rest = document.as_bytes();
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(session.room().min(rest.len()).min(256));
        assert_eq!(session.input(piece), None);
        assert_eq!(flush(&mut session, &mut terminal), None);
        rest = behind;
    }
    assert_eq!(session.input(b"\x04"), Some(Ask::Request(Request::Replace { text: document })));
}

#[test]
fn a_session_nobody_uses_ends_wherever_it_is() {
    for typed in ["", "show po", "show revisions\r", "configure\rload\r[clu", "show log\r"] {
        let mut session = session(Access::Open);
        let mut ask = session.input(typed.as_bytes());
        // The last one waits for its reply.
        while typed != "show log\r" && ask.is_some() {
            ask = carry(&mut session, ask.unwrap());
        }
        session.end("nobody has typed for long");
        assert!(session.is_over(), "{typed:?}");
        assert!(told(&session).ends_with("nobody has typed for long\r\n"), "{}", told(&session));
        assert_eq!(session.reply(Reply::Lines(vec!["late".into()])), None);
        assert_eq!(session.input(b"reboot\r"), None);
        assert!(!told(&session).contains("late"));
    }
}

#[test]
fn a_refusal_leads_nowhere() {
    let mut session = session(Access::Open);
    let mut terminal = Terminal::default();
    assert!(session.input(b"configure\r").is_some());
    assert_eq!(session.reply(Reply::Refused("otto has it since 12:00".into())), None);
    flush(&mut session, &mut terminal);
    assert_eq!(terminal.last(), "n1>");
    let mut session = configuring();
    assert!(session.input(b"exit\r").is_some());
    assert_eq!(session.reply(Reply::Refused("there are changes".into())), None);
    flush(&mut session, &mut terminal);
    assert_eq!(terminal.last(), "n1#");
}

#[test]
fn a_notice_leaves_the_line_whose_end_is_being_looked_up_as_it_was() {
    let mut session = session(Access::Open);
    let mut terminal = Terminal::default();
    type_in(&mut session, &mut terminal, b"drain server web/s");
    let ask = session.input(b"\t");
    flush(&mut session, &mut terminal);
    session.notice("[    9.001] portico: port eth0 link down");
    flush(&mut session, &mut terminal);
    assert_eq!(terminal.last(), "n1> drain server web/s");
    assert_eq!(carry(&mut session, ask.unwrap()), None);
    flush(&mut session, &mut terminal);
    type_in(&mut session, &mut terminal, b"\x01\x0b");
    assert_eq!((terminal.last().as_str(), terminal.column), ("n1>", 4));
}

#[test]
fn an_interrupt_gives_up_the_line_whose_end_is_being_looked_up() {
    let mut session = session(Access::Open);
    let mut terminal = Terminal::default();
    let ask = session.input(b"drain server w\t");
    assert_eq!(ask, Some(Ask::Request(Request::Show(Topic::Servers))));
    assert_eq!(session.input(b"\x03"), None);
    assert_eq!(carry(&mut session, ask.unwrap()), None);
    flush(&mut session, &mut terminal);
    assert_eq!(terminal.last(), "n1>");
    type_in(&mut session, &mut terminal, b"show flows\r");
    assert_eq!(terminal.last(), "n1>");
}

#[test]
fn a_notice_comes_between_pages_and_questions() {
    let mut session = session(Access::Open);
    let mut terminal = Terminal::default();
    type_in(&mut session, &mut terminal, b"show revisions\r");
    session.notice("[    9.001] portico: port eth0 link down");
    flush(&mut session, &mut terminal);
    let above = terminal.line(terminal.lines.len() - 2);
    assert_eq!(above, "[    9.001] portico: port eth0 link down");
    assert_eq!(terminal.last(), "--More--");
    let mut session = Session::new("n1", "", Access::Login);
    type_in(&mut session, &mut terminal, b"ann");
    session.notice("[    9.002] portico: port eth0 link up");
    flush(&mut session, &mut terminal);
    assert_eq!(terminal.last(), "login: ann");
}
