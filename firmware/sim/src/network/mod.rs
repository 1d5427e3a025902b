//! The segments that join nodes and clients: a switch each, with the links of every pair.
//!
//! A switch forwards by what it has learned; what happens to a frame on its way is decided by the
//! directed link between the two ports it takes. That is how a fault between two hosts looks from
//! their ends, wherever in the network it stands.

pub(crate) mod frame;
mod link;
mod switch;

use crate::draw::Draw;
use frame::{Frame, Host, Station};
use link::Link;
pub(crate) use link::{Impairment, Weather};
use switch::Switch;

/// A segment and everything plugged into it.
#[derive(Debug)]
pub(crate) struct Segment {
    switch: Switch,
    hosts: usize,
    /// Row by row: from each host to each.
    links: Vec<Link>,
    /// Whether each host's cable carries.
    carrier: Vec<bool>,
    weather: Weather,
    draw: Draw,
}

/// A frame on its way: when it arrives, and where.
pub(crate) type Arrival = (u64, Host, Frame);

impl Segment {
    /// A segment of `hosts`, all plugged in.
    pub fn new(hosts: usize, weather: Weather, ageing: u64, draw: Draw) -> Self {
        Self {
            switch: Switch::new(ageing),
            hosts,
            links: vec![Link::default(); hosts * hosts],
            carrier: vec![true; hosts],
            weather,
            draw,
        }
    }

    /// Takes a frame from a host and adds where and when it arrives.
    pub fn carry(&mut self, now: u64, from: Host, frame: Frame, arrivals: &mut Vec<Arrival>) {
        if !self.carrier[from] {
            return;
        }
        self.switch.learn(now, frame.source, from);
        match self.switch.port(now, frame.destination) {
            Some(to) if to == from => {}
            Some(to) => self.cross(now, from, to, frame, arrivals),
            None => {
                for to in (0..self.hosts).filter(|to| *to != from) {
                    self.cross(now, from, to, frame.clone(), arrivals);
                }
            }
        }
    }

    /// Sends a frame over one link.
    fn cross(&mut self, now: u64, from: Host, to: Host, frame: Frame, out: &mut Vec<Arrival>) {
        if !self.carrier[to] {
            return;
        }
        let link = &mut self.links[from * self.hosts + to];
        link.cross(now, &self.weather, &mut self.draw, |at, corrupted| {
            let frame = if corrupted { frame.corrupted() } else { Some(frame.clone()) };
            if let Some(frame) = frame {
                out.push((at, to, frame));
            }
        });
    }

    /// Plugs a host in or pulls its cable. The switch forgets what it learned on a dead port.
    pub fn set_carrier(&mut self, host: Host, up: bool) {
        self.carrier[host] = up;
        if !up {
            self.switch.forget(host);
        }
    }

    /// Whether a host's cable carries.
    pub fn has_carrier(&self, host: Host) -> bool {
        self.carrier[host]
    }

    /// Adds an impairment to a directed link.
    pub fn impair(&mut self, from: Host, to: Host, impairment: Impairment) {
        self.links[from * self.hosts + to].impair(impairment);
    }

    /// Takes one away that was added before.
    pub fn relieve(&mut self, from: Host, to: Host, impairment: Impairment) {
        self.links[from * self.hosts + to].relieve(impairment);
    }

    /// Whether less than half of what two hosts send to each other arrives, both ways.
    pub fn is_faint(&self, one: Host, other: Host) -> bool {
        let faint = |from: Host, to: Host| self.links[from * self.hosts + to].is_faint();
        faint(one, other) && faint(other, one)
    }

    /// Ends the weather: from now on frames arrive, once, unharmed and in order.
    pub fn clear(&mut self) {
        self.weather = self.weather.calm();
    }

    /// How many hosts there are.
    pub const fn hosts(&self) -> usize {
        self.hosts
    }

    /// The address of a host's own interface.
    pub const fn station(host: Host) -> Station {
        Station::of_host(host)
    }
}
