//! What must hold whatever comes in from outside, one module for each way in. An input is octets
//! of anybody's choice; a module runs it through the code that takes such octets, and panics if
//! something is not as it must be.
//!
//! | module | what comes in |
//! | --- | --- |
//! | [`frame`] | frames from the wire, captures |
//! | [`config`] | documents, and edits of them |
//! | [`console`] | what is typed at a console, and what the box answers |
//! | [`http`] | what a client of the page sends once TLS is done |
//!
//! The ordinary tests run each over its seeds and random changes of them (`tests/hold.rs`);
//! `cargo xtask fuzz` lets libFuzzer look for inputs that reach new code (`libfuzzer/`).
#![expect(clippy::panic, reason = "a panic is how an input is reported")]

pub mod config;
pub mod console;
pub mod frame;
pub mod http;
mod replies;
mod screen;

/// Where a search for inputs begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeds {
    /// Whole inputs.
    pub inputs: Vec<Vec<u8>>,
    /// Pieces that inputs are likely to have: libFuzzer's dictionary.
    pub words: Vec<Vec<u8>>,
}

/// One way in.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name for people.
    pub name: &'static str,
    /// Runs an input.
    pub input: fn(&[u8]),
    /// Where to begin.
    pub seeds: fn() -> Seeds,
}

/// Every way in.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", input: frame::input, seeds: frame::seeds },
    Target { name: "config", input: config::input, seeds: config::seeds },
    Target { name: "console", input: console::input, seeds: console::seeds },
    Target { name: "http", input: http::input, seeds: http::seeds },
];
