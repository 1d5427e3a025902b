//! `verdicts.jsonl`: one line for each input frame.

use std::fmt::Write;

use base::{ServerId, ServiceId};
use dataplane::Verdict;

use crate::Summary;
use crate::input::Input;
use crate::setup::World;

/// The whole file. Keys stand in a fixed order.
pub fn lines(world: &World, frames: &[Input<'_>], verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for (index, (frame, verdict)) in frames.iter().zip(verdicts).enumerate() {
        let (word, reason, service, server) = match *verdict {
            Verdict::Forward { service, server } => ("forward", None, service, server),
            Verdict::Answer => ("answer", None, None, None),
            // Nobody else owns anything in a replay.
            Verdict::HandedOver => ("forward", None, None, None),
            Verdict::Own(_) => ("own", None, None, None),
            Verdict::Drop(reason) => ("drop", Some(reason.name()), None, None),
            // Nothing waits at the end of a replay.
            Verdict::Held(_) => ("drop", Some("held"), None, None),
        };
        let service = service.and_then(|id| service_name(world, id));
        let server = server.and_then(|id| server_name(world, id));
        let network = quoted(Some(frame.network));
        let (reason, service, server) = (quoted(reason), quoted(service), quoted(server));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{{\"index\":{index},\"network\":{network},\"verdict\":\"{word}\",\
             \"reason\":{reason},\"service\":{service},\"server\":{server}}}"
        );
    }
    text
}

/// Counts the verdicts.
pub fn summarize(frames: &[Input<'_>], verdicts: &[Verdict], sent: usize) -> Summary {
    let mut summary = Summary { frames: frames.len(), sent, ..Summary::default() };
    summary.cut_short = frames.iter().filter(|frame| frame.cut_short).count();
    for verdict in verdicts {
        match verdict {
            Verdict::Forward { .. } => summary.forwarded += 1,
            Verdict::Answer => summary.answered += 1,
            Verdict::HandedOver => summary.forwarded += 1,
            Verdict::Own(_) => summary.own += 1,
            Verdict::Drop(_) | Verdict::Held(_) => summary.dropped += 1,
        }
    }
    summary
}

fn service_name(world: &World, id: ServiceId) -> Option<&str> {
    world.plan.config().services.get(id.index()).map(|service| service.name.as_str())
}

fn server_name(world: &World, id: ServerId) -> Option<&str> {
    world.plan.server(id).map(|(_, server)| server.name.as_str())
}

/// A JSON string, or null.
fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "null".into(), |text| serde_json::Value::from(text).to_string())
}
