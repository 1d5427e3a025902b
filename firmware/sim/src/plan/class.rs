//! Classes of faults. A seed switches each on or off as a whole, so that every mixture occurs.

use crate::draw::Draw;
use std::fmt;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A class of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Class {
            $($(#[$doc])* $name,)*
        }

        impl Class {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name, for people.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

classes! {
    /// Frames are lost, everywhere a few and on some links many.
    Loss = "loss",
    /// Delays have a heavy tail.
    Delay = "delay",
    /// Frames overtake each other.
    Reorder = "reorder",
    /// Frames arrive twice.
    Duplicate = "duplicate",
    /// Octets are damaged.
    Corrupt = "corrupt",
    /// Anything that was ever sent is sent again.
    Replay = "replay",
    /// Invented datagrams.
    Forge = "forge",
    /// Cuts between hosts, both ways or one.
    Partition = "partition",
    /// Nodes lose their power, or their program ends.
    Crash = "crash",
    /// A node that starts again has lost what it had stored.
    Amnesia = "amnesia",
    /// Nodes stand still, with their clock or without.
    Pause = "pause",
    /// One thread of a node stands still.
    Hang = "hang",
    /// Cables are pulled.
    Carrier = "carrier",
    /// Threads run late.
    LateTimers = "late-timers",
    /// Clocks run at different rates.
    ClockRates = "clock-rates",
    /// An operator moves VIPs and drains nodes.
    Moves = "moves",
    /// Nodes join one after the other, and leave in an orderly way.
    Joins = "joins",
    /// The secret is changed.
    KeyRotation = "key-rotation",
    /// Operators commit documents, some of which one node cannot carry out.
    Edits = "edits",
    /// Servers come and go, so that flows have others than would be chosen for them now.
    Servers = "servers",
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u32);

impl Classes {
    /// No class.
    pub const NONE: Self = Self(0);

    /// All of them.
    pub const EVERY: Self = Self(u32::MAX);

    /// The classes of a seed: one in eight has none at all, the others each about a third.
    pub fn drawn(draw: &mut Draw) -> Self {
        if draw.chance(125) {
            return Self::NONE;
        }
        let each = draw.pick(&[100, 250, 500]);
        Class::ALL
            .iter()
            .filter(|_| draw.chance(each))
            .fold(Self::NONE, |set, class| set.with(*class))
    }

    /// Whether a class is among them.
    pub const fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u32) != 0
    }

    /// The set with one class more.
    pub const fn with(self, class: Class) -> Self {
        Self(self.0 | 1 << class as u32)
    }

    /// The set without those of another.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The classes of both.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names of all classes, for people.
    pub fn all() -> String {
        let names: Vec<_> = Class::ALL.iter().map(|class| class.name()).collect();
        names.join(", ")
    }

    /// The classes in it.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.iter().copied().filter(move |class| self.has(*class))
    }

    /// The class of this name.
    pub fn named(name: &str) -> Option<Self> {
        let class = Class::ALL.iter().find(|class| class.name() == name)?;
        Some(Self::NONE.with(*class))
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        for (place, class) in self.iter().enumerate() {
            write!(f, "{}{}", if place > 0 { " " } else { "" }, class.name())?;
        }
        Ok(())
    }
}
