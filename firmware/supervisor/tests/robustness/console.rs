//! Whatever comes out of a terminal, or nobody who reads it: forwarding goes on.

use std::io::Write;
use std::time::Duration;

use base::rng::Rng;

use crate::lab::{Lab, now, open_console};

/// Writes as much as the terminal takes within some seconds; nobody reads what comes back.
fn paste(lab: &Lab, bytes: &[u8]) -> usize {
    let mut console = open_console(&lab.path("console"));
    let end = now() + Duration::from_secs(3);
    let mut done = 0;
    while done < bytes.len() && now() < end {
        match console.write(&bytes[done..]) {
            Ok(length) => done += length,
            Err(_) => crate::lab::pause(Duration::from_millis(5)),
        }
    }
    done
}

#[test]
fn noise_and_long_pastes_disturb_nothing_and_the_console_answers_afterwards() {
    let Some(mut lab) = Lab::new("noise") else { return };
    let before = lab.resident();
    let mut rng = Rng::new(1);
    let noise: Vec<u8> = (0..100_000).map(|_| rng.next() as u8).collect();
    let commands = b"show counters\rshow log\rshow nonsense\r".repeat(2_700);
    for bytes in [noise, vec![b'a'; 100_000], commands] {
        let taken = paste(&lab, &bytes);
        assert!(taken > 4_096, "{taken} of {} were taken", bytes.len());
        assert!(lab.echoes());
        let version = lab.show("version");
        assert_eq!(version["node"], "n1", "{version}");
    }
    let grown = lab.resident().saturating_sub(before);
    assert!(grown < 32 << 20, "it grew by {grown} octets");
    lab.assert_sound();
}
