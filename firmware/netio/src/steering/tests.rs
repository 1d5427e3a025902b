//! The kernel's program and `packet::steer::worker` over the same frames.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use base::rng::Rng;
use packet::headers::{Body, parse};

use super::Steering;

const VIRTUAL: [Ipv6Addr; 3] = [
    Ipv4Addr::new(192, 0, 2, 80).to_ipv6_mapped(),
    Ipv4Addr::new(10, 0, 0, 254).to_ipv6_mapped(),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 80),
];

fn steering(workers: u16) -> Option<Steering> {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: loading a program needs root");
        return None;
    }
    let mut steering = Steering::new(workers).unwrap();
    steering.set_virtual(&VIRTUAL).unwrap();
    Some(steering)
}

fn kernel(steering: &Steering, frame: &[u8]) -> u16 {
    u16::try_from(steering.program.run(frame).unwrap()).unwrap()
}

fn reference(frame: &[u8], workers: u16) -> u16 {
    packet::steer::worker(frame, |address| VIRTUAL.contains(&address), workers)
}

/// Random but well-formed frames.
struct Generator(Rng);

impl Generator {
    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.0.below(u64::from(bound))).unwrap()
    }

    fn octet(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(u32::try_from(choices.len()).unwrap())).unwrap()]
    }

    /// A virtual address now and then.
    fn address_v4(&mut self) -> [u8; 4] {
        match self.below(3) {
            0 => self.one_of(&[[192, 0, 2, 80], [10, 0, 0, 254]]),
            _ => [198, 51, 100, 1 + self.octet() % 200],
        }
    }

    fn address_v6(&mut self) -> [u8; 16] {
        match self.below(3) {
            0 => VIRTUAL[2].octets(),
            _ => Ipv6Addr::new(0x2001, 0xdb8, self.octet().into(), 7, 0, 0, 0, 9).octets(),
        }
    }

    /// An upper-layer header of a protocol, with eight octets of data.
    fn transport(&mut self, protocol: u8, quote: impl FnOnce(&mut Self) -> Vec<u8>) -> Vec<u8> {
        let ports = [self.octet(), self.octet(), self.octet(), self.octet()];
        let mut out = match protocol {
            6 => [&ports[..], &[0; 8], &[0x50, 0x10], &[0; 6]].concat(),
            17 => [&ports[..], &[0, 16, 0, 0]].concat(),
            1 => {
                let kind = self.one_of(&[0, 3, 4, 5, 8, 11, 12, 13]);
                return [vec![kind, 0, 0, 0, 0, 0, 0, 9], quote(self)].concat();
            }
            58 => {
                let kind = self.one_of(&[1, 2, 3, 4, 100, 127, 128, 129, 132, 133, 135, 137, 138]);
                return [vec![kind, 0, 0, 0, 0, 0, 0, 9], quote(self)].concat();
            }
            _ => vec![0; 20],
        };
        out.extend([0x5a; 8]);
        out
    }

    /// An IPv4 packet; `depth` 0 is one that is quoted.
    fn packet_v4(&mut self, depth: u32) -> Vec<u8> {
        let protocol = self.one_of(&[6, 17, 1, 47, 6, 17, 1]);
        let data = self.transport(protocol, |own| match depth {
            0 => vec![1; 40],
            _ => own.packet_v4(0),
        });
        let options = usize::try_from(self.below(4)).unwrap() * self.octet() as usize % 11;
        let header = 20 + options * 4;
        let mut packet = vec![0x40 | u8::try_from(header / 4).unwrap(), 0];
        let fragment: u16 = self.one_of(&[0, 0, 0, 0x4000, 0x2000, 0x2010, 0x0010]);
        let mut data = data;
        while fragment != 0 && !data.len().is_multiple_of(8) {
            data.push(0);
        }
        packet.extend(u16::try_from(header + data.len()).unwrap().to_be_bytes());
        packet.extend([0x12, 0x34]);
        packet.extend(fragment.to_be_bytes());
        packet.extend([60, protocol, 0, 0]);
        packet.extend(self.address_v4());
        packet.extend(self.address_v4());
        packet.extend(vec![1; options * 4]); // no-operation
        let sum = packet.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum::<u32>();
        let sum = !u16::try_from((sum >> 16) + (sum & 0xffff)).unwrap();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(data);
        packet
    }

    /// An IPv6 packet with up to eight extension headers; `depth` as above.
    fn packet_v6(&mut self, depth: u32) -> Vec<u8> {
        let protocol = self.one_of(&[6, 17, 58, 50, 6, 17, 58]);
        let mut data = self.transport(protocol, |own| match depth {
            0 => vec![1; 40],
            _ => own.packet_v6(0),
        });
        while !data.len().is_multiple_of(8) {
            data.push(0);
        }
        let mut next = protocol;
        // Built from the inside out, so hop-by-hop, which must be first, comes last.
        let mut fragments = 0;
        for _ in 0..self.below(5) * self.below(3) {
            let kind = self.one_of(&[60, 43, 60, 44]);
            if kind == 44 && fragments == 1 {
                continue;
            }
            let header = if kind == 44 {
                fragments += 1;
                let word: u16 = self.one_of(&[0, 0, 1, 0x11, 0x10]);
                [&[next, 0], &word.to_be_bytes()[..], &[0, 0, 0, 7]].concat()
            } else {
                let more = self.octet() % 3;
                let left = if kind == 43 { self.one_of(&[0, 0, 0, 1]) } else { 0 };
                let mut header = vec![next, more, 0, left, 0, 0, 0, 0];
                header.resize(8 + usize::from(more) * 8, 0);
                header
            };
            data = [header, data].concat();
            next = kind;
        }
        if self.below(6) == 0 {
            data = [vec![next, 0, 1, 4, 0, 0, 0, 0], data].concat();
            next = 0;
        }
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 60];
        packet.extend(self.address_v6());
        packet.extend(self.address_v6());
        packet.extend(data);
        packet
    }

    fn frame(&mut self) -> Vec<u8> {
        let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
        let (kind, packet): (u16, Vec<u8>) = match self.below(20) {
            0 => (0x0806, vec![0; 46]),
            1 => (0x88cc, vec![0x45; 60]),
            2..=10 => (0x0800, self.packet_v4(1)),
            _ => (0x86dd, self.packet_v6(1)),
        };
        frame.extend(kind.to_be_bytes());
        frame.extend(packet);
        frame.resize(frame.len().max(60), 0);
        frame
    }
}

#[test]
fn the_kernel_steers_as_packet_does() {
    const FRAMES: usize = 20_000;
    for workers in [1, 2, 3, 8, 256] {
        let Some(steering) = steering(workers) else { return };
        let mut generator = Generator(Rng::new(u64::from(workers)));
        let mut compared = 0;
        let mut used = BTreeSet::new();
        for _ in 0..FRAMES {
            let frame = generator.frame();
            let Ok(headers) = parse(&frame) else { continue };
            let expected = reference(&frame, workers);
            let got = kernel(&steering, &frame);
            assert_eq!(got, expected, "{workers} workers, {headers:?}, {frame:02x?}");
            compared += usize::from(matches!(headers.body, Body::Ip(_)));
            used.insert(got);
        }
        assert!(compared > FRAMES * 3 / 5, "too few frames were well-formed: {compared}");
        assert_eq!(used.len(), usize::from(workers), "every worker is used");
    }
}

#[test]
fn any_octets_at_all_give_a_worker_that_exists() {
    let Some(steering) = steering(3) else { return };
    let mut generator = Generator(Rng::new(99));
    let mut ran = 0;
    for _ in 0..20_000 {
        let mut frame = generator.frame();
        for _ in 0..generator.below(6) {
            let bound = u32::try_from(frame.len()).unwrap();
            let at = usize::try_from(generator.below(bound)).unwrap();
            frame[at] = generator.octet();
        }
        let length = 14 + usize::try_from(generator.below(90)).unwrap();
        frame.truncate(length);
        // Newer kernels refuse to test a program over a frame whose IP header is cut.
        if let Ok(worker) = steering.program.run(&frame) {
            assert!(worker < 3);
            ran += 1;
        }
    }
    assert!(ran > 5_000, "the kernel took only {ran} frames");
}

#[test]
fn the_set_of_virtual_addresses_changes_under_way() {
    let Some(mut steering) = steering(256) else { return };
    // A frame to the virtual address is steered by its sender, else by its receiver.
    let mut generator = Generator(Rng::new(5));
    let frame = loop {
        let frame = generator.frame();
        let Ok(Body::Ip(ip)) = parse(&frame).map(|headers| headers.body) else { continue };
        let key = ip.flow_key();
        if key.is_some_and(|key| VIRTUAL.contains(&key.destination))
            && !VIRTUAL.contains(&ip.source)
            && packet::steer::worker(&frame, |_| false, 256) != reference(&frame, 256)
        {
            break frame;
        }
    };
    assert_eq!(kernel(&steering, &frame), reference(&frame, 256));
    steering.set_virtual(&[]).unwrap();
    assert_eq!(kernel(&steering, &frame), packet::steer::worker(&frame, |_| false, 256));
    steering.set_virtual(&VIRTUAL).unwrap();
    assert_eq!(kernel(&steering, &frame), reference(&frame, 256));
}

#[test]
fn what_does_not_fit_is_refused_with_a_sentence() {
    let Some(mut steering) = steering(2) else { return };
    let many: Vec<Ipv6Addr> = (0..=super::MOST_VIRTUAL as u128).map(Ipv6Addr::from).collect();
    let error = steering.set_virtual(&many).unwrap_err().to_string();
    assert!(error.contains("4097") && error.contains("4096"), "{error}");
    steering.set_virtual(&many[1..]).unwrap();
    steering.set_virtual(&many[..4096]).unwrap();
    for workers in [0, 257] {
        assert!(Steering::new(workers).unwrap_err().to_string().contains("1 to 256"));
    }
}
