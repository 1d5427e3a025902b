//! What a program or the page can have done: one address for each command of the console that does
//! something, with the command's words as the address's parts and its parameters as JSON.
//!
//! | address | body | as the command |
//! | --- | --- | --- |
//! | `drain/server`, `undrain/server` | `{"pool", "server"}` | `drain server POOL SERVER` |
//! | `move/vip` | `{"vip", "node"}` | `move vip VIP to NODE` |
//! | `drain/node`, `restore/node` | `{"node"}` | `drain node NODE` |
//! | `configure` | `{}`, `{"take_over": true}` | `configure`, `configure take-over` |
//! | `exit` | `{}`, `{"discard": true}` | `exit`, `exit discard` |
//! | `set`, `delete`, `show` | `{"path", "value"}`, `{"path"}` | `set PATH VALUE` |
//! | `load` | `{"text"}` | `load`: the whole document |
//! | `compare`, `commit/check`, `commit/confirm` | `{}` | the same |
//! | `commit` | `{"confirmed": minutes, "comment"}`, both may be absent | `commit confirmed N` |
//! | `rollback` | `{"number"}` | `rollback N` |
//! | `reboot`, `poweroff` | `{}` | the same |

use hyper::StatusCode;
use model::config::Problem;
use model::limits;
use model::operator::{Reply, Request};
use serde_json::{Value, json};

use crate::answer::{self, Answer};
use crate::facts;

/// A command of the console under its address.
pub struct Action {
    /// Behind `/api/v1/`.
    path: &'static str,
    /// How many octets its parameters may have.
    pub octets: usize,
    make: fn(&Value) -> Result<Request, String>,
}

const fn action(path: &'static str, make: fn(&Value) -> Result<Request, String>) -> Action {
    Action { path, octets: limits::WEB_BODY_OCTETS, make }
}

const ACTIONS: &[Action] = &[
    action("drain/server", |body| drain(body, true)),
    action("undrain/server", |body| drain(body, false)),
    action("move/vip", |body| {
        Ok(Request::MoveVip { vip: text(body, "vip")?, node: text(body, "node")? })
    }),
    action("drain/node", |body| Ok(Request::DrainNode { node: text(body, "node")?, drain: true })),
    action("restore/node", |body| {
        Ok(Request::DrainNode { node: text(body, "node")?, drain: false })
    }),
    action("configure", |body| Ok(Request::ConfigureEnter { take_over: flag(body, "take_over")? })),
    action("exit", |body| Ok(Request::ConfigureExit { discard: flag(body, "discard")? })),
    action("set", |body| {
        Ok(Request::Set { path: text(body, "path")?, value: text(body, "value")? })
    }),
    action("delete", |body| Ok(Request::Delete { path: text(body, "path")? })),
    action("show", |body| Ok(Request::ShowCandidate { path: text_or_none(body, "path")? })),
    Action {
        octets: limits::WEB_DOCUMENT_OCTETS,
        ..action("load", |body| Ok(Request::Replace { text: text(body, "text")? }))
    },
    action("compare", |_| Ok(Request::Compare)),
    action("commit/check", |_| Ok(Request::CommitCheck)),
    action("commit/confirm", |_| Ok(Request::CommitConfirm)),
    action("commit", |body| {
        let confirmed = number(body, "confirmed")?;
        Ok(Request::Commit { confirmed, comment: text_or_none(body, "comment")? })
    }),
    action("rollback", |body| {
        Ok(Request::Rollback { number: number(body, "number")?.unwrap_or(0) })
    }),
    action("reboot", |_| Ok(Request::Reboot)),
    action("poweroff", |_| Ok(Request::PowerOff)),
];

impl Action {
    /// The one at an address.
    pub fn at(path: &str) -> Option<&'static Self> {
        let path = path.strip_prefix("/api/v1/")?;
        ACTIONS.iter().find(|action| action.path == path)
    }

    /// What is asked for with these parameters.
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn request(&self, body: &[u8]) -> Result<Request, String> {
        let parts = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
        match parts {
            Ok(parts @ Value::Object(_)) => (self.make)(&parts),
            Ok(_) | Err(_) => Err("expected a JSON object, {} for a command without words".into()),
        }
    }
}

/// What came of it.
pub fn outcome(reply: &Reply) -> Answer {
    let done = |value| answer::json(StatusCode::OK, &value);
    match reply {
        Reply::Done(sentence) => done(json!({ "done": sentence })),
        Reply::Refused(sentence) => answer::refuse(StatusCode::CONFLICT, "refused", sentence),
        Reply::Problems(problems) => {
            let listed: Value = problems.iter().map(problem).collect();
            let count = problems.len();
            let message = format!("{count} problem{}", if count == 1 { "" } else { "s" });
            let value = json!({ "error": "problems", "message": message, "problems": listed });
            answer::json(StatusCode::UNPROCESSABLE_ENTITY, &value)
        }
        Reply::Committed { revision, saved, confirm_by } => done(json!({
            "committed": revision,
            "saved": saved,
            "confirm_by": confirm_by.map(facts::seconds),
        })),
        Reply::Lines(lines) => done(json!(lines)),
        // No command is answered with what is shown.
        Reply::Ports(_)
        | Reply::Vips(_)
        | Reply::Services(_)
        | Reply::Servers(_)
        | Reply::Flows(_)
        | Reply::Counters(_)
        | Reply::Boot(_)
        | Reply::Version(_)
        | Reply::Config(_)
        | Reply::Log(_)
        | Reply::Revisions(_)
        | Reply::Sessions(_)
        | Reply::Candidate(_)
        | Reply::Echo(_)
        | Reply::Pinged(_)
        | Reply::Frame(_)
        | Reply::Captured(_)
        | Reply::Neighbors(_)
        | Reply::Cluster(_) => done(Value::Null),
    }
}

fn problem(problem: &Problem) -> Value {
    json!({
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "what": problem.what,
        "legal": problem.legal,
    })
}

fn drain(body: &Value, drain: bool) -> Result<Request, String> {
    Ok(Request::DrainServer { pool: text(body, "pool")?, server: text(body, "server")?, drain })
}

fn text(body: &Value, key: &str) -> Result<String, String> {
    let text = body.get(key).and_then(Value::as_str);
    text.map(ToOwned::to_owned).ok_or_else(|| format!("expected \"{key}\" with a text"))
}

fn text_or_none(body: &Value, key: &str) -> Result<String, String> {
    if body.get(key).is_none_or(Value::is_null) { Ok(String::new()) } else { text(body, key) }
}

fn flag(body: &Value, key: &str) -> Result<bool, String> {
    let flag = body.get(key).map_or(Some(false), Value::as_bool);
    flag.ok_or_else(|| format!("expected \"{key}\" to be true or false"))
}

/// A number that may be absent.
fn number<N: TryFrom<u64>>(body: &Value, key: &str) -> Result<Option<N>, String> {
    let Some(value) = body.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    number.map(Some).ok_or_else(|| format!("expected \"{key}\" to be a small whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(path: &str, body: &str) -> Result<Request, String> {
        Action::at(&format!("/api/v1/{path}"))
            .expect("there is such an action")
            .request(body.as_bytes())
    }

    #[test]
    fn commands_are_asked_for_by_their_words() {
        let (pool, server) = (String::from("web"), String::from("s1"));
        let text = |text: &str| text.to_owned();
        for (path, body, expected) in [
            (
                "drain/server",
                r#"{"pool": "web", "server": "s1"}"#,
                Request::DrainServer { pool, server, drain: true },
            ),
            (
                "move/vip",
                r#"{"vip": "www", "node": "n2"}"#,
                Request::MoveVip { vip: text("www"), node: text("n2") },
            ),
            (
                "drain/node",
                r#"{"node": "n2"}"#,
                Request::DrainNode { node: text("n2"), drain: true },
            ),
            (
                "restore/node",
                r#"{"node": "n2"}"#,
                Request::DrainNode { node: text("n2"), drain: false },
            ),
            ("configure", "", Request::ConfigureEnter { take_over: false }),
            ("configure", r#"{"take_over": true}"#, Request::ConfigureEnter { take_over: true }),
            ("exit", "{}", Request::ConfigureExit { discard: false }),
            ("exit", r#"{"discard": true}"#, Request::ConfigureExit { discard: true }),
            ("show", "{}", Request::ShowCandidate { path: text("") }),
            ("load", r##"{"text": "# \u00e4\n"}"##, Request::Replace { text: text("# ä\n") }),
            ("commit", "{}", Request::Commit { confirmed: None, comment: text("") }),
            (
                "commit",
                r#"{"confirmed": 5, "comment": "why"}"#,
                Request::Commit { confirmed: Some(5), comment: text("why") },
            ),
            ("commit/confirm", "{}", Request::CommitConfirm),
            ("rollback", r#"{"number": 3}"#, Request::Rollback { number: 3 }),
        ] {
            assert_eq!(made(path, body), Ok(expected), "{path} {body}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_a_sentence() {
        for (path, body) in [
            ("drain/server", r#"{"pool": "web"}"#),
            ("drain/server", "[]"),
            ("move/vip", r#"{"vip": "www"}"#),
            ("drain/node", r#"{"node": 2}"#),
            ("load", "{\"text\": "),
            ("exit", r#"{"discard": "yes"}"#),
            ("commit", r#"{"confirmed": -1}"#),
            ("commit", r#"{"confirmed": 70000}"#),
            ("commit", r#"{"comment": 1}"#),
            ("rollback", r#"{"number": 256}"#),
        ] {
            let refusal = made(path, body).expect_err(path);
            assert!(refusal.starts_with("expected "), "{path} {body}: {refusal}");
        }
        assert!(Action::at("/api/v1/nothing").is_none());
        assert!(Action::at("drain/server").is_none());
    }
}
