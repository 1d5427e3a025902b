//! What became of a frame, and what the rest of the node should know about it.

use core::net::Ipv6Addr;

use base::{Mac, PortId, ServerId, ServiceId};
use packet::Malformed;

/// The end of a frame's way through the forwarder. Every frame gets exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sent on, rewritten where it belongs to a service.
    Forward {
        /// The service it belongs to; `None` for transit.
        service: Option<ServiceId>,
        /// The server it goes to or comes from.
        server: Option<ServerId>,
    },
    /// We generated a frame in reply: ARP, NDP, echo, ICMP error, reset.
    Answer,
    /// Passed on to the box of the cluster that serves its virtual address.
    HandedOver,
    /// For one of the node's own addresses.
    Own(OwnTarget),
    /// Not sent on; the reason is counted.
    Drop(DropReason),
    /// Kept for a moment: a fragment waits for its first, or a packet for its neighbor's address.
    /// The final verdict follows in [`crate::Output::resolved`] under this number.
    Held(HeldId),
}

/// Names a held frame until its final verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldId(pub u64);

/// Which instance of the host stack a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTarget {
    /// The health checks' (local ports of `model::limits::PROBE_PORTS`).
    Probes,
    /// Everything else.
    Faces,
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a frame was not sent on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DropReason {
            /// It breaks a rule of its own protocol.
            Malformed(Malformed),
            $($(#[$doc])* $name,)*
        }

        impl DropReason {
            /// How many reasons there are; malformed frames count as one here.
            pub const COUNT: usize = Self::NAMES.len();
            /// The stable name of each, by [`DropReason::index`].
            pub const NAMES: &'static [&'static str] = &["malformed", $($text,)*];
            const PLAIN: &'static [Self] = &[$(Self::$name,)*];

            /// Position in [`DropReason::NAMES`].
            pub fn index(self) -> usize {
                Self::PLAIN.iter().position(|&r| r == self).map_or(0, |i| i + 1)
            }

            /// The stable name, as in counters and replays.
            pub fn name(self) -> &'static str {
                match self {
                    Self::Malformed(why) => why.name(),
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

drop_reasons! {
    /// The Ethernet destination is another station (flooded unicast, RFC 1812 §5.3.4).
    NotForUs = "not_for_us",
    /// Neither ARP nor IP.
    UnknownEthertype = "unknown_ethertype",
    /// A multicast group or broadcast that we do not serve.
    GroupDestination = "group_destination",
    /// An address that may not be a destination (RFC 1812 §5.3.7).
    MartianDestination = "martian_destination",
    /// The source claims to be one of our own addresses.
    SpoofedSource = "spoofed_source",
    /// A link-local source, and the packet would leave its link (RFC 4291 §2.5.6, RFC 3927 §7).
    LinkLocalSource = "link_local_source",
    /// An ICMP redirect, which means something only on the link that it was sent on, and to a
    /// station that sends directly (RFC 1122 §3.2.2.2).
    Redirect = "redirect",
    /// An ARP or NDP message that asks for and says nothing of ours.
    NeighborNotOurs = "neighbor_not_ours",
    /// A virtual address that another box serves and that cannot be passed on to it, or that
    /// nobody may serve now.
    NotServing = "not_serving",
    /// A virtual address of ours, and no service there takes this packet.
    NoService = "no_service",
    /// The service has no server that may take a new flow.
    NoServer = "no_server",
    /// Belongs to no flow, and cannot begin one.
    NoFlow = "no_flow",
    /// All flow records are taken by established connections.
    FlowTableFull = "flow_table_full",
    /// The server already has a flow from this client's port through another service.
    TupleCollision = "tuple_collision",
    /// The server of this flow has failed.
    ServerDown = "server_down",
    /// Time to live ran out, and no ICMP error was due.
    TimeToLive = "time_to_live",
    /// Larger than the next hop's MTU, and no ICMP error was due.
    TooBig = "too_big",
    /// No route leads there.
    NoRoute = "no_route",
    /// Transit between these networks is off.
    TransitOff = "transit_off",
    /// The port it would leave by is down or gone.
    PortDown = "port_down",
    /// The next hop did not answer neighbor resolution.
    NoNeighbor = "no_neighbor",
    /// Too many frames wait for neighbors or first fragments.
    HoldFull = "hold_full",
    /// The first fragment never came.
    FragmentTimeout = "fragment_timeout",
    /// An answer was due but the rate limit of answers is reached.
    RateLimited = "rate_limited",
    /// The worker is behind, and no flow record knows the packet (see [`crate::Pressure`]).
    Shed = "shed",
    /// No room for the frames of this burst.
    OutputFull = "output_full",
}

/// What the control thread should know. Bounded per burst; what does not fit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet waits for the link-layer address of `address`.
    NeighborMissing {
        /// Where it is to be found.
        port: PortId,
        /// The next hop.
        address: Ipv6Addr,
    },
    /// A neighbor said where it is.
    NeighborSeen {
        /// On which port.
        port: PortId,
        /// Whose address.
        address: Ipv6Addr,
        /// Where frames for it go.
        mac: Mac,
        /// It was an answer to us (not merely an announcement or a request).
        solicited: bool,
    },
    /// Another station uses one of our addresses.
    AddressConflict {
        /// On which port.
        port: PortId,
        /// Ours.
        address: Ipv6Addr,
        /// Theirs.
        mac: Mac,
    },
}
