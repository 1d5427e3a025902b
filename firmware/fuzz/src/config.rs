//! Config text: whole documents, edits of one, and the difference between two.
//!
//! ```text
//!  cluster document      alone: read, written down, read again
//!  %%
//!  set PATH VALUE        edits of it, one on a line: set, delete, get, complete
//!  %%
//!  cluster document      another one: what makes this of the first
//! ```

use std::collections::BTreeMap;

use model::config::document::{Document, complete, diff};
use model::config::schema::{CLUSTER_DOCUMENT, Kind, Section};
use model::config::{NodeDocument, Problem, Users};
use model::{Config, limits};

use crate::Seeds;

const MARK: &str = "\n%%\n";
/// Edits of one document: each may be followed by any other, so a few show what many would.
const EDITS: usize = 4;
/// Octets of one word of a message beside what it quotes.
const WORDS: usize = 4 << 10;

/// Runs one input. Panics if something is not as it must be.
pub fn input(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((first, rest)) = text.split_once(MARK) else { return read(text) };
    let Ok(mut document) = Document::parse(first) else { return };
    let (edits, second) = rest.split_once(MARK).unwrap_or((rest, ""));
    for edit in edits.lines().take(EDITS) {
        edited(&mut document, edit);
    }
    if let Ok(second) = Document::parse(second) {
        differences(&document, &second);
    }
}

/// Where fuzzing starts.
pub fn seeds() -> Seeds {
    let inputs = [
        &include_bytes!("../seeds/config/full")[..],
        include_bytes!("../seeds/config/edits"),
        include_bytes!("../seeds/config/other"),
        include_bytes!("../seeds/config/wrong"),
    ];
    let mut words: Vec<Vec<u8>> = ["\n%%\n", "set ", "delete ", "get ", "complete ", "\"\"\"", "'"]
        .map(|word| word.as_bytes().to_vec())
        .into();
    collect(&CLUSTER_DOCUMENT, &mut words);
    Seeds { inputs: inputs.map(<[u8]>::to_vec).into(), words }
}

/// Every key and word of the schema.
fn collect(section: &Section, words: &mut Vec<Vec<u8>>) {
    for key in section.keys {
        words.push(key.name.as_bytes().to_vec());
        match key.kind {
            Kind::Table(inner) | Kind::Tables(inner, _) => collect(inner, words),
            Kind::Word(known) => {
                words.extend(known.iter().map(|word| word.name.as_bytes().to_vec()));
            }
            Kind::Name
            | Kind::Reference(_)
            | Kind::Interface
            | Kind::Address
            | Kind::Addresses(_)
            | Kind::Prefixes { .. }
            | Kind::Integer { .. }
            | Kind::Time { .. }
            | Kind::Ports
            | Kind::Boolean
            | Kind::Password
            | Kind::Secret
            | Kind::Later => {}
        }
    }
}

/// A document is read, or refused with problems that stand in it; written down it is the same.
fn read(text: &str) {
    let config = Config::parse(text);
    match &config {
        Ok(config) => legal(config),
        Err(problems) => placed(text, problems),
    }
    let users = Users::salvage(text);
    if let Ok(config) = &config {
        assert!(config.users.is_open() || !users.is_open(), "refused it is more open");
    }
    if let Some(rest) = Config::salvage(text, "n1").filter(|_| config.is_err()) {
        assert!(rest.vips.is_empty() && rest.services.is_empty() && rest.pools.is_empty());
        assert!(rest.node("n1").is_some() && rest.nodes.len() == 1);
        assert_eq!(rest.users, users);
        legal(&rest);
    }
    match NodeDocument::parse(text) {
        Ok(node) => assert!((1..=limits::NAME_OCTETS).contains(&node.name.len())),
        Err(problems) => placed(text, &problems),
    }
    match Document::parse(text) {
        Ok(document) => {
            let written = written(&document);
            if written.len() <= limits::DOCUMENT_OCTETS && config.is_ok() {
                assert_eq!(Config::parse(&written), config, "{written}");
            }
        }
        Err(problems) => {
            placed(text, &problems);
            assert!(config.is_err(), "legal, and no document");
        }
    }
}

/// What a document is written as. It is read as the same document, and written the same again.
fn written(document: &Document) -> String {
    let text = document.render();
    let again = Document::parse(&text);
    assert_eq!(again.as_ref(), Ok(document), "{text}");
    assert_eq!(document.get("").as_deref(), Some(text.as_str()));
    text
}

/// Every vector is sorted, and what refers to another refers to one that is there.
fn legal(config: &Config) {
    let vips = config.vips.len();
    assert!(config.networks.is_sorted_by(|a, b| a.name < b.name));
    assert!(config.vips.is_sorted_by(|a, b| a.name < b.name));
    assert!(config.services.is_sorted_by(|a, b| a.name < b.name));
    assert!(config.pools.is_sorted_by(|a, b| a.name < b.name));
    assert!(config.nodes.is_sorted_by(|a, b| a.name < b.name));
    assert!(config.users.list.is_sorted_by(|a, b| a.name < b.name));
    for vip in &config.vips {
        let network = &config.networks[vip.network.index()];
        assert!(network.prefixes.iter().any(|prefix| prefix.contains(vip.address)));
        assert_eq!(config.network_of(vip.address), Some(vip.network));
    }
    for service in &config.services {
        assert!(service.vip.index() < vips && service.pool.index() < config.pools.len());
    }
    for (index, pool) in config.pools.iter().enumerate() {
        assert!(pool.servers.is_sorted_by(|a, b| a.name < b.name));
        for server in &pool.servers {
            assert!(server.weight <= limits::WEIGHT);
            let port = config.probe_port(index.into(), server);
            assert!(pool.check.is_some() || port.is_none());
        }
    }
    for port in config.nodes.iter().flat_map(|node| &node.ports) {
        let network = &config.networks[port.network.index()];
        for address in &port.addresses {
            assert!(network.prefixes.contains(&address.network()));
        }
    }
}

/// Problems are told in the order of their places, which are in the text; what they quote is
/// short and harmless.
fn placed(text: &str, problems: &[Problem]) {
    assert!(!problems.is_empty() && problems.len() <= limits::PROBLEMS + 1);
    let lines: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    for problem in problems {
        let line = lines.get(problem.line as usize - 1);
        let inside =
            line.is_some_and(|&length| (1..=length + 1).contains(&(problem.column as usize)));
        assert!(inside, "{problem} is not in the text");
        for word in [&problem.path, &problem.what, &problem.legal] {
            assert!(!word.is_empty(), "{problem:?}");
            assert!(word.len() <= WORDS, "{problem:?}");
            assert!(!word.chars().any(char::is_control), "{problem:?}");
        }
    }
    assert!(problems.is_sorted_by_key(|problem| (problem.line, problem.column)));
}

/// One line of edits.
fn edited(document: &mut Document, edit: &str) {
    let (verb, rest) = edit.split_once(' ').unwrap_or((edit, ""));
    let (path, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let before = document.clone();
    match verb {
        "set" => match document.set(path, value) {
            Ok(()) => set(&before, document, path),
            Err(why) => {
                assert_eq!(*document, before, "refused and changed: {why}");
                sayable(&why.to_string());
            }
        },
        "delete" => match document.delete(path) {
            Ok(()) => {
                assert_eq!(document.get(path), None, "{path} is still there");
                assert!(before.get(path).is_some(), "{path} was not there");
                written(document);
            }
            Err(why) => {
                assert_eq!(*document, before, "refused and changed: {why}");
                sayable(&why.to_string());
            }
        },
        "complete" => completed(document, rest),
        _ => {
            if let Some(text) = document.get(path) {
                assert!(Document::parse(&text).is_ok() || path.is_empty(), "{path}: {text}");
            }
        }
    }
}

/// A message for a person: one line that ends somewhere.
fn sayable(text: &str) {
    assert!(text.len() <= WORDS && !text.chars().any(char::is_control), "{text:?}");
}

/// A key that was set is there, with a value that gives the same when it is set again; nothing
/// else changed.
fn set(before: &Document, after: &Document, path: &str) {
    let text = after.get(path).expect("what was set is there");
    assert!(written(after).len() <= limits::DOCUMENT_OCTETS);
    if let Some((_, value)) = text.trim_end().split_once(" = ").filter(|_| !text.starts_with('[')) {
        let mut again = after.clone();
        assert_eq!(again.set(path, value), Ok(()), "{path} {value}");
        assert_eq!(again, *after, "{path} {value}");
    }
    for difference in diff(before, after) {
        // The key itself, or the empty table above it that was a leaf before.
        let same = |text: &str| text.replace(|c: char| c == '"' || c.is_whitespace(), "");
        let [there, typed] = [same(&difference.path), same(path)];
        let above = difference.before.as_deref() == Some("{}") && typed.starts_with(&there);
        assert!(typed == there || above, "{path}: {difference}");
    }
}

/// What may follow begins with what is there, and is told once.
fn completed(document: &Document, prefix: &str) {
    let found = complete(document, prefix);
    for (index, path) in found.iter().enumerate() {
        assert!(path.starts_with(prefix) && path.len() > prefix.rfind('.').unwrap_or(0));
        assert!(!found[..index].contains(path), "{path} twice");
        let _ = complete(document, path);
    }
}

/// Carrying out a difference makes one document of the other; where paths can be typed, by typing.
fn differences(before: &Document, after: &Document) {
    let leaves = |document: &Document| -> BTreeMap<String, String> {
        let all = diff(&Document::default(), document).into_iter();
        all.map(|leaf| (leaf.path, leaf.after.expect("it is there"))).collect()
    };
    let mut carried = leaves(before);
    for difference in diff(before, after) {
        sayable_difference(&difference.to_string());
        assert_ne!(difference.before, difference.after);
        assert_eq!(carried.remove(&difference.path), difference.before);
        if let Some(value) = difference.after {
            carried.insert(difference.path, value);
        }
    }
    assert_eq!(carried, leaves(after));
    assert_eq!(diff(before, after).is_empty(), before == after);
    if Config::parse(&before.render()).is_ok() && Config::parse(&after.render()).is_ok() {
        typed(before, after);
    }
}

fn sayable_difference(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// Types what differs between two legal documents, until nothing does. A table that loses its
/// last key stays, and goes in the next round.
fn typed(before: &Document, after: &Document) {
    let mut document = before.clone();
    for _ in 0..4 {
        let differences = diff(&document, after);
        if differences.is_empty() {
            return;
        }
        for difference in differences {
            let path = &difference.path;
            match &difference.after {
                Some(value) => match document.set(path, value) {
                    // Tables by name without a name cannot be typed, and mean nothing.
                    Err(_) if value == "{}" => return,
                    set => assert_eq!(set, Ok(()), "{path} = {value}"),
                },
                // It may have gone with the table above it.
                None => drop(document.delete(path)),
            }
        }
    }
    let left: Vec<String> = diff(&document, after).iter().map(ToString::to_string).collect();
    assert!(left.is_empty(), "{left:?}");
}
