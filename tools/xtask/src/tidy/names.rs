//! Gate: what has a stable name for operators also happens. A drop reason, a malformation or an
//! event that no code names would be a promise in the documents that nothing keeps.

use super::Finding;
use super::source::{Source, closing};
use super::tree::Tree;

/// Enums with stable names, with the file that defines each.
const NAMED: [(&str, &str); 3] = [
    ("firmware/dataplane/src/verdict.rs", "DropReason"),
    ("firmware/packet/src/malformed.rs", "Malformed"),
    ("firmware/model/src/event.rs", "Event"),
];

/// Checks that the firmware names every variant outside its definition and outside tests.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, name) in NAMED {
        let Some(definition) = tree.rust.iter().find(|source| source.path == path) else {
            continue;
        };
        for (at, variant) in variants(definition, name) {
            let word = format!("{name}::{variant}");
            let is_named = tree
                .rust
                .iter()
                .filter(|source| source.path.starts_with("firmware/") && source.path != path)
                .any(|source| source.find(&word).into_iter().any(|at| !source.is_test(at)));
            if !is_named {
                findings.push(Finding::new(
                    path,
                    definition.line(at),
                    format!("no code gives {word}"),
                    "the place where it happens, or no such name",
                ));
            }
        }
    }
}

/// The variants of an enum, with their places. Where a macro makes the enum, they are taken from
/// the call of the macro: the last block of the file that opens with `name! {`.
fn variants<'a>(source: &'a Source, name: &str) -> Vec<(usize, &'a str)> {
    let plain = source.code.find(&format!("enum {name} {{")).map(|at| {
        let open = at + source.code[at..].find('{').unwrap_or_default();
        (open, closing(&source.code, open))
    });
    let (open, end) = match plain {
        Some((open, end)) if !source.code[open..end].contains('$') => (open, end),
        Some(_) | None => match source.code.rfind("! {\n") {
            Some(at) => (at + 2, closing(&source.code, at + 2)),
            None => return Vec::new(),
        },
    };
    let mut found = Vec::new();
    let mut at = open;
    for line in source.code[open..end].split_inclusive('\n') {
        let name = line.strip_prefix("    ").unwrap_or_default();
        let length = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            found.push((at + 4, &name[..length]));
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What the gate says about a definition and code that uses it.
    fn found(definition: &str, user: &str) -> Vec<String> {
        let paths = vec![NAMED[0].0.to_owned(), "firmware/dataplane/src/emit.rs".to_owned()];
        let tree = Tree::with_files(Path::new("."), paths, |path| {
            Some(if path == NAMED[0].0 { definition } else { user }.to_owned())
        });
        let mut findings = Vec::new();
        check(&tree, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_reason_that_never_happens_is_found() {
        let plain = "pub enum DropReason {\n    NoServer,\n    Looped { ttl: u8 },\n}\n";
        let by_macro = "macro_rules! reasons {\n    ($($n:ident = $t:literal,)*) => {\n        \
                        pub enum DropReason { $($n,)* }\n    };\n}\n\nreasons! {\n    \
                        NoServer = \"no_server\",\n    Looped = \"looped\",\n}\n";
        for definition in [plain, by_macro] {
            let both = "fn f() { a(DropReason::NoServer); b(DropReason::Looped { ttl: 1 }) }";
            assert_eq!(found(definition, both), Vec::<String>::new());
            let one = "fn f() { DropReason::NoServer }\n#[cfg(test)]\nmod t { DropReason::Looped }";
            let findings = found(definition, one);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].contains("no code gives DropReason::Looped"), "{findings:?}");
        }
    }
}
