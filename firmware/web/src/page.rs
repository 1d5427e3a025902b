//! The files of the page, as they stand in `page/`.

use hyper::header::{self, HeaderMap};

use crate::answer::{self, Answer};
use crate::secret::{hash, hex};

/// An embedded file.
struct File {
    path: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

const fn script(path: &'static str, content: &'static [u8]) -> File {
    File { path, kind: "text/javascript; charset=utf-8", content }
}

const FILES: &[File] = &[
    File {
        path: "/",
        kind: "text/html; charset=utf-8",
        content: include_bytes!("../page/index.html"),
    },
    File {
        path: "/style.css",
        kind: "text/css; charset=utf-8",
        content: include_bytes!("../page/style.css"),
    },
    script("/api.js", include_bytes!("../page/api.js")),
    script("/change.js", include_bytes!("../page/change.js")),
    script("/dialog.js", include_bytes!("../page/dialog.js")),
    script("/events.js", include_bytes!("../page/events.js")),
    script("/main.js", include_bytes!("../page/main.js")),
    script("/pending.js", include_bytes!("../page/pending.js")),
    script("/view.js", include_bytes!("../page/view.js")),
    File { path: "/icon.svg", kind: "image/svg+xml", content: include_bytes!("../page/icon.svg") },
];

/// The answer to a request for one of the files, if it is one.
pub fn get(path: &str, headers: &HeaderMap) -> Option<Answer> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let tag = format!("\"{}\"", &hex(&hash(&[file.content]))[..32]);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    Some(answer::file(file.kind, &tag, (!known).then_some(file.content)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::StatusCode;

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let first = get("/", &HeaderMap::new()).unwrap();
        let tag = first.headers()[header::ETAG].clone();
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(get("/", &headers).unwrap().status(), StatusCode::NOT_MODIFIED);
        assert_eq!(get("/style.css", &headers).unwrap().status(), StatusCode::OK);
        assert!(get("/../Cargo.toml", &headers).is_none());
    }

    #[test]
    fn the_page_obeys_its_own_policy() {
        for file in FILES.iter().filter(|file| file.kind.starts_with("text/")) {
            let text = std::str::from_utf8(file.content).unwrap();
            for banned in ["style=\"", "<style", "onclick=", "http://", "https://", "innerHTML"] {
                assert!(!text.contains(banned), "{}: {banned}", file.path);
            }
        }
        let page = std::str::from_utf8(FILES[0].content).unwrap();
        assert!(!page.contains("<script>") && page.contains("src=\"/main.js\""));
    }
}
