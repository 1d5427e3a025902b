//! What may follow a piece of a path.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::schema::{CLUSTER_DOCUMENT, Kind, Section};
use super::path::{self, key};
use super::{Document, Found};

/// Every path that goes on where `prefix` ends, one name further: keys of the schema, and names
/// that the document has. `prefix` may end within a name.
pub fn complete(document: &Document, prefix: &str) -> Vec<String> {
    let (above, begun) = prefix.rsplit_once('.').unwrap_or(("", prefix));
    let Some(names) = path::parse(above) else { return Vec::new() };
    let Some(place) = place(&names) else { return Vec::new() };
    let found: Vec<String> = match place {
        Place::Section(section) => {
            let keys = section.keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
            keys.map(|key| key.name.into()).collect()
        }
        Place::Names => match document.find(&names) {
            Some(Found::Table(table)) => table.keys().map(|name| key(name)).collect(),
            Some(Found::Value(_)) | None => Vec::new(),
        },
    };
    let joint = if above.is_empty() { "" } else { "." };
    let fitting = found.into_iter().filter(|name| name.starts_with(begun));
    fitting.map(|name| alloc::format!("{above}{joint}{name}")).collect()
}

enum Place {
    Section(&'static Section),
    Names,
}

fn place(names: &[String]) -> Option<Place> {
    let mut section: &'static Section = &CLUSTER_DOCUMENT;
    let mut left = names.iter();
    while let Some(name) = left.next() {
        match section.key(name)?.kind {
            Kind::Table(inner) => section = inner,
            Kind::Tables(inner, _) => {
                section = inner;
                if left.next().is_none() {
                    return Some(Place::Names);
                }
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
            | Kind::Word(_)
            | Kind::Later => return None,
        }
    }
    Some(Place::Section(section))
}
