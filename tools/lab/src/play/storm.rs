//! Ill will at the port of the cluster, and too much of everything: what neighbors of the boxes
//! can send without any secret.

use crate::place::Place;
use crate::switches;
use crate::{clock, inside};
use base::Offload;
use netio::{BLOCK, Memory, PortOptions};
use packet::pcap::Reader;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The port at which the boxes of a cluster hear each other.
const CLUSTER_PORT: [u8; 2] = 49_911_u16.to_be_bytes();
/// How long it is listened for datagrams to send again.
const RECORDED: Duration = Duration::from_millis(1500);
/// Frames a system call.
const BATCH: usize = 32;
/// Octets of the headers of Ethernet, IPv4 without options, and UDP.
const HEADERS: usize = 14 + 20 + 8;
/// Where in them stands what kind of frame it is, the protocol, the port it goes to, and its
/// checksum.
const KIND: std::ops::Range<usize> = 12..15;
const PROTOCOL: usize = 23;
const DESTINATION_PORT: std::ops::Range<usize> = 36..38;
const CHECKSUM: std::ops::Range<usize> = 40..42;
/// The clear part of a cluster's datagram, behind which the sealed one begins.
const CLEAR: usize = 44;
/// What is sent takes little memory to receive beside.
const MEMORY: Memory =
    Memory { block_size: 2 * BLOCK, blocks: 4, large_frames: 2, receive_buffer: 1 << 20 };
/// Sockets of one thread of a flood, each a flow.
const FLOWS: usize = 64;
/// Threads of a flood.
const THREADS: usize = 2;

/// Records what the boxes say to each other on a segment, and sends it from a host again and
/// again for a while: as it was, with one octet changed, and with nothing right but the header.
/// Gives what was sent.
///
/// # Errors
/// A sentence.
pub fn storm(
    place: &Place,
    (segment, namespace, interface): (&str, &str, &str),
    rate: u32,
    time: Duration,
) -> Result<String, String> {
    let file = place.folder.join("storm.pcap");
    let captured = switches::capture(place, segment, &file, RECORDED, None);
    captured.map_err(|error| error.to_string())?;
    let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let recorded = recorded(&bytes)?;
    if recorded.is_empty() {
        return Err(format!("the boxes say nothing to each other on {segment}"));
    }
    let (frames, kinds) = (malicious(&recorded), recorded.len());
    let interface = interface.to_owned();
    let sent =
        inside::join(inside::spawn(namespace, move || send(&interface, &frames, rate, time)))?;
    Ok(format!(
        "{sent} datagrams: {kinds} recorded ones sent again, forged, and filled with garbage"
    ))
}

/// The frames of a capture that carry a cluster's datagrams over IPv4.
fn recorded(capture: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let reader = Reader::new(capture).map_err(|error| error.to_string())?;
    let mut frames = Vec::new();
    for record in reader {
        let record = record.map_err(|error| error.to_string())?;
        if is_cluster(record.bytes) {
            frames.push(record.bytes.to_vec());
        }
    }
    Ok(frames)
}

fn is_cluster(frame: &[u8]) -> bool {
    frame.get(KIND) == Some(&[0x08, 0x00, 0x45])
        && frame.get(PROTOCOL) == Some(&17)
        && frame.get(DESTINATION_PORT) == Some(&CLUSTER_PORT)
        && frame.len() > HEADERS + CLEAR + 16
}

/// Each recorded frame as it is, forged, and with garbage behind the clear part. What is changed
/// has no UDP checksum (RFC 768), so that it is the seal that must refuse it.
fn malicious(recorded: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for (number, frame) in recorded.iter().enumerate() {
        frames.push(frame.clone());
        let mut forged = frame.clone();
        forged[CHECKSUM].copy_from_slice(&[0, 0]);
        // Every octet has its turn, those of the clear header among them.
        let at = HEADERS + number % (frame.len() - HEADERS);
        forged[at] ^= 1 << (number % 8);
        frames.push(forged);
        let mut garbage = frame.clone();
        garbage[CHECKSUM].copy_from_slice(&[0, 0]);
        for octet in &mut garbage[HEADERS + CLEAR..] {
            noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(number as u64 | 1);
            *octet = (noise >> 56) as u8;
        }
        frames.push(garbage);
    }
    frames
}

/// Sends frames in turn at a rate and gives how many went out.
fn send(interface: &str, frames: &[Vec<u8>], rate: u32, time: Duration) -> Result<u64, String> {
    let options = PortOptions { memory: MEMORY, ..PortOptions::new(interface) };
    let pairs = netio::open(&options).map_err(|error| error.to_string())?;
    let (_receiver, mut transmitter) =
        pairs.into_iter().next().ok_or_else(|| format!("{interface} has no worker"))?;
    let (start, mut sent, mut next) = (clock::now(), 0_u64, frames.iter().cycle());
    while clock::since(start) < time {
        let due = (clock::since(start).as_secs_f64() * f64::from(rate)) as u64;
        if due < sent + BATCH as u64 {
            clock::pause(Duration::from_millis(1));
            continue;
        }
        let batch: Vec<_> =
            next.by_ref().take(BATCH).map(|frame| (frame.as_slice(), Offload::NONE)).collect();
        transmitter.send(&batch);
        sent += BATCH as u64;
    }
    Ok(sent)
}

/// Floods a UDP service with small datagrams of a few flows, as fast as this machine can, and
/// gives how many were sent.
///
/// # Errors
/// A sentence where a socket could not be had.
pub fn flood(namespace: &str, service: SocketAddr, time: Duration) -> Result<u64, String> {
    let work = move || {
        let open = |_| {
            let any = if service.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            socket.connect(service)?;
            socket.set_nonblocking(true).map(|()| socket)
        };
        let sockets: std::io::Result<Vec<UdpSocket>> = (0..FLOWS).map(open).collect();
        let sockets = sockets.map_err(|error| format!("a socket to {service}: {error}"))?;
        let (start, mut sent) = (clock::now(), 0_u64);
        while clock::since(start) < time {
            for socket in &sockets {
                // What does not fit into the socket was not sent.
                sent += u64::from(socket.send(&[0; 18]).is_ok());
            }
        }
        Ok(sent)
    };
    let threads: Vec<_> = (0..THREADS).map(|_| inside::spawn(namespace, work)).collect();
    threads.into_iter().map(inside::join).sum()
}

/// Keeps so many threads busy for a while.
pub fn busy(threads: usize, time: Duration) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let start = clock::now();
                let mut number = 1_u64;
                while clock::since(start) < time {
                    for _ in 0..10_000 {
                        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793));
                    }
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Vec<u8> {
        let mut frame = vec![7; HEADERS + CLEAR + 40];
        frame[KIND].copy_from_slice(&[0x08, 0x00, 0x45]);
        frame[PROTOCOL] = 17;
        frame[DESTINATION_PORT].copy_from_slice(&CLUSTER_PORT);
        frame
    }

    #[test]
    fn only_datagrams_of_the_cluster_are_sent_again() {
        assert!(is_cluster(&frame()));
        for (at, value) in [(PROTOCOL, 6), (14, 0x60), (37, 53)] {
            let mut other = frame();
            other[at] = value;
            assert!(!is_cluster(&other), "octet {at}");
        }
    }

    #[test]
    fn each_is_sent_as_it_was_forged_and_as_garbage() {
        let frames = malicious(&[frame(), frame()]);
        assert_eq!(frames.len(), 6);
        assert_eq!(frames[0], frame());
        for changed in [&frames[1], &frames[2], &frames[4], &frames[5]] {
            assert_eq!(changed[CHECKSUM], [0, 0]);
            assert_eq!(changed.len(), frame().len());
            assert_ne!(changed[HEADERS..], frame()[HEADERS..]);
        }
        let before = frame();
        let changed = frames[4][HEADERS..].iter().zip(&before[HEADERS..]).filter(|(a, b)| a != b);
        assert_eq!(changed.count(), 1, "a forged one differs in one octet");
    }
}
