//! Why a group of virtual addresses has the owner that it has.

use alloc::vec::Vec;

use base::{Instant, NodeId, VipId};
use serde::{Deserialize, Serialize};

/// Why a group came to its owner, as whoever named it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Nobody had it.
    #[default]
    Vacant,
    /// Who had it is not in the view any more.
    Takeover,
    /// The owner joined the view with it.
    Joined,
    /// An operator asked for it.
    Asked,
    /// An operator drains who had it.
    Drained,
    /// Who had it leaves in order.
    Left,
    /// Who had it is not reached on its network.
    Unreached,
    /// The owner is preferred by the configuration, and is back.
    Preferred,
    /// Members are to own about as many for their weight.
    Levelled,
    /// Who had it had more to do than others.
    Relieved,
}

impl Reason {
    /// The word for it, which does not change.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Vacant => "vacant",
            Self::Takeover => "takeover",
            Self::Joined => "joined",
            Self::Asked => "operator",
            Self::Drained => "drain",
            Self::Left => "leave",
            Self::Unreached => "unreached",
            Self::Preferred => "prefer",
            Self::Levelled => "levelling",
            Self::Relieved => "load",
        }
    }
}

/// A group of virtual addresses that has another owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The addresses.
    pub vips: Vec<VipId>,
    /// Who had it.
    pub from: Option<NodeId>,
    /// Who has it.
    pub to: Option<NodeId>,
    /// Why.
    pub reason: Reason,
    /// When this node received the newest heartbeat of who had it, if it ever did.
    pub heard: Option<Instant>,
    /// What who had it and who has it had to do, in thousandths of what they can carry, if that
    /// is known.
    pub used: Option<[u32; 2]>,
}
