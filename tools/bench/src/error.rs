//! Why something could not be measured.

use std::fmt;

/// Why a group gives no rows, as a sentence.
#[derive(Debug)]
pub enum BenchError {
    /// There is no such group.
    NoSuchGroup {
        /// What was asked for.
        name: String,
    },
    /// Something the group needs is not there or does not work: what, and what would be right.
    CannotMeasure(String),
}

impl BenchError {
    /// The error of anything that says what is wrong, and where that happened.
    pub fn at(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::CannotMeasure(format!("{what}: {error}"))
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchGroup { name } => {
                let names: Vec<_> = crate::groups::ALL.iter().map(|group| group.name).collect();
                write!(f, "there is no group \"{name}\"; there are {}", names.join(", "))
            }
            Self::CannotMeasure(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BenchError {}
