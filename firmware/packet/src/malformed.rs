//! Why a frame is refused.

use core::fmt;

macro_rules! reasons {
    ($($variant:ident $name:literal $sentence:literal)*) => {
        /// Why a frame is refused. Each reason is a counter; `name` is its stable label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Malformed {$(
            #[doc = $sentence]
            $variant,
        )*}

        impl Malformed {
            /// Every reason, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name, in snake case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for Malformed {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $sentence,)* })
            }
        }
    };
}

reasons! {
    FrameTooShort "frame_too_short"
        "The frame ends before the header it announces."
    GroupSourceMac "group_source_mac"
        "The Ethernet source is a group address; a station's own address has the group bit clear."
    BadVersion "bad_version"
        "The IP version does not match the Ethernet type: 4 under 0x0800, 6 under 0x86dd."
    BadHeaderLength "bad_header_length"
        "The IPv4 header length is below 20 octets or beyond the datagram."
    BadTotalLength "bad_total_length"
        "The IP length is shorter than its header or longer than the frame."
    BadHeaderChecksum "bad_header_checksum"
        "The IPv4 header checksum is wrong."
    BadOptions "bad_options"
        "An IPv4 option runs past the header or is shorter than its own head."
    SourceRoute "source_route"
        "An IPv4 source route is not used up; the packet is for the route's hops, not for us."
    IllegalSource "illegal_source"
        "The IP source is no host's address: unspecified, loopback, group, reserved or IPv4-mapped."
    IllegalDestination "illegal_destination"
        "The IP destination never stands on a wire: unspecified, loopback, reserved or IPv4-mapped."
    TooManyExtensionHeaders "too_many_extension_headers"
        "More IPv6 extension headers than anyone needs."
    BadExtensionHeader "bad_extension_header"
        "An IPv6 extension header runs past the packet, is out of place or stands twice."
    BadFragment "bad_fragment"
        "A fragment is empty, not a multiple of eight octets, or reaches past 65,535 octets."
    TinyFragment "tiny_fragment"
        "A first fragment lacks the whole upper-layer header, or a later one would overwrite it."
    BadTransport "bad_transport"
        "The TCP, UDP or ICMP header is cut short or its length field cannot be."
    BadQuote "bad_quote"
        "An ICMP error quotes too little, or something that is no IP packet."
    BadChecksum "bad_checksum"
        "The checksum of a message to us is wrong."
    BadArp "bad_arp"
        "Not ARP for IPv4 over Ethernet, neither request nor reply, or from no host's address."
    BadNeighborDiscovery "bad_neighbor_discovery"
        "A neighbour discovery message fails a validity check of RFC 4861 or came in fragments."
}

impl core::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_snake_case() {
        for (index, reason) in Malformed::ALL.iter().enumerate() {
            let name = reason.name();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(Malformed::ALL[..index].iter().all(|other| other.name() != name), "{name}");
        }
    }
}
