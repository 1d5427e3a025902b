//! Every limit of the product, with its unit and its reason, in one place.
//!
//! The arithmetic between limits is asserted at compile time at the end of the file, so that one
//! of them cannot be raised without the others that depend on it.

use core::time::Duration;

// What one box is made of.

/// Logical ports of one node: interfaces, or VLANs of them. A chassis has at most a dozen
/// interfaces; the rest is room for VLANs. A bit set of ports fits a `u32`.
pub const PORTS: usize = 32;
/// Threads that forward, one for each data core. Beyond this the kernel's fanout group and the
/// rings' memory cost more than another core brings.
pub const WORKERS: usize = 16;
/// Frames handled between two looks at gates, tables and queues: large enough to amortise them,
/// small enough to stay within the first-level cache.
pub const BURST: usize = 64;
/// Octets of the largest frame on a port, Ethernet header included: a 64 KiB segmentation offload
/// datagram behind 14 octets of Ethernet.
pub const FRAME_OCTETS: usize = 65_535 + 14;

// What a cluster document may hold.

/// Octets of a document. The largest legal one, every table full with names of ordinary length,
/// is about 3 MiB.
pub const DOCUMENT_OCTETS: usize = 4 << 20;
/// Octets after the first syntax error that are searched for further ones; what follows is
/// usually the echo of the first, and each finding costs memory.
pub const SYNTAX_WINDOW_OCTETS: usize = 64 << 10;
/// Problems listed for one document; the rest is counted.
pub const PROBLEMS: usize = 1_000;
/// Octets of quoted input in a message: two lines of a terminal hold the message.
pub const QUOTE_OCTETS: usize = 48;
/// Octets of a name. A DNS label is as long (RFC 1035 §2.3.4).
pub const NAME_OCTETS: usize = 63;
/// Octets of an interface's name: Linux' `IFNAMSIZ` is 16 with the closing zero.
pub const INTERFACE_OCTETS: usize = 15;
/// Networks of a cluster. Each costs a host stack and a lease.
pub const NETWORKS: usize = 16;
/// Prefixes of one network.
pub const PREFIXES_PER_NETWORK: usize = 8;
/// Gateways of one network: one of each family.
pub const GATEWAYS_PER_NETWORK: usize = 2;
/// Nodes of a cluster: every pair exchanges heartbeats up to 8, beyond that 6 observers each.
pub const NODES: usize = 16;
/// Boxes that a newcomer asks to let it in: one that runs is enough.
pub const PEERS: usize = 8;
/// Primary addresses of one port.
pub const ADDRESSES_PER_PORT: usize = 8;
/// Virtual addresses of a cluster: announcing all of them at 200 a second takes 5 s.
pub const VIPS: usize = 1_024;
/// Services of a cluster.
pub const SERVICES: usize = 16_384;
/// Port ranges of one service: looked up by binary search.
pub const RANGES_PER_SERVICE: usize = 64;
/// Pools of a cluster.
pub const POOLS: usize = 4_096;
/// Servers of all pools together. A server's number is a `u16` that is not reused while flows
/// refer to it, so half of the numbers stay free for newcomers.
pub const SERVERS: usize = 32_768;
/// Servers of one pool: each keeps at least 8 slots of the largest selection table.
pub const SERVERS_PER_POOL: usize = 8_192;
/// Slots of the largest selection table. A prime, as Maglev needs (Eisenbud et al. 2016 §3.4).
pub const SELECTION_SLOTS: usize = 65_537;
/// Users of a cluster: the people who look after it.
pub const USERS: usize = 64;
/// Octets of a password's hash as a PHC string: twice what the longest salt and hash in use take.
pub const PASSWORD_HASH_OCTETS: usize = 256;
/// The largest weight of a server.
pub const WEIGHT: u16 = 1_000;
/// The largest VLAN identifier (IEEE 802.1Q: 0 and 4095 are reserved).
pub const VLAN: u16 = 4_094;

// Time that an operator may set.

/// Shortest interval between two probes of one server.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Longest interval between two probes of one server.
pub const CHECK_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// Interval between two probes unless the check says otherwise: a server whose port closes is
/// out within a second.
pub const CHECK_INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
/// Shortest time a probe waits for its answer: below this a busy server looks dead.
pub const CHECK_TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// Longest time a probe waits for its answer.
pub const CHECK_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Time a probe waits for its answer unless the check says otherwise or has a shorter interval.
pub const CHECK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// The most successes or failures in a row that a verdict may wait for.
pub const CHECK_COUNT: u8 = 10;
/// Successes in a row after which a server is up again, by default.
pub const CHECK_RISE_DEFAULT: u8 = 1;
/// Failures in a row after which a server is down, by default. A lost SYN is retried within the
/// time-out, so one failed probe means more than one lost packet.
pub const CHECK_FALL_DEFAULT: u8 = 1;
/// Idle time of an established TCP flow unless the service says otherwise: 2 h 4 min, the least
/// that RFC 5382 §5 REQ-5 allows, as hosts send keep-alives every 2 h (RFC 1122 §4.2.3.6).
pub const TCP_IDLE_DEFAULT: Duration = Duration::from_secs(7_440);
/// Idle time of a UDP flow unless the service says otherwise: the least that RFC 4787 §4.3 REQ-5
/// allows.
pub const UDP_IDLE_DEFAULT: Duration = Duration::from_secs(120);
/// Shortest idle time of a flow.
pub const IDLE_MIN: Duration = Duration::from_secs(1);
/// Longest idle time of a flow.
pub const IDLE_MAX: Duration = Duration::from_secs(7 * 86_400);

// What the data path holds.

/// Octets of one flow's record: one cache line.
pub const FLOW_RECORD_OCTETS: usize = 64;
/// Flows of one node unless configured otherwise.
pub const FLOWS_DEFAULT: usize = 1 << 20;
/// Flows of one node at most.
pub const FLOWS_MAX: usize = 10 << 20;
/// Datagrams whose fragments are remembered at a time.
pub const FRAGMENT_ENTRIES: usize = 1_024;
/// How long the fragments of a datagram are remembered: RFC 791 §3.2 wants at most 15 s and
/// RFC 8200 §4.5 60 s; we only forward them.
pub const FRAGMENT_LIFETIME: Duration = Duration::from_secs(15);
/// Fragments held back until the first of their datagram arrives, over all datagrams.
pub const FRAGMENTS_HELD: usize = 256;
/// Neighbours remembered, over all networks.
pub const NEIGHBOURS: usize = 4_096;
/// Frames that wait for a neighbour's address, over all neighbours.
pub const NEIGHBOUR_WAIT_FRAMES: usize = 256;
/// Frames that wait for one neighbour: the newest are worth keeping (RFC 1122 §2.3.2.2 wants at
/// least one).
pub const NEIGHBOUR_WAIT_FRAMES_EACH: usize = 64;

/// How long a frame waits for its next hop: three questions a second apart (RFC 4861 §10).
pub const NEIGHBOUR_WAIT_TIME: Duration = Duration::from_secs(3);
/// Fragments held back for one datagram: a datagram of 64 KiB over Ethernet has 45.
pub const FRAGMENTS_HELD_EACH: usize = 64;
/// How long a fragment waits for the first of its datagram.
pub const FRAGMENT_WAIT_TIME: Duration = Duration::from_secs(2);
/// Octets of a frame that can wait: an Ethernet frame with room for tags. Larger ones are dropped.
pub const HOLD_FRAME_OCTETS: usize = 2_048;
/// Frames that one call sends after their wait.
pub const RELEASES_PER_CALL: usize = 64;
/// Time between two steps of the round through all flow records.
pub const EXPIRY_STEP: Duration = Duration::from_millis(10);
/// The same while no frames come: seldom enough that an idle box sleeps.
pub const EXPIRY_IDLE_STEP: Duration = Duration::from_millis(100);
/// Time of a whole round through all flow records: how much later than its idle time the record
/// of a silent flow is freed. (A packet that comes meanwhile finds it expired all the same.)
pub const EXPIRY_ROUND: Duration = Duration::from_secs(4);
/// Packets of unknown flows in one burst that pass while the worker is behind: an eighth, so that
/// those of known flows come first, and a box that has forgotten all flows learns them again.
pub const NEWCOMERS_UNDER_PRESSURE: usize = BURST / 8;
/// Frames that one burst can send: as many as came in, and the pieces and answers besides.
pub const OUTPUT_FRAMES: usize = 512;
/// Octets of frames that a burst can generate: a 64 KiB segment in pieces, several times, and
/// copies of as many such segments as a batch holds for two or three other boxes.
pub const OUTPUT_ARENA: usize = 2 << 20;
/// Octets of that which copies of large frames leave to those of small ones.
pub const OUTPUT_ARENA_SMALL: usize = 256 << 10;
/// Octets of a frame that is not large.
pub const OUTPUT_SMALL_FRAME: usize = 2 << 10;
/// Events that one burst can give.
pub const OUTPUT_EVENTS: usize = 2 * BURST;
/// Octets of working space of a forwarder: the largest frame the host stacks send.
pub const SCRATCH_OCTETS: usize = FRAME_OCTETS + 2;

// How often the box answers strangers: averages a second and bursts at once.

/// ICMP errors a second that one forwarder sends (RFC 1812 §4.3.2.8, RFC 4443 §2.4(f)).
pub const ICMP_ERRORS_PER_SECOND: u32 = 1_000;
/// ICMP errors at once.
pub const ICMP_ERRORS_BURST: u32 = 100;
/// Echo replies a second that one forwarder sends.
pub const ECHO_REPLIES_PER_SECOND: u32 = 10_000;
/// Echo replies at once.
pub const ECHO_REPLIES_BURST: u32 = 1_000;
/// TCP resets a second that one forwarder sends.
pub const RESETS_PER_SECOND: u32 = 10_000;
/// TCP resets at once.
pub const RESETS_BURST: u32 = 1_000;
/// ARP replies and neighbour advertisements a second.
pub const NEIGHBOUR_ANSWERS_PER_SECOND: u32 = 10_000;
/// ARP replies and neighbour advertisements at once: every VIP may be asked for at once.
pub const NEIGHBOUR_ANSWERS_BURST: u32 = 2_048;
/// ARP requests and neighbour solicitations a second, over all neighbours.
pub const NEIGHBOUR_QUESTIONS_PER_SECOND: u32 = 1_000;
/// ARP requests and neighbour solicitations at once.
pub const NEIGHBOUR_QUESTIONS_BURST: u32 = 256;
/// Announcements of VIPs a second on one port.
pub const ANNOUNCEMENTS_PER_SECOND: u32 = 200;
/// Announcements of VIPs at once on one port.
pub const ANNOUNCEMENTS_BURST: u32 = 50;

// The node's own conversations.

/// First local port of the host stack that serves the node's own conversations.
pub const LOCAL_PORT_FIRST: u16 = 49_152;
/// Last local port of the host stack that serves the node's own conversations.
pub const LOCAL_PORT_LAST: u16 = 60_999;
/// First local port of the probes' host stack: forwarders tell the two apart by it.
pub const PROBE_PORT_FIRST: u16 = 61_000;
/// Last local port of the probes' host stack.
pub const PROBE_PORT_LAST: u16 = 65_535;
/// Probes under way at a time, each with [`PROBE_ATTEMPTS`] connections.
pub const PROBES: usize = 64;
/// Of those, probes to servers that are down: a rack without power does not keep the others from
/// being watched.
pub const PROBES_DOWN: usize = PROBES / 2;
/// Connections that a probe tries before its time is over: one lost packet is not a dead server.
pub const PROBE_ATTEMPTS: usize = 3;
/// Connections of the node's own services: 50 live pages, and room for those who come and go.
pub const FACE_CONNECTIONS: usize = 80;
/// Connections on the way in to them, half open and not yet accepted.
pub const FACE_BACKLOG: usize = 32;
/// Connections that were released and still exchange their last segments.
pub const FACE_LINGERING: usize = 32;
/// Octets of each of their buffers, in each direction. All full: 4.7 MiB with the packets.
pub const FACE_BUFFER_OCTETS: usize = 16 << 10;
/// Packets that a host stack keeps until they are sent, on all networks together.
pub const STACK_PACKETS: usize = 128;
/// UDP ports that a host stack can bind.
pub const STACK_DATAGRAM_PORTS: usize = 8;
/// Pings of a host stack that wait for their answers.
pub const STACK_ECHOES: usize = 64;
/// TCP ports that a host stack can listen on.
pub const STACK_LISTENERS: usize = 16;
/// ICMP errors that a host stack sends a second.
pub const STACK_ERRORS_PER_SECOND: u32 = 100;
/// ICMP errors that a host stack sends at once.
pub const STACK_ERRORS_BURST: u32 = 50;
/// Addresses that one host stack interface can have, as smoltcp is built.
pub const STACK_ADDRESSES: usize = built_in(env!("SMOLTCP_IFACE_MAX_ADDR_COUNT"));

// What nodes of a cluster tell each other.

/// Octets of the shortest secret of a cluster: 16 drawn at random are as many as the seal's keys
/// are worth.
pub const SECRET_OCTETS_LEAST: usize = 16;
/// Octets of the longest secret of a cluster.
pub const SECRET_OCTETS: usize = 128;

/// The UDP port on which they speak, of those for private use (RFC 6335 §6). No host stack of ours
/// uses UDP there.
pub const CLUSTER_PORT: u16 = 49_911;
/// Changes of owners that a box remembers: all of a small cluster's last day, and the last of a
/// large one's.
pub const MOVES_KEPT: usize = 32;
/// Octets of one message between nodes before it is sealed: with seal, UDP and IPv6 it fits the
/// 1,280 octets that every IPv6 link carries (RFC 8200 §5).
pub const CLUSTER_BODY: usize = 1_150;
/// Octets that the seal and the headers under it add to a message.
pub const CLUSTER_ENVELOPE: usize = 130;
/// Messages of which one token is made. With [`CLUSTER_BODY`] each they hold the owner and the
/// generation of every VIP.
pub const TOKEN_PARTS: usize = 20;

// Copies of flows between nodes of a cluster.

/// Flows that a node copies or has copied, over all virtual addresses: those that began before a
/// pool of servers changed, above all. All together they take some 32 MiB.
pub const FLOW_COPIES: usize = 1 << 18;
/// Ends of flows that are remembered for those who copy, for each virtual address. Who has heard
/// of less copies everything anew.
pub const FLOW_GRAVES: usize = 1 << 14;
/// Datagrams with copies that a node sends in a second: 24 Mbit/s, a quarter of a million flows.
pub const FLOW_COPY_RATE: u32 = 2_500;
/// Datagrams with copies at once.
pub const FLOW_COPY_BURST: u32 = 64;
/// Segments that an owner sends before one of them was acknowledged.
pub const FLOW_COPY_WINDOW: u32 = 64;
/// Things that a forwarder has told and nobody has taken; more wait.
pub const FLOW_NOTES: usize = 1_024;
/// Between two steps of the round in which a forwarder looks for flows to tell.
pub const TELL_STEP: Duration = Duration::from_millis(1);
/// Flows that it looks at in a millisecond: a quarter of a million in a second, for a thousandth
/// of a core.
pub const FLOWS_TOLD: u32 = 256;
/// The same after a change of servers: those of a large table are told within a second.
pub const FLOWS_TOLD_URGENT: u32 = 2_048;
/// A flow of an address that another box serves is forgotten when no packet of it came here for so
/// long: its new box knows it better when the address returns.
pub const FLOW_ELSEWHERE: Duration = Duration::from_secs(60);

// Consoles and what they show.

/// Octets of one line on a console.
pub const CONSOLE_LINE_OCTETS: usize = 256;
/// Lines that a console session remembers.
pub const CONSOLE_HISTORY: usize = 50;
/// Sessions at a time.
pub const CONSOLE_SESSIONS: usize = 8;
/// Sessions of operators that are listed: every console, every page.
pub const OPERATOR_SESSIONS: usize = 128;
/// Configurations that are kept: the one in force and those before it.
pub const REVISIONS: usize = 50;
/// Octets of the documents of those before it, all together.
pub const REVISION_OCTETS: usize = 2 * DOCUMENT_OCTETS;
/// Candidates that their users left without giving them up, kept until they return: one of each
/// user.
pub const CANDIDATES_ASIDE: usize = 4;
/// Letters of the comment on a commit.
pub const COMMENT_LETTERS: usize = 200;
/// Minutes to confirm a commit at most.
pub const CONFIRM_MINUTES: u16 = 60;
/// Lines of the log that the box keeps in memory.
pub const LOG_LINES: usize = 2_000;
/// Octets of one line of the log.
pub const LOG_LINE_OCTETS: usize = 512;
/// Rows of one reply to an operator: above this the rest is counted.
pub const REPLY_ROWS: usize = 65_536;

// What goes on for a while at an operator's request.

/// Pings and captures under way at a time.
pub const ERRANDS: usize = 8;
/// Questions of one ping.
pub const PING_COUNT: u16 = 20;
/// Questions of one ping unless it says how many.
pub const PING_COUNT_DEFAULT: u16 = 4;
/// Between two questions of one ping.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);
/// How long the answer to one is waited for: the first may have to wait for the neighbor's.
pub const PING_PATIENCE: Duration = Duration::from_secs(2);

/// Seconds that a capture goes on at most.
pub const CAPTURE_SECONDS: u16 = 300;
/// Seconds of a capture unless it says how many.
pub const CAPTURE_SECONDS_DEFAULT: u16 = 10;
/// Frames of one capture at most: with the file's own octets 544 KB are kept.
pub const CAPTURE_PACKETS: u16 = 2_000;
/// Frames of one capture unless it says how many: half a minute of a line at 9600 baud is 360.
pub const CAPTURE_PACKETS_DEFAULT: u16 = 200;
/// How often captured frames are fetched from the workers.
pub const CAPTURE_FETCH: Duration = Duration::from_millis(20);
/// Octets that are kept of each captured frame: headers of every kind, and the beginning of what
/// they carry.
pub const CAPTURE_OCTETS: usize = 256;
/// Captured frames on their way from one worker: 25,000 a second while they are fetched 50 times
/// a second.
pub const CAPTURE_RING: usize = 512;

// The web face.

/// Sessions at a time, of people and of programs. The one silent longest gives way.
pub const WEB_SESSIONS: usize = 64;
/// A session ends when nobody used it for so long; an open page uses it.
pub const WEB_SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends after so long, whoever uses it.
pub const WEB_SESSION_LIFETIME: Duration = Duration::from_secs(12 * 3_600);
/// A session in which nobody was heard of for so long keeps nobody else from changing the
/// configuration. An open page is heard of each second; one that has lost its box for a moment
/// is back sooner.
pub const WEB_SESSION_SILENT: Duration = Duration::from_secs(60);
/// For a TLS handshake, for a request's head, and between two requests of a connection.
pub const WEB_HEAD_TIME: Duration = Duration::from_secs(10);
/// Headers of a request.
pub const WEB_HEADERS: usize = 64;
/// Octets of a request's head, and of a buffer for the answer: the least that hyper allows.
pub const WEB_HEAD_OCTETS: usize = 8 << 10;
/// Octets of a request's body: names and passwords.
pub const WEB_BODY_OCTETS: usize = 4 << 10;
/// Octets of a body with a whole document; escapes take more than what they stand for. Only who
/// may change the configuration sends one, and one at a time.
pub const WEB_DOCUMENT_OCTETS: usize = 2 * DOCUMENT_OCTETS;
/// How often sessions that nobody uses any more are looked for.
pub const WEB_SESSION_SWEEP: Duration = Duration::from_secs(5);
/// For a request's body to come.
pub const WEB_BODY_TIME: Duration = Duration::from_secs(10);
/// Octets of a user's name or password.
pub const WEB_PASSWORD_OCTETS: usize = 256;
/// For the other end to take something of what is sent to it.
pub const WEB_PATIENCE: Duration = Duration::from_secs(20);
/// For control to answer.
pub const WEB_REPLY_TIME: Duration = Duration::from_secs(5);
/// Requests of pages that wait for control.
pub const WEB_QUERIES: usize = 32;
/// TLS handshakes a second: one costs about a millisecond of a slow core, and forwarding may be
/// on the same.
pub const WEB_HANDSHAKES_PER_SECOND: u32 = 20;
/// TLS handshakes at once: a person with several pages, a rack's dashboards after a restart.
pub const WEB_HANDSHAKES_BURST: u32 = 60;
/// Rows of one table in the live overview.
pub const WEB_LIVE_ROWS: usize = 250;
/// Lines of the log in the live overview.
pub const WEB_LOG_LINES: usize = 40;
/// Octets of live overviews a second, over all viewers: with more, snapshots become rarer.
pub const WEB_LIVE_OCTETS_PER_SECOND: u32 = 1 << 20;

// Who may sign in.

/// Passwords that wait to be judged: one at a time takes a tenth of a second and 19 MiB.
pub const SIGN_IN_QUEUE: usize = 8;
/// Failures in a row after which a user or a source has to wait.
pub const SIGN_IN_FAILURES: u32 = 5;
/// The first wait; doubled with each further failure.
pub const SIGN_IN_PAUSE: Duration = Duration::from_secs(10);
/// The longest wait, and for how long failures are remembered.
pub const SIGN_IN_PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// Users and sources whose failures are remembered, each. The oldest is forgotten first.
pub const SIGN_IN_REMEMBERED: usize = 256;
/// Kibibytes that judging a password may take: what a box of 192 MiB can spare.
pub const SIGN_IN_MEMORY_KIB: u32 = 32 << 10;
/// Rounds over that memory.
pub const SIGN_IN_ROUNDS: u32 = 8;

/// The number that a build setting carries.
const fn built_in(text: &str) -> usize {
    let digits = text.as_bytes();
    let (mut value, mut at) = (0, 0);
    while at < digits.len() {
        assert!(digits[at].is_ascii_digit(), "a build setting is a decimal number");
        value = value * 10 + (digits[at] - b'0') as usize;
        at += 1;
    }
    value
}

// The arithmetic between limits.
const _: () = assert!(PORTS <= u32::BITS as usize, "a set of ports is a u32");
const _: () = assert!(WORKERS <= BURST, "every worker gets a share of a burst");
const _: () = assert!(BURST.is_power_of_two());
const _: () = assert!(SERVERS * 2 <= 1 << 16, "half of the server numbers stay free");
const _: () = assert!(SERVICES < u16::MAX as usize, "base::ServiceId is a u16");
const _: () = assert!(VIPS < u16::MAX as usize, "base::VipId is a u16");
const _: () = assert!(POOLS < u16::MAX as usize, "base::PoolId is a u16");
const _: () = assert!(NETWORKS < u16::MAX as usize, "base::NetworkId is a u16");
const _: () = assert!(SERVERS_PER_POOL * 8 <= SELECTION_SLOTS, "each server keeps 8 slots");
const _: () = assert!(SERVERS_PER_POOL <= SERVERS);
const _: () = assert!(NODES <= u8::MAX as usize, "a node's id is a u8 and not 0");
const _: () = assert!(ADDRESSES_PER_PORT <= STACK_ADDRESSES, "the host stack holds them all");
const _: () = assert!(PREFIXES_PER_NETWORK <= ADDRESSES_PER_PORT, "one address in each prefix");
const _: () = assert!(FLOW_RECORD_OCTETS.is_power_of_two());
const _: () = assert!(FLOWS_DEFAULT <= FLOWS_MAX);
const _: () = assert!(FRAGMENTS_HELD <= FRAGMENT_ENTRIES && FRAGMENTS_HELD_EACH <= FRAGMENTS_HELD);
const _: () = assert!(OUTPUT_FRAMES >= 2 * BURST && OUTPUT_ARENA >= 4 * FRAME_OCTETS);
const _: () = assert!(RELEASES_PER_CALL <= OUTPUT_FRAMES && HOLD_FRAME_OCTETS <= SCRATCH_OCTETS);
const _: () = assert!(NEIGHBOUR_WAIT_FRAMES_EACH <= NEIGHBOUR_WAIT_FRAMES);
const _: () = assert!(NEIGHBOUR_WAIT_FRAMES <= NEIGHBOURS);
const _: () = assert!(NEIGHBOUR_ANSWERS_BURST as usize >= VIPS, "all VIPs asked for at once");
const _: () = assert!(LOCAL_PORT_LAST < PROBE_PORT_FIRST, "the two stacks share no port");
const _: () = assert!(PROBES * PROBE_ATTEMPTS <= (PROBE_PORT_LAST - PROBE_PORT_FIRST) as usize / 2);
const _: () = assert!(CHECK_INTERVAL_MIN.as_millis() <= CHECK_INTERVAL_DEFAULT.as_millis());
const _: () = assert!(CHECK_INTERVAL_DEFAULT.as_millis() <= CHECK_INTERVAL_MAX.as_millis());
const _: () = assert!(CHECK_TIMEOUT_MIN.as_millis() <= CHECK_INTERVAL_MIN.as_millis());
const _: () = assert!(CHECK_TIMEOUT_DEFAULT.as_millis() <= CHECK_TIMEOUT_MAX.as_millis());
const _: () = assert!(CHECK_RISE_DEFAULT <= CHECK_COUNT && CHECK_FALL_DEFAULT <= CHECK_COUNT);
const _: () = assert!(QUOTE_OCTETS < NAME_OCTETS && INTERFACE_OCTETS < NAME_OCTETS);
const _: () = assert!(CONSOLE_LINE_OCTETS > 2 * NAME_OCTETS, "a line holds a path of names");
const _: () = assert!(WEB_SESSION_IDLE.as_secs() < WEB_SESSION_LIFETIME.as_secs());
const _: () = assert!(WEB_SESSION_SILENT.as_secs() < WEB_SESSION_IDLE.as_secs());
const _: () = assert!(WEB_BODY_OCTETS > 4 * WEB_PASSWORD_OCTETS, "a name and a password, escaped");
const _: () = assert!(WEB_HEAD_OCTETS >= 8_192, "hyper panics below");
const _: () = assert!(WEB_LOG_LINES <= LOG_LINES);
const _: () = assert!(CLUSTER_BODY + CLUSTER_ENVELOPE <= 1_280, "fits every IPv6 link");
const _: () = assert!(VIPS * 20 <= TOKEN_PARTS * CLUSTER_BODY, "20 octets for each VIP");
const _: () = assert!(ERRANDS <= STACK_ECHOES, "each ping has one question under way");
const _: () = assert!(PING_COUNT_DEFAULT <= PING_COUNT);
