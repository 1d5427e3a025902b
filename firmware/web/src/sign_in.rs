//! Signing in and out, and who a request comes from.
//!
//! A browser shows a cookie (RFC 6265bis; `__Host-` binds it to this host and to TLS), a program
//! a name and a password with every request (RFC 7617). The latter are judged once and then known
//! by their digest for as long as a session lasts: judging takes a tenth of a second on purpose.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use model::limits;
use model::operator::{Request, Topic};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::answer::{self, Answer};
use crate::outside::{Attempt, Verdict};
use crate::secret::{self, Hash};
use crate::session::{LIFETIME, Session};
use crate::site::Site;

/// The cookie's name.
const COOKIE: &str = "__Host-portico";
/// The header in which a page shows that it is ours.
const TOKEN: &str = "x-portico-token";

/// The key that a request's cookie stands for.
fn cookie(headers: &HeaderMap) -> Option<Hash> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, secret) = pairs.find(|(name, _)| name.trim() == COOKIE)?;
    Some(secret::hash(&[b"cookie", secret.trim().as_bytes()]))
}

/// The name and the password of a program, with the key they stand for.
fn program(site: &Site, headers: &HeaderMap) -> Option<(String, String, Hash)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(base64(credentials.trim())?).ok()?;
    let (user, password) = text.split_once(':')?;
    let key = secret::hash(&[b"program", site.pepper.as_bytes(), text.as_bytes()]);
    Some((user.to_owned(), password.to_owned(), key))
}

/// Octets of base 64 with padding (RFC 4648 §4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut octets, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push(u8::try_from(bits >> count & 0xFF).ok()?);
        }
    }
    Some(octets)
}

impl Site {
    /// Who asks; or the answer that says why that is not known.
    pub(crate) async fn identify(
        &self,
        method: &Method,
        headers: &HeaderMap,
        source: IpAddr,
    ) -> Result<Session, Answer> {
        if let Some(session) = cookie(headers).and_then(|key| self.session(&key)) {
            return if *method == Method::GET || is_ours(headers, &session) {
                Ok(session)
            } else {
                let sentence = "the request does not come from this page: load it again";
                Err(answer::refuse(StatusCode::FORBIDDEN, "token", sentence))
            };
        }
        let Some((user, password, key)) = program(self, headers) else {
            let sentence = "sign in first";
            return Err(answer::refuse(StatusCode::UNAUTHORIZED, "sign-in", sentence));
        };
        if let Some(session) = self.session(&key) {
            return Ok(session);
        }
        self.judge(user.clone(), password, source, key).await?;
        self.session(&key).ok_or_else(busy)
    }

    /// Has a password judged, and begins a session under `key`.
    async fn judge(
        &self,
        user: String,
        password: String,
        source: IpAddr,
        key: Hash,
    ) -> Result<(), Answer> {
        if !self.has_users() {
            let sentence = "no user can sign in: the serial console says more";
            return Err(answer::refuse(StatusCode::FORBIDDEN, "no-users", sentence));
        }
        let (sender, verdict) = oneshot::channel();
        let attempt = Attempt { user: user.clone(), password, source, answer: sender };
        self.outside().attempts.try_send(attempt).map_err(|_| busy())?;
        match verdict.await.unwrap_or(Verdict::Busy) {
            Verdict::Right(role) => {
                let token = secret::draw().map_err(|_| busy())?;
                let now = self.now();
                self.sessions(|sessions| sessions.begin(now, key, &user, role, token));
                // Control hears who is here, whatever it answers.
                let session = self.session(&key);
                let _ = self.ask(session.as_ref(), Request::Show(Topic::Sessions)).await;
                Ok(())
            }
            Verdict::Wrong => {
                let sentence = "the name or the password is wrong";
                Err(answer::refuse(StatusCode::UNAUTHORIZED, "wrong", sentence))
            }
            Verdict::Locked(rest) => {
                let seconds = rest.as_secs().max(1);
                let sentence = format!("too many failures: try again in {seconds} s");
                let refusal = answer::refuse(StatusCode::TOO_MANY_REQUESTS, "locked", &sentence);
                Err(with(refusal, header::RETRY_AFTER, &seconds.to_string()))
            }
            Verdict::Busy => Err(busy()),
        }
    }

    /// Signs a browser in: `{"user": "…", "password": "…"}`.
    pub(crate) async fn sign_in(&self, headers: &HeaderMap, body: &[u8], source: IpAddr) -> Answer {
        if let Some(refusal) = foreign(headers) {
            return refusal;
        }
        let text = |value: &Value, key: &str| value.get(key)?.as_str().map(ToOwned::to_owned);
        let parts = serde_json::from_slice(body).ok();
        let parts = parts.and_then(|v| Some((text(&v, "user")?, text(&v, "password")?)));
        let fits = |text: &str| text.len() <= limits::WEB_PASSWORD_OCTETS;
        let Some((user, password)) = parts.filter(|(u, p)| fits(u) && fits(p)) else {
            let sentence = "expected {\"user\": \"…\", \"password\": \"…\"}";
            return answer::refuse(StatusCode::BAD_REQUEST, "form", sentence);
        };
        let Ok(secret) = secret::draw() else { return busy() };
        let key = secret::hash(&[b"cookie", secret.as_bytes()]);
        if let Err(refusal) = self.judge(user, password, source, key).await {
            return refusal;
        }
        let lifetime = LIFETIME.as_secs();
        let cookie = format!(
            "{COOKIE}={secret}; Path=/; Max-Age={lifetime}; Secure; HttpOnly; SameSite=Strict"
        );
        let session = self.session(&key);
        with(self.describe(session.as_ref()), header::SET_COOKIE, &cookie)
    }

    /// Signs a browser out.
    pub(crate) fn sign_out(&self, headers: &HeaderMap) -> Answer {
        if let Some(key) = cookie(headers) {
            self.sessions(|sessions| sessions.end(&key));
        }
        let gone = format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict");
        with(answer::done(), header::SET_COOKIE, &gone)
    }

    /// What a page needs to know before it shows anything.
    pub(crate) fn whoami(&self, headers: &HeaderMap) -> Answer {
        self.describe(cookie(headers).and_then(|key| self.session(&key)).as_ref())
    }

    fn describe(&self, session: Option<&Session>) -> Answer {
        let value = json!({
            "node": self.node,
            "fingerprint": self.fingerprint(),
            "users": self.has_users(),
            "user": session.map(|session| &session.user),
            "role": session.map(|session| session.role.word()),
            "token": session.map(|session| &session.token),
            "session": session.map(|session| session.number),
        });
        answer::json(StatusCode::OK, &value)
    }
}

fn busy() -> Answer {
    let sentence = "the box is busy, try again";
    answer::refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", sentence)
}

/// The refusal of what a page of another site could send.
pub(crate) fn foreign(headers: &HeaderMap) -> Option<Answer> {
    let ours = is_same_origin(headers) && is_json(headers);
    let sentence = "the request does not come from this page, or its content-type is not \
                    application/json";
    (!ours).then(|| answer::refuse(StatusCode::FORBIDDEN, "origin", sentence))
}

/// Whether a request that changes something comes from our own page.
fn is_ours(headers: &HeaderMap, session: &Session) -> bool {
    let token = headers.get(TOKEN).map(HeaderValue::as_bytes);
    // Digests are compared: how long it takes says nothing about the token.
    let known = secret::hash(&[session.token.as_bytes()]);
    is_same_origin(headers) && token.is_some_and(|token| secret::hash(&[token]) == known)
}

/// Browsers say where a request comes from (Fetch Metadata, W3C); programs do not.
fn is_same_origin(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// A form of another site cannot send this type without asking first (Fetch Standard, CORS).
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.split(';').next().is_some_and(|k| k.trim() == "application/json"))
}

fn with(mut answer: Answer, name: header::HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}
