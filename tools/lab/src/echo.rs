//! The UDP echo of a server host: every datagram comes back with the server's name in front, so
//! that a client sees who answered.

use std::io;
use std::net::{Ipv6Addr, UdpSocket};

/// The largest datagram there is.
const LARGEST: usize = 65_535;

/// Answers on every port, for ever; returns only where a port cannot be had.
///
/// # Errors
/// What the system says about the port, with its number.
pub fn run(name: &str, ports: &[u16]) -> io::Result<()> {
    let mut threads = Vec::new();
    for port in ports {
        // An IPv6 socket on the unspecified address takes both families (ipv6(7), IPV6_V6ONLY).
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, *port))
            .map_err(|error| io::Error::new(error.kind(), format!("port {port}: {error}")))?;
        let name = name.to_owned();
        threads.push(std::thread::spawn(move || serve(&name, &socket)));
    }
    for thread in threads {
        // A thread serves for ever; one that ended has said why.
        let _ = thread.join();
    }
    Ok(())
}

/// Answers on one socket.
fn serve(name: &str, socket: &UdpSocket) {
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, client)) => {
                let reply = reply(name, &buffer[..length]);
                // A reply that cannot be sent is a datagram that was lost; the client knows.
                let _ = socket.send_to(&reply, client);
            }
            // Errors of earlier replies (a port that was closed) are told here; they pass.
            Err(error) => eprintln!("echo: {error}"),
        }
    }
}

/// The name, a space and what came.
fn reply(name: &str, datagram: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b" ", datagram].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_datagram_comes_back_with_the_name_in_front() {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("it is bound");
        std::thread::spawn(move || serve("server1", &socket));
        let client = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a port");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        client.send_to(b"hello", address).expect("sent");
        let mut buffer = [0; 64];
        let (length, _) = client.recv_from(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..length], b"server1 hello");
    }
}
