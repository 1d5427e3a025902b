//! Sets of TCP or UDP ports.

use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

use crate::limits;

/// A set of ports, never empty and without port 0: ranges in rising order that neither overlap
/// nor touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRanges(Vec<RangeInclusive<u16>>);

impl PortRanges {
    /// Every port.
    pub fn all() -> Self {
        Self([1..=u16::MAX].into())
    }

    /// The ranges, in rising order.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let after = self.0.partition_point(|range| *range.end() < port);
        self.0.get(after).is_some_and(|range| range.contains(&port))
    }

    /// The lowest port.
    pub fn first(&self) -> u16 {
        self.0.first().map_or(1, |range| *range.start())
    }

    /// A port that both sets have.
    pub fn common(&self, other: &Self) -> Option<u16> {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let start = *a.start().max(b.start());
            if start <= *a.end().min(b.end()) {
                return Some(start);
            }
            if a.end() < b.end() {
                left.next()
            } else {
                right.next()
            };
        }
        None
    }
}

impl fmt::Display for PortRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::all() {
            return f.write_str("all");
        }
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{comma}{start}")?,
                (start, end) => write!(f, "{comma}{start}-{end}")?,
            }
        }
        Ok(())
    }
}

/// Why a text is no set of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPorts {
    /// There is no port in it.
    Empty,
    /// A part between commas is neither a port nor two joined by a hyphen.
    NotAPort,
    /// A port is 0 or above 65535.
    OutOfRange,
    /// A range's first port is above its last.
    Backwards,
    /// A port is named twice.
    Overlap(u16),
    /// More ranges than [`limits::RANGES_PER_SERVICE`].
    TooMany,
}

impl fmt::Display for BadPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no port is named"),
            Self::NotAPort => f.write_str("a part between commas is no port and no port range"),
            Self::OutOfRange => f.write_str("a port is not between 1 and 65535"),
            Self::Backwards => f.write_str("a range ends below its start"),
            Self::Overlap(port) => write!(f, "port {port} is named twice"),
            Self::TooMany => write!(f, "more than {} port ranges", limits::RANGES_PER_SERVICE),
        }
    }
}

impl core::error::Error for BadPorts {}

impl FromStr for PortRanges {
    type Err = BadPorts;

    /// Reads `"80,443,8000-8099"` or `"all"`.
    fn from_str(text: &str) -> Result<Self, BadPorts> {
        let text = text.trim();
        if text == "all" {
            return Ok(Self::all());
        }
        if text.is_empty() {
            return Err(BadPorts::Empty);
        }
        let mut ranges = Vec::new();
        for part in text.split(',') {
            if ranges.len() == limits::RANGES_PER_SERVICE {
                return Err(BadPorts::TooMany);
            }
            let (start, end) = part.split_once('-').unwrap_or((part, part));
            let (start, end) = (port(start)?, port(end)?);
            if start > end {
                return Err(BadPorts::Backwards);
            }
            ranges.push(start..=end);
        }
        ranges.sort_by_key(|range| *range.start());
        let mut joined: Vec<RangeInclusive<u16>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start() <= last.end() => {
                    return Err(BadPorts::Overlap(*range.start()));
                }
                Some(last) if *range.start() - 1 == *last.end() => {
                    *last = *last.start()..=*range.end();
                }
                Some(_) | None => joined.push(range),
            }
        }
        Ok(Self(joined))
    }
}

fn port(text: &str) -> Result<u16, BadPorts> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(BadPorts::NotAPort);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(BadPorts::OutOfRange),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn ports_are_sorted_joined_and_written_back() {
        for (text, written) in [
            ("80", "80"),
            (" 443 , 80 ", "80,443"),
            ("8000-8099,80,443", "80,443,8000-8099"),
            ("1-10,11,12-20", "1-20"),
            ("all", "all"),
            ("1-65535", "all"),
            ("65535", "65535"),
        ] {
            assert_eq!(text.parse::<PortRanges>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn text_that_names_no_ports_is_refused_with_its_reason() {
        for (text, why) in [
            ("", BadPorts::Empty),
            ("  ", BadPorts::Empty),
            ("80,", BadPorts::NotAPort),
            ("http", BadPorts::NotAPort),
            ("80-", BadPorts::NotAPort),
            ("-80", BadPorts::NotAPort),
            ("1-2-3", BadPorts::NotAPort),
            ("+80", BadPorts::NotAPort),
            ("0", BadPorts::OutOfRange),
            ("65536", BadPorts::OutOfRange),
            ("99999999999999999999", BadPorts::OutOfRange),
            ("90-80", BadPorts::Backwards),
            ("80,80", BadPorts::Overlap(80)),
            ("80-90,85", BadPorts::Overlap(85)),
        ] {
            assert_eq!(text.parse::<PortRanges>(), Err(why), "{text}");
        }
        let many = (0..=limits::RANGES_PER_SERVICE).map(|n| (2 * n + 1).to_string());
        let many = many.collect::<Vec<_>>().join(",");
        assert_eq!(many.parse::<PortRanges>(), Err(BadPorts::TooMany));
    }

    #[test]
    fn a_set_knows_its_ports_and_what_it_shares() {
        let set: PortRanges = "80,443,8000-8099".parse().unwrap();
        for (port, inside) in [
            (79, false),
            (80, true),
            (81, false),
            (443, true),
            (8000, true),
            (8099, true),
            (8100, false),
        ] {
            assert_eq!(set.contains(port), inside, "{port}");
        }
        assert_eq!(set.first(), 80);
        for (other, common) in [
            ("443", Some(443)),
            ("81-442", None),
            ("8099-9000", Some(8099)),
            ("all", Some(80)),
            ("9000", None),
        ] {
            let other: PortRanges = other.parse().unwrap();
            assert_eq!(set.common(&other), common, "{other}");
            assert_eq!(other.common(&set), common, "{other}");
        }
    }
}
