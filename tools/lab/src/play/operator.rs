//! The steps in which somebody sits at a console.

use super::file::{Configure, Console};
use super::{Outcome, Play};
use crate::clock;
use std::time::Duration;

/// How long the answer to a line may take. Generous: machines are shared.
const ANSWER: Duration = Duration::from_secs(10);

impl Play<'_> {
    /// Types a command and looks at what it shows.
    pub(super) fn console(&mut self, console: &Console) -> Outcome {
        let node = self.node(console.node.as_deref())?;
        let wanted: Vec<&str> = console.shows.iter().map(String::as_str).collect();
        let seen = self.type_line((&node, &console.type_), &wanted, console.within.0)?;
        match console.hides.iter().find(|text| seen.contains(*text)) {
            Some(text) => Err(format!("{text:?} is shown:\n{seen}")),
            None => Ok(String::new()),
        }
    }

    /// Changes the configuration and commits it.
    pub(super) fn configure(&mut self, change: &Configure) -> Outcome {
        let node = self.node(Some(&change.node))?;
        self.type_line((&node, "configure"), &["yours to change", "# "], ANSWER)?;
        for line in &change.lines {
            self.type_line((&node, line), &["the candidate is changed", "# "], ANSWER)?;
        }
        let seen = self.type_line((&node, "commit"), &["is in force", "# "], ANSWER)?;
        self.type_line((&node, "exit"), &["free to be changed", "> "], ANSWER)?;
        let told = seen.lines().find(|line| line.contains("is in force"));
        Ok(told.unwrap_or_default().trim().to_owned())
    }

    /// Types a line on a node's console, waits until all that is wanted was shown, and gives what
    /// was.
    fn type_line(
        &mut self,
        (node, line): (&str, &str),
        wanted: &[&str],
        within: Duration,
    ) -> Outcome {
        let within = self.slow(within);
        let from = self.nodes.shown(node).len();
        self.nodes.type_text(node, &format!("{line}\r"))?;
        let (nodes, mut seen) = (&mut *self.nodes, String::new());
        let waited = clock::wait_for(
            &format!("{wanted:?} behind `{line}` on the console of {node}"),
            within,
            || {
                seen = nodes.shown(node).get(from..).unwrap_or_default().to_owned();
                Ok(wanted.iter().all(|text| seen.contains(text)).then_some(()))
            },
            String::new,
        );
        waited.map_err(|error| format!("{error}{seen}"))?;
        Ok(seen)
    }
}
