//! The console as a person and as a program meet it.

#[cfg(test)]
mod any_bytes;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transcripts;
