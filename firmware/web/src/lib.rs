//! The web face: one live page, the same facts for programs, metrics. TLS and HTTP over whatever
//! octet stream the supervisor hands in.
//!
//! It holds no state of its own but sessions: what is shown comes from
//! [`model::operator::Request`]s, which the supervisor carries to control, and passwords are
//! judged by the supervisor. It reads no clock of its own and starts no task: [`Site::serve`] and
//! [`Site::sample`] are futures that the supervisor runs.
//!
//! ```text
//!   octets ── patience ── TLS ── HTTP/1.1 ── routes ──┬─ page     (files of `page/`, embedded)
//!                                                     ├─ sessions ── supervisor: passwords
//!                                                     ├─ facts    ── supervisor ── control
//!                                                     ├─ actions  ── supervisor ── control
//!                                                     └─ live     ── one snapshot a second for all
//! ```
//!
//! # What an outsider can do
//!
//! * A connection that has not signed in is a *stranger* ([`Standing`]): the supervisor ends the
//!   oldest one when it needs the room. A handshake, a request's head and its body have seconds
//!   to arrive, octets that are sent have [`model::limits::WEB_PATIENCE`] to be taken.
//! * Heads and bodies have limits, sessions have a number, passwords are judged one at a time.
//! * A session of this face is a session of the configuration engine: when it ends, by signing out,
//!   by silence or with this program, it gives up the candidate, and what it committed and did not
//!   confirm returns. The candidate is given up by a short silence already: a page that was closed.
//! * Every address but the page's own files and the sign-in answers 401 without a session; what
//!   changes something needs the session's secret in a header as well, which another site's page
//!   cannot know.
#![forbid(unsafe_code)]

mod actions;
mod answer;
mod connection;
mod facts;
mod live;
mod metrics;
mod outside;
mod page;
mod patience;
mod routes;
mod secret;
mod session;
mod sign_in;
mod site;
#[cfg(test)]
mod tests;
mod tls;

pub use connection::Standing;
pub use outside::{Attempt, Gone, Outside, Query, Verdict};
pub use site::Site;
pub use tls::{Identity, IdentityError};
