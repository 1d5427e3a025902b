//! Boxes that come to the cluster with nothing but their own node document: letting them in, and
//! being one.

use base::time::Duration;
use base::{Instant, NodeId};
use cluster::config::{Decision, DocumentId, Origin, Record};
use cluster::introduction::{Answer, Event as Introduced, Visit};
use model::config::Newcomer;
use model::event::Event;
use model::operator::Reply;
use node::membership::{Reception, Way};
use node::revisions::{Apply, Proposal};

use super::documents::{named, read};
use super::{ControlThread, State};

/// A newcomer whose document was refused is not proposed again for so long; neither is one whose
/// document nobody has decided on.
const PAUSE: Duration = Duration::from_secs(5);

/// A newcomer that is proposed to the other boxes.
pub struct Entering {
    name: String,
    /// Its document, once it is made.
    id: Option<DocumentId>,
    /// When it may be proposed again.
    again: Instant,
    /// Why it was refused.
    refused: Option<String>,
}

impl ControlThread {
    /// Somebody with the secret wants to be let in.
    pub(super) fn receive(&mut self, now: Instant, visit: &Visit, way: &Way) {
        let Some(member) = &mut self.member else { return };
        let answer = match member.council.receive(self.control.plan().config(), visit) {
            Reception::Answer(answer) => answer,
            Reception::Listed => match self.desk.home() {
                Some(engine) => {
                    let id = engine.document();
                    member.council.welcome(now, id, || engine.record(now))
                }
                None => Answer::Soon,
            },
            Reception::Propose(newcomer) => self.let_in(now, newcomer),
        };
        if let Some(member) = &mut self.member {
            member.council.answer(visit, way, answer);
        }
    }

    /// Has a document with one node more made, unless that is under way.
    fn let_in(&mut self, now: Instant, newcomer: Newcomer) -> Answer {
        let entering = self.waiting.entering.as_ref();
        if let Some(entering) = entering.filter(|entering| now < entering.again) {
            match &entering.refused {
                None => return Answer::Soon,
                Some(why) if entering.name == newcomer.name => {
                    return Answer::Outside { why: why.clone() };
                }
                Some(_) => {}
            }
        }
        let name = newcomer.name.clone();
        if self.desk.enter(newcomer) {
            let again = now + PAUSE;
            self.waiting.entering = Some(Entering { name, id: None, again, refused: None });
        }
        Answer::Soon
    }

    /// Proposes the document that was made for a newcomer.
    pub(super) fn propose_newcomer(
        &mut self,
        now: Instant,
        proposal: Result<Proposal, String>,
        state: &State,
    ) {
        let proposed = proposal.and_then(|proposal| self.propose(now, proposal, state));
        if let Some(entering) = &mut self.waiting.entering {
            match proposed {
                Ok(id) => entering.id = Some(id),
                Err(why) => (entering.again, entering.refused) = (now + PAUSE, Some(why)),
            }
        }
        self.confer(now, state);
    }

    /// What we proposed is decided: perhaps a newcomer.
    pub(super) fn entered(&mut self, id: DocumentId, decision: &Decision) {
        let Some(mut entering) = self.waiting.entering.take_if(|it| it.id == Some(id)) else {
            return;
        };
        let nodes = self.control.plan().config().nodes.clone();
        let name = |id: NodeId| named(&nodes, id);
        if let Reply::Refused(why) = self.desk.with(|engine| engine.decided(decision, name)) {
            entering.refused = Some(why);
            self.waiting.entering = Some(entering);
        }
    }

    /// What became of our own asking to be let in.
    pub(super) fn introduced(&mut self, now: Instant, event: Introduced, state: &State) {
        match event {
            Introduced::Outside { peer, why } => {
                self.journal.note(&Event::NotLetIn { peer, reason: why });
            }
            Introduced::Unlisted { peer, id } => {
                self.journal.note(&Event::NotLetIn { peer, reason: self.wanted(id) });
            }
            Introduced::Silent { peers } => self.journal.note(&Event::PeersSilent { peers }),
            Introduced::Welcome { peer, record } => match self.enter(now, &record, state) {
                Ok(()) => self.journal.note(&Event::LetIn { peer }),
                Err(why) => {
                    let reason = format!("this box cannot carry out the cluster's document: {why}");
                    self.journal.note(&Event::NotLetIn { peer, reason });
                }
            },
        }
    }

    /// What somebody has to commit at a box of the cluster, as it is typed there.
    fn wanted(&self, id: u8) -> String {
        let (config, node) = (self.control.plan().config(), self.control.plan().node());
        let mut lines = vec![format!("set node.{}.id {id}", node.name)];
        for port in &node.ports {
            let path = format!("set node.{}.port.{}", node.name, port.name);
            let network = config.networks.get(port.network.index());
            let network = network.map(|network| network.name.as_str()).unwrap_or_default();
            let addresses: Vec<_> =
                port.addresses.iter().map(|address| format!("\"{address}\"")).collect();
            lines.push(format!("{path}.network {network}"));
            lines.push(format!("{path}.addresses [{}]", addresses.join(", ")));
            if let Some(vlan) = port.vlan {
                lines.push(format!("{path}.vlan {vlan}"));
            }
            if port.interface != port.name {
                lines.push(format!("{path}.interface {}", port.interface));
            }
        }
        format!(
            "its document does not list it, and says newcomers = \"listed\". It comes in once \
             this is committed at a box of the cluster: {}",
            lines.join("; ")
        )
    }

    /// Begins anew as a node of the cluster's document.
    fn enter(&mut self, now: Instant, record: &Record, state: &State) -> Result<(), String> {
        let (config, node) = read(record, &self.control.plan().node().name)?;
        let rehearsed = self.control.rehearse(config.clone(), node.clone(), &state.measured);
        rehearsed.map_err(|why| why.to_string())?;
        let apply = Apply { config: config.clone(), node: node.clone() };
        self.apply(now, apply, state).map_err(|why| why.to_string())?;
        let record = self.desk.with(|engine| {
            engine.adopt(now, record, Origin::CaughtUp);
            engine.record(now)
        });
        if let Some(member) = &mut self.member {
            let start = member.council.incarnation();
            member.forget_ports(node.ports.len());
            member.begin_anew(now, start, (&config, &node), &record);
        }
        Ok(())
    }
}
