//! What happens next: events in the order of simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events that have not happened yet. Events of the same time happen in the order in which they
/// were put in, so that a world repeats exactly.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// When, as which one, and where in `events`: small, because a heap moves what it orders.
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    next: u64,
}

impl<E> Queue<E> {
    /// An empty queue.
    pub fn new() -> Self {
        let heap = BinaryHeap::with_capacity(1_024);
        Self { heap, events: Vec::new(), free: Vec::new(), next: 0 }
    }

    /// Puts an event in, `at` nanoseconds of the world's time.
    pub fn push(&mut self, at: u64, event: E) {
        self.next += 1;
        let place = self.free.pop().unwrap_or(self.events.len());
        match self.events.get_mut(place) {
            Some(room) => *room = Some(event),
            None => self.events.push(Some(event)),
        }
        self.heap.push(Reverse((at, self.next, place)));
    }

    /// Takes the next event out, unless it is later than `until`.
    pub fn pop(&mut self, until: u64) -> Option<(u64, E)> {
        if self.heap.peek()?.0.0 > until {
            return None;
        }
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        self.events[place].take().map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_time_and_then_of_arrival() {
        let mut queue = Queue::new();
        for (at, name) in [(5, "c"), (1, "a"), (5, "d"), (2, "b"), (9, "late")] {
            queue.push(at, name);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(5)).collect();
        assert_eq!(order, [(1, "a"), (2, "b"), (5, "c"), (5, "d")]);
    }
}
