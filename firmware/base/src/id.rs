//! Small numbers that stand for named things. Each is an index into the table of its kind.

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u16);

        impl $name {
            /// The number as an index.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl From<usize> for $name {
            /// Tables are bounded by `model::limits` below 65,536 entries; a larger index is a
            /// broken invariant and lands on the last, which no table has.
            fn from(index: usize) -> Self {
                Self(u16::try_from(index).unwrap_or(u16::MAX))
            }
        }
    )*};
}

identifiers! {
    /// An Ethernet segment.
    NetworkId
    /// A front machine, by the number that the configuration gives it. Not 0.
    NodeId
    /// A logical port of this box: an interface, or one VLAN of it.
    PortId
    /// A virtual address.
    VipId
    /// A service: VIP, protocol, ports.
    ServiceId
    /// A pool of servers.
    PoolId
    /// A server. Unlike the others it is stable: a number is not given to another server while
    /// flows may still refer to the old one.
    ServerId
}
