//! What a server said, taken apart as a client does that believes nothing (RFC 9112).

/// One answer.
pub struct Answer<'s> {
    status: u16,
    headers: Vec<(&'s str, &'s str)>,
    /// As it was sent, chunks and all.
    pub body: &'s [u8],
}

impl Answer<'_> {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value)
    }
}

/// Every answer of a connection. One that is cut off is the last, and no answer if its head is.
pub fn answers(octets: &[u8], over: bool) -> Vec<Answer<'_>> {
    let mut found = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let end = rest.windows(4).position(|end| end == b"\r\n\r\n");
        let Some(end) = end else {
            assert!(!over || rest.is_empty(), "a head without an end");
            break;
        };
        let answer = head(&rest[..end]);
        rest = &rest[end + 4..];
        let length = body(&answer, rest, over);
        found.push(Answer { body: &rest[..length], ..answer });
        rest = &rest[length..];
    }
    found
}

fn head(octets: &[u8]) -> Answer<'_> {
    let text = std::str::from_utf8(octets).expect("a head is text");
    assert!(!text.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n')), "{text:?}");
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    let status: u16 = status.unwrap_or_else(|| panic!("no status: {line:?}"));
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}")))
        .collect();
    let answer = Answer { status, headers, body: &[] };
    checked(&answer);
    answer
}

/// Our own answers tell browsers what they must not do; hyper's own have no content.
fn checked(answer: &Answer<'_>) {
    for (index, (name, value)) in answer.headers.iter().enumerate() {
        assert!(KNOWN.contains(name), "{name}: {value} is sent");
        let twice = answer.headers[..index].iter().any(|(other, _)| other == name);
        assert!(!twice, "{name} is sent twice");
    }
    if answer.status == 100 {
        assert!(answer.headers.is_empty());
    } else if answer.header("content-security-policy").is_none() {
        assert!([400, 414, 431].contains(&answer.status), "{} unguarded", answer.status);
        assert_eq!(answer.header("content-length"), Some("0"));
    } else {
        let statuses = [200, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 503];
        assert!(statuses.contains(&answer.status), "{}", answer.status);
        let guards = ["x-content-type-options", "x-frame-options", "cache-control"];
        assert!(guards.iter().all(|guard| answer.header(guard).is_some()));
    }
}

const KNOWN: &[&str] = &[
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "etag",
    "permissions-policy",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "x-content-type-options",
    "x-frame-options",
];

/// How many octets of `rest` are the body.
fn body(answer: &Answer<'_>, rest: &[u8], over: bool) -> usize {
    // An answer to HEAD says how long its body would be, and the next answer follows.
    if rest.starts_with(b"HTTP/1.") || matches!(answer.status, 100 | 204 | 304) {
        return 0;
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        return chunks(rest);
    }
    match answer.header("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) => {
            assert!(rest.is_empty() || rest.len() >= length || !over, "a body is cut off");
            length.min(rest.len())
        }
        Some(Err(_)) => panic!("a length that is no number"),
        // Until the connection ends (HTTP/1.0).
        None => rest.len(),
    }
}

/// How many octets are chunks, up to the last one or what has come.
fn chunks(octets: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = &octets[at..];
        let Some(end) = rest.windows(2).position(|end| end == b"\r\n") else { return octets.len() };
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("the size of a chunk");
        at = (at + end + 2 + size + 2).min(octets.len());
        if size == 0 || at == octets.len() {
            return at;
        }
    }
}
