//! How large everything is: from the memory there is.

use dataplane::Capacity;
use model::limits;
use netio::{BLOCK, Memory};

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

/// The part of the free memory that the rings and buffers of all ports may take.
const PORT_SHARE: u64 = 4;

/// Sizes for so many workers, each with a receiver of every port, with so much memory free.
pub fn size(available: u64, workers: usize, ports: usize) -> Size {
    let each = available / FLOW_SHARE / FLOW_OCTETS / workers.max(1) as u64;
    let most = limits::FLOWS_DEFAULT as u64 / workers.max(1) as u64;
    let flows = each.min(most).max(FLOWS_MIN);
    let capacity = Capacity {
        flows: u32::try_from(flows).unwrap_or(u32::MAX),
        services: limits::SERVICES,
        servers: limits::SERVERS,
    };
    let receivers = (workers * ports).max(1) as u64;
    Size { capacity, memory: memory(available / PORT_SHARE / receivers) }
}

/// What one receiver takes of so many octets: a ring, room for large frames in a batch, and what
/// the kernel holds of large frames while they wait.
fn memory(octets: u64) -> Memory {
    let usual = Memory::default();
    match octets {
        0..4_000_000 => Memory { block_size: BLOCK, blocks: 4, large_frames: 2, ..usual },
        4_000_000..20_000_000 => Memory { block_size: 2 * BLOCK, ..usual },
        _ => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_box_gets_small_tables_and_a_large_one_a_million_flows() {
        let small = size(100 << 20, 1, 2);
        assert!(small.capacity.flows >= 100_000 && small.capacity.flows <= 250_000);
        assert_eq!(size(64 << 30, 1, 2).capacity.flows as usize, limits::FLOWS_DEFAULT);
        assert_eq!(u64::from(size(0, 4, 32).capacity.flows), FLOWS_MIN);
    }

    #[test]
    fn many_ports_and_workers_share_what_few_would_have() {
        for (available, workers, ports) in [(100, 1, 2), (4 << 10, 1, 2), (8 << 10, 16, 32)] {
            let available = available << 20;
            let memory = size(available, workers, ports).memory;
            let ring = u64::from(memory.block_size) * u64::from(memory.blocks);
            let large = u64::from(memory.large_frames) * (68 << 10);
            let all = (ring + large + u64::from(memory.receive_buffer)) * (workers * ports) as u64;
            assert!(all <= available / 3, "{all} of {available} for {workers} × {ports}");
        }
    }
}
