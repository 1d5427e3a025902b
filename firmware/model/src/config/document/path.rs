//! Dotted keys, and strings in quotes (TOML 1.0.0, "Keys" and "String").

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::limits;

/// Names of the longest path that the schema has, and some more to say what is wrong with.
const DEPTH: usize = 16;

/// The names of a path: bare, or in quotes, joined by dots. `None`: it is no path.
pub(super) fn parse(path: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = path.trim();
    if rest.len() > limits::CONSOLE_LINE_OCTETS * 4 {
        return None;
    }
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').filter(|(name, _)| !name.contains('\\'))?,
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if names.len() == DEPTH || (!rest.starts_with('"') && !name.chars().all(bare)) {
            return None;
        }
        if name.is_empty() {
            return None;
        }
        names.push(name.into());
        rest = match after.strip_prefix('.') {
            Some("") => return None,
            Some(after) => after,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(names)
}

/// Names as a dotted key.
pub(super) fn written(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| key(name)).collect();
    names.join(".")
}

/// One name, in quotes where it needs them.
pub(super) fn key(name: &str) -> String {
    let bare = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(bare) { name.into() } else { quoted(name) }
}

/// A basic string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
