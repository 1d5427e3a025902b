//! A document as nodes give it to each other: its text, what it descends from, and what is told
//! about it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use model::limits::{DOCUMENT_OCTETS, REVISION_OCTETS};

use super::{About, Digest, DocumentId};

/// So many ancestors are remembered: of two sides of a partition one can tell that the other went
/// on from where it stands unless more commits than that were made there.
pub const ANCESTORS: usize = 64;
/// Octets of a record at most: the text, the revisions before, and what is told about them.
pub const RECORD_OCTETS: usize = DOCUMENT_OCTETS + REVISION_OCTETS + (64 << 10);

/// A document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place.
    pub generation: u64,
    /// What it followed, the newest first.
    pub ancestors: Vec<DocumentId>,
    /// The document, in TOML.
    pub text: String,
    /// Who committed it, when and why, and what was before: for those who run the cluster.
    pub about: About,
}

/// How another document stands to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Ours descends from it.
    Older,
    /// It descends from ours.
    Newer,
    /// Neither descends from the other: both sides were changed, or began differently.
    Apart,
}

impl Record {
    /// What a node starts with.
    pub const fn first(text: String, about: About) -> Self {
        Self { generation: 0, ancestors: Vec::new(), text, about }
    }

    /// What follows this document.
    pub fn next(&self, text: String, about: About) -> Self {
        let ancestors = [self.id()].into_iter().chain(self.ancestors.iter().copied());
        let ancestors = ancestors.take(ANCESTORS).collect();
        Self { generation: self.generation.saturating_add(1), ancestors, text, about }
    }

    /// Its name.
    pub fn id(&self) -> DocumentId {
        DocumentId { generation: self.generation, digest: Digest::of(&self.text) }
    }

    /// How this document stands to `ours`.
    pub fn relation(&self, ours: DocumentId, our_ancestors: &[DocumentId]) -> Relation {
        let id = self.id();
        if self.ancestors.contains(&ours) {
            Relation::Newer
        } else if our_ancestors.contains(&id) || id == ours {
            Relation::Older
        } else {
            Relation::Apart
        }
    }

    /// Its octets; none if nobody would take so many.
    pub fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(self).ok().filter(|octets| octets.len() <= RECORD_OCTETS)
    }

    /// The document of these octets, if they are those of `id`.
    pub fn decode(octets: &[u8], id: DocumentId) -> Option<Self> {
        let record = match postcard::take_from_bytes::<Self>(octets) {
            Ok((record, [])) => record,
            Ok((_, _)) | Err(_) => return None,
        };
        let fits = record.text.len() <= DOCUMENT_OCTETS && record.ancestors.len() <= ANCESTORS;
        (fits && record.id() == id).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn of_two_documents_one_is_older_newer_or_neither() {
        let first = Record::first("a".into(), About::default());
        let second = first.next("b".into(), About::default());
        let third = second.next("c".into(), About::default());
        let other = second.next("d".into(), About::default());
        let rows = [
            (&first, &third, Relation::Older),
            (&third, &first, Relation::Newer),
            (&third, &second, Relation::Newer),
            (&other, &third, Relation::Apart),
            (&third, &other, Relation::Apart),
        ];
        for (theirs, ours, expected) in rows {
            assert_eq!(
                theirs.relation(ours.id(), &ours.ancestors),
                expected,
                "{theirs:?} {ours:?}"
            );
        }
    }

    #[test]
    fn as_many_ancestors_are_known_as_are_remembered() {
        let mut record = Record::first("0".into(), About::default());
        let first = record.id();
        for n in 1..=ANCESTORS {
            record = record.next(n.to_string(), About::default());
        }
        assert!(record.ancestors.contains(&first));
        let next = record.next("more".into(), About::default());
        assert!(!next.ancestors.contains(&first) && next.ancestors.len() == ANCESTORS);
        assert_eq!(next.generation, ANCESTORS as u64 + 1);
    }

    #[test]
    fn a_record_is_itself_again_and_nobody_else() {
        let record =
            Record::first("[cluster]\n".into(), About { user: "ann".into(), ..About::default() });
        let octets = record.encode().unwrap();
        assert_eq!(Record::decode(&octets, record.id()), Some(record.clone()));
        let other = Record::first("[cluster] \n".into(), About::default()).id();
        assert_eq!(Record::decode(&octets, other), None);
        assert_eq!(Record::decode(&octets[1..], record.id()), None);
        let long: String = "#".repeat(DOCUMENT_OCTETS + 1);
        let long = Record::first(long, About::default());
        assert_eq!(Record::decode(&long.encode().unwrap(), long.id()), None);
        assert_eq!(format!("{}", record.id()).split(' ').next(), Some("0"));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_record_or_not(octets in proptest::collection::vec(any::<u8>(), 0..99)) {
            let _ = Record::decode(&octets, DocumentId::default());
        }
    }
}
