//! Packets that wait to be sent: a ring of slots, all allocated at the start.

use alloc::vec::Vec;
use base::NetworkId;

/// A bounded first-in-first-out queue of IP packets.
#[derive(Debug)]
pub struct Queue {
    octets: Vec<u8>,
    slot: usize,
    /// What each slot holds: the network to send on and the packet's length.
    packets: Vec<(NetworkId, usize)>,
    first: usize,
    length: usize,
}

impl Queue {
    /// Room for `depth` packets of up to `slot` octets.
    pub fn new(depth: usize, slot: usize) -> Self {
        Self {
            octets: alloc::vec![0; depth * slot],
            slot,
            packets: alloc::vec![(NetworkId(0), 0); depth],
            first: 0,
            length: 0,
        }
    }

    pub const fn slot(&self) -> usize {
        self.slot
    }

    pub const fn len(&self) -> usize {
        self.length
    }

    pub const fn is_full(&self) -> bool {
        self.length == self.packets.len()
    }

    /// Room for the next packet, of unknown content; it joins the queue with [`Queue::commit`].
    pub fn reserve(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.is_full() || length > self.slot {
            return None;
        }
        let start = self.next() * self.slot;
        Some(&mut self.octets[start..start + length])
    }

    /// Appends what was written into the last [`Queue::reserve`].
    pub fn commit(&mut self, network: NetworkId, length: usize) {
        if !self.is_full() && length <= self.slot {
            let next = self.next();
            self.packets[next] = (network, length);
            self.length += 1;
        }
    }

    fn next(&self) -> usize {
        (self.first + self.length) % self.packets.len()
    }

    /// The packet at a place counted from the oldest.
    pub fn get(&self, place: usize) -> Option<(NetworkId, &[u8])> {
        if place >= self.length {
            return None;
        }
        let index = (self.first + place) % self.packets.len();
        let (network, length) = self.packets[index];
        let start = index * self.slot;
        Some((network, &self.octets[start..start + length]))
    }

    /// Forgets the oldest packet.
    pub fn pop(&mut self) {
        if self.length > 0 {
            self.first = (self.first + 1) % self.packets.len();
            self.length -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut Queue, octet: u8, length: usize) -> Option<()> {
        queue.reserve(length)?.fill(octet);
        queue.commit(NetworkId(octet.into()), length);
        Some(())
    }

    #[test]
    fn packets_leave_in_the_order_they_came_around_the_end_of_the_ring() {
        let mut queue = Queue::new(3, 8);
        for octet in 0..20 {
            push(&mut queue, octet, 3).unwrap();
            push(&mut queue, octet + 100, 5).unwrap();
            assert_eq!(queue.get(0), Some((NetworkId(octet.into()), &[octet; 3][..])));
            queue.pop();
            assert_eq!(queue.get(0).unwrap().1, [octet + 100; 5]);
            queue.pop();
            assert_eq!(queue.get(0), None);
        }
    }

    #[test]
    fn a_full_queue_and_a_packet_too_long_are_refused() {
        let mut queue = Queue::new(2, 8);
        assert_eq!(push(&mut queue, 1, 9), None);
        assert!(queue.reserve(1).is_some());
        assert_eq!(queue.len(), 0);
        push(&mut queue, 1, 8).unwrap();
        push(&mut queue, 2, 8).unwrap();
        assert!(queue.is_full());
        assert_eq!(push(&mut queue, 3, 1), None);
        queue.pop();
        assert_eq!(push(&mut queue, 3, 1), Some(()));
    }
}
