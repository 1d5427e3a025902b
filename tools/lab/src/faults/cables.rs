//! Pulling the cables of a host, and putting them back.

use crate::LabError;
use crate::command::run;
use crate::network::plug;
use crate::place::Place;
use crate::topology::Host;

/// Pulls or puts back the cable to a network, or all of them: the segment's end goes down or up,
/// and the host's end has no carrier or has one again.
///
/// # Errors
/// [`LabError::Fault`] where the host is not there, [`LabError::Command`] where there is no such
/// cable: an emulated machine has its own.
pub fn set(
    place: &Place,
    host: &Host,
    network: Option<&str>,
    up: bool,
) -> Result<String, LabError> {
    let state = if up { "up" } else { "down" };
    let mut found = false;
    for (index, interface) in host.interfaces.iter().enumerate() {
        if network.is_some_and(|network| network != interface.segment) {
            continue;
        }
        found = true;
        let segment = place.segment(&interface.segment);
        run("ip", &["-netns", &segment, "link", "set", &plug(host, index), state])?;
    }
    match network {
        Some(network) if !found => {
            Err(LabError::Fault(format!("{} is not on {network}", host.name)))
        }
        Some(_) | None => Ok(String::new()),
    }
}
