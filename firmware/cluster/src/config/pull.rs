//! A record on its way here: asked for piece by piece, again where pieces got lost.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use base::time::Duration;
use base::{Instant, NodeId};

use super::DocumentId;
use super::message::{CHUNK, DocumentMessage, WINDOW};
use super::record::RECORD_OCTETS;

/// Between a question and its repetition: many round trips, few ticks of a person's patience.
const AGAIN: Duration = Duration::from_millis(20);
/// Questions without any answer after which somebody else may be asked.
const TRIES: u32 = 50;

/// Octets of a record to give away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Of which document.
    pub id: DocumentId,
    /// All of it.
    pub octets: Arc<Vec<u8>>,
    mark: u64,
}

impl Blob {
    /// The octets of a record.
    pub fn new(id: DocumentId, octets: Vec<u8>) -> Self {
        // Accidents are told apart, not enemies: what comes is sealed, and its text is digested.
        let fold = |mark: u64, octet: &u8| (mark ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3);
        let mark = octets.iter().fold(0xcbf2_9ce4_8422_2325, fold);
        Self { id, octets: Arc::new(octets), mark }
    }

    /// The chunks from `first` on, `count` of them but not more than a window.
    pub fn chunks(&self, first: u32, count: u32) -> Vec<DocumentMessage> {
        let Ok(total) = u32::try_from(self.octets.len()) else { return Vec::new() };
        let wanted = (first..first.saturating_add(count.min(WINDOW))).map(|index| {
            let start = index as usize * CHUNK;
            let end = self.octets.len().min(start + CHUNK);
            let bytes = self.octets.get(start..end).filter(|bytes| !bytes.is_empty())?.to_vec();
            Some(DocumentMessage::Chunk { id: self.id, total, mark: self.mark, index, bytes })
        });
        wanted.flatten().collect()
    }
}

/// A record that is being pulled.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Of which document.
    pub id: DocumentId,
    /// From whom.
    pub from: NodeId,
    total: Option<(u32, u64)>,
    octets: Vec<u8>,
    got: Vec<bool>,
    /// The first chunk that has not come, and where the present question ends.
    first: usize,
    asked: usize,
    again: Instant,
    tries: u32,
}

/// What comes of a chunk or of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is to be done now.
    Waits,
    /// The source is to be asked.
    Ask(DocumentMessage),
    /// All of it is here.
    Complete(Vec<u8>),
    /// The source does not answer.
    Failed,
}

impl Pull {
    /// Begins; the first question is due at once.
    pub const fn new(now: Instant, id: DocumentId, from: NodeId) -> Self {
        Self {
            id,
            from,
            total: None,
            octets: Vec::new(),
            got: Vec::new(),
            first: 0,
            asked: 0,
            again: now,
            tries: 0,
        }
    }

    /// Asks again what was not answered.
    pub fn handle_timeout(&mut self, now: Instant) -> Progress {
        if now < self.again {
            return Progress::Waits;
        }
        if self.tries >= TRIES {
            return Progress::Failed;
        }
        self.tries += 1;
        self.ask(now)
    }

    /// When there is something to ask again.
    pub const fn next_deadline(&self) -> Instant {
        self.again
    }

    /// A piece came. What does not fit to what came before begins anew.
    pub fn take(
        &mut self,
        now: Instant,
        (total, mark): (u32, u64),
        index: u32,
        bytes: &[u8],
    ) -> Progress {
        let (whole, index) = (total as usize, index as usize);
        if whole == 0 || whole > RECORD_OCTETS {
            return Progress::Waits;
        }
        if self.total != Some((total, mark)) {
            self.total = Some((total, mark));
            self.octets = vec![0; whole];
            self.got = vec![false; whole.div_ceil(CHUNK)];
            (self.first, self.asked) = (0, 0);
        }
        let start = index * CHUNK;
        let end = whole.min(start.saturating_add(CHUNK));
        let Some(place) = self.octets.get_mut(start..end) else { return Progress::Waits };
        if place.len() != bytes.len() || self.got[index] {
            return Progress::Waits;
        }
        place.copy_from_slice(bytes);
        self.got[index] = true;
        self.tries = 0;
        while self.got.get(self.first).is_some_and(|got| *got) {
            self.first += 1;
        }
        if self.first == self.got.len() {
            return Progress::Complete(core::mem::take(&mut self.octets));
        }
        if self.first >= self.asked { self.ask(now) } else { Progress::Waits }
    }

    fn ask(&mut self, now: Instant) -> Progress {
        self.again = now + AGAIN;
        self.asked = self.first + WINDOW as usize;
        let Ok(first) = u32::try_from(self.first) else { return Progress::Failed };
        Progress::Ask(DocumentMessage::Want { id: self.id, first, count: WINDOW })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{About, Record};
    use alloc::string::String;
    use proptest::prelude::*;

    const SOURCE: NodeId = NodeId(1);

    fn blob(octets: usize) -> Blob {
        let record = Record::first("x".repeat(octets), About::default());
        Blob::new(record.id(), record.encode().unwrap())
    }

    /// Pulls with this share of thousandths of messages lost; how many questions it took.
    fn pull(blob: &Blob, loss: u64, seed: u64) -> (Option<Vec<u8>>, u32) {
        let mut rng = base::rng::Rng::new(seed);
        let mut now = Instant::from_millis(1);
        let mut pull = Pull::new(now, blob.id, SOURCE);
        let mut next = pull.handle_timeout(now);
        let mut questions = 0;
        loop {
            let mut after = Progress::Waits;
            if let Progress::Ask(DocumentMessage::Want { first, count, .. }) = next {
                questions += 1;
                let heard = rng.below(1_000) >= loss;
                let mut chunks = if heard { blob.chunks(first, count) } else { Vec::new() };
                // The last comes first: pieces overtake each other.
                chunks.reverse();
                for chunk in chunks {
                    let DocumentMessage::Chunk { total, mark, index, bytes, .. } = chunk else {
                        panic!("{chunk:?}");
                    };
                    if rng.below(1_000) < loss {
                        continue;
                    }
                    match pull.take(now, (total, mark), index, &bytes) {
                        Progress::Waits => {}
                        Progress::Complete(octets) => return (Some(octets), questions),
                        other @ (Progress::Ask(_) | Progress::Failed) => after = other,
                    }
                }
            } else if next == Progress::Failed {
                return (None, questions);
            }
            next = match after {
                Progress::Waits => {
                    now = pull.next_deadline();
                    pull.handle_timeout(now)
                }
                other @ (Progress::Ask(_) | Progress::Complete(_) | Progress::Failed) => other,
            };
        }
    }

    #[test]
    fn a_record_comes_whole_however_long_it_is() {
        for octets in [0, 1, CHUNK, 3 * CHUNK, 40_000, 1_000_000] {
            let blob = blob(octets);
            let (got, questions) = pull(&blob, 0, 1);
            assert_eq!(got.as_deref(), Some(blob.octets.as_slice()), "{octets}");
            let windows = blob.octets.len().div_ceil(CHUNK).div_ceil(WINDOW as usize);
            assert!(questions as usize <= windows, "{octets}: {questions}");
        }
    }

    #[test]
    fn who_does_not_answer_is_asked_so_often_and_not_for_ever() {
        let (got, questions) = pull(&blob(10), 1_000, 1);
        assert_eq!((got, questions), (None, TRIES));
    }

    #[test]
    fn pieces_of_two_records_are_never_mixed() {
        let (now, one) =
            (Instant::from_millis(1), Record::first("x".repeat(1_500), About::default()));
        let other = Record { about: About { age: 7, ..About::default() }, ..one.clone() };
        let blobs = [one.clone(), other.clone()]
            .map(|record| Blob::new(record.id(), record.encode().unwrap()));
        let mut pull = Pull::new(now, one.id(), SOURCE);
        let mut give = |blob: &Blob, index| {
            let Some(DocumentMessage::Chunk { total, mark, index, bytes, .. }) =
                blob.chunks(index, 1).pop()
            else {
                panic!("no chunk");
            };
            pull.take(now, (total, mark), index, &bytes)
        };
        assert!(!matches!(give(&blobs[0], 0), Progress::Complete(_)));
        assert!(!matches!(give(&blobs[1], 1), Progress::Complete(_)));
        let Progress::Complete(octets) = give(&blobs[1], 0) else { panic!("not complete") };
        assert_eq!(Record::decode(&octets, one.id()), Some(other));
    }

    #[test]
    fn what_cannot_be_a_piece_changes_nothing() {
        let now = Instant::from_millis(1);
        let mut pull = Pull::new(now, DocumentId::default(), SOURCE);
        let most = u32::try_from(RECORD_OCTETS).unwrap();
        let rows = [
            ((0, 1), 0, 0),
            ((most + 1, 1), 0, CHUNK),
            ((1_500, 1), 2, 0),
            ((1_500, 1), u32::MAX, 500),
            ((1_500, 1), 1, 499),
            ((1_500, 1), 0, 999),
        ];
        for (what, index, length) in rows {
            let got = pull.take(now, what, index, &vec![1; length]);
            assert_eq!(got, Progress::Waits, "{what:?} {index} {length}");
        }
    }

    proptest! {
        #[test]
        fn a_record_comes_whole_whatever_gets_lost(
            octets in 0_usize..60_000, loss in 0_u64..600, seed in any::<u64>(),
        ) {
            let blob = blob(octets);
            let (got, _) = pull(&blob, loss, seed);
            prop_assert_eq!(got.as_deref(), Some(blob.octets.as_slice()));
            let text: String = "x".repeat(octets);
            prop_assert_eq!(Record::decode(&blob.octets, blob.id).map(|it| it.text), Some(text));
        }
    }
}
