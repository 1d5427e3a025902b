//! Two stacks joined back to back in simulated time.

use base::time::Duration;
use base::{Instant, NetworkId};
use hoststack::{Attachment, Capacity, Connection, ConnectionState, HostStack};
use std::collections::BTreeSet;
use std::net::SocketAddr;

pub const OUTSIDE: NetworkId = NetworkId(0);
pub const DELAY: Duration = Duration::from_millis(2);
pub const V4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
pub const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn address(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(host.parse().expect("an address"), port)
}

pub fn attachment(host: usize) -> Attachment {
    let prefix = |text: String| text.parse().expect("a prefix");
    Attachment {
        network: OUTSIDE,
        addresses: vec![prefix(format!("{}/24", V4[host])), prefix(format!("{}/64", V6[host]))],
        gateways: vec![],
        mtu: 1500,
    }
}

pub fn stack(host: usize, capacity: Capacity) -> HostStack {
    let seed = 7 + host as u64;
    HostStack::with_capacity(Instant::ZERO, vec![attachment(host)], 61_000..=65_535, seed, capacity)
}

/// Which packets are lost; asked once for each, in the order they are sent.
pub type Loss = Box<dyn FnMut(usize, &[u8]) -> bool>;

pub fn no_loss() -> Loss {
    Box::new(|_, _| false)
}

pub struct Wire {
    pub now: Instant,
    pub hosts: [HostStack; 2],
    pub loss: Loss,
    /// Arrival, receiver, packet.
    flying: BTreeSet<(Instant, u64, usize, Vec<u8>)>,
    count: u64,
    /// Every packet sent: by whom, and what.
    pub log: Vec<(usize, Vec<u8>)>,
}

impl Wire {
    pub fn new(loss: Loss) -> Self {
        Self::with([Capacity::FACES; 2], loss)
    }

    pub fn with(capacities: [Capacity; 2], loss: Loss) -> Self {
        let [first, second] = capacities;
        Self {
            now: Instant::ZERO,
            hosts: [stack(0, first), stack(1, second)],
            loss,
            flying: BTreeSet::new(),
            count: 0,
            log: Vec::new(),
        }
    }

    /// Fetches what both want to send.
    pub fn flush(&mut self) {
        let mut out = [0; 1500];
        for sender in 0..2 {
            while let Some((network, length)) = self.hosts[sender].poll_transmit(self.now, &mut out)
            {
                assert_eq!(network, OUTSIDE);
                let packet = out[..length].to_vec();
                self.log.push((sender, packet.clone()));
                if !(self.loss)(sender, &packet) {
                    self.flying.insert((self.now + DELAY, self.count, 1 - sender, packet));
                    self.count += 1;
                }
            }
        }
    }

    /// Moves to the next thing that happens, if it is not after `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        self.flush();
        let now = self.now;
        let timers = self.hosts.iter_mut().filter_map(|host| host.next_deadline(now));
        let arrival = self.flying.first().map(|(arrival, ..)| *arrival);
        let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        assert!(next > self.now, "a deadline that nothing moves");
        self.now = next;
        while let Some((arrival, ..)) = self.flying.first()
            && *arrival <= self.now
            && let Some((_, _, receiver, packet)) = self.flying.pop_first()
        {
            self.hosts[receiver].handle_packet(self.now, OUTSIDE, &packet).expect("room");
            self.flush();
        }
        self.hosts.iter_mut().for_each(|host| host.handle_timeout(next));
        self.flush();
        true
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Runs until something is so, and says how long that took.
    pub fn until(&mut self, limit: Duration, mut what: impl FnMut(&mut Self) -> bool) -> Duration {
        let start = self.now;
        while !what(self) {
            assert!(self.step(start + limit), "not within {limit:?}");
        }
        self.now.since(start)
    }

    /// A connection from the first to the second host, seen from both.
    pub fn open(&mut self, remote: SocketAddr) -> (Connection, Connection) {
        let client = self.hosts[0].connect(self.now, remote).expect("a connection");
        let mut server = None;
        self.until(ms(30_000), |wire| {
            server = server.or_else(|| wire.hosts[1].accept(remote.port()));
            server.is_some() && wire.state(0, client) == Some(ConnectionState::Open)
        });
        (client, server.expect("accepted"))
    }

    pub fn state(&self, host: usize, connection: Connection) -> Option<ConnectionState> {
        self.hosts[host].state(connection)
    }
}

/// Flags of a TCP packet without extension headers or IP options.
pub fn tcp_flags(packet: &[u8]) -> Option<u8> {
    let (protocol, offset) = if packet[0] >> 4 == 4 { (packet[9], 20) } else { (packet[6], 40) };
    (protocol == 6).then(|| packet[offset + 13])
}
