//! Threads inside a namespace of the lab: a socket belongs to the namespace in which it was made,
//! whoever uses it.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::path::Path;
use std::thread::JoinHandle;

/// Starts a thread in a namespace, by its name.
pub fn spawn<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> JoinHandle<Result<T, String>> {
    let path = Path::new("/run/netns").join(namespace);
    std::thread::spawn(move || {
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let entered = setns(file, CloneFlags::CLONE_NEWNET);
        entered.map_err(|error| format!("{}: {error}", path.display()))?;
        work()
    })
}

/// Waits for a thread of [`spawn`].
///
/// # Errors
/// What it says, or that it has panicked.
pub fn join<T>(thread: JoinHandle<Result<T, String>>) -> Result<T, String> {
    thread.join().unwrap_or_else(|_| Err("a thread inside a namespace has panicked".into()))
}
