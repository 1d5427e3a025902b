//! Load generators and servers of our own, as cheap as they can be made, so that what is measured
//! is the forwarder. They are threads of this process inside the namespaces.

pub mod bulk;
pub mod console;
pub mod fetch;
pub mod flood;
pub mod page;
pub mod roundtrip;
pub mod server;
pub mod sink;

use crate::arrangement::namespace::Namespace;
use crate::arrangement::{UDP_ECHO, VIP};
use std::net::UdpSocket;
use std::time::Duration;

/// How long something that should come back at once may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// Whether a datagram gets to a server and back.
pub fn echoes(client: &Namespace) -> bool {
    let ask = || -> std::io::Result<bool> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((VIP, UDP_ECHO))?;
        socket.send(b"there?")?;
        let mut answer = [0; 16];
        let length = socket.recv(&mut answer)?;
        Ok(&answer[..length] == b"there?")
    };
    client.run(ask).is_ok_and(|answer| answer.unwrap_or(false))
}
