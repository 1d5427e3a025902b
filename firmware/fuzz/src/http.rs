//! HTTP: what a client sends once TLS is done, through the code that serves it, with a control
//! behind it that answers as the choices say.
//!
//! ```text
//!  0            1                first 0xff        next 0xff
//!  | choices    | foreign text   | a connection    | another one …
//! ```
//!
//! Within a connection 0x01 stands for the secret of the last cookie, 0x02 for the token that
//! belongs to it, and 0x03 for a pause. No time passes: what waits for a clock waits until the
//! connection is given up.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

use base::time::{Duration, Instant};
use model::config::User;
use model::limits;
use model::operator::{Origin, Request, Role, Topic};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use web::{Attempt, Outside, Query, Site, Standing, Verdict};

use crate::Seeds;
use crate::replies::{Foreign, any_reply, fitting};

mod answers;
mod wire;

use answers::{Answer, answers};
use wire::Wire;

/// Connections of one input.
const CONNECTIONS: usize = 4;
/// Rounds that a connection may take beyond those in which something arrives.
const ROUNDS: usize = 64;

/// Rounds in which nothing is seen to move while something goes from hand to hand.
const HANDS: usize = 2;

/// Runs one input. Panics if something is not as it must be.
pub fn input(input: &[u8]) {
    let Some((&choices, rest)) = input.split_first() else { return };
    let mut parts = rest.split(|&octet| octet == 0xff);
    let foreign = Foreign::new(parts.next().unwrap_or_default());
    let _guard = runtime().enter();
    let Some(mut host) = Host::new(choices, foreign) else { return };
    for part in parts.take(CONNECTIONS) {
        host.connection(part);
    }
}

/// Where fuzzing starts.
pub fn seeds() -> Seeds {
    let inputs = [
        &include_bytes!("../seeds/http/page")[..],
        include_bytes!("../seeds/http/session"),
        include_bytes!("../seeds/http/program"),
        include_bytes!("../seeds/http/change"),
        include_bytes!("../seeds/http/given-up-while-slow"),
    ];
    let mut words: Vec<Vec<u8>> = WORDS.iter().map(|word| word.as_bytes().to_vec()).collect();
    words.push(vec![0xff]);
    Seeds { inputs: inputs.map(<[u8]>::to_vec).into(), words }
}

/// Addresses, headers and what bodies are made of.
const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    "PUT ",
    " HTTP/1.1\n",
    " HTTP/1.0\n",
    "\n\n",
    "\r\n",
    "/api/v1/",
    "sign-in",
    "sign-out",
    "session",
    "live",
    "events",
    "/metrics",
    "/main.js",
    "ports",
    "vips",
    "services",
    "servers",
    "flows",
    "counters",
    "boot",
    "version",
    "config",
    "log",
    "revisions",
    "sessions",
    "candidate",
    "neighbors",
    "drain/server",
    "configure",
    "exit",
    "set",
    "delete",
    "show",
    "load",
    "compare",
    "commit/check",
    "commit/confirm",
    "commit",
    "rollback",
    "reboot",
    "poweroff",
    "{}",
    "\"discard\":true",
    "\"path\":\"",
    "\"value\":\"",
    "\"confirmed\":5",
    "\"number\":1",
    "\"text\":\"",
    "\"user\":\"ann\"",
    "\"password\":\"right\"",
    "\\u0000",
    "host: box\n",
    "content-length: ",
    "transfer-encoding: chunked\n",
    "connection: close\n",
    "expect: 100-continue\n",
    "content-type: application/json\n",
    "cookie: __Host-portico=\x01\n",
    "x-portico-token: \x02\n",
    "authorization: Basic YW5uOnJpZ2h0\n",
    "sec-fetch-site: same-origin\n",
    "if-none-match: \"",
    "upgrade: h2c\n",
    "\x03",
];

/// Timers want a runtime. Nobody turns it, so none of them ever goes off.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_current_thread().enable_time().build().expect("a runtime without sockets")
    })
}

fn clock() -> Instant {
    Instant::ZERO + Duration::from_secs(100)
}

/// A site, and the program around it.
struct Host {
    choices: u8,
    foreign: Foreign,
    site: Arc<Site>,
    queries: mpsc::Receiver<Query>,
    attempts: mpsc::Receiver<Attempt>,
    role: Role,
    /// Somebody signed in.
    signed_in: bool,
    /// Somebody signed in on this connection.
    came: bool,
    /// The secret of the last cookie, and the token that belongs to it.
    secret: Vec<u8>,
    token: Vec<u8>,
}

/// What a connection showed of itself.
struct Shown {
    /// A cookie that was given, or a name with a password.
    known: bool,
    /// The token, or a name with a password: no other site's page can.
    own: bool,
}

impl Host {
    fn new(choices: u8, foreign: Foreign) -> Option<Self> {
        let (sender, queries) = mpsc::channel(limits::WEB_QUERIES);
        let (judge, attempts) = mpsc::channel(limits::SIGN_IN_QUEUE);
        let (_, captured) = tokio::sync::watch::channel(Some(Arc::from(&b"a capture"[..])));
        let part = Arc::new(|_, _| ());
        let outside = Outside { clock, queries: sender, attempts: judge, part, captured };
        let site = Site::new(outside, "n1", "AA:BB").ok()?;
        let role = [Role::View, Role::Operate, Role::Configure][usize::from(choices & 3) % 3];
        if choices & 4 == 0 {
            site.set_users(&[User { name: "ann".into(), password: "$argon2".into(), role }]);
        }
        let (secret, token) = (Vec::new(), Vec::new());
        Some(Self {
            choices,
            foreign,
            site,
            queries,
            attempts,
            role,
            signed_in: false,
            came: false,
            secret,
            token,
        })
    }

    fn connection(&mut self, part: &[u8]) {
        let (pieces, shown) = self.filled_in(part);
        self.came = false;
        let arriving = pieces.len();
        let slow = self.choices & 16 != 0;
        let wire = Wire::new(pieces, self.choices & 8 != 0, slow);
        let standing = Standing::default();
        let remote = ([192, 0, 2, 101], 4711).into();
        let (served, sent) = (self.site.clone(), wire.sent());
        let mut served = pin!(served.converse(wire, remote, &standing));
        let mut sampler = pin!(self.site.clone().sample());
        let mut context = Context::from_waker(Waker::noop());
        let (mut over, mut idle) = (false, 0);
        for _ in 0..2 * arriving + ROUNDS {
            let before = sent.borrow().len();
            over = served.as_mut().poll(&mut context).is_ready();
            let _ = sampler.as_mut().poll(&mut context);
            let moved = self.carry(&shown) | (sent.borrow().len() > before);
            idle = if moved || sent.borrow().is_arriving() { 0 } else { idle + 1 };
            if over || idle > HANDS {
                break;
            }
        }
        let sent = sent.borrow();
        // The server gives a connection up at a request that is none, also while its answer to the
        // one before is on its way to a client that takes a little at a time.
        for answer in answers(sent.octets(), over && !slow) {
            self.judge(&answer, &shown);
        }
        assert!(standing.is_stranger() || shown.known, "known by nothing that was shown");
    }

    /// The pieces of a connection with the secrets in their places.
    fn filled_in(&self, part: &[u8]) -> (Vec<Vec<u8>>, Shown) {
        let mut pieces = vec![Vec::new()];
        let mut shown = Shown { known: false, own: false };
        for &octet in part {
            let Some(piece) = pieces.last_mut() else { continue };
            match octet {
                1 => {
                    piece.extend_from_slice(&self.secret);
                    shown.known |= !self.secret.is_empty();
                }
                2 => {
                    piece.extend_from_slice(&self.token);
                    shown.own |= !self.token.is_empty();
                }
                3 => pieces.push(Vec::new()),
                other => piece.push(other),
            }
        }
        let all = pieces.concat().to_ascii_lowercase();
        if all.windows(5).any(|text| text == b"basic") {
            shown = Shown { known: true, own: true };
        }
        (pieces, shown)
    }

    /// Does what control and the judge of passwords do; whether there was something to do.
    fn carry(&mut self, shown: &Shown) -> bool {
        let mut moved = false;
        while let Ok(Attempt { user, password, answer, .. }) = self.attempts.try_recv() {
            moved = true;
            assert!(self.choices & 4 == 0, "judged, and nobody can sign in");
            assert!(user.len() + password.len() <= limits::WEB_HEAD_OCTETS);
            let verdict = match (user.as_str(), password.as_str()) {
                ("ann", "right") => Verdict::Right(self.role),
                ("ann", "late") => Verdict::Locked(Duration::from_secs(7)),
                ("ann", "busy") => Verdict::Busy,
                _ => Verdict::Wrong,
            };
            self.came |= matches!(verdict, Verdict::Right(_));
            self.signed_in |= self.came;
            let _ = answer.send(verdict);
        }
        while let Ok(Query { origin, request, answer }) = self.queries.try_recv() {
            moved = true;
            assert!(request.role() <= origin.role, "{request:?} of {origin:?}");
            let seen = matches!(request, Request::Show(_));
            if origin.session == Origin::NOBODY {
                assert!(seen && origin.role == Role::View, "{request:?} of nobody");
            } else {
                // Control hears of whoever has just signed in.
                let hears = self.came && request == Request::Show(Topic::Sessions);
                assert!(self.signed_in && (shown.known || hears), "{request:?} of a stranger");
                assert_eq!((origin.user.as_str(), origin.role), ("ann", self.role));
                assert!(seen || shown.own, "{request:?} of another site's page");
            }
            let secret = matches!(request, Request::Show(Topic::Config));
            assert!(!secret || origin.role == Role::Configure, "digests for {origin:?}");
            match self.choices >> 5 & 3 {
                0 | 1 => drop(answer.send(fitting(&request, &self.foreign))),
                2 => drop(answer.send(any_reply(self.choices, &self.foreign))),
                _ => drop(answer),
            }
        }
        moved
    }

    /// What every answer must be, and what may be learnt from it.
    fn judge(&mut self, answer: &Answer<'_>, shown: &Shown) {
        let kind = answer.header("content-type").unwrap_or_default();
        if kind.starts_with("text/event-stream") || kind.contains("version=0.0.4") {
            assert!(shown.known && self.signed_in, "facts for a stranger");
        }
        let within = |text: &[u8], what: &[u8]| text.windows(what.len()).any(|part| part == what);
        if !self.secret.is_empty() {
            assert!(!within(answer.body, &self.secret), "the secret of a session is told");
        }
        if !self.token.is_empty() && within(answer.body, &self.token) {
            assert!(shown.known, "the token of a session is told to a stranger");
        }
        let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split_once('='));
        let Some((_, cookie)) = cookie else { return };
        let secret = cookie.split(';').next().unwrap_or_default();
        assert!(cookie.ends_with("Secure; HttpOnly; SameSite=Strict"), "{cookie}");
        if !secret.is_empty() {
            assert!(self.signed_in && secret.len() == 64, "a cookie for a stranger");
            self.secret = secret.as_bytes().to_vec();
            let body = String::from_utf8_lossy(answer.body);
            let token = body.split_once("\"token\":\"").and_then(|(_, rest)| rest.split_once('"'));
            self.token = token.map(|(token, _)| token.as_bytes().to_vec()).unwrap_or_default();
            assert_eq!(self.token.len(), 64, "{body}");
        }
    }
}
