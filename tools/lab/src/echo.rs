//! The UDP echo of a server host: every datagram comes back with the server's name in front, so
//! that a client sees who answered; and the client that asks it.

use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Octets that may wait at a socket.
const ROOM: usize = 16 << 20;
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
        make_room(&socket);
        let name = name.to_owned();
        threads.push(std::thread::spawn(move || serve(&name, &socket)));
    }
    for thread in threads {
        // A thread serves for ever; one that ended has said why.
        let _ = thread.join();
    }
    Ok(())
}

/// Gives a socket room for what comes while the machine does not let us run; without the right to
/// have so much it keeps what it has.
pub fn make_room(socket: &UdpSocket) {
    let _ = setsockopt(socket, sockopt::RcvBufForce, &ROOM);
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

/// Asks `service` with `count` datagrams, each from a socket of its own, and gives the answers;
/// nothing for a datagram whose answer did not come within `patience`, which begins anew with
/// every answer.
///
/// # Errors
/// What the system says where a socket cannot be had or its network not be reached.
pub fn ask(
    service: SocketAddr,
    count: usize,
    patience: Duration,
) -> io::Result<Vec<Option<String>>> {
    let mut sockets = Vec::new();
    for number in 0..count {
        let any: SocketAddr = match service {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(service)?;
        socket.set_read_timeout(Some(patience))?;
        socket.send(question(number).as_bytes())?;
        sockets.push(socket);
    }
    let answer = |(number, socket): (usize, &UdpSocket)| {
        let mut buffer = [0; 512];
        // A refusal (ICMP port unreachable) is told here as an error: no answer either.
        let length = socket.recv(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.strip_suffix(&format!(" {}", question(number))).map(str::to_owned)
    };
    Ok(sockets.iter().enumerate().map(answer).collect())
}

fn question(number: usize) -> String {
    format!("question {number}")
}

/// The name, a space and what came.
fn reply(name: &str, datagram: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b" ", datagram].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn who_asks_learns_who_answered_and_who_did_not() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let service = socket.local_addr().expect("it is bound");
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        std::thread::spawn(move || serve("server7", &socket));
        let answers = ask(service, 3, Duration::from_secs(10)).expect("loopback");
        assert_eq!(answers, vec![Some("server7".to_owned()); 3]);
        let service = silent.local_addr().expect("it is bound");
        let answers = ask(service, 2, Duration::from_millis(50)).expect("loopback");
        assert_eq!(answers, vec![None; 2]);
    }
}
