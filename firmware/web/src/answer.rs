//! Answers, each with the headers that keep a browser from doing more than it is asked for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::live::Live;

/// The body of an answer.
pub enum Content {
    /// All of it, once.
    Whole(Option<Bytes>),
    /// Events, until somebody has enough.
    Live(Box<Live>),
}

/// An answer.
pub type Answer = Response<Content>;

/// Sent with every answer. Nothing of this page comes from or goes to anywhere else, no script
/// or style stands in the page itself, nobody may frame it, nothing is kept that is not said to
/// be (see [`file`]). A self-signed certificate keeps Strict-Transport-Security from working
/// (RFC 6797 §8.4 and §11.3 say what it would do); it is for those who accept it for good.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'",
    ),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// An answer of one type.
fn answer(status: StatusCode, kind: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// JSON (RFC 8259).
pub fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    let text = Bytes::from(value.to_string());
    answer(status, "application/json", Content::Whole(Some(text)))
}

/// A refusal: a word for programs and a sentence for people.
pub fn refuse(status: StatusCode, word: &str, sentence: &str) -> Answer {
    json(status, &json!({ "error": word, "message": sentence }))
}

/// Nothing but "done".
pub fn done() -> Answer {
    let mut answer = answer(StatusCode::NO_CONTENT, "application/json", Content::Whole(None));
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

/// A capture file, to be kept under a name of its own.
pub fn capture(node: &str, capture: Arc<[u8]>) -> Answer {
    let content = Content::Whole(Some(Bytes::from_owner(capture)));
    let mut answer = answer(StatusCode::OK, "application/vnd.tcpdump.pcap", content);
    let safe = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let node: String = node.chars().filter(safe).collect();
    let name = format!("attachment; filename=\"portico-{node}.pcap\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    answer
}

/// Plain text of a kind.
pub fn text(kind: &'static str, text: String) -> Answer {
    answer(StatusCode::OK, kind, Content::Whole(Some(text.into())))
}

/// An embedded file. A browser may keep it and asks each time whether it is still the same; `None`
/// as content: it is.
pub fn file(kind: &'static str, tag: &str, content: Option<&'static [u8]>) -> Answer {
    let status = if content.is_some() { StatusCode::OK } else { StatusCode::NOT_MODIFIED };
    let mut answer = answer(status, kind, Content::Whole(content.map(Bytes::from_static)));
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    answer
}

/// Server-sent events (HTML Living Standard §9.2).
pub fn events(live: Live) -> Answer {
    answer(StatusCode::OK, "text/event-stream", Content::Live(Box::new(live)))
}

impl Body for Content {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(content) => Poll::Ready(content.take().map(|all| Ok(Frame::data(all)))),
            Self::Live(live) => live.poll(context).map(|more| more.map(|m| Ok(Frame::data(m)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |all| all.len() as u64))
            }
            Self::Live(_) => SizeHint::default(),
        }
    }
}
