//! Flows: what the forwarder remembers of each connection.
//!
//! A record is one cache line. Both directions of a flow are found through one index: an entry
//! says which record, and as which direction the packet meets it.

mod record;
mod table;
mod tcp;
mod tell;

pub use record::{Class, Direction, Record, State, Ticks};
pub use table::{FlowTable, Inserted};
pub use tcp::{Effect, is_data, track};
pub use tell::Note;
