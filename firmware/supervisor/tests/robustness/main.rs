//! The real supervisor between real clients and servers, while everything around it misbehaves:
//! links and cards that go and come, floods, broken frames, pauses, kills, wrong documents, noise
//! on the console. Time is real here, so every bound is generous.
#![expect(clippy::panic, reason = "a helper of a test fails the test")]

mod bulk;
mod capture;
mod configuration;
mod console;
mod documents;
mod floods;
mod frames;
mod lab;
mod links;
mod namespace;
mod own;
mod page;
mod pauses;
mod ping;
mod traffic;
