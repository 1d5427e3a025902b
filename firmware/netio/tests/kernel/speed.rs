//! How fast the ports themselves are on this machine. A figure to look at, not a test to pass:
//! `cargo test --release -p portico-netio --test kernel -- --ignored --nocapture speed`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use base::Offload;
use netio::{BURST, Receiver, Transmitter, quiet};
use nix::time::{ClockId, clock_gettime};

use crate::common::{Namespace, cable, is_root, plain, test_frame};

#[test]
#[ignore = "takes the whole machine for some seconds; `cargo xtask test --all` runs it"]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn frames_per_second_from_one_port_to_another() {
    if !is_root("frames_per_second_from_one_port_to_another") {
        return;
    }
    for length in [60, 1514] {
        let [source, middle, sink] = [(); 3].map(|()| Namespace::new());
        cable((&middle, "p0"), (&source, "eth0"));
        cable((&middle, "p1"), (&sink, "eth0"));
        middle.run(|| [quiet("p0"), quiet("p1")].map(|done| done.unwrap()));
        sink.run(|| quiet("eth0").unwrap());
        let (mut receiver, _) = plain(&middle, "p0");
        let (_, mut transmitter) = plain(&middle, "p1");
        let (_, mut generator) = plain(&source, "eth0");
        let [offered, sent, busy] = [(); 3].map(|()| AtomicU64::new(0));
        let done = AtomicBool::new(false);

        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                let frame = test_frame(1, length);
                let burst = [(&frame[..], Offload::NONE); BURST];
                while !done.load(Ordering::Relaxed) {
                    let count = generator.send(&burst).sent;
                    offered.fetch_add(u64::from(count), Ordering::Relaxed);
                }
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let count = pass(&mut receiver, &mut transmitter);
                    sent.fetch_add(u64::from(count), Ordering::Relaxed);
                    if count == 0 {
                        netio::wait(&[receiver.fd()], Some(Duration::from_millis(10)));
                    }
                }
                let spent = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
                busy.store(Duration::from(spent).as_nanos() as u64, Ordering::Relaxed);
            });
            netio::wait(&[], Some(Duration::from_secs(3)));
            done.store(true, Ordering::Relaxed);
        });
        let seconds = start.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
        let rate = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / seconds / 1000.0;
        println!(
            "{length} octets: {:.0} k frames/s offered, {:.0} k/s passed on, {} ns of the passing \
             thread's processor a frame, {:?}",
            rate(&offered),
            rate(&sent),
            busy.load(Ordering::Relaxed) / sent.load(Ordering::Relaxed).max(1),
            receiver.statistics()
        );
        assert!(sent.load(Ordering::Relaxed) > 0);
    }
}

fn pass(receiver: &mut Receiver, transmitter: &mut Transmitter) -> u32 {
    let mut batch = receiver.batch(BURST);
    let frames = batch.frames();
    let out: ArrayVec<(&[u8], Offload), BURST> =
        frames.iter().map(|frame| (&*frame.bytes, frame.offload)).collect();
    transmitter.send(&out).sent
}
