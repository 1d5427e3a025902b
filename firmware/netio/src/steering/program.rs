//! The steering program: `packet::steer::worker`, written for the kernel's BPF machine.
//!
//! ```text
//!   Ethernet type -- other -----------------------------------------> worker 0
//!        | IPv4, IPv6
//!   parse: addresses, protocol -- cannot be --------------------------> worker 0
//!        |                  \---- any fragment -> ports are 0 --\
//!        |- TCP, UDP: ports ------------------------------------|
//!        |- neighbour discovery -----------------------------------------> worker 0
//!        |- ICMP error: parse what it quotes, roles exchanged --|
//!        \- other: ports are 0 ---------------------------------+-> choose an endpoint -> hash
//! ```
//!
//! A quoted first fragment has ports, unlike one that arrives itself.
//!
//! The kernel runs it with the frame's network header at the start of the data, before any tap
//! sees the frame. It reads through a helper that also reaches what is not in the first piece of
//! a frame's memory. Whatever `packet` calls malformed goes to some worker, which drops it; for
//! every other frame the two agree.

use super::assembler::{Arithmetic, Assembler, Label, Register, Size, When};
use crate::sys::bpf::Instruction;
use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};

/// Offset of the Ethernet type (big-endian) in the kernel's `struct __sk_buff`.
const CONTEXT_PROTOCOL: i16 = 16;
/// Helper: looks a key up in a map.
const MAP_LOOKUP: i32 = 1;
/// Helper: copies octets of the frame.
const LOAD_BYTES: i32 = 26;

/// Stack: the packet's source address, later the reference endpoint's opposite.
const SOURCE: i16 = -16;
/// Stack: the packet's destination address, later the one that is hashed.
const DESTINATION: i16 = -32;
/// Stack: room for the longest fixed header, 40 octets.
const HEADER: i16 = -72;
/// Stack: source port, destination port, as on the wire.
const PORTS: i16 = -80;

const ICMP: i32 = 1;
const TCP: i32 = 6;
const UDP: i32 = 17;
const ICMPV6: i32 = 58;

const HOP_BY_HOP: i32 = 0;
const ROUTING: i32 = 43;
const FRAGMENT: i32 = 44;
const DESTINATION_OPTIONS: i32 = 60;

/// One more than `packet` looks through: it still sees whether the ninth names hops to come.
const MAXIMUM_EXTENSION_HEADERS: usize = 9;

/// ICMP types that are errors: unreachable, source quench, redirect, time exceeded, parameter
/// problem (RFC 1122 §3.2.2).
const ERRORS_V4: [i32; 5] = [3, 4, 5, 11, 12];
/// The first ICMPv6 type that is no error (RFC 4443 §2.1).
const FIRST_INFORMATION_V6: i32 = 128;

/// The first type of neighbour discovery, and the first one after it (RFC 4861 §4).
const NEIGHBOUR_DISCOVERY_V6: [i32; 2] = [133, 138];

/// Octets of an ICMP header, of either version; the quoted packet follows.
const ICMP_HEADER: i32 = 8;

/// Octets of the quoted transport header that must be there (RFC 792).
const QUOTED_TRANSPORT: i32 = 8;

/// Where to go on.
#[derive(Clone, Copy)]
struct Exits {
    /// The frame cannot be steered.
    zero: Label,
    /// Addresses and ports are known.
    choose: Label,
}

/// Whether a packet arrived itself, or is quoted by an error that did.
#[derive(Clone, Copy)]
enum Role {
    Arrived,
    Quoted,
}

impl Role {
    /// Where the source and the destination address go. A quoted packet travelled the other way.
    const fn slots(self) -> [i16; 2] {
        match self {
            Self::Arrived => [SOURCE, DESTINATION],
            Self::Quoted => [DESTINATION, SOURCE],
        }
    }

    /// The more-fragments bit, where a first fragment is treated as one.
    const fn more(self, bit: i32) -> i32 {
        match self {
            Self::Arrived => bit,
            Self::Quoted => 0,
        }
    }
}

/// Assembles the program for a set of virtual addresses (by its descriptor) and a number of
/// workers.
pub fn assemble(virtual_addresses: i32, workers: u16) -> Vec<Instruction> {
    let mut code = Assembler::default();
    let exits = Exits { zero: code.label(), choose: code.label() };
    let v4 = code.label();
    code.register(Arithmetic::Move, R6, R1);
    code.constant(Arithmetic::Move, R7, 0);
    code.store_constant(Size::Word, PORTS, 0);
    code.load(Size::Word, R0, R6, CONTEXT_PROTOCOL);
    code.jump_when(When::Equal, R0, ethernet_type(0x0800), v4);
    code.jump_when(When::NotEqual, R0, ethernet_type(0x86dd), exits.zero);
    version_6(&mut code, exits);
    code.place(v4);
    version_4(&mut code, exits);

    code.place(exits.choose);
    choose(&mut code, virtual_addresses);
    hash(&mut code, workers);
    code.place(exits.zero);
    code.constant(Arithmetic::Move, R0, 0);
    code.exit();
    code.finish()
}

fn ethernet_type(number: u16) -> i32 {
    i32::from(number.to_be())
}

/// An IPv4 packet, and the one it quotes.
fn version_4(code: &mut Assembler, exits: Exits) {
    let error = code.label();
    header_4(code, Role::Arrived, exits);
    ports(code, exits);
    code.jump_when(When::NotEqual, R9, ICMP, exits.choose);
    read(code, R8, ICMP_HEADER, exits.zero);
    code.load(Size::Byte, R0, R10, HEADER);
    for kind in ERRORS_V4 {
        code.jump_when(When::Equal, R0, kind, error);
    }
    code.jump(exits.choose);

    code.place(error);
    enter_quote(code);
    header_4(code, Role::Quoted, exits);
    quoted_ports(code, exits);
}

/// An IPv6 packet, and the one it quotes.
fn version_6(code: &mut Assembler, exits: Exits) {
    header_6(code, Role::Arrived, exits);
    ports(code, exits);
    code.jump_when(When::NotEqual, R9, ICMPV6, exits.choose);
    read(code, R8, ICMP_HEADER, exits.zero);
    let [error, echo] = [(); 2].map(|()| code.label());
    code.load(Size::Byte, R0, R10, HEADER);
    code.jump_when(When::Below, R0, FIRST_INFORMATION_V6, error);
    let [first, after] = NEIGHBOUR_DISCOVERY_V6;
    code.jump_when(When::Below, R0, first, echo);
    code.jump_when(When::Below, R0, after, exits.zero);
    code.place(echo);
    code.jump(exits.choose);

    code.place(error);
    enter_quote(code);
    header_6(code, Role::Quoted, exits);
    quoted_ports(code, exits);
}

/// The IPv4 header at R7: addresses to the stack, protocol to R9, R8 to what follows. Leaves for
/// `choose` when the packet is a fragment.
fn header_4(code: &mut Assembler, role: Role, exits: Exits) {
    let [source, destination] = role.slots();
    read(code, R7, 20, exits.zero);
    code.load(Size::Byte, R8, R10, HEADER);
    code.constant(Arithmetic::Add, R8, -0x45);
    // 0x45 to 0x4f are the legal first octets; anything less has wrapped around.
    code.jump_when(When::Above, R8, 10, exits.zero);
    code.constant(Arithmetic::Add, R8, 5);
    code.constant(Arithmetic::Left, R8, 2);
    code.register(Arithmetic::Add, R8, R7);
    for (slot, at) in [(source, 12), (destination, 16)] {
        code.store_constant(Size::Double, slot, 0);
        code.store_constant(Size::Word, slot + 8, i32::from_be(0xffff));
        code.load(Size::Word, R0, R10, HEADER + at);
        code.store(Size::Word, slot + 12, R0);
    }
    code.load(Size::Byte, R9, R10, HEADER + 9);
    code.load(Size::Half, R0, R10, HEADER + 6);
    code.read_big_endian(R0, 16);
    let mask = 0x1fff | role.more(0x2000);
    code.jump_when(When::Common, R0, mask, exits.choose);
}

/// The IPv6 header at R7, and what stands between it and the upper layer; as `header_4`.
fn header_6(code: &mut Assembler, role: Role, exits: Exits) {
    let [source, destination] = role.slots();
    let done = code.label();
    read(code, R7, 40, exits.zero);
    code.load(Size::Byte, R0, R10, HEADER);
    code.constant(Arithmetic::Right, R0, 4);
    code.jump_when(When::NotEqual, R0, 6, exits.zero);
    for (slot, at) in [(source, 8), (destination, 24)] {
        for half in [0, 8] {
            code.load(Size::Double, R0, R10, HEADER + at + half);
            code.store(Size::Double, slot + half, R0);
        }
    }
    code.load(Size::Byte, R9, R10, HEADER + 6);
    code.register(Arithmetic::Move, R8, R7);
    code.constant(Arithmetic::Add, R8, 40);
    for _ in 0..MAXIMUM_EXTENSION_HEADERS {
        extension_header(code, role, done, exits);
    }
    code.jump(exits.zero);
    code.place(done);
}

/// One extension header at R8 of the kind in R9, or to `done` when it is none.
fn extension_header(code: &mut Assembler, role: Role, done: Label, exits: Exits) {
    let [options, fragment, extension, next] = [(); 4].map(|()| code.label());
    for kind in [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS] {
        code.jump_when(When::Equal, R9, kind, extension);
    }
    code.jump(done);
    code.place(extension);
    read(code, R8, 8, exits.zero);
    code.jump_when(When::Equal, R9, FRAGMENT, fragment);
    code.jump_when(When::NotEqual, R9, ROUTING, options);
    code.load(Size::Byte, R0, R10, HEADER + 3);
    // Hops that are still to come: nobody's upper layer yet.
    code.jump_when(When::NotEqual, R0, 0, exits.choose);
    code.place(options);
    code.load(Size::Byte, R0, R10, HEADER + 1);
    code.constant(Arithmetic::Left, R0, 3);
    code.register(Arithmetic::Add, R8, R0);
    code.jump(next);
    code.place(fragment);
    code.load(Size::Half, R0, R10, HEADER + 2);
    code.read_big_endian(R0, 16);
    // Neither an offset nor more to come: an atomic fragment, which is none (RFC 6946).
    code.jump_when(When::Common, R0, 0xfff8 | role.more(1), exits.choose);
    code.place(next);
    code.constant(Arithmetic::Add, R8, 8);
    code.load(Size::Byte, R9, R10, HEADER);
}

/// Leaves for `choose` with the ports at R8, if the protocol in R9 has ports.
fn ports(code: &mut Assembler, exits: Exits) {
    let [found, none] = [(); 2].map(|()| code.label());
    code.jump_when(When::Equal, R9, TCP, found);
    code.jump_when(When::NotEqual, R9, UDP, none);
    code.place(found);
    read(code, R8, 4, exits.zero);
    code.load(Size::Word, R0, R10, HEADER);
    code.store(Size::Word, PORTS, R0);
    code.jump(exits.choose);
    code.place(none);
}

/// As `ports`, for the quoted packet, whose ports are exchanged as its addresses were.
fn quoted_ports(code: &mut Assembler, exits: Exits) {
    let found = code.label();
    code.jump_when(When::Equal, R9, TCP, found);
    code.jump_when(When::NotEqual, R9, UDP, exits.choose);
    code.place(found);
    read(code, R8, QUOTED_TRANSPORT, exits.zero);
    for (from, to) in [(0, 2), (2, 0)] {
        code.load(Size::Half, R0, R10, HEADER + from);
        code.store(Size::Half, PORTS + to, R0);
    }
    code.jump(exits.choose);
}

/// R7 to the packet that the ICMP error at R8 quotes.
fn enter_quote(code: &mut Assembler) {
    code.register(Arithmetic::Move, R7, R8);
    code.constant(Arithmetic::Add, R7, ICMP_HEADER);
}

/// Copies octets of the frame, from where `at` points, to `HEADER`.
fn read(code: &mut Assembler, at: Register, octets: i32, failed: Label) {
    code.register(Arithmetic::Move, R1, R6);
    code.register(Arithmetic::Move, R2, at);
    code.register(Arithmetic::Move, R3, R10);
    code.constant(Arithmetic::Add, R3, i32::from(HEADER));
    code.constant(Arithmetic::Move, R4, octets);
    code.call(LOAD_BYTES);
    code.jump_when(When::Negative, R0, 0, failed);
}

/// The endpoint that is not virtual decides: to `DESTINATION` and R8 with its address and port.
fn choose(code: &mut Assembler, virtual_addresses: i32) {
    let [take_destination, done] = [(); 2].map(|()| code.label());
    code.load_map(R1, virtual_addresses);
    code.register(Arithmetic::Move, R2, R10);
    code.constant(Arithmetic::Add, R2, i32::from(DESTINATION));
    code.call(MAP_LOOKUP);
    code.jump_when(When::Equal, R0, 0, take_destination);
    for half in [0, 8] {
        code.load(Size::Double, R0, R10, SOURCE + half);
        code.store(Size::Double, DESTINATION + half, R0);
    }
    code.load(Size::Half, R8, R10, PORTS);
    code.jump(done);
    code.place(take_destination);
    code.load(Size::Half, R8, R10, PORTS + 2);
    code.place(done);
    code.read_big_endian(R8, 16);
}

/// The worker for the address at `DESTINATION` and the port in R8.
fn hash(code: &mut Assembler, workers: u16) {
    for word in [0, 4, 8, 12] {
        code.load(Size::Word, R0, R10, DESTINATION + word);
        code.read_big_endian(R0, 32);
        code.register(Arithmetic::Xor, R8, R0);
    }
    code.constant_32(Arithmetic::Multiply, R8, 0x9E37_79B1_u32.cast_signed());
    code.register(Arithmetic::Move, R0, R8);
    code.constant(Arithmetic::Right, R0, 16);
    code.register(Arithmetic::Xor, R0, R8);
    code.constant(Arithmetic::Multiply, R0, i32::from(workers));
    code.constant(Arithmetic::Right, R0, 32);
    code.exit();
}
