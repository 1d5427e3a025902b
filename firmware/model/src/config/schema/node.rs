//! The tables of the node document.

use super::tables::PORT_KEYS;
use super::{Default, Key, Kind, Section};
use crate::limits;

/// The node document.
pub static NODE_DOCUMENT: Section = Section {
    header: "",
    about: "What only this box needs to know.",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Name,
            default: Default::Required,
            about: "Which [node.NAME] of the cluster document this box is.",
        },
        Key {
            name: "secret",
            kind: Kind::Secret,
            default: Default::Means("none, and so no place in a cluster of several boxes"),
            about: "What all boxes of the cluster know and nobody else does: they seal with it \
                    what they tell each other.",
        },
        Key {
            name: "other-secret",
            kind: Kind::Secret,
            default: Default::Means("none"),
            about: "A second secret that the box accepts and never seals with, while the secret \
                    is being changed.",
        },
        Key {
            name: "peers",
            kind: Kind::Addresses(limits::PEERS),
            default: Default::Means("the box starts with its own cluster document"),
            about: "Addresses of boxes of a running cluster, on networks of this one: without a \
                    cluster document the box asks them to let it in, and starts with theirs.",
        },
        Key {
            name: "id",
            kind: Kind::Integer { least: 1, most: u8::MAX as u16 },
            default: Default::Means("the lowest that is free"),
            about: "Its number where peers let it in.",
        },
        Key {
            name: "port",
            kind: Kind::Tables(&OWN_PORT, limits::PORTS),
            default: Default::Means("none"),
            about: "Its ports until the cluster's document is here, and what is written into it \
                    where it does not name the box.",
        },
    ],
};

static OWN_PORT: Section =
    Section { header: "port.NAME", about: "A port of this box.", keys: PORT_KEYS };
