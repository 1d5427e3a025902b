//! What strangers and users can do, spoken in octets, in simulated time.

use std::net::SocketAddr;
use std::sync::Arc;

use base::Instant;
use base::time::Duration;
use model::config::{Config, User};
use model::limits;
use model::operator::{Reply, Request, Role};
use model::status::Flows;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, watch};

use crate::{Attempt, Gone, Identity, Outside, Query, Site, Standing, Verdict};

const REMOTE: &str = "192.0.2.101:4711";

fn clock() -> Instant {
    Instant::ZERO + Duration::from_secs(100)
}

/// A box with one user, `ann`, whose password is `right`, and no flows.
fn site() -> Arc<Site> {
    site_for(Role::View, Arc::new(|_, _| {}))
}

/// The same where `ann` has a role, and `part` hears which sessions are over.
fn site_for(role: Role, part: Arc<dyn Fn(u64, Gone) + Send + Sync>) -> Arc<Site> {
    site_with(role, part, None)
}

/// The same with the file of a capture.
fn site_with(
    role: Role,
    part: Arc<dyn Fn(u64, Gone) + Send + Sync>,
    captured: Option<Arc<[u8]>>,
) -> Arc<Site> {
    let (queries, mut asked) = mpsc::channel::<Query>(limits::WEB_QUERIES);
    let (attempts, mut attempted) = mpsc::channel::<Attempt>(limits::SIGN_IN_QUEUE);
    tokio::spawn(async move {
        while let Some(query) = asked.recv().await {
            let flows = Flows { capacity: 8, states: Vec::new() };
            let reply = if let Request::DrainServer { server, .. } = query.request {
                Reply::Done(format!("{server} of {}", query.origin.session & 0xFF))
            } else if let Request::Replace { text } = query.request {
                Reply::Done(format!("{} octets", text.len()))
            } else if query.request == Request::CommitCheck {
                Reply::Problems(Config::parse("[cluster]\n").unwrap_err())
            } else {
                Reply::Flows(flows)
            };
            let _ = query.answer.send(reply);
        }
    });
    tokio::spawn(async move {
        while let Some(attempt) = attempted.recv().await {
            let right = attempt.user == "ann" && attempt.password == "right";
            let verdict = if right { Verdict::Right(role) } else { Verdict::Wrong };
            let _ = attempt.answer.send(verdict);
        }
    });
    let (_, captured) = watch::channel(captured);
    let outside = Outside { clock, queries, attempts, part, captured };
    let site = Site::new(outside, "n1", "AA:BB").unwrap();
    site.set_users(&[user("$argon2id$one")]);
    site
}

fn user(password: &str) -> User {
    User { name: "ann".into(), password: password.into(), role: Role::View }
}

/// The other end of a connection without TLS.
fn connect(site: &Arc<Site>) -> (DuplexStream, Standing) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (standing, site) = (Standing::default(), site.clone());
    let remote: SocketAddr = REMOTE.parse().unwrap();
    let inside = standing.clone();
    tokio::spawn(async move { site.converse(near, remote, &inside).await });
    (far, standing)
}

/// Everything that comes back until the other end has enough.
async fn said(stream: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

async fn ask(site: &Arc<Site>, request: &str) -> (String, Standing) {
    let (mut stream, standing) = connect(site);
    let request = request.replace("\r\n", "\n").replace('\n', "\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    (said(&mut stream).await, standing)
}

async fn get(site: &Arc<Site>, path: &str, more: &str) -> (String, Standing) {
    let request = format!("GET {path} HTTP/1.1\nhost: box\nconnection: close\n{more}\n");
    ask(site, &request).await
}

async fn sign_in(site: &Arc<Site>, body: &str, more: &str) -> String {
    let length = body.len();
    let head = "POST /api/v1/sign-in HTTP/1.1\nhost: box\nconnection: close";
    let request = format!("{head}\ncontent-length: {length}\n{more}\n{body}");
    ask(site, &request).await.0
}

const JSON: &str = "content-type: application/json\n";
const ANN: &str = r#"{"user":"ann","password":"right"}"#;

/// The header that shows the cookie of an answer.
fn cookie(answer: &str) -> String {
    let line = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    for part in ["__Host-portico=", "; Path=/;", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(line.contains(part), "{line}");
    }
    let pair = line["set-cookie: ".len()..].split(';').next().unwrap();
    format!("cookie: {pair}\n")
}

#[tokio::test(start_paused = true)]
async fn strangers_see_the_page_and_nothing_else() {
    let site = site();
    for path in ["/", "/main.js", "/view.js", "/style.css", "/icon.svg", "/api/v1/session"] {
        let (answer, standing) = get(&site, path, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{path}");
        assert!(standing.is_stranger(), "{path}");
    }
    for path in ["/metrics", "/api/v1/flows", "/api/v1/live", "/api/v1/config", "/nothing"] {
        let (answer, standing) = get(&site, path, "").await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
        assert!(standing.is_stranger(), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_signs_in_sees_and_who_signs_out_does_not() {
    let site = site();
    let cookie = cookie(&sign_in(&site, ANN, JSON).await);
    let (answer, standing) = get(&site, "/api/v1/flows", &cookie).await;
    assert!(answer.ends_with(r#"{"capacity":8,"flows":0}"#), "{answer}");
    assert!(!standing.is_stranger());
    let head = "POST /api/v1/sign-out HTTP/1.1\nhost: box\nconnection: close\ncontent-length: 0";
    ask(&site, &format!("{head}\n{cookie}\n")).await;
    let (answer, _) = get(&site, "/api/v1/flows", &cookie).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_new_password_ends_the_sessions_of_the_old_one() {
    let site = site();
    let cookie = cookie(&sign_in(&site, ANN, JSON).await);
    site.set_users(&[user("$argon2id$one")]);
    assert!(get(&site, "/api/v1/flows", &cookie).await.0.starts_with("HTTP/1.1 200 "));
    site.set_users(&[user("$argon2id$two")]);
    assert!(get(&site, "/api/v1/flows", &cookie).await.0.starts_with("HTTP/1.1 401 "));
}

#[tokio::test(start_paused = true)]
async fn a_program_signs_in_with_every_request() {
    let site = site();
    // ann:right and ann:wrong.
    let right = "authorization: Basic YW5uOnJpZ2h0\n";
    assert!(get(&site, "/api/v1/flows", right).await.0.starts_with("HTTP/1.1 200 "));
    let wrong = "authorization: Basic YW5uOndyb25n\n";
    assert!(get(&site, "/api/v1/flows", wrong).await.0.starts_with("HTTP/1.1 401 "));
    let (config, _) = get(&site, "/api/v1/config", right).await;
    assert!(config.starts_with("HTTP/1.1 403 "), "a viewer sees no digests: {config}");
}

#[tokio::test(start_paused = true)]
async fn a_capture_is_for_those_who_may_capture() {
    for (role, captured, expected) in [
        (Role::View, Some("frames"), "HTTP/1.1 403 "),
        (Role::Operate, Some("frames"), "HTTP/1.1 200 "),
        (Role::Operate, None, "HTTP/1.1 404 "),
    ] {
        let captured = captured.map(|text: &str| Arc::from(text.as_bytes()));
        let site = site_with(role, Arc::new(|_, _| {}), captured);
        let cookie = cookie(&sign_in(&site, ANN, JSON).await);
        let (answer, _) = get(&site, "/api/v1/capture", &cookie).await;
        assert!(answer.starts_with(expected), "{role}: {answer}");
        if expected.contains("200") {
            assert!(answer.contains("content-type: application/vnd.tcpdump.pcap\r\n"), "{answer}");
            assert!(answer.contains("attachment; filename=\"portico-n1.pcap\""), "{answer}");
            assert!(answer.ends_with("\r\n\r\nframes"), "{answer}");
        }
    }
    let (answer, _) = get(&site(), "/api/v1/capture", "").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_form_of_another_site_signs_nobody_in() {
    let site = site();
    let long = format!("{{\"user\":\"ann\",\"password\":\"{}\"}}", "x".repeat(1_000));
    for (body, more, status) in [
        (ANN, "content-type: text/plain\n".to_owned(), 403),
        (ANN, format!("{JSON}sec-fetch-site: cross-site\n"), 403),
        (r#"{"user":"ann","password":"wrong"}"#, JSON.to_owned(), 401),
        (r#"{"user":"ann"}"#, JSON.to_owned(), 400),
        (long.as_str(), JSON.to_owned(), 400),
        (&" ".repeat(limits::WEB_BODY_OCTETS + 1), JSON.to_owned(), 413),
    ] {
        let answer = sign_in(&site, body, &more).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_hello_slowly_is_shown_out() {
    let site = site();
    let (near, mut far) = tokio::io::duplex(1_024);
    let identity = Identity::make("n1", &[]).unwrap();
    let begin = tokio::time::Instant::now();
    let served = site.clone().serve(identity, near, REMOTE.parse().unwrap(), Standing::default());
    let dribble = async {
        while far.write_all(&[0x16]).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! { () = served => {}, () = dribble => {} }
    assert!(tokio::time::Instant::now() - begin <= limits::WEB_HEAD_TIME + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn who_asks_slowly_is_shown_out() {
    let site = site();
    for start in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: box\r\n\r\n"] {
        let (mut stream, _) = connect(&site);
        let begin = tokio::time::Instant::now();
        stream.write_all(start.as_bytes()).await.unwrap();
        while stream.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!((tokio::time::Instant::now() - begin).as_secs() < 30, "{start:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let site = site();
    let head = "POST /api/v1/sign-in HTTP/1.1\nhost: box\nconnection: close\n";
    let begin = tokio::time::Instant::now();
    let (answer, _) = ask(&site, &format!("{head}content-length: 100\n{JSON}\nabc")).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!((tokio::time::Instant::now() - begin).as_secs() < 30);
}

/// Asks for a command with the cookie and the token of an answer to a sign-in.
async fn command(site: &Arc<Site>, welcome: &str, path: &str, body: &str, more: &str) -> String {
    let token = welcome.split("\"token\":\"").nth(1).unwrap().split('"').next().unwrap();
    let head = format!("POST /api/v1/{path} HTTP/1.1\nhost: box\nconnection: close\n{JSON}");
    let length = body.len();
    let known = format!("{}x-portico-token: {token}\n", cookie(welcome));
    ask(site, &format!("{head}{known}{more}content-length: {length}\n\n{body}")).await.0
}

const SERVER: &str = r#"{"pool":"web","server":"s1"}"#;

#[tokio::test(start_paused = true)]
async fn commands_are_done_for_the_session_that_asks_if_its_role_may() {
    let site = site_for(Role::Operate, Arc::new(|_, _| {}));
    let welcome = sign_in(&site, ANN, JSON).await;
    let answer = command(&site, &welcome, "drain/server", SERVER, "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with(r#"{"done":"s1 of 1"}"#), "{answer}");
    for (path, body, status) in [
        ("drain/server", "{}", 400),
        ("configure", "{}", 403),
        ("load", r#"{"text":""}"#, 403),
        ("nothing", "{}", 404),
    ] {
        let answer = command(&site, &welcome, path, body, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_document_may_be_long_and_its_problems_have_places() {
    let site = site_for(Role::Configure, Arc::new(|_, _| {}));
    let welcome = sign_in(&site, ANN, JSON).await;
    let document = format!(r#"{{"text":"{}"}}"#, "a".repeat(50_000));
    let answer = command(&site, &welcome, "load", &document, "").await;
    assert!(answer.ends_with(r#"{"done":"50000 octets"}"#), "{answer}");
    let answer = command(&site, &welcome, "commit/check", "{}", "").await;
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
    assert!(answer.contains(r#""line":1"#) && answer.contains(r#""legal":"expected"#), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn another_sites_page_can_have_nothing_done() {
    let site = site_for(Role::Configure, Arc::new(|_, _| {}));
    let welcome = sign_in(&site, ANN, JSON).await;
    let cookie = cookie(&welcome);
    let length = SERVER.len();
    let head = "POST /api/v1/drain/server HTTP/1.1\nhost: box\nconnection: close";
    // ann:right.
    let basic = "authorization: Basic YW5uOnJpZ2h0\n";
    for (more, status) in [
        (JSON.to_owned(), 401),
        (format!("{JSON}{cookie}"), 403),
        (format!("{JSON}{cookie}x-portico-token: 0\n"), 403),
        (format!("content-type: text/plain\n{basic}"), 403),
        (format!("{JSON}{basic}sec-fetch-site: cross-site\n"), 403),
        (format!("{JSON}{basic}"), 200),
    ] {
        let request = format!("{head}\n{more}content-length: {length}\n\n{SERVER}");
        let (answer, _) = ask(&site, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{more}: {answer}");
    }
    let foreign = command(&site, &welcome, "reboot", "{}", "sec-fetch-site: same-site\n").await;
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_are_told_of_even_when_nobody_asks_any_more() {
    let over = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = over.clone();
    let part = Arc::new(move |session: u64, _: Gone| heard.lock().unwrap().push(session & 0xFF));
    let site = site_for(Role::Configure, part);
    let welcome = sign_in(&site, ANN, JSON).await;
    let head = "POST /api/v1/sign-out HTTP/1.1\nhost: box\nconnection: close\ncontent-length: 0";
    ask(&site, &format!("{head}\n{}\n", cookie(&welcome))).await;
    assert_eq!(*over.lock().unwrap(), [1], "who signs out");
    sign_in(&site, ANN, JSON).await;
    site.set_users(&[]);
    assert_eq!(*over.lock().unwrap(), [1, 2], "who is no user any more");
    site.set_users(&[user("$argon2id$one")]);
    sign_in(&site, ANN, JSON).await;
    // Its tasks hold the site, too; they end with their connections.
    while Arc::strong_count(&site) > 1 {
        tokio::task::yield_now().await;
    }
    drop(site);
    assert_eq!(*over.lock().unwrap(), [1, 2, 3], "who is signed in when the face ends");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_strangers_send_they_learn_nothing_and_break_nothing(
        method in "(GET|POST|HEAD|PUT|DELETE|[A-Z]{1,9})",
        path in "/(api/v1/)?[a-z./%0-9-]{0,40}",
        headers in proptest::collection::vec("[a-z-]{1,20}: [ -~]{0,60}", 0..6),
        noise in proptest::collection::vec(any::<u8>(), 0..512),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        let answer = runtime.block_on(async {
            let site = site();
            let (mut stream, standing) = connect(&site);
            let head = format!("{method} {path} HTTP/1.1\r\nhost: box\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(headers.join("\r\n").as_bytes()).await;
            let _ = stream.write_all(b"\r\n\r\n").await;
            let _ = stream.write_all(&noise).await;
            let _ = stream.shutdown().await;
            let answer = said(&mut stream).await;
            assert!(standing.is_stranger());
            answer
        });
        prop_assert!(!answer.contains("set-cookie: __Host-portico=\r"), "{}", answer);
        prop_assert!(!answer.contains("capacity"), "{}", answer);
        prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{}", answer);
    }
}
