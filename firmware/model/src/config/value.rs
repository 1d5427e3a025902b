//! Single values: names, durations, addresses.

use core::fmt;
use core::net::IpAddr;

use base::time::Duration;

use crate::limits;

/// Not a whole number with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadDuration;

impl fmt::Display for BadDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a duration: a whole number with ms, s, m, h or d is expected")
    }
}

impl core::error::Error for BadDuration {}

/// Reads `200ms`, `1s`, `2m`, `12h` or `7d`.
///
/// # Errors
/// The text is anything else, or longer than 584 years.
pub fn duration(text: &str) -> Result<Duration, BadDuration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| BadDuration)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(BadDuration),
    };
    let milliseconds = number.checked_mul(milliseconds).ok_or(BadDuration)?;
    milliseconds.checked_mul(1_000_000).map(Duration::from_nanos).ok_or(BadDuration)
}

/// A duration as a document writes it: [`duration`] reads it back, to the millisecond.
pub(super) struct Written(pub(super) Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if milliseconds.is_multiple_of(length) && (milliseconds > 0 || unit == "s") {
                return write!(f, "{}{unit}", milliseconds / length);
            }
        }
        write!(f, "{milliseconds}ms")
    }
}

/// Whether `text` may name something: letters, digits, `-`, `_` and `.`, a letter or digit first.
pub(super) fn is_name(text: &str) -> bool {
    let legal = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    text.len() <= limits::NAME_OCTETS
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(legal)
}

/// Whether the kernel may call an interface `text` (`dev_valid_name` in Linux, and printable).
pub(super) fn is_interface(text: &str) -> bool {
    let legal = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'/' | b':');
    (1..=limits::INTERFACE_OCTETS).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(legal)
}

/// Why an address cannot be a machine's, or `None`.
///
/// Link-local addresses mean something on one link only, and nothing here names the link.
pub(super) fn not_unicast(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("is in 0.0.0.0/8, which no machine has"),
        IpAddr::V4(v4) if v4.is_loopback() => Some("is a loopback address"),
        IpAddr::V4(v4) if v4.octets()[0] >= 240 => Some("is reserved or broadcast"),
        IpAddr::V6(v6) if v6.is_unspecified() => Some("is the unspecified address"),
        IpAddr::V6(v6) if v6.is_loopback() => Some("is a loopback address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("is an IPv4-mapped address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("is a link-local address"),
        _ if address.is_multicast() => Some("is a multicast address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// `IPv4` or `IPv6`.
pub(super) const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn durations_have_a_whole_number_and_a_unit() {
        for (text, milliseconds) in [
            ("1s", 1_000),
            ("200ms", 200),
            ("2m", 120_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            let parsed = duration(text).unwrap();
            assert_eq!(parsed, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(duration(&Written(parsed).to_string()), Ok(parsed));
        }
        for text in [
            "",
            "1",
            "s",
            "-1s",
            "1.5s",
            " 1s",
            "1 s",
            "1S",
            "1us",
            "1s1ms",
            "9999999999999d",
            "１s",
        ] {
            assert_eq!(duration(text), Err(BadDuration), "{text}");
        }
    }

    #[test]
    fn names_are_plain_words() {
        let long = "n".repeat(limits::NAME_OCTETS);
        for text in ["a", "web-1", "web_1", "web.example", "1", &long] {
            assert!(is_name(text), "{text}");
        }
        let longer = "n".repeat(limits::NAME_OCTETS + 1);
        for text in ["", "-a", ".a", "a b", "a/b", "ä", "a\n", &longer] {
            assert!(!is_name(text), "{text}");
        }
    }

    #[test]
    fn interfaces_are_what_the_kernel_allows() {
        for text in ["eth0", "enp0s31f6", "eth0.10", "wan@home", "a".repeat(15).as_str()] {
            assert!(is_interface(text), "{text}");
        }
        for text in ["", ".", "..", "a/b", "a:1", "a b", "a".repeat(16).as_str(), "ä"] {
            assert!(!is_interface(text), "{text}");
        }
    }

    #[test]
    fn only_unicast_addresses_are_a_machines() {
        for text in ["192.0.2.1", "10.0.0.255", "169.254.1.1", "2001:db8::1", "fd00::1"] {
            assert_eq!(not_unicast(text.parse().unwrap()), None, "{text}");
        }
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "ff02::1",
            "fe80::1",
            "::ffff:192.0.2.1",
        ] {
            assert!(not_unicast(text.parse().unwrap()).is_some(), "{text}");
        }
    }
}
