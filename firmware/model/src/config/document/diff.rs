//! How one document differs from another, key by key.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::path::written;
use super::{Document, Table, Value, inline};

/// One key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which, as a dotted key.
    pub path: String,
    /// What stood there, in TOML; `{}` is a table without a key.
    pub before: Option<String>,
    /// What stands there.
    pub after: Option<String>,
}

impl fmt::Display for Difference {
    /// `+ set a.b.c = 1`, `- set a.b.c = 1` or `~ set a.b.c = 1 (was 2)`. A password's hash is
    /// nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        let secret = path.starts_with("user.") && path.ends_with(".password");
        let shown = |value: &String| if secret { "(hidden)".into() } else { value.clone() };
        match (self.before.as_ref().map(shown), self.after.as_ref().map(shown)) {
            (None, Some(after)) => write!(f, "+ set {path} = {after}"),
            (Some(before), None) => write!(f, "- set {path} = {before}"),
            (Some(before), Some(after)) => write!(f, "~ set {path} = {after} (was {before})"),
            (None, None) => write!(f, "  {path}"),
        }
    }
}

/// Every key that differs, in the order of their paths.
pub fn diff(before: &Document, after: &Document) -> Vec<Difference> {
    let (before, mut after) = (leaves(before), leaves(after));
    let mut differences = Vec::new();
    for (names, old) in before {
        let new = after.remove(&names);
        if new.as_ref() != Some(&old) {
            differences.push((names, Some(old), new));
        }
    }
    differences.extend(after.into_iter().map(|(names, new)| (names, None, Some(new))));
    differences.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let named = |(names, before, after): (Vec<String>, _, _)| Difference {
        path: written(&names),
        before,
        after,
    };
    differences.into_iter().map(named).collect()
}

/// Every value by its path, and every table that is empty.
fn leaves(document: &Document) -> BTreeMap<Vec<String>, String> {
    let mut found = BTreeMap::new();
    collect(&mut found, &mut Vec::new(), &document.root);
    found
}

fn collect(found: &mut BTreeMap<Vec<String>, String>, names: &mut Vec<String>, table: &Table) {
    for (name, value) in table {
        names.push(name.clone());
        match value {
            Value::Table(inner) if !inner.is_empty() => collect(found, names, inner),
            leaf @ (Value::Table(_) | Value::Text(_) | Value::Array(_) | Value::Literal(_)) => {
                found.insert(names.clone(), inline(leaf));
            }
        }
        names.pop();
    }
}
