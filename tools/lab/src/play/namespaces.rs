//! Nodes that are namespaces with the supervisor in them.

use super::Nodes;
use crate::console;
use crate::faults::Fault;
use crate::lifecycle;
use crate::place::Place;
use crate::topology::Host;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The nodes of a lab that is up.
#[derive(Debug)]
pub struct Namespaces {
    place: Place,
    consoles: BTreeMap<String, Console>,
}

/// An open console, and what it has shown since.
#[derive(Debug)]
struct Console {
    line: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Namespaces {
    /// The nodes of this lab.
    pub fn new(place: &Place) -> Namespaces {
        Namespaces { place: place.clone(), consoles: BTreeMap::new() }
    }

    /// The console of a node, opened at first use.
    fn console(&mut self, node: &str) -> Result<&mut Console, String> {
        if !self.consoles.contains_key(node) {
            let path = self.place.host_folder(node).join("console");
            let line = console::open(&path).map_err(|error| error.to_string())?;
            let told = |error: std::io::Error| format!("{}: {error}", path.display());
            let mut reader = line.try_clone().map_err(told)?;
            let shown = Arc::new(Mutex::new(Vec::new()));
            let writer = Arc::clone(&shown);
            // It ends when the node's end is closed.
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = reader.read(&mut buffer) {
                    let mut shown = writer.lock().unwrap_or_else(PoisonError::into_inner);
                    shown.extend_from_slice(&buffer[..length]);
                }
            });
            self.consoles.insert(node.to_owned(), Console { line, shown });
        }
        self.consoles.get_mut(node).ok_or_else(|| format!("{node} has no console"))
    }
}

impl Nodes for Namespaces {
    fn start(&mut self, nodes: &[&Host]) -> Result<(), String> {
        nodes.iter().for_each(|node| drop(self.consoles.remove(&node.name)));
        lifecycle::start_nodes_again(&self.place, nodes).map_err(|error| error.to_string())
    }

    fn ease(&self) -> u32 {
        1000
    }

    fn slowness(&self) -> u32 {
        1
    }

    fn own_way(&mut self, _fault: &Fault) -> Option<Result<String, String>> {
        None
    }

    fn document(&self, node: &Host) -> Option<PathBuf> {
        Some(self.place.host_folder(&node.name).join("node.toml"))
    }

    fn log(&mut self, node: &str) -> String {
        let log = std::fs::read(self.place.log(node)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn type_text(&mut self, node: &str, text: &str) -> Result<(), String> {
        let console = self.console(node)?;
        console.line.write_all(text.as_bytes()).map_err(|error| format!("{node}: {error}"))
    }

    fn shown(&mut self, node: &str) -> String {
        let Ok(console) = self.console(node) else { return String::new() };
        let shown = console.shown.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&shown).into_owned()
    }
}
