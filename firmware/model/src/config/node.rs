//! The node document: what only this box needs to know.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::problem::{Problem, Report};
use super::raw;
use super::schema::NODE_DOCUMENT;

/// The node document.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeDocument {
    /// Which [`super::Node`] of the cluster document this box is.
    pub name: String,
    /// What only the boxes of the cluster know.
    pub secret: Option<String>,
}

impl fmt::Debug for NodeDocument {
    /// Not the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret.as_ref().map(|_| "known");
        f.debug_struct("NodeDocument").field("name", &self.name).field("secret", &secret).finish()
    }
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
            let name = table.name(&mut report, "name");
            let secret = table.secret(&mut report, "secret");
            Some(Self { name: name?.value, secret })
        });
        report.finish(document)
    }
}
