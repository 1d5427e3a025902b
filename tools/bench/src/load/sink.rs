//! Where floods end: the server's kernel counts a datagram that is right and drops it before its
//! stack sees it, which is the cheapest a receiver can be.

use crate::BenchError;
use crate::arrangement::namespace::Namespace;
use crate::arrangement::{CLIENT, SINK, Set};
use crate::clock;
use std::time::Duration;

/// What arrives after the last frame was sent has arrived by then.
const SETTLE: Duration = Duration::from_millis(40);

/// Counts of datagrams at a server.
#[derive(Debug)]
pub struct Sink<'a> {
    server: &'a Namespace,
}

/// How many arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Of flows that are known.
    pub known: u64,
    /// Of new ones.
    pub new: u64,
}

impl Arrived {
    /// Both.
    pub fn all(self) -> u64 {
        self.known + self.new
    }
}

impl<'a> Sink<'a> {
    /// Starts to count at the server of a set. What is counted has the destination that the
    /// forwarder should have given it; known flows are told from new ones by the source.
    ///
    /// # Errors
    /// What `nft` said.
    pub fn new(set: &'a Set) -> Result<Self, BenchError> {
        let Set { server, destination, .. } = set;
        let rules = format!(
            "table netdev sink {{
    counter known {{
    }}
    counter new {{
    }}
    chain arrive {{
        type filter hook ingress device eth0 priority 0; policy accept;
        ip daddr {destination} udp dport {SINK} ip saddr {CLIENT} counter name known drop
        ip daddr {destination} udp dport {SINK} counter name new drop
    }}
}}
"
        );
        server.command(&["nft", "-f", "-"], &rules)?;
        Ok(Self { server })
    }

    /// The counts so far, once everything that is on the way has arrived.
    ///
    /// # Errors
    /// Where `nft` fails or says something else than counters.
    pub fn read(&self) -> Result<Arrived, BenchError> {
        clock::pause(SETTLE);
        let words = ["nft", "-j", "list", "counters", "table", "netdev", "sink"];
        let text = self.server.command(&words, "")?;
        parse(&text).ok_or_else(|| {
            BenchError::CannotMeasure(format!("nft says something else than counters: {text}"))
        })
    }

    /// What arrives while something is done, and what that gives.
    ///
    /// # Errors
    /// As [`Sink::read`], or what `work` says.
    pub fn during<T>(
        &self,
        work: impl FnOnce() -> Result<T, BenchError>,
    ) -> Result<(T, Arrived), BenchError> {
        let before = self.read()?;
        let done = work()?;
        let after = self.read()?;
        let arrived = Arrived { known: after.known - before.known, new: after.new - before.new };
        Ok((done, arrived))
    }
}

/// The two counters in what nft prints.
fn parse(text: &str) -> Option<Arrived> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let objects = value["nftables"].as_array()?;
    let counter = |name: &str| {
        let found = objects.iter().find(|object| object["counter"]["name"] == name)?;
        found["counter"]["packets"].as_u64()
    };
    Some(Arrived { known: counter("known")?, new: counter("new")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let text = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
            {"counter": {"family": "netdev", "name": "new", "packets": 7, "bytes": 1}},
            {"counter": {"family": "netdev", "name": "known", "packets": 9, "bytes": 1}}]}"#;
        assert_eq!(parse(text), Some(Arrived { known: 9, new: 7 }));
        assert_eq!(parse(r#"{"nftables": []}"#), None);
        assert_eq!(parse("Error"), None);
    }
}
