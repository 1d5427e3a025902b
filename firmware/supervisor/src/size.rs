//! How large everything is: from the memory there is.

use dataplane::Capacity;
use model::limits;
use netio::Memory;

/// The part of the free memory that flow records and their index may take.
const FLOW_SHARE: u64 = 4;
/// Octets of record and index per flow, rounded up.
const FLOW_OCTETS: u64 = 128;
/// Fewer flows than this are no use.
const FLOWS_MIN: u64 = 4_096;

/// What the box can afford.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// For each forwarder.
    pub capacity: Capacity,
    /// For each port's receiver at each worker.
    pub memory: Memory,
}

/// Sizes for so many workers with so much memory free.
pub fn size(available: u64, workers: usize) -> Size {
    let each = available / FLOW_SHARE / FLOW_OCTETS / workers.max(1) as u64;
    let most = limits::FLOWS_DEFAULT as u64 / workers.max(1) as u64;
    let flows = each.min(most).max(FLOWS_MIN);
    let capacity = Capacity {
        flows: u32::try_from(flows).unwrap_or(u32::MAX),
        services: limits::SERVICES,
        servers: limits::SERVERS,
    };
    let small =
        Memory { block_size: 256 << 10, blocks: 8, large_frames: 4, receive_buffer: 8 << 20 };
    let memory = if available < 1 << 30 { small } else { Memory::default() };
    Size { capacity, memory }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_box_gets_small_tables_and_a_large_one_a_million_flows() {
        let small = size(100 << 20, 1);
        assert!(small.capacity.flows >= 100_000 && small.capacity.flows <= 250_000);
        assert_eq!(size(64 << 30, 1).capacity.flows as usize, limits::FLOWS_DEFAULT);
        assert_eq!(u64::from(size(0, 4).capacity.flows), FLOWS_MIN);
    }
}
