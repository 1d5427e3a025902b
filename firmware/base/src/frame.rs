//! A frame on its way through: bytes that can be changed in place, and what the sender's network
//! card left undone.

/// How a large frame is to be cut into segments that fit the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gso {
    /// Not to be cut.
    #[default]
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams of equal size, one header for all (USO).
    Udp,
}

/// The offload header that travels with a frame: `struct virtio_net_hdr` (virtio 1.2 §5.1.6),
/// decoded. It is passed from the receiving to the sending port unchanged unless lengths change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The transport checksum field holds only the pseudo-header's sum (not complemented), and
    /// whoever puts the frame on a wire finishes it: sum from `checksum_start` to the end, stored
    /// at `checksum_start + checksum_offset`.
    pub needs_checksum: bool,
    /// The receiver's hardware, or a local sender, vouches for the checksum.
    pub checksum_valid: bool,
    /// Octets from the start of the frame.
    pub checksum_start: u16,
    /// Octets from `checksum_start`.
    pub checksum_offset: u16,
    /// What kind of segments.
    pub gso: Gso,
    /// The ECN bit of GSO: the segments of a TCP frame with CWR set.
    pub gso_ecn: bool,
    /// Payload octets in each segment, 0 when `gso` is none.
    pub gso_size: u16,
    /// Octets of all headers, a hint for `gso` frames.
    pub header_length: u16,
}

impl Offload {
    /// A finished frame: nothing left to do.
    pub const NONE: Self = Self {
        needs_checksum: false,
        checksum_valid: false,
        checksum_start: 0,
        checksum_offset: 0,
        gso: Gso::None,
        gso_ecn: false,
        gso_size: 0,
        header_length: 0,
    };
}

/// One received frame, from the first octet of the Ethernet header, without VLAN tag (a tag is
/// what makes a port, see `netio`) and without frame check sequence. It lives in the receive
/// ring; what the forwarder changes in place is sent from there.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The whole frame.
    pub bytes: &'a mut [u8],
    /// What is left undone.
    pub offload: Offload,
}
