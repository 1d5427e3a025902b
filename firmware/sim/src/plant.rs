//! Bugs that are built into a world on purpose. Each proves that a checker can fail: a checker
//! that has never failed has proved nothing. They stand at the boundary of the nodes: the data
//! plane, the sockets, the clock, the wire. The nodes' own code has none.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Data planes never see a lease end.
    EternalLease,
    /// The pulse thread is given a clock that runs at half speed.
    SlowClock,
    /// Sockets are not drained before anything is decided.
    NeverDrains,
    /// A data plane obeys statements about owners in the wrong order.
    StaleTables,
    /// One node's tables come twice, the second time as if for another node.
    TwinTables,
    /// A view changes on its way to one node.
    ForgedView,
    /// A data plane resets connections now and then.
    Resets,
    /// Every node selects servers in its own way.
    OwnSelection,
    /// Owners announce nothing.
    NeverAnnounces,
    /// What the seal refuses as replayed is accepted.
    NoWindow,
    /// A data plane loses statements about owners.
    LostTables,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::EternalLease,
        Self::SlowClock,
        Self::NeverDrains,
        Self::StaleTables,
        Self::TwinTables,
        Self::ForgedView,
        Self::Resets,
        Self::OwnSelection,
        Self::NeverAnnounces,
        Self::NoWindow,
        Self::LostTables,
    ];
}
