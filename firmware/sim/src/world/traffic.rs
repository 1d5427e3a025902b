//! Clients' side of the world: packets, answers, ARP.

use super::{Event, World};
use crate::client::{Client, Notice};
use crate::network::frame::{Body, Frame, Host, Reply};
use crate::plan::Class;

impl World {
    /// A flow sends its next packet.
    pub(super) fn tick(&mut self, number: u32) {
        let Some(flow) = self.flows.get_mut(number as usize) else { return };
        let client = &mut self.clients[flow.client];
        let frames = flow.tick(self.now, number, client);
        let (network, host, pace) = (client.network.index(), client.host, flow.pace);
        for frame in frames.into_iter().flatten() {
            self.send(network, host, frame);
        }
        self.queue.push(self.now + pace, Event::Tick { flow: number });
    }

    /// A frame reaches a client.
    pub(super) fn arrive_at_client(&mut self, network: usize, to: Host, frame: &Frame) {
        let is_it = |client: &&mut Client| client.network.index() == network && client.host == to;
        let Some(client) = self.clients.iter_mut().find(is_it) else { return };
        if let Some(answer) = client.handle(self.now, frame) {
            self.send(network, to, answer);
        }
        if let Body::Reply(reply) = &frame.body {
            self.answered(reply);
        }
    }

    /// A flow was answered.
    fn answered(&mut self, reply: &Reply) {
        let Some(flow) = self.flows.get_mut(reply.packet.flow as usize) else { return };
        let client = &mut self.clients[flow.client];
        // What faults may break, they break where a flow has not the server that all would choose.
        let excused = !self.settled && self.plan.classes.has(Class::Servers);
        let Some(notice) = flow.handle(self.now, reply, &mut client.cache) else { return };
        let vip = flow.vip;
        match notice {
            Notice::Answered => {}
            Notice::WrongServer { .. } if excused => {
                flow.begin_anew();
                self.checks.broken += 1;
            }
            Notice::WrongServer { had, got } => {
                self.checks.fail(self.now, "no-reset", || {
                    format!(
                        "a connection to VIP {} was with server {had}, n{} brought it to {got}",
                        vip.0,
                        reply.node + 1
                    )
                });
            }
            Notice::Reset => {
                self.checks.fail(self.now, "no-reset", || {
                    format!("a connection to VIP {} was reset by n{}", vip.0, reply.node + 1)
                });
            }
        }
    }
}
