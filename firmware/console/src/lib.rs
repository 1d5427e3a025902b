//! The console: bytes in, bytes out. It turns what a person types into
//! [`model::operator::Request`]s and shows the [`model::operator::Reply`]s.
//!
//! ```text
//!   bytes ──> keys ──> editor ──> a line ──> parse ──> Ask ──> (whoever carries it)
//!                        │                     │
//!                        v                 commands: the one table
//!   bytes <── output <── drawing               │
//!               ^                              v
//!             pager <── render <── view <── Reply <── (whoever carries it)
//! ```
//!
//! A [`Session`] knows no terminal type: it draws with printable characters, carriage return,
//! line feed, backspace and bell only, so it works on 80 × 24 and at 9600 baud. It never waits:
//! whoever owns the line hands in what arrived and takes what is to be sent, as fast as the line
//! takes it. The words of [`commands`] are the only ones; parser, help, completion and manual
//! come from them.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod commands;
mod editor;
mod help;
mod keys;
mod login;
mod lookup;
mod options;
mod pager;
mod parse;
mod paste;
mod render;
mod session;
mod view;

pub use commands::manual;
pub use session::{Access, Ask, Session};
