//! Boards: what a machine needs that is not code. A file `NAME.toml` in the folder of boards makes
//! the board `NAME`; it may inherit from another and then says only what differs.
//!
//! A key given replaces the inherited one whole, lists included: what a board has stands in one
//! place, not in the sum of several.

mod file;

use std::fmt;
use std::path::{Path, PathBuf};

use file::File;

/// A board, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its name, which is its file's.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The kernel it runs.
    pub kernel: Kernel,
    /// The modules it needs, by purpose and in load order.
    pub modules: Vec<Purpose>,
    /// The most that kernel and initramfs may take together, in octets.
    pub largest_image: u64,
}

/// The kernel of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The Debian package that holds it, or that depends on the one that does.
    pub package: String,
    /// Its command line, one word an entry.
    pub command_line: Vec<String>,
}

/// The modules for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// `watchdog`, `button`, `network`, `filter` or `storage`.
    pub name: &'static str,
    /// Names of modules, first to load first; dependencies are the builder's to find.
    pub modules: Vec<ModuleName>,
}

/// A module, by the kernel's name for it, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleName {
    /// With underscores, as `lsmod` prints it.
    pub name: String,
    /// `name=value name=value`; usually empty.
    pub parameters: String,
}

/// Why a board cannot be used.
#[derive(Debug)]
pub enum BoardError {
    /// There is no such board.
    Unknown {
        /// The name asked for.
        name: String,
        /// The boards that there are.
        known: Vec<String>,
    },
    /// The folder or a file could not be read.
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no TOML of the right shape.
    Shape {
        /// Its path.
        path: PathBuf,
        /// What and where, in the parser's words.
        what: String,
    },
    /// Boards inherit from each other in a circle.
    Circle {
        /// The way round.
        path: Vec<String>,
    },
    /// The board is complete, but wrong: every problem.
    Wrong {
        /// The board.
        name: String,
        /// One sentence each.
        problems: Vec<String>,
    },
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } => {
                write!(f, "there is no board {name:?}; there are: {}", known.join(", "))
            }
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Shape { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Circle { path } => {
                write!(f, "boards inherit in a circle: {}", path.join(" from "))
            }
            Self::Wrong { name, problems } => {
                write!(f, "board {name}: {}", problems.join("; "))
            }
        }
    }
}

impl std::error::Error for BoardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Unknown { .. }
            | Self::Shape { .. }
            | Self::Circle { .. }
            | Self::Wrong { .. } => None,
        }
    }
}

/// The names of all boards in a folder, sorted.
///
/// # Errors
/// [`BoardError::Read`].
pub fn names(folder: &Path) -> Result<Vec<String>, BoardError> {
    let unread = |source| BoardError::Read { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        let file_name = entry.map_err(unread)?.file_name();
        match file_name.to_str().and_then(|name| name.strip_suffix(".toml")) {
            Some("Cargo") | None => {}
            Some(name) => names.push(name.to_owned()),
        }
    }
    names.sort();
    Ok(names)
}

/// Loads and checks one board.
///
/// # Errors
/// [`BoardError`].
pub fn load(folder: &Path, name: &str) -> Result<Board, BoardError> {
    let known = names(folder)?;
    if !known.iter().any(|known| known == name) {
        return Err(BoardError::Unknown { name: name.to_owned(), known });
    }
    let mut line = vec![name.to_owned()];
    let mut merged = File::read(folder, name)?;
    while let Some(parent) = merged.inherits.take() {
        if line.contains(&parent) {
            line.push(parent);
            return Err(BoardError::Circle { path: line });
        }
        if !known.contains(&parent) {
            return Err(BoardError::Unknown { name: parent, known });
        }
        merged = merged.over(File::read(folder, &parent)?);
        line.push(parent);
    }
    merged.check(name).map_err(|problems| BoardError::Wrong { name: name.to_owned(), problems })
}

#[cfg(test)]
mod tests;
