//! The council's part in letting boxes in: who comes here, or that we come ourselves.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use base::{Instant, NodeId};
use cluster::config::{DocumentId, Record};
use cluster::introduction::{Answer, Event, Newcomer, Porter, Question, TooLong, Visit};
use cluster::seal::{Refusal, Salt, Secrets};
use model::config::{self, Config, Node};

use super::council::{Agreed, Council};
use super::framing::{Framing, Way};
use super::settings::{Card, id};

/// Those who come, or we who come.
pub(super) struct Newcomers {
    porter: Porter,
    /// We ask to be let in, and the ways to whom.
    coming: Option<(Newcomer, Vec<(IpAddr, Way)>)>,
    salt: Salt,
    secrets: Secrets,
    visits: VecDeque<(Visit, Way)>,
    datagrams: VecDeque<(Way, Vec<u8>)>,
}

/// What is to be done about somebody who wants to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// This is the answer.
    Answer(Answer),
    /// The document in force has it: the answer is [`Council::welcome`]'s.
    Listed,
    /// A document with one node more is to be proposed.
    Propose(config::Newcomer),
}

impl Newcomers {
    pub(super) fn new(own: NodeId, card: &Card) -> Self {
        Self {
            porter: Porter::new(own, card.salt, &card.secrets),
            coming: None,
            salt: card.salt,
            secrets: card.secrets.clone(),
            visits: VecDeque::new(),
            datagrams: VecDeque::new(),
        }
    }

    pub(super) fn hear(
        &mut self,
        now: Instant,
        way: &Way,
        datagram: &mut [u8],
    ) -> Result<(), Refusal> {
        if let Some((newcomer, _)) = &mut self.coming {
            return newcomer.handle(now, datagram);
        }
        if let Some(visit) = self.porter.handle(now, datagram)? {
            match visit.question {
                Question::Want { id, index } => {
                    if let Some(piece) = self.porter.piece(id, index) {
                        self.answer(&visit, way, piece);
                    }
                }
                Question::Enter(_) => self.visits.push_back((visit, *way)),
            }
        }
        Ok(())
    }

    fn answer(&mut self, visit: &Visit, way: &Way, answer: Answer) {
        let mut datagram = Vec::new();
        self.porter.answer(visit, answer, &mut datagram);
        if !datagram.is_empty() {
            self.datagrams.push_back((*way, datagram));
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some((newcomer, _)) = &mut self.coming {
            newcomer.handle_timeout(now);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.coming.as_ref().map(|(newcomer, _)| newcomer.next_deadline())
    }

    pub(super) fn poll_transmit(&mut self) -> Option<(Way, Vec<u8>)> {
        if let Some((newcomer, ways)) = &mut self.coming {
            while let Some((peer, datagram)) = newcomer.poll_transmit() {
                if let Some((_, way)) = ways.iter().find(|(address, _)| *address == peer) {
                    return Some((*way, datagram));
                }
            }
        }
        self.datagrams.pop_front()
    }
}

impl Council {
    /// From now on this node, which is configured alone, asks `peers` to let it in as what it
    /// brings, as [`Agreed::Introduced`] tells. Once it is let in, it begins anew.
    ///
    /// # Errors
    /// What it brings does not fit a datagram.
    pub fn come(
        &mut self,
        now: Instant,
        node: &Node,
        brings: &config::Newcomer,
        peers: &[IpAddr],
    ) -> Result<(), TooLong> {
        let way = |peer: &IpAddr| Some((*peer, Framing::way_to(node, *peer)?));
        let ways: Vec<_> = peers.iter().filter_map(way).collect();
        let asked = ways.iter().map(|(peer, _)| *peer).collect();
        let Newcomers { salt, secrets, .. } = &self.newcomers;
        let newcomer = Newcomer::new(now, *salt, secrets, brings, asked)?;
        self.newcomers.coming = Some((newcomer, ways));
        Ok(())
    }

    /// Whether this node asks to be let in.
    pub const fn is_newcomer(&self) -> bool {
        self.newcomers.coming.is_some()
    }

    /// What is to be done about somebody who wants to be let in.
    pub fn receive(&self, config: &Config, visit: &Visit) -> Reception {
        let Question::Enter(entry) = &visit.question else {
            return Reception::Answer(Answer::Soon);
        };
        let outside = |why: String| Reception::Answer(Answer::Outside { why });
        let own = config.nodes.iter().find(|node| id(node) == self.own);
        let own = own.map_or("this box", |node| node.name.as_str());
        if self.view().is_none() {
            return outside(format!(
                "{own} is part of no view of the cluster itself at the moment"
            ));
        }
        if let Some(node) = config.node(entry.name()) {
            let name = &node.name;
            return if id(node) == self.own {
                outside(format!("{name} is the name of the box that was asked itself"))
            } else if self.members().any(|member| member == id(node)) {
                // Perhaps its start before this one, which is not missed yet.
                outside(format!("a box with the name {name} is a member of the cluster"))
            } else {
                Reception::Listed
            };
        }
        let Some(newcomer) = entry.newcomer() else {
            return outside("one of its addresses has an impossible length".into());
        };
        match config.cluster.newcomers {
            config::Newcomers::Listed => match newcomer.number(config) {
                Some(id) => Reception::Answer(Answer::Unlisted { id }),
                None => outside("all numbers of nodes are taken".into()),
            },
            config::Newcomers::Welcome if visit.lives => Reception::Propose(newcomer),
            config::Newcomers::Welcome => Reception::Answer(Answer::Prove),
        }
    }

    /// The answer to a node of the document in force that does not have it.
    pub fn welcome(
        &mut self,
        now: Instant,
        id: DocumentId,
        record: impl FnOnce() -> Record,
    ) -> Answer {
        self.newcomers.porter.handle_record(now, id, record)
    }

    /// Answers [`Agreed::Visit`].
    pub fn answer(&mut self, visit: &Visit, way: &Way, answer: Answer) {
        self.newcomers.answer(visit, way, answer);
    }

    pub(super) fn after_newcomers(&mut self) {
        while let Some((visit, way)) = self.newcomers.visits.pop_front() {
            self.agreed.push_back(Agreed::Visit(Box::new(visit), way));
        }
        let Some((newcomer, _)) = &mut self.newcomers.coming else { return };
        let events: Vec<Event> = core::iter::from_fn(|| newcomer.poll_event()).collect();
        self.agreed.extend(events.into_iter().map(|event| Agreed::Introduced(Box::new(event))));
    }
}
