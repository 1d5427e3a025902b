//! Every table of the cluster document with every key.

use super::{Default, Key, Kind, Section, Word};
use crate::limits;

const fn now(name: &'static str) -> Word {
    Word { name, later: false }
}
const fn later(name: &'static str) -> Word {
    Word { name, later: true }
}
pub(super) const fn not_built(name: &'static str, about: &'static str) -> Key {
    Key { name, kind: Kind::Later, default: Default::Means("not there"), about }
}

/// The cluster document.
pub static CLUSTER_DOCUMENT: Section = Section {
    header: "",
    about: "What all nodes agree on.",
    keys: &[
        Key {
            name: "cluster",
            kind: Kind::Table(&CLUSTER),
            default: Default::Required,
            about: "Settings of the whole cluster.",
        },
        Key {
            name: "network",
            kind: Kind::Tables(&NETWORK, limits::NETWORKS),
            default: Default::Means("none"),
            about: "Ethernet segments that nodes attach to.",
        },
        Key {
            name: "vip",
            kind: Kind::Tables(&VIP, limits::VIPS),
            default: Default::Means("none"),
            about: "Virtual addresses.",
        },
        Key {
            name: "service",
            kind: Kind::Tables(&SERVICE, limits::SERVICES),
            default: Default::Means("none"),
            about: "What is balanced.",
        },
        Key {
            name: "pool",
            kind: Kind::Tables(&POOL, limits::POOLS),
            default: Default::Means("none"),
            about: "Servers that serve the same.",
        },
        Key {
            name: "node",
            kind: Kind::Tables(&NODE, limits::NODES),
            default: Default::Means("none"),
            about: "The boxes.",
        },
        Key {
            name: "user",
            kind: Kind::Tables(&USER, limits::USERS),
            default: Default::Means("the serial line needs no login, the web page has none"),
            about: "Who may log in.",
        },
    ],
};

static CLUSTER: Section = Section {
    header: "cluster",
    about: "Settings of the whole cluster.",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Name,
            default: Default::Required,
            about: "What the operator calls the cluster.",
        },
        Key {
            name: "policy",
            kind: Kind::Word(&[now("witness"), now("available"), now("quorum")]),
            default: Default::Value("witness"),
            about: "What a node may do when it cannot hear the others: go on while a witness \
                    answers, go on regardless, or go on only with a majority.",
        },
        Key {
            name: "profile",
            kind: Kind::Word(&[
                now("auto"),
                now("fast"),
                now("normal"),
                now("vm"),
                now("emulated"),
            ]),
            default: Default::Value("auto"),
            about: "How fast failures are detected; auto looks at what the box runs on.",
        },
        Key {
            name: "newcomers",
            kind: Kind::Word(&[now("welcome"), now("listed")]),
            default: Default::Value("welcome"),
            about: "Which boxes with the secret may join: those that bring their own entry, or \
                    only those that somebody has committed a [node.NAME] for.",
        },
    ],
};

static NETWORK: Section = Section {
    header: "network.NAME",
    about: "An Ethernet segment that nodes attach to.",
    keys: &[
        Key {
            name: "prefixes",
            kind: Kind::Prefixes { most: limits::PREFIXES_PER_NETWORK, hosts: false },
            default: Default::Required,
            about: "The prefixes that are on the link; no two networks may overlap.",
        },
        Key {
            name: "gateways",
            kind: Kind::Addresses(limits::GATEWAYS_PER_NETWORK),
            default: Default::Value("[]"),
            about: "Routers to everywhere else, at most one of each family, inside a prefix.",
        },
        not_built("routes", "Routers to some prefixes only."),
        not_built("witnesses", "Addresses that tell whether this network still works."),
        Key {
            name: "management",
            kind: Kind::Boolean,
            default: Default::Value("false"),
            about: "Whether the web page is served on the primary addresses here.",
        },
    ],
};

static VIP: Section = Section {
    header: "vip.NAME",
    about: "A virtual address.",
    keys: &[
        Key {
            name: "network",
            kind: Kind::Reference("network"),
            default: Default::Required,
            about: "The network on which it is answered for.",
        },
        Key {
            name: "address",
            kind: Kind::Address,
            default: Default::Required,
            about: "The address, inside a prefix of its network, that no machine has.",
        },
        Key {
            name: "group",
            kind: Kind::Name,
            default: Default::Means("the VIP's own name"),
            about: "VIPs of one group move together.",
        },
        Key {
            name: "gateway",
            kind: Kind::Word(&[now("route"), later("masquerade"), now("off")]),
            default: Default::Value("off"),
            about: "Whether servers use it as their default gateway for traffic of their own.",
        },
        Key {
            name: "prefer",
            kind: Kind::Reference("node"),
            default: Default::Means("whichever node has least to do"),
            about: "The node that owns it at first and that levelling does not take it from; it \
                    is attached to the networks of all VIPs of the group. One VIP speaks for its \
                    group.",
        },
        Key {
            name: "return",
            kind: Kind::Boolean,
            default: Default::Value("false"),
            about: "Whether it moves back when the preferred node is a member again.",
        },
        Key {
            name: "pin",
            kind: Kind::Reference("node"),
            default: Default::Means("any node that is attached to its network"),
            about: "The only node that may own it, and its group: nobody takes it over. Not \
                    together with prefer.",
        },
        Key {
            name: "spread",
            kind: Kind::Boolean,
            default: Default::Value("false"),
            about: "Whether the nodes share its flows: for an address that is hotter than one \
                    node. Its owner passes each flow's packets to the node that works on it, by \
                    the weights of the nodes. Not of a gateway, nor where several services share \
                    a server's port.",
        },
    ],
};

static SERVICE: Section = Section {
    header: "service.NAME",
    about: "What is balanced: a VIP, a protocol and ports. No two services share a port of one \
            VIP and protocol.",
    keys: &[
        Key {
            name: "vip",
            kind: Kind::Reference("vip"),
            default: Default::Required,
            about: "The address that clients connect to.",
        },
        Key {
            name: "protocol",
            kind: Kind::Word(&[now("tcp"), now("udp")]),
            default: Default::Required,
            about: "The protocol that clients speak.",
        },
        Key {
            name: "ports",
            kind: Kind::Ports,
            default: Default::Required,
            about: "The ports that clients connect to.",
        },
        Key {
            name: "mode",
            kind: Kind::Word(&[now("nat"), later("full-nat"), later("direct"), later("tunnel")]),
            default: Default::Value("nat"),
            about: "How packets get to a server and back; nat rewrites the destination, and the \
                    servers' replies come back through an inside VIP.",
        },
        Key {
            name: "pool",
            kind: Kind::Reference("pool"),
            default: Default::Required,
            about: "The servers, of the VIP's family.",
        },
        Key {
            name: "idle",
            kind: Kind::Time { least: limits::IDLE_MIN, most: limits::IDLE_MAX },
            default: Default::Means("the protocol's own"),
            about: "How long a silent flow is remembered.",
        },
        not_built("source", "The VIP that servers see as the client of a full-nat service."),
        not_built("tunnel", "The encapsulation of a tunnel service."),
        not_built("persistence", "How long a source stays with its server."),
    ],
};

static POOL: Section = Section {
    header: "pool.NAME",
    about: "Servers that serve the same.",
    keys: &[
        Key {
            name: "scheduler",
            kind: Kind::Word(&[
                now("maglev"),
                later("rendezvous"),
                later("source-hash"),
                later("round-robin"),
                later("weighted-round-robin"),
                later("least-connections"),
                later("weighted-least-connections"),
                later("least-response-time"),
                later("two-choices"),
            ]),
            default: Default::Value("maglev"),
            about: "How a server is chosen for a new flow.",
        },
        Key {
            name: "check",
            kind: Kind::Table(&CHECK),
            default: Default::Means("servers are not probed and taken for alive"),
            about: "How the servers are watched.",
        },
        Key {
            name: "server",
            kind: Kind::Tables(&SERVER, limits::SERVERS_PER_POOL),
            default: Default::Means("none"),
            about: "The servers.",
        },
        not_built("sorry", "The pool that serves when no server of this one is left."),
    ],
};

static CHECK: Section = Section {
    header: "pool.NAME.check",
    about: "How the servers of a pool are watched.",
    keys: &[
        Key {
            name: "kind",
            kind: Kind::Word(&[
                now("tcp"),
                later("tls"),
                later("http"),
                later("https"),
                later("smtp"),
                later("ftp"),
                later("dns"),
                later("udp"),
                later("icmp"),
                later("agent"),
            ]),
            default: Default::Value("tcp"),
            about: "What a probe says; tcp opens a connection and closes it.",
        },
        Key {
            name: "interval",
            kind: Kind::Time {
                least: limits::CHECK_INTERVAL_MIN,
                most: limits::CHECK_INTERVAL_MAX,
            },
            default: Default::Value("1s"),
            about: "Time between two probes of one server.",
        },
        Key {
            name: "timeout",
            kind: Kind::Time { least: limits::CHECK_TIMEOUT_MIN, most: limits::CHECK_TIMEOUT_MAX },
            default: Default::Means("1s, or the interval where that is shorter"),
            about: "How long a probe waits for its answer; not longer than the interval.",
        },
        Key {
            name: "rise",
            kind: Kind::Integer { least: 1, most: limits::CHECK_COUNT as u16 },
            default: Default::Value("1"),
            about: "Successes in a row that bring a server up.",
        },
        Key {
            name: "fall",
            kind: Kind::Integer { least: 1, most: limits::CHECK_COUNT as u16 },
            default: Default::Value("1"),
            about: "Failures in a row that take a server down.",
        },
        Key {
            name: "port",
            kind: Kind::Integer { least: 1, most: u16::MAX },
            default: Default::Means(
                "the server's port, else the first port of the pool's first service (TCP before \
                 UDP); where that has all ports, servers are not probed",
            ),
            about: "The port that is probed.",
        },
    ],
};

static SERVER: Section = Section {
    header: "pool.NAME.server.NAME",
    about: "A back-end machine.",
    keys: &[
        Key {
            name: "address",
            kind: Kind::Address,
            default: Default::Required,
            about: "Where it is; neither a VIP nor a node's own address.",
        },
        Key {
            name: "port",
            kind: Kind::Integer { least: 1, most: u16::MAX },
            default: Default::Means("the port that the client connected to"),
            about: "Where it listens.",
        },
        Key {
            name: "weight",
            kind: Kind::Integer { least: 0, most: limits::WEIGHT },
            default: Default::Value("1"),
            about: "Its share of new flows relative to the other servers; 0 gives it none.",
        },
        Key {
            name: "state",
            kind: Kind::Word(&[
                now("up"),
                now("down"),
                now("draining"),
                now("disabled"),
                later("backup"),
            ]),
            default: Default::Value("up"),
            about: "up serves while its check succeeds, down counts as failed, draining keeps \
                    its flows and gets no new ones, disabled is not there.",
        },
        not_built("connections", "The most flows it is given."),
        not_built("slow-start", "How long its weight grows after it came up."),
    ],
};

static NODE: Section = Section {
    header: "node.NAME",
    about: "A box.",
    keys: &[
        Key {
            name: "id",
            kind: Kind::Integer { least: 1, most: u8::MAX as u16 },
            default: Default::Required,
            about: "Its number in the cluster, unique.",
        },
        Key {
            name: "port",
            kind: Kind::Tables(&PORT, limits::PORTS),
            default: Default::Means("none"),
            about: "Its ports.",
        },
        Key {
            name: "weight",
            kind: Kind::Integer { least: 0, most: limits::WEIGHT },
            default: Default::Value("1"),
            about: "Its share of the VIPs relative to the other nodes; 0: it owns only what \
                    nobody else can.",
        },
    ],
};

static PORT: Section = Section {
    header: "node.NAME.port.NAME",
    about: "A port of a box, one for each network it attaches to.",
    keys: PORT_KEYS,
};

pub(super) static PORT_KEYS: &[Key] = &[
    Key {
        name: "network",
        kind: Kind::Reference("network"),
        default: Default::Required,
        about: "The network it is attached to.",
    },
    Key {
        name: "addresses",
        kind: Kind::Prefixes { most: limits::ADDRESSES_PER_PORT, hosts: true },
        default: Default::Required,
        about: "The node's own fixed addresses there, each with the length of the network's \
                prefix that holds it.",
    },
    Key {
        name: "vlan",
        kind: Kind::Integer { least: 1, most: limits::VLAN },
        default: Default::Means("untagged"),
        about: "The VLAN of the interface.",
    },
    Key {
        name: "interface",
        kind: Kind::Interface,
        default: Default::Means("the port's own name"),
        about: "The interface, as the kernel calls it.",
    },
    not_built("bond", "Several interfaces as one."),
];

static USER: Section = Section {
    header: "user.NAME",
    about: "Somebody who may log in.",
    keys: &[
        Key {
            name: "password",
            kind: Kind::Password,
            default: Default::Required,
            about: "The hash of the password (Argon2, RFC 9106) as a PHC string.",
        },
        Key {
            name: "role",
            kind: Kind::Word(&[now("view"), now("operate"), now("configure")]),
            default: Default::Value("view"),
            about: "What they may do: see; drain servers and restart the box as well; change the \
                    configuration as well.",
        },
    ],
};
