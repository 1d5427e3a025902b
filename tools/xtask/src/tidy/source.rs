//! A Rust file as the gates see it: the same text twice, once with only code and once with only
//! comments, both with every other octet blanked, so that line numbers and columns stay true.
//!
//! This is a lexer for comments, strings and characters, not a parser. It knows nested block
//! comments, raw and byte strings, and the difference between a lifetime and a character. What it
//! cannot know is what a macro makes of its tokens; the gates built on it are approximations that
//! err towards saying something.

use std::ops::Range;

/// One Rust file, split into code and comments.
pub struct Source {
    /// The path from the root of the tree, with `/` between the parts.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// The file with comments and the insides of strings and characters blanked.
    pub code: String,
    /// The file with everything but comments blanked.
    pub comments: String,
    /// Octet ranges of `code` that are only compiled for tests.
    tests: Vec<Range<usize>>,
    /// Octet offsets at which lines begin.
    lines: Vec<usize>,
}

impl Source {
    /// Splits `text`; never fails, an unfinished string or comment runs to the end of the file.
    pub fn new(path: &str, text: &str) -> Source {
        let (code, comments) = split(text);
        let lines = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1))
            .collect();
        let whole_file_is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let tests = if whole_file_is_test {
            std::iter::once(0..code.len()).collect()
        } else {
            test_items(&code)
        };
        Source { path: path.into(), text: text.into(), code, comments, tests, lines }
    }

    /// The line, counted from 1, of an octet offset.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }

    /// Whether the octet at `offset` is compiled for tests only.
    pub fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// How many lines the file has without its tests.
    pub fn lines_without_tests(&self) -> usize {
        let all = self.text.lines().count();
        let tests: usize = self
            .tests
            .iter()
            .map(|r| self.line(r.end.saturating_sub(1)) - self.line(r.start) + 1)
            .sum();
        all.saturating_sub(tests)
    }

    /// Offsets at which `word` stands in the code as a whole word. A word may hold `::`, `.`, `!`
    /// and brackets; only its ends are checked against being part of a longer name.
    pub fn find(&self, word: &str) -> Vec<usize> {
        whole_words(&self.code, word)
    }

    /// Every attribute of the code as (offset of `#`, text with its brackets).
    pub fn attributes(&self) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = self.code[from..].find('#').map(|at| from + at) {
            from = at + 1;
            let rest = self.code[from..].strip_prefix('!').unwrap_or(&self.code[from..]);
            if rest.starts_with('[') {
                let open = self.code.len() - rest.len();
                let end = closing(&self.code, open);
                found.push((at, &self.text[at..end]));
                from = end;
            }
        }
        found
    }
}

/// Offsets at which `word` stands in `text` as a whole word.
pub fn whole_words(text: &str, word: &str) -> Vec<usize> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let edge = |outside: Option<char>, inside: Option<char>| {
        !(outside.is_some_and(is_name) && inside.is_some_and(is_name))
    };
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| {
            edge(text[..*at].chars().next_back(), word.chars().next())
                && edge(text[at + word.len()..].chars().next(), word.chars().next_back())
        })
        .collect()
}

/// One past the bracket that closes the one at `open`, or the end of the text.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, octet) in code.bytes().enumerate().skip(open) {
        match octet {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Where the items behind `#[cfg(test)]` and `#[test]` stand.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    let mut starts: Vec<usize> = ["#[cfg(test)]", "#[cfg(all(test", "#[test]"]
        .iter()
        .flat_map(|marker| code.match_indices(marker).map(|(at, _)| at))
        .collect();
    starts.sort_unstable();
    for start in starts {
        if items.last().is_some_and(|last| last.contains(&start)) {
            continue;
        }
        let after_attribute = closing(code, start + 1);
        let end = code[after_attribute..].find(['{', ';']).map(|at| after_attribute + at).map_or(
            code.len(),
            |at| {
                if code.as_bytes()[at] == b'{' { closing(code, at) } else { at + 1 }
            },
        );
        items.push(start..end);
    }
    items
}

/// What the lexer is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    LineComment,
    /// With how many block comments are open.
    BlockComment(usize),
    /// A string that honours backslashes, with its closing mark.
    Quoted(u8),
    /// A raw string, with the number of `#` that close it.
    Raw(usize),
}

/// Splits a text into its code and its comments.
fn split(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut comments = Vec::with_capacity(bytes.len());
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < bytes.len() {
        let (length, shown, next) = step(bytes, at, inside);
        for octet in &bytes[at..(at + length).min(bytes.len())] {
            let blank = if *octet == b'\n' { b'\n' } else { b' ' };
            code.push(if shown == Shown::Code { *octet } else { blank });
            comments.push(if shown == Shown::Comment { *octet } else { blank });
        }
        at += length;
        inside = next;
    }
    let owned = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (owned(code), owned(comments))
}

/// To which of the two texts a stretch belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Code,
    Comment,
    Neither,
}

/// How many octets from `at` go where, and what the lexer is inside of behind them.
fn step(bytes: &[u8], at: usize, inside: Inside) -> (usize, Shown, Inside) {
    let rest = &bytes[at..];
    match inside {
        Inside::Code => step_in_code(bytes, at),
        Inside::LineComment if rest[0] == b'\n' => (1, Shown::Comment, Inside::Code),
        Inside::LineComment => (1, Shown::Comment, inside),
        Inside::BlockComment(depth) if rest.starts_with(b"*/") => {
            let next = if depth == 1 { Inside::Code } else { Inside::BlockComment(depth - 1) };
            (2, Shown::Comment, next)
        }
        Inside::BlockComment(depth) if rest.starts_with(b"/*") => {
            (2, Shown::Comment, Inside::BlockComment(depth + 1))
        }
        Inside::BlockComment(_) => (1, Shown::Comment, inside),
        Inside::Quoted(_) if rest[0] == b'\\' => (2, Shown::Neither, inside),
        Inside::Quoted(mark) if rest[0] == mark => (1, Shown::Code, Inside::Code),
        Inside::Quoted(_) => (1, Shown::Neither, inside),
        Inside::Raw(hashes) if rest[0] == b'"' && count_hashes(&rest[1..]) >= hashes => {
            (1 + hashes, Shown::Code, Inside::Code)
        }
        Inside::Raw(_) => (1, Shown::Neither, inside),
    }
}

/// [`step`] where the lexer is inside of nothing.
fn step_in_code(bytes: &[u8], at: usize) -> (usize, Shown, Inside) {
    let rest = &bytes[at..];
    let behind_a_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return (2, Shown::Comment, Inside::LineComment);
    }
    if rest.starts_with(b"/*") {
        return (2, Shown::Comment, Inside::BlockComment(1));
    }
    let prefix = usize::from(matches!(rest[0], b'b' | b'c'));
    if !behind_a_name && rest.get(prefix) == Some(&b'r') {
        let hashes = count_hashes(&rest[prefix + 1..]);
        if rest.get(prefix + 1 + hashes) == Some(&b'"') {
            return (prefix + hashes + 2, Shown::Code, Inside::Raw(hashes));
        }
    }
    match rest[0] {
        b'"' => (1, Shown::Code, Inside::Quoted(b'"')),
        b'\'' if is_character(rest) => (1, Shown::Code, Inside::Quoted(b'\'')),
        _ => (1, Shown::Code, Inside::Code),
    }
}

/// Whether the quote at the start of `rest` opens a character and not a lifetime.
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(first) => {
            let length = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            rest.get(1 + length) == Some(&b'\'')
        }
        None => false,
    }
}

/// How many `#` stand at the start of `rest`.
fn count_hashes(rest: &[u8]) -> usize {
    rest.iter().take_while(|octet| **octet == b'#').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_leave_the_code() {
        let cases = [
            ("a // unsafe\nb", "a          \nb"),
            ("a /* x /* y */ z */ b", "a                   b"),
            (r#"f("unsafe \" x") + 1"#, r#"f("           ") + 1"#),
            (r##"f(r#"uns"afe"#) + 1"##, r##"f(r#"       "#) + 1"##),
            ("f('\"', 'a') + b", "f(' ', ' ') + b"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("f('\\'', \"x\")", "f('  ', \" \")"),
            ("br\"x\" + r#type", "br\" \" + r#type"),
        ];
        for (given, expected) in cases {
            assert_eq!(Source::new("a.rs", given).code, expected, "{given}");
        }
    }

    #[test]
    fn comments_are_kept_apart() {
        let source = Source::new("a.rs", "let x = 1; // why \"x\"\n");
        assert_eq!(source.comments, "           // why \"x\"\n");
    }

    #[test]
    fn test_items_are_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("a.rs", text);
        let at = |name: &str| source.find(name).first().copied().expect("the name is there");
        assert!(!source.is_test(at("a")));
        assert!(source.is_test(at("b")));
        assert!(!source.is_test(at("c")));
        assert_eq!(source.lines_without_tests(), 2);
        assert!(Source::new("x/src/tests.rs", "fn a() {}").is_test(3));
    }

    #[test]
    fn words_are_whole() {
        let source = Source::new("a.rs", "unsafe_code unsafe { } xunsafe a.unwrap() unwrap_or()");
        assert_eq!(source.find("unsafe").len(), 1);
        assert_eq!(source.find(".unwrap()").len(), 1);
    }

    #[test]
    fn attributes_carry_their_strings() {
        let source = Source::new("a.rs", "#![expect(x, reason = \"a ] b\")]\n#[test] fn f() {}");
        let texts: Vec<_> = source.attributes().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["#![expect(x, reason = \"a ] b\")]", "#[test]"]);
    }
}
