//! What every key of the configuration is: type, unit, range, default and one sentence. The keys
//! themselves stand in `tables`.
//!
//! Reading a document, suggesting the nearest key, and the reference manual
//! (`docs/configuration.md`) all come from here.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::value::Written;
use crate::limits;

mod node;
mod tables;

pub use node::NODE_DOCUMENT;
pub use tables::CLUSTER_DOCUMENT;

/// One table of a document.
#[derive(Debug)]
pub struct Section {
    /// Its TOML header, with `NAME` where the operator's own names stand; empty: the top.
    pub header: &'static str,
    /// What it is, a sentence.
    pub about: &'static str,
    /// Its keys, in the order of the manual.
    pub keys: &'static [Key],
}

/// One key of a table.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What may stand behind it.
    pub kind: Kind,
    /// What its absence means.
    pub default: Default,
    /// What it is for, a sentence.
    pub about: &'static str,
}

/// What may stand behind a key.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A name of the operator's choice.
    Name,
    /// The name of something in the top-level table of that name.
    Reference(&'static str),
    /// The kernel's name of an interface.
    Interface,
    /// An IP address.
    Address,
    /// An array of IP addresses, at most so many.
    Addresses(usize),
    /// An array of prefixes, one to so many. `hosts`: with host bits, an address in its network.
    Prefixes {
        /// The most.
        most: usize,
        /// Addresses with the length of their network's prefix, rather than networks.
        hosts: bool,
    },
    /// A whole number.
    Integer {
        /// The smallest.
        least: u16,
        /// The largest.
        most: u16,
    },
    /// A number with a unit.
    Time {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// Ports and port ranges.
    Ports,
    /// `true` or `false`.
    Boolean,
    /// The hash of a password.
    Password,
    /// Something that only the boxes of a cluster know.
    Secret,
    /// One of these words.
    Word(&'static [Word]),
    /// A table.
    Table(&'static Section),
    /// Tables by name, at most so many.
    Tables(&'static Section, usize),
    /// Known and not built yet: refused.
    Later,
}

/// A word that a key may have.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// As it is written.
    pub name: &'static str,
    /// Known but not built yet: refused.
    pub later: bool,
}

/// What the absence of a key means.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// The document is refused.
    Required,
    /// As if this were written.
    Value(&'static str),
    /// Described in words.
    Means(&'static str),
}

impl Section {
    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// What would be legal, as an error message ends.
    pub fn legal(&self) -> String {
        match self {
            Self::Name => format!(
                "expected a name in quotes of at most {} letters, digits, -, _ and ., \
                 beginning with a letter or digit",
                limits::NAME_OCTETS
            ),
            Self::Reference(table) => format!("expected the name of a [{table}.NAME] in quotes"),
            Self::Interface => format!(
                "expected an interface's name of at most {} octets such as \"eth0\"",
                limits::INTERFACE_OCTETS
            ),
            Self::Address => "expected an IP address such as \"192.0.2.80\" or \
                              \"2001:db8:1::80\""
                .into(),
            Self::Addresses(_) => "expected an array of IP addresses such as \
                                   [\"192.0.2.1\", \"2001:db8:1::1\"]"
                .into(),
            Self::Prefixes { hosts: false, most } => format!(
                "expected an array of 1 to {most} prefixes such as \
                 [\"192.0.2.0/24\", \"2001:db8:1::/64\"]"
            ),
            Self::Prefixes { hosts: true, most } => format!(
                "expected an array of 1 to {most} addresses with prefix lengths such as \
                 [\"192.0.2.11/24\", \"2001:db8:1::11/64\"]"
            ),
            Self::Integer { least, most } => format!("expected a number from {least} to {most}"),
            Self::Time { least, most } => {
                let (least, most) = (Written(*least), Written(*most));
                format!("expected a duration from {least} to {most} such as \"1s\" or \"200ms\"")
            }
            Self::Ports => {
                "expected ports and ranges such as \"80,443,8000-8099\", or \"all\"".into()
            }
            Self::Boolean => "expected true or false".into(),
            Self::Password => format!(
                "expected a PHC string such as \"$argon2id$v=19$...\" of at most {} octets",
                limits::PASSWORD_HASH_OCTETS
            ),
            Self::Secret => format!(
                "expected {} to {} octets in quotes that were drawn at random",
                limits::SECRET_OCTETS_LEAST,
                limits::SECRET_OCTETS
            ),
            Self::Word(words) => format!("expected {}", built(words)),
            Self::Table(section) | Self::Tables(section, _) => {
                format!("expected a table [{}]", section.header)
            }
            Self::Later => "leave it out".into(),
        }
    }
}

impl Kind {
    /// How many elements an array may have.
    pub(in crate::config) const fn elements(&self) -> (usize, usize) {
        match self {
            Self::Prefixes { most, .. } => (1, *most),
            Self::Addresses(most) => (0, *most),
            Self::Name
            | Self::Reference(_)
            | Self::Interface
            | Self::Address
            | Self::Integer { .. }
            | Self::Time { .. }
            | Self::Ports
            | Self::Boolean
            | Self::Password
            | Self::Secret
            | Self::Word(_)
            | Self::Table(_)
            | Self::Tables(..)
            | Self::Later => (0, 0),
        }
    }
}

/// The words that are built, in quotes, joined with `or`.
fn built(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words.iter().filter(|word| !word.later) {
        let joint = if text.is_empty() { "" } else { " or " };
        text.push_str(&format!("{joint}\"{}\"", word.name));
    }
    text
}
