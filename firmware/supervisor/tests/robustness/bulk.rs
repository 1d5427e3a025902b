//! Bulk data between hosts of one machine passes in segments far larger than a wire's, and whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use netio::{PortOptions, wait};

use crate::lab::Lab;
use crate::namespace::Namespace;
use crate::traffic::{VIPS, download, upload};

/// Octets that are moved each way.
const BULK: u64 = 48 << 20;
/// A frame this long was neither cut nor collected from small ones by chance.
const LARGE: usize = 30_000;

#[test]
fn segments_of_64_kib_pass_whole_in_both_directions() {
    let Some(mut lab) = Lab::new("segments_of_64_kib") else { return };
    let at_server = Watch::start(&lab.server);
    let at_client = Watch::start(&lab.client);
    for vip in VIPS {
        lab.client.run(|| upload(vip, BULK));
        lab.client.run(|| download(vip, BULK));
    }
    let (up, down) = (at_server.stop(), at_client.stop());
    assert!(up > LARGE, "the longest frame to a server has {up} octets");
    assert!(down > LARGE, "the longest frame to a client has {down} octets");
    lab.assert_sound();
}

/// Looks at the frames that arrive at a host.
struct Watch {
    longest: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn start(namespace: &Namespace) -> Self {
        let (longest, done) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (found, over) = (longest.clone(), done.clone());
        let thread = namespace.spawn(move || {
            let mut doors = netio::open(&PortOptions::new("eth0")).expect("it may be watched");
            let receiver = &mut doors[0].0;
            while !over.load(Ordering::Relaxed) {
                wait(&[receiver.fd()], Some(Duration::from_millis(100)));
                let mut batch = receiver.batch(netio::BURST);
                let most = batch.frames().iter().map(|frame| frame.bytes.len()).max();
                found.fetch_max(most.unwrap_or(0), Ordering::Relaxed);
            }
        });
        Self { longest, done, thread }
    }

    fn stop(self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().expect("watching does not panic");
        self.longest.load(Ordering::Relaxed)
    }
}
