//! Bulk transfers: as many octets as go through.

use crate::BenchError;
use crate::arrangement::namespace::Namespace;
use crate::arrangement::{BULK, VIP};
use crate::clock;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Duration;

/// Octets a system call.
pub const CHUNK: usize = 128 << 10;
/// What a client sends first that wants to be given octets.
pub const GIVE: u8 = b'g';
/// What a client sends first that has some to give.
const TAKE: u8 = b't';
/// Windows are open by then; it counts from there on.
const WARM: Duration = Duration::from_millis(100);
/// How long nothing may move.
const STALL: Duration = Duration::from_secs(2);

/// Which way the octets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// Bits a second over some connections at once, for a while.
///
/// # Errors
/// Where a connection cannot be made or breaks.
pub fn transfer(
    client: &Namespace,
    way: Way,
    connections: usize,
    duration: Duration,
) -> Result<f64, BenchError> {
    let failed = || BenchError::at(format!("{connections} bulk connections"));
    let start = Barrier::new(connections);
    let rates: std::io::Result<Vec<f64>> = client.run(|| {
        std::thread::scope(|scope| {
            let one = || scope.spawn(|| one(way, duration, &start));
            let threads: Vec<_> = (0..connections).map(|_| one()).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked")))
            };
            threads.into_iter().map(join).collect()
        })
    })?;
    Ok(rates.map_err(failed())?.iter().sum())
}

/// One connection; it starts to count when all of them are open.
fn one(way: Way, duration: Duration, start: &Barrier) -> std::io::Result<f64> {
    let opened = TcpStream::connect((VIP, BULK));
    start.wait();
    let mut stream = opened?;
    stream.set_read_timeout(Some(STALL))?;
    stream.set_write_timeout(Some(STALL))?;
    let mut chunk = vec![0; CHUNK];
    stream.write_all(&[if way == Way::Down { GIVE } else { TAKE }])?;
    let mut begin = clock::now();
    let (mut octets, mut warm) = (0, false);
    loop {
        octets += match way {
            Way::Up => stream.write(&chunk)?,
            Way::Down => stream.read(&mut chunk)?,
        };
        let took = clock::now() - begin;
        if !warm && took >= WARM {
            (octets, warm, begin) = (0, true, clock::now());
        } else if warm && took >= duration {
            return Ok(octets as f64 * 8.0 / took.as_secs_f64());
        }
    }
}
