//! Gates on what the compiler is told to trust or to overlook: `unsafe`, lint exceptions, and the
//! attributes with which a crate promises to do without std and without `unsafe`.

use super::Finding;
use super::source::Source;
use super::tree::Tree;

/// The three folders where `unsafe` may stand.
const UNSAFE_FOLDERS: [&str; 3] =
    ["firmware/base/src/sys/", "firmware/init/src/sys/", "firmware/netio/src/sys/"];

/// The crates without std, which must forbid `unsafe`; base only denies it, for its prefetch.
const PURE: [&str; 8] =
    ["base", "model", "packet", "dataplane", "health", "hoststack", "node", "console"];

/// `unsafe` only where it may be, and there only with its reason.
pub fn check_unsafe(tree: &Tree, findings: &mut Vec<Finding>) {
    for source in &tree.rust {
        let allowed = UNSAFE_FOLDERS.iter().any(|folder| source.path.starts_with(folder));
        for at in source.find("unsafe") {
            let line = source.line(at);
            if !allowed {
                let right = format!("`unsafe` only under {}", UNSAFE_FOLDERS.join(", "));
                findings.push(Finding::new(&source.path, line, "`unsafe`", right));
            } else if needs_reason(source, at) && !has_reason(source, line) {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    "`unsafe` without its reason",
                    "a comment `// SAFETY: …` right above, or `# Safety` in the docs of a function",
                ));
            }
        }
    }
}

/// Whether this `unsafe` opens something; in a type such as `unsafe extern "C" fn()` it does not.
fn needs_reason(source: &Source, at: usize) -> bool {
    let behind = source.code[at + "unsafe".len()..].trim_start();
    behind.starts_with('{')
        || behind.starts_with("impl")
        || behind.strip_prefix("fn").is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// Whether the comment lines above the statement on `line` (or on it) name the reason.
fn has_reason(source: &Source, line: usize) -> bool {
    let names_it = |comment: &str| comment.contains("SAFETY:") || comment.contains("# Safety");
    let code: Vec<&str> = source.code.lines().collect();
    let comments: Vec<&str> = source.comments.lines().collect();
    if comments.get(line - 1).is_some_and(|comment| names_it(comment)) {
        return true;
    }
    for above in (0..line - 1).rev() {
        let (code, comment) =
            (code[above].trim(), comments.get(above).copied().unwrap_or_default());
        if names_it(comment) {
            return true;
        }
        let ends_a_statement = code.ends_with([';', '}', '{']);
        let blank = code.is_empty() && comment.trim().is_empty();
        if ends_a_statement || blank {
            return false;
        }
    }
    false
}

/// Lint exceptions only as `#[expect(…, reason = "…")]`.
pub fn check_exceptions(tree: &Tree, findings: &mut Vec<Finding>) {
    for source in &tree.rust {
        for (at, attribute) in source.attributes() {
            let line = source.line(at);
            let names = |word: &str| {
                attribute.match_indices(word).any(|(place, _)| {
                    attribute[..place].ends_with(['[', ' ', ',', '(', '\n'])
                        && attribute[place + word.len()..].starts_with('(')
                })
            };
            if names("allow") {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    "a lint is switched off with `allow`",
                    "`#[expect(lint, reason = \"…\")]`, which complains once it is not needed",
                ));
            } else if names("expect") && !attribute.contains("reason = \"") {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    "a lint exception without its reason",
                    "`reason = \"…\"` in the attribute",
                ));
            }
        }
    }
}

/// The crates that promise to be pure say so to the compiler.
pub fn check_promises(tree: &Tree, findings: &mut Vec<Finding>) {
    for name in PURE {
        let path = format!("firmware/{name}/src/lib.rs");
        let Some(source) = tree.rust.iter().find(|source| source.path == path) else { continue };
        let unsafety = if name == "base" { "deny(unsafe_code)" } else { "forbid(unsafe_code)" };
        let attributes = source.attributes();
        for promise in ["no_std", unsafety] {
            let right = format!("#![{promise}]");
            if !attributes.iter().any(|(_, attribute)| *attribute == right) {
                let what = format!("{name} does not promise {promise}");
                findings.push(Finding::new(&path, 1, what, format!("`{right}` at its top")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::found_in;

    #[test]
    fn unsafe_stands_only_in_the_sys_folders_and_with_its_reason() {
        let reasoned =
            "fn f() {\n    // SAFETY: it is open.\n    let x =\n        unsafe { g() };\n}";
        let bare = "fn f() {\n    unsafe { g() };\n}";
        let too_far = "// SAFETY: no.\nfn h() {}\nfn f() {\n    unsafe { g() };\n}";
        let documented = "/// Does it.\n///\n/// # Safety\n/// Be careful.\npub unsafe fn f() {}";
        let pointer = "type F = unsafe extern \"C\" fn();";
        let cases = [
            ("firmware/netio/src/sys/ring.rs", reasoned, 0),
            ("firmware/netio/src/sys/ring.rs", bare, 1),
            ("firmware/netio/src/sys/ring.rs", too_far, 1),
            ("firmware/netio/src/sys/ring.rs", documented, 0),
            ("firmware/netio/src/sys/ring.rs", pointer, 0),
            ("firmware/netio/src/sys/ring.rs", "unsafe impl Send for X {}", 1),
            ("firmware/netio/src/ring.rs", reasoned, 1),
            ("tools/lab/src/sys/x.rs", reasoned, 1),
            ("firmware/node/src/lib.rs", "#![forbid(unsafe_code)] // unsafe", 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(found_in(check_unsafe, path, text).len(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn lint_exceptions_carry_a_reason() {
        let cases = [
            ("#[allow(dead_code)]\nfn f() {}", 1),
            ("#![allow(dead_code, reason = \"x\")]\nfn f() {}", 1),
            ("#[cfg_attr(test, allow(dead_code))]\nfn f() {}", 1),
            ("#[expect(dead_code)]\nfn f() {}", 1),
            ("#[expect(dead_code, reason = \"why\")]\nfn f() {}", 0),
            ("#[expect(\n    dead_code,\n    reason = \"why\"\n)]\nfn f() {}", 0),
            ("#[test]\nfn f() { x.expect(\"y\"); allow(1); }", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(
                found_in(check_exceptions, "board/src/lib.rs", text).len(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn pure_crates_promise_it() {
        let both = "//! Docs.\n#![no_std]\n#![forbid(unsafe_code)]\n";
        assert_eq!(found_in(check_promises, "firmware/node/src/lib.rs", both).len(), 0);
        let cases = [
            ("firmware/node/src/lib.rs", "#![no_std]\n", 1),
            ("firmware/node/src/lib.rs", "// #![no_std]\n", 2),
            ("firmware/console/src/lib.rs", "", 2),
            ("firmware/base/src/lib.rs", "#![no_std]\n#![deny(unsafe_code)]\n", 0),
            ("firmware/netio/src/lib.rs", "", 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(found_in(check_promises, path, text).len(), expected, "{path}: {text}");
        }
    }
}
