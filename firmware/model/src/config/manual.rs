//! The reference of the configuration in Markdown, from the table of [`super::schema`].

use alloc::format;
use alloc::string::String;

use super::schema::{CLUSTER_DOCUMENT, Default, Key, Kind, NODE_DOCUMENT, Section, Word};
use super::value::Written;
use crate::limits;

const HEAD: &str = "\
# Configuration reference

Two TOML documents make a configuration. The **cluster document** (`cluster.toml`) is the same on
every node; the **node document** (`node.toml`) says which node a box is. Things are tables by
name, and the order of tables and keys means nothing. `portico check FILE` lists every problem of
a document with its line and column.

A name has at most 63 letters, digits, `-`, `_` and `.`, and begins with a letter or digit. A
duration is a whole number with a unit, in quotes: `ms`, `s`, `m`, `h` or `d`. What stands under
*not built yet* is known and refused.
";

/// The reference manual of the configuration, in Markdown.
pub fn manual() -> String {
    let mut text = String::from(HEAD);
    text.push_str("\n## Cluster document\n");
    sections(&mut text, &CLUSTER_DOCUMENT);
    text.push_str("\n## Node document\n");
    section(&mut text, &NODE_DOCUMENT);
    sections(&mut text, &NODE_DOCUMENT);
    text
}

/// The tables below `parent`, each with those below it.
fn sections(text: &mut String, parent: &Section) {
    for key in parent.keys {
        let (child, most) = match key.kind {
            Kind::Table(child) => (child, None),
            Kind::Tables(child, most) => (child, Some(most)),
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
            | Kind::Word(_)
            | Kind::Later => continue,
        };
        text.push_str(&format!("\n### `[{}]`\n\n{}", child.header, child.about));
        match (most, key.default) {
            (Some(most), _) => text.push_str(&format!(" At most {most}.\n")),
            (None, Default::Required) => text.push_str(" Required.\n"),
            (None, Default::Means(what) | Default::Value(what)) => {
                text.push_str(&format!(" Without it: {what}.\n"));
            }
        }
        section(text, child);
        sections(text, child);
    }
}

/// The keys of one table.
fn section(text: &mut String, section: &Section) {
    text.push_str("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    let mut later = String::new();
    for key in section.keys {
        match key.kind {
            Kind::Table(_) | Kind::Tables(..) => {}
            Kind::Later => {
                let comma = if later.is_empty() { "" } else { ", " };
                later.push_str(&format!("{comma}`{}`", key.name));
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
            | Kind::Word(_) => text.push_str(&row(key)),
        }
    }
    if !later.is_empty() {
        text.push_str(&format!("\nNot built yet: {later}.\n"));
    }
}

fn row(key: &Key) -> String {
    let default = match key.default {
        Default::Required => "required".into(),
        Default::Value(value) => format!("`{value}`"),
        Default::Means(what) => String::from(what),
    };
    format!("| `{}` | {} | {default} | {} |\n", key.name, kind(&key.kind), key.about)
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Name => "name".into(),
        Kind::Reference(table) => format!("name of a `[{table}.NAME]`"),
        Kind::Interface => format!("interface, at most {} octets", limits::INTERFACE_OCTETS),
        Kind::Address => "IP address".into(),
        Kind::Addresses(most) => format!("array of at most {most} IP addresses"),
        Kind::Prefixes { most, hosts: false } => format!("array of 1 to {most} prefixes"),
        Kind::Prefixes { most, hosts: true } => {
            format!("array of 1 to {most} addresses with prefix lengths")
        }
        Kind::Integer { least, most } => format!("number, {least} to {most}"),
        Kind::Time { least, most } => {
            format!("duration, {} to {}", Written(*least), Written(*most))
        }
        Kind::Ports => "ports and ranges such as `\"80,443,8000-8099\"`, or `\"all\"`".into(),
        Kind::Boolean => "`true` or `false`".into(),
        Kind::Password => {
            format!("PHC string of at most {} octets", limits::PASSWORD_HASH_OCTETS)
        }
        Kind::Secret => {
            let (least, most) = (limits::SECRET_OCTETS_LEAST, limits::SECRET_OCTETS);
            format!("text of {least} to {most} octets")
        }
        Kind::Word(words) => word_list(words),
        Kind::Table(section) | Kind::Tables(section, _) => format!("table `[{}]`", section.header),
        Kind::Later => "not built yet".into(),
    }
}

/// The words that are built, then those that are not.
fn word_list(words: &[Word]) -> String {
    let list = |later: bool| {
        let mut text = String::new();
        for word in words.iter().filter(|word| word.later == later) {
            let comma = if text.is_empty() { "" } else { ", " };
            text.push_str(&format!("{comma}`{}`", word.name));
        }
        text
    };
    match list(true) {
        later if later.is_empty() => list(false),
        later => format!("{}; not built yet: {later}", list(false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_in_the_repository_is_the_one_of_the_schema() {
        let file = include_str!("../../../../docs/configuration.md");
        assert_eq!(manual(), file, "docs/configuration.md is not what portico manual prints");
    }
}
