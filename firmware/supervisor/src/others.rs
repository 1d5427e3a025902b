//! What a configuration means to the threads that are neither control nor forwarders.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use base::NetworkId;
use hoststack::Attachment;
use netio::Wake;
use node::{Attached, Plan};

use crate::faces::News;
use crate::probes::{Renewal, targets};

/// The ways to those threads.
pub struct Others {
    /// To the probes.
    pub probes: Sender<Renewal>,
    /// Wakes them.
    pub probes_wake: Arc<Wake>,
    /// To the faces.
    pub faces: News,
}

impl Others {
    /// Tells them all of another plan.
    pub fn renew(&self, plan: &Plan, ports: &[Attached]) {
        self.faces.tell(plan.config(), attachments(plan));
        self.renew_probes(plan, ports);
    }

    /// Tells the probes which servers can be asked: none is judged by a port that is down.
    pub fn renew_probes(&self, plan: &Plan, ports: &[Attached]) {
        let targets = targets(plan, ports);
        let renewal = Renewal { targets, attachments: attachments(plan) };
        // A thread that died starts again with its end of the channel.
        let _ = self.probes.send(renewal);
        self.probes_wake.wake();
    }
}

/// The node's places on its networks.
pub fn attachments(plan: &Plan) -> Vec<Attachment> {
    let networks = plan.config().networks.iter().enumerate();
    let places = networks.filter_map(|(id, network)| {
        let id = NetworkId::from(id);
        let port = plan.node().ports.get(plan.port_of(id)?.index())?;
        Some(Attachment {
            network: id,
            addresses: port.addresses.clone(),
            gateways: network.gateways.clone(),
            mtu: 1_500,
        })
    });
    places.collect()
}
