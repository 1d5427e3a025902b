//! The node's own addresses: they answer, and have nothing open.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::lab::{Lab, SOON, now};
use crate::traffic::pings;

#[test]
fn own_addresses_answer_pings_and_refuse_what_nobody_serves() {
    let Some(mut lab) = Lab::new("own_addresses") else { return };
    for address in ["192.0.2.11", "2001:db8:1::11"] {
        assert_eq!(pings(&lab.client, address, 3), 3, "{address}");
        lab.client.run(|| refuses(address));
    }
    for address in ["10.0.0.201", "fd00::201"] {
        assert_eq!(pings(&lab.server, address, 3), 3, "{address}");
        lab.server.run(|| refuses(address));
    }
    lab.assert_sound();
}

/// An unused port, a port that the host stack's own connections leave by, and two of the probes'.
fn refuses(address: &str) {
    for port in [22, 50_000, 61_000, 65_535] {
        let to = SocketAddr::new(address.parse().expect("an address"), port);
        let start = now();
        let error = TcpStream::connect_timeout(&to, SOON).expect_err("nobody listens").kind();
        assert_eq!(error, ErrorKind::ConnectionRefused, "{to}");
        assert!(now() - start < Duration::from_secs(5), "{to}: quickly");
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).expect("a port");
        socket.connect(to).expect("an address");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
        socket.send(b"anybody?").expect("sent");
        let error = socket.recv(&mut [0; 16]).expect_err("nobody answers").kind();
        assert_eq!(error, ErrorKind::ConnectionRefused, "UDP {to}");
    }
}
