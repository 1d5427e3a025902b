//! `portico check`: reads documents and says what is wrong with them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use model::{Config, NodeDocument, Problem, limits};

/// Checks every file; true if all are good. What cannot be read is said on the standard error.
///
/// # Errors
/// The output cannot be written.
pub fn files(out: &mut impl Write, files: &[PathBuf], node: bool) -> io::Result<bool> {
    let mut good = true;
    for file in files {
        let prefix = if files.len() > 1 { format!("{}:", file.display()) } else { String::new() };
        let outcome = match read(file) {
            Ok(text) if node || file.file_name().is_some_and(|name| name == "node.toml") => {
                NodeDocument::parse(&text).map(|document| format!("node {}", document.name))
            }
            Ok(text) => Config::parse(&text).map(|config| summary(&config)),
            Err(why) => {
                eprintln!("portico: {}: {why}", file.display());
                good = false;
                continue;
            }
        };
        match outcome {
            Ok(summary) => writeln!(out, "{}: {summary}", file.display())?,
            Err(problems) => {
                good = false;
                for problem in problems {
                    let problem: Problem = problem;
                    writeln!(out, "{prefix}{problem}")?;
                }
            }
        }
    }
    Ok(good)
}

/// The text of a file, or why there is none.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    // One octet more than is legal, so that the parser sees that it is too much.
    let most = limits::DOCUMENT_OCTETS as u64 + 1;
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("there is no such file".into())
        }
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            Err("it is a directory, a file is expected".into())
        }
        Err(error) => Err(format!("it cannot be read: {error}")),
        Ok(_) => match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            // The cut at the limit may split a character; the rest is as good for the message.
            Err(error) if error.as_bytes().len() as u64 == most => {
                Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line = error.as_bytes().iter().take(valid).filter(|&&b| b == b'\n').count() + 1;
                Err(format!("it is not UTF-8 text: line {line} has an octet that does not belong"))
            }
        },
    }
}

/// What a good cluster document holds, in a line.
fn summary(config: &Config) -> String {
    let servers = config.pools.iter().map(|pool| pool.servers.len()).sum();
    let counts = [
        count(config.networks.len(), "network"),
        count(config.vips.len(), "VIP"),
        count(config.services.len(), "service"),
        count(config.pools.len(), "pool"),
        count(servers, "server"),
        count(config.nodes.len(), "node"),
    ];
    format!("cluster {}: {}", config.cluster.name, counts.join(", "))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
