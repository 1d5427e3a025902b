//! The seal of a node, composed as the real program composes it: one guard for each thread, and a
//! greeter beside the heartbeats.

use crate::draw::Draw;
use base::time::Duration;
use base::{Instant, NetworkId, NodeId};
use cluster::seal::{Admission, Greeter, Greeting, Guard, Identity, Secret, Secrets, tag};
pub(crate) use cluster::seal::{Refusal, greeter::is_greeting};
use cluster::{Channel, Incarnation, Peer, Settings, Transmit};

/// Between two greetings of a peer that does not know us, or that we do not know.
const GREETING_INTERVAL: Duration = Duration::from_millis(100);
/// Where the sender stands in a datagram.
const SENDER: std::ops::Range<usize> = 12..14;
const CONTROL_CHANNELS: [Channel; 4] =
    [Channel::Token, Channel::Control, Channel::Document, Channel::Flow];

/// Everything that seals and opens for one start of a node.
pub(crate) struct Sealing {
    pulse: Guard,
    control: Guard,
    greeter: Greeter,
    peers: Vec<NodeId>,
    admissions: Vec<Admission>,
    networks: usize,
    next_greeting: Instant,
    /// Answers to greetings that wait to be sent.
    pub answers: Vec<(NodeId, NetworkId, Vec<u8>)>,
    /// A peer has known a start of ours that was not lower.
    pub outrun: Option<Incarnation>,
}

/// What was opened: who sent it, as what, and what it says.
pub(crate) type Opened = (Peer, Channel, Vec<u8>);

impl Sealing {
    /// The seal of a start that nobody has admitted.
    pub fn new(settings: &Settings, seed: u64) -> Self {
        let mut draw = Draw::new(seed, "salt");
        let mut salt = [0; 16];
        salt.fill_with(|| (draw.seed() >> 32) as u8);
        let networks = settings.networks.len();
        let identity = Identity {
            cluster: tag("edge"),
            node: settings.own,
            incarnation: settings.incarnation,
            salt,
            networks: (0..networks).map(|number| tag(&format!("network{number}"))).collect(),
        };
        let peers: Vec<NodeId> = settings.others().iter().collect();
        let secrets = secrets(0);
        let guard = |channels: &[Channel]| {
            Guard::new(identity.clone(), secrets.clone(), channels, peers.iter().copied())
        };
        Self {
            pulse: guard(&[Channel::Heartbeat]),
            control: guard(&CONTROL_CHANNELS),
            greeter: Greeter::new(identity.clone(), &secrets, peers.iter().copied()),
            networks,
            next_greeting: Instant::ZERO,
            answers: Vec::new(),
            outrun: None,
            peers,
            admissions: Vec::new(),
        }
    }

    /// The octets of a message.
    pub fn seal(&mut self, transmit: &Transmit) -> Vec<u8> {
        let guard = match transmit.channel {
            Channel::Heartbeat => &mut self.pulse,
            Channel::Token | Channel::Control | Channel::Document | Channel::Flow => {
                &mut self.control
            }
        };
        let mut octets = Vec::with_capacity(transmit.body.len() + cluster::seal::OVERHEAD);
        guard.seal(transmit.channel, transmit.network, transmit.to, &transmit.body, &mut octets);
        octets
    }

    /// Opens what came to the pulse thread's socket; greetings are dealt with here.
    pub fn open_pulse(
        &mut self,
        network: NetworkId,
        octets: &mut [u8],
    ) -> Result<Option<Opened>, Refusal> {
        if !is_greeting(octets) {
            return open(&mut self.pulse, network, octets).map(Some);
        }
        let sender = octets.get(SENDER).and_then(|octets| octets.first_chunk::<2>());
        let sender = NodeId(sender.copied().map_or(0, u16::from_be_bytes));
        let mut answer = Vec::new();
        match self.greeter.handle(network, octets, &mut answer)? {
            Greeting::Heard => {}
            Greeting::Admitted(admission) => {
                self.admissions.push(admission);
                self.pulse.admit(admission);
                self.control.admit(admission);
            }
            Greeting::Outrun(known) => self.outrun = Some(known),
        }
        if !answer.is_empty() {
            self.answers.push((sender, network, answer));
        }
        Ok(None)
    }

    /// Opens what came to the control thread's socket.
    pub fn open_control(
        &mut self,
        network: NetworkId,
        octets: &mut [u8],
    ) -> Result<Opened, Refusal> {
        open(&mut self.control, network, octets)
    }

    /// Greetings that are due: to peers that are not admitted, or that do not seem to hear us.
    pub fn greet(
        &mut self,
        now: Instant,
        hears_us: impl Fn(NodeId) -> bool,
    ) -> Vec<(NodeId, NetworkId, Vec<u8>)> {
        let mut greetings = Vec::new();
        if now < self.next_greeting {
            return greetings;
        }
        self.next_greeting = now + GREETING_INTERVAL;
        for peer in self.peers.iter().copied() {
            if self.pulse.admitted(peer).is_some() && hears_us(peer) {
                continue;
            }
            for network in (0..self.networks).map(NetworkId::from) {
                let mut octets = Vec::new();
                self.greeter.greet(network, peer, &mut octets);
                greetings.push((peer, network, octets));
            }
        }
        greetings
    }

    /// When greetings are due again.
    pub const fn next_greeting(&self) -> Instant {
        self.next_greeting
    }

    /// Forgets what was heard: a bug that is planted.
    pub fn forget_windows(&mut self) {
        for guard in [&mut self.pulse, &mut self.control] {
            guard.set_peers([]);
            guard.set_peers(self.peers.iter().copied());
            for admission in &self.admissions {
                guard.admit(*admission);
            }
        }
    }

    /// Takes the next step of a change of the secret.
    pub fn rotate(&mut self, step: usize) {
        let secrets = secrets(step);
        self.pulse.set_secrets(secrets.clone());
        self.control.set_secrets(secrets.clone());
        self.greeter.set_secrets(&secrets);
    }
}

fn open(guard: &mut Guard, network: NetworkId, octets: &mut [u8]) -> Result<Opened, Refusal> {
    let opened = guard.open(network, octets)?;
    Ok((opened.from, opened.channel, opened.body.to_vec()))
}

/// The secrets after so many steps of a change: all accept the next one too, all send it, all drop
/// the old one.
fn secrets(step: usize) -> Secrets {
    let secret = |number: usize| Secret::new(&format!("secret number {number} of the cluster"));
    let (old, new) = (step / 3, step / 3 + 1);
    match step % 3 {
        0 => Secrets::one(secret(old)),
        1 => Secrets { send: secret(old), also: Some(secret(new)) },
        _ => Secrets { send: secret(new), also: Some(secret(old)) },
    }
}
