//! Round trips of one octet on an open connection.

use crate::BenchError;
use crate::arrangement::affinity::{Place, pin};
use crate::arrangement::namespace::Namespace;
use crate::arrangement::{ECHO, VIP};
use crate::clock;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Round trips before it counts: neighbors are resolved and windows open by then.
const WARM: usize = 50;
/// How long an echo may take.
const STALL: Duration = Duration::from_secs(2);

/// Seconds of each round trip of a while, ascending, one straight after the other.
///
/// # Errors
/// Where the connection cannot be made or breaks.
pub fn ping_pong(client: &Namespace, duration: Duration) -> Result<Vec<f64>, BenchError> {
    let work = || -> std::io::Result<Vec<f64>> {
        pin(Place::Load);
        let mut stream = TcpStream::connect((VIP, ECHO))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL))?;
        let mut seconds = Vec::new();
        let mut octet = [0];
        let mut begin = clock::now();
        for count in 0.. {
            if count == WARM {
                begin = clock::now();
            }
            let sent = clock::now();
            stream.write_all(b"?")?;
            stream.read_exact(&mut octet)?;
            let now = clock::now();
            if count >= WARM {
                seconds.push((now - sent).as_secs_f64());
            }
            if count >= WARM && now - begin >= duration {
                break;
            }
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds)
    };
    client.run(work)?.map_err(BenchError::at("round trips"))
}
