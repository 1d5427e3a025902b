//! Reading one table of a document: typed access by key, every problem reported with its place.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::net::IpAddr;
use core::str::FromStr;

use base::Prefix;
use base::time::Duration;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::problem::{Report, clip};
use super::schema::{Default, Key, Kind, Section};
use super::value::{Written, duration, is_interface, is_name, not_unicast};
use super::{BadPorts, PortRanges};
use crate::limits;

/// A value and where it stands, in octets from the start of the document.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

/// Where a table stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) at: usize,
    /// As a dotted key; empty at the top.
    pub(super) path: String,
}

impl Place {
    /// The path of one of its keys.
    pub(super) fn key(&self, key: impl Display) -> String {
        let key = key.to_string();
        let bare = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        let key = if !key.is_empty() && key.bytes().all(bare) {
            clip(&key)
        } else {
            format!("\"{}\"", clip(&key))
        };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

/// One table, with the section of the schema that it must follow.
pub(super) struct Table<'v, 't> {
    pub(super) place: Place,
    entries: &'v DeTable<'t>,
    section: &'static Section,
}

impl<'v, 't> Table<'v, 't> {
    /// Opens a table and reports the keys that the section does not know.
    pub(super) fn open(
        report: &mut Report<'_>,
        entries: &'v DeTable<'t>,
        place: Place,
        section: &'static Section,
    ) -> Self {
        for (name, _) in entries.iter() {
            let at = name.span().start;
            match section.key(name.get_ref()) {
                // Not worth a sentence that nobody gets.
                None if report.is_full() => report.wrong(at, "", "", ""),
                None => {
                    let what = format!("unknown key \"{}\"", clip(name.get_ref()));
                    let legal = suggestion(name.get_ref(), section);
                    report.wrong(at, place.key(name.get_ref()), what, legal);
                }
                Some(Key { kind: kind @ Kind::Later, .. }) => {
                    report.wrong(at, place.key(name.get_ref()), "not built yet", kind.legal());
                }
                Some(_) => {}
            }
        }
        Self { place, entries, section }
    }

    /// The value of a key of the schema; a missing required one is reported.
    fn value(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
    ) -> Option<(&'static Key, &'v Spanned<DeValue<'t>>)> {
        let key = self.section.key(name)?;
        match (self.entries.get(name), key.default) {
            (Some(value), _) => Some((key, value)),
            (None, Default::Required) => {
                let path = self.place.key(name);
                report.absent(self.place.at, path, "missing", key.kind.legal());
                None
            }
            (None, Default::Value(_) | Default::Means(_)) => None,
        }
    }

    /// A string that `read` accepts, or a problem with what `read` says is wrong.
    fn string<T>(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let (key, value) = self.value(report, name)?;
        let at = value.span().start;
        let result = match value.get_ref().as_str() {
            Some(text) => read(text),
            None => Err(kind_of(value.get_ref())),
        };
        match result {
            Ok(value) => Some(At { value, at }),
            Err(what) => {
                report.wrong(at, self.place.key(name), what, key.kind.legal());
                None
            }
        }
    }

    pub(super) fn name(&self, report: &mut Report<'_>, name: &'static str) -> Option<At<String>> {
        self.string(report, name, |text| {
            if is_name(text) { Ok(text.to_string()) } else { Err(quoted(text, "is not a name")) }
        })
    }

    pub(super) fn interface(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
    ) -> Option<At<String>> {
        self.string(report, name, |text| {
            let legal = is_interface(text).then(|| text.to_string());
            legal.ok_or_else(|| quoted(text, "is not an interface's name"))
        })
    }

    pub(super) fn address(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
    ) -> Option<At<IpAddr>> {
        self.string(report, name, address)
    }

    pub(super) fn ports(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
    ) -> Option<At<PortRanges>> {
        self.string(report, name, |text| text.parse().map_err(|bad: BadPorts| bad.to_string()))
    }

    /// The hash of a password. Who stands behind a page must not learn one from a message: it is
    /// not quoted.
    pub(super) fn password(&self, report: &mut Report<'_>, name: &'static str) -> Option<String> {
        let hash = self.string(report, name, |text| {
            let legal = text.starts_with("$argon2") && text.len() <= limits::PASSWORD_HASH_OCTETS;
            let legal = legal && text.bytes().all(|octet| octet.is_ascii_graphic());
            legal.then(|| text.to_string()).ok_or_else(|| "this is no password's hash".into())
        });
        hash.map(|hash| hash.value)
    }

    pub(super) fn secret(&self, report: &mut Report<'_>, name: &'static str) -> Option<At<String>> {
        self.string(report, name, |text| {
            let fits = (limits::SECRET_OCTETS_LEAST..=limits::SECRET_OCTETS).contains(&text.len());
            fits.then(|| text.to_string()).ok_or_else(|| "this is too short or too long".into())
        })
    }

    pub(super) fn boolean(&self, report: &mut Report<'_>, name: &'static str) -> Option<bool> {
        let (key, value) = self.value(report, name)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            let what = kind_of(value.get_ref());
            report.wrong(value.span().start, self.place.key(name), what, key.kind.legal());
        }
        flag
    }

    pub(super) fn word(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
    ) -> Option<At<&'static str>> {
        let Kind::Word(words) = self.section.key(name)?.kind else { return None };
        self.string(report, name, |text| match words.iter().find(|word| word.name == text) {
            Some(word) if word.later => Err(format!("\"{}\" is not built yet", word.name)),
            Some(word) => Ok(word.name),
            None => Err(quoted(text, "is unknown")),
        })
    }

    pub(super) fn time(&self, report: &mut Report<'_>, name: &'static str) -> Option<At<Duration>> {
        let Kind::Time { least, most } = self.section.key(name)?.kind else { return None };
        self.string(report, name, |text| {
            let time = duration(text).map_err(|_| quoted(text, "is not a duration"))?;
            if time < least {
                Err(format!("{} is too short", Written(time)))
            } else if time > most {
                Err(format!("{} is too long", Written(time)))
            } else {
                Ok(time)
            }
        })
    }

    pub(super) fn integer(&self, report: &mut Report<'_>, name: &'static str) -> Option<At<u16>> {
        let (key, value) = self.value(report, name)?;
        let Kind::Integer { least, most } = key.kind else { return None };
        let at = value.span().start;
        let what = match value.get_ref() {
            DeValue::Integer(number) => match integer(number) {
                Some(number) if (least..=most).contains(&number) => {
                    return Some(At { value: number, at });
                }
                Some(_) | None => format!("{} is out of range", clip(&number.to_string())),
            },
            other @ (DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_)) => kind_of(other),
        };
        report.wrong(at, self.place.key(name), what, key.kind.legal());
        None
    }

    /// An array of addresses.
    pub(super) fn addresses(&self, report: &mut Report<'_>, name: &'static str) -> Vec<At<IpAddr>> {
        self.array(report, name, address)
    }

    /// An array of networks' prefixes. Empty when one of them is wrong, for then nobody can tell
    /// what is outside of them.
    pub(super) fn networks(&self, report: &mut Report<'_>, name: &'static str) -> Vec<At<Prefix>> {
        let wrong = core::cell::Cell::new(false);
        let prefixes = self.array(report, name, |text| {
            let prefix = prefix(text).inspect_err(|_| wrong.set(true))?;
            let network = prefix.network();
            if network == prefix {
                return Ok(prefix);
            }
            wrong.set(true);
            Err(quoted(text, &format!("has host bits, its network is {network}")))
        });
        if wrong.get() { Vec::new() } else { prefixes }
    }

    /// An array of addresses with the length of their network's prefix.
    pub(super) fn hosts(&self, report: &mut Report<'_>, name: &'static str) -> Vec<At<Prefix>> {
        self.array(report, name, prefix)
    }

    /// An array of strings that `read` accepts; each one that it does not is reported. An array
    /// that is not there is empty.
    fn array<T>(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<At<T>> {
        let Some((key, value)) = self.value(report, name) else { return Vec::new() };
        let path = self.place.key(name);
        let (least, most) = key.kind.elements();
        let Some(array) = value.get_ref().as_array() else {
            report.wrong(value.span().start, path, kind_of(value.get_ref()), key.kind.legal());
            return Vec::new();
        };
        if array.len() < least || array.len() > most {
            let what = format!("{} elements", array.len());
            report.wrong(value.span().start, &path, what, key.kind.legal());
        }
        let mut elements = Vec::new();
        for (index, element) in array.iter().take(most).enumerate() {
            let at = element.span().start;
            let result = match element.get_ref().as_str() {
                Some(text) => read(text),
                None => Err(kind_of(element.get_ref())),
            };
            match result {
                Ok(value) => elements.push(At { value, at }),
                Err(what) => {
                    report.wrong(at, format!("{path}[{index}]"), what, key.kind.legal());
                }
            }
        }
        elements
    }

    /// A table.
    pub(super) fn table(&self, report: &mut Report<'_>, name: &'static str) -> Option<Self> {
        let (key, value) = self.value(report, name)?;
        let Kind::Table(section) = key.kind else { return None };
        let place = Place { at: value.span().start, path: self.place.key(name) };
        let Some(entries) = value.get_ref().as_table() else {
            report.wrong(place.at, place.path, kind_of(value.get_ref()), key.kind.legal());
            return None;
        };
        Some(Self::open(report, entries, place, section))
    }

    /// Tables by name, in the order of their names.
    pub(super) fn tables(
        &self,
        report: &mut Report<'_>,
        name: &'static str,
    ) -> Vec<(String, Self)> {
        let Some((key, value)) = self.value(report, name) else { return Vec::new() };
        let Kind::Tables(section, most) = key.kind else { return Vec::new() };
        let place = Place { at: value.span().start, path: self.place.key(name) };
        let Some(children) = value.get_ref().as_table() else {
            report.wrong(place.at, place.path, kind_of(value.get_ref()), key.kind.legal());
            return Vec::new();
        };
        if children.len() > most {
            let what = format!("{} of them", children.len());
            report.wrong(place.at, &place.path, what, format_args!("expected at most {most}"));
        }
        let mut tables = Vec::new();
        for (name, value) in children.iter().take(most) {
            let child = Place { at: name.span().start, path: place.key(name.get_ref()) };
            let name = if is_name(name.get_ref()) {
                name.get_ref().to_string()
            } else {
                let what = quoted(name.get_ref(), "is not a name");
                report.wrong(child.at, &child.path, what, Kind::Name.legal());
                // Messages about what it is part of may show it.
                clip(name.get_ref())
            };
            match value.get_ref().as_table() {
                Some(entries) => {
                    let table = Self::open(report, entries, child, section);
                    tables.push((name, table));
                }
                None => {
                    report.wrong(child.at, child.path, kind_of(value.get_ref()), key.kind.legal());
                }
            }
        }
        tables
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| quoted(text, "is not an IP address"))?;
    match not_unicast(address) {
        Some(why) => Err(quoted(text, why)),
        None => Ok(address),
    }
}

fn prefix(text: &str) -> Result<Prefix, String> {
    let prefix = Prefix::from_str(text).map_err(|_| quoted(text, "is not a prefix"))?;
    match not_unicast(prefix.address) {
        Some(why) => Err(quoted(text, why)),
        None if prefix.length == 0 => Err(quoted(text, "holds every address")),
        None => Ok(prefix),
    }
}

fn integer(number: &DeInteger<'_>) -> Option<u16> {
    u16::from_str_radix(number.as_str(), number.radix()).ok()
}

/// What stands where something else was expected.
fn kind_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Array(_) | DeValue::Integer(_) => format!("an {} stands here", value.type_str()),
        DeValue::String(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => format!("a {} stands here", value.type_str()),
    }
}

fn quoted(text: &str, what: &str) -> String {
    format!("\"{}\" {what}", clip(text))
}

/// The key that was probably meant, or all of them.
pub(super) fn suggestion(name: &str, section: &Section) -> String {
    let known = section.keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
    if let Some(nearest) = nearest(name, known.clone().map(|key| key.name)) {
        return format!("did you mean \"{nearest}\"?");
    }
    let names: Vec<&str> = known.map(|key| key.name).collect();
    format!("expected one of {}", names.join(", "))
}

/// The candidate that differs least from `name`, if by at most a third of its letters.
pub(super) fn nearest<'c>(
    name: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    if name.len() > 2 * crate::limits::NAME_OCTETS {
        return None;
    }
    let distances = candidates.map(|candidate| (distance(name, candidate), candidate));
    let (least, nearest) = distances.min_by_key(|&(distance, _)| distance)?;
    (least <= name.chars().count().max(nearest.len()).div_ceil(3)).then_some(nearest)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal
/// string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = alloc::vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (row[j] + 1).min(next[j - 1] + 1).min(row[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = core::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_strange_one_is_not() {
        let words = ["network", "address", "group", "gateway"];
        for (text, nearest_word) in [
            ("adress", Some("address")),
            ("netwrok", Some("network")),
            ("gateways", Some("gateway")),
            ("Group", Some("group")),
            ("color", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, words.into_iter()), nearest_word, "{text}");
        }
    }
}
