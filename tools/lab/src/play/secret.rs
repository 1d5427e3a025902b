//! The secret of a cluster is changed: in the node documents, for when the nodes start next.

use super::wanted::{Known, SecretOf};
use super::{Outcome, Play};

impl Play<'_> {
    /// Writes into a node's document what it seals with and what it accepts besides.
    pub(super) fn write_secret(&mut self, wanted: &SecretOf) -> Outcome {
        let node = self.named(&wanted.node);
        let host = self.design.topology.host(&node).map_err(|error| error.to_string())?;
        let path = self.nodes.document(host).ok_or("these nodes' documents cannot be changed")?;
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(told)?;
        let first = match &self.scene.secret {
            Some(first) => first.clone(),
            None => value(&text, "secret").ok_or("the node's document has no secret")?,
        };
        let of = |known: Known| match known {
            Known::Old => first.clone(),
            Known::New => first.chars().rev().collect(),
        };
        let kept = text.lines().filter(|line| key(line).is_none());
        let send = format!("secret = \"{}\"", of(wanted.send));
        let accept = wanted.accept.map(|known| format!("other-secret = \"{}\"", of(known)));
        let lines: Vec<String> = kept.map(str::to_owned).chain([send]).chain(accept).collect();
        std::fs::write(&path, lines.join("\n") + "\n").map_err(told)?;
        self.scene.secret = Some(first);
        Ok(String::new())
    }
}

/// Which of the two keys a line is about.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    Some(key.trim()).filter(|key| matches!(*key, "secret" | "other-secret"))
}

/// What stands behind a key.
fn value(text: &str, wanted: &str) -> Option<String> {
    let line = text.lines().find(|line| key(line) == Some(wanted))?;
    Some(line.split_once('=')?.1.trim().trim_matches('"').to_owned())
}
