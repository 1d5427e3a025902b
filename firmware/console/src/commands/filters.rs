//! The table of filters.

use super::{Filter, FilterKind};

/// Every filter.
pub static FILTERS: &[Filter] = &[
    Filter { name: "json", kind: FilterKind::Json, about: "write the reply as JSON" },
    Filter {
        name: "match",
        kind: FilterKind::Match,
        about: "keep rows that contain TEXT, in small or capital letters",
    },
    Filter {
        name: "except",
        kind: FilterKind::Except,
        about: "leave out rows that contain TEXT, in small or capital letters",
    },
    Filter { name: "count", kind: FilterKind::Count, about: "say how many rows there are" },
    Filter { name: "nopage", kind: FilterKind::NoPage, about: "do not stop at each screen" },
];
