//! The secret of a cluster is changed: in the node documents, for when the nodes start next.

use super::wanted::{Known, SecretOf};
use super::{Outcome, Play};
use model::config::NodeDocument;

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
            None => known(&text).ok_or("the node's document has no secret")?,
        };
        let of = |known: Known| match known {
            Known::Old => first.clone(),
            Known::New => first.chars().rev().collect(),
        };
        let kept = text.lines().filter(|line| !is_about_secrets(line));
        let send = format!("secret = \"{}\"", of(wanted.send));
        let accept = wanted.accept.map(|known| format!("other-secret = \"{}\"", of(known)));
        // First, as tables may follow.
        let lines: Vec<String> =
            [send].into_iter().chain(accept).chain(kept.map(str::to_owned)).collect();
        std::fs::write(&path, lines.join("\n") + "\n").map_err(told)?;
        self.scene.secret = Some(first);
        Ok(String::new())
    }
}

/// Whether a line is one of the two keys.
fn is_about_secrets(line: &str) -> bool {
    let key = line.split_once('=').map(|(key, _)| key.trim());
    matches!(key, Some("secret" | "other-secret"))
}

/// What a node seals with.
fn known(text: &str) -> Option<String> {
    Some(NodeDocument::parse(text).ok()?.secret?.send)
}
