//! The node document: what only this box needs to know.

use alloc::string::String;
use alloc::vec::Vec;

use super::problem::{Problem, Report};
use super::raw;
use super::schema::NODE_DOCUMENT;

/// The node document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDocument {
    /// Which [`super::Node`] of the cluster document this box is.
    pub name: String,
}

impl NodeDocument {
    /// Reads a node document.
    ///
    /// # Errors
    /// Every problem of the document at once, in the order of their places. Never empty.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut report = Report::new(text);
        let document = raw::document(&mut report, text).and_then(|root| {
            let table = raw::top(&mut report, &root, &NODE_DOCUMENT);
            let name = table.name(&mut report, "name")?;
            Some(Self { name: name.value })
        });
        report.finish(document)
    }
}
