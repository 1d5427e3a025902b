use super::*;
use crate::flow::State;
use crate::tables::{Server, Service, Services};
use alloc::sync::Arc;
use base::{PoolId, VipId};
use core::net::Ipv4Addr;
use core::time::Duration;

const NOW: Instant = Instant::from_millis(1_000_000);
const IDLE: Duration = Duration::from_secs(100);

fn tables() -> Tables {
    let mut services = Services::default();
    let service = Service { vip: VipId(0), pool: PoolId(0), idle: IDLE, shared: false };
    services.push(service, Protocol::TCP, [80..=80]);
    let server = |last| Server {
        address: Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped(),
        port: Some(8080),
        pool: PoolId(0),
        link: None,
        up: true,
    };
    let servers = Arc::new((1..=4).map(server).collect());
    Tables { services: Arc::new(services), servers, ..Tables::default() }
}

fn key(client: u32, protocol: Protocol) -> FlowKey {
    FlowKey {
        source: Ipv4Addr::from_bits(0x0a63_0000 + (client >> 8)).to_ipv6_mapped(),
        destination: Ipv4Addr::new(192, 0, 2, 80).to_ipv6_mapped(),
        source_port: 1_024 + (client & 0xff) as u16,
        destination_port: 80,
        protocol,
    }
}

fn record(client: u32, protocol: Protocol) -> Record {
    Record::new(&key(client, protocol), ServiceId(0), ServerId((client % 4) as u16), 0)
}

fn insert(table: &mut FlowTable, tables: &Tables, client: u32, protocol: Protocol) -> u32 {
    match table.insert(NOW, record(client, protocol), tables) {
        Inserted::At { slot, .. } => slot,
        other @ (Inserted::Full | Inserted::Collision) => panic!("{other:?}"),
    }
}

#[test]
fn both_directions_find_the_flow_and_after_its_end_neither() {
    let (tables, mut table) = (tables(), FlowTable::new(64, 1));
    let slot = insert(&mut table, &tables, 7, Protocol::TCP);
    let request = key(7, Protocol::TCP);
    let reply = table.record(slot).reply_key(tables.server(ServerId(3)).unwrap());
    let find = |table: &FlowTable, key: &FlowKey| table.find(key, table.hash(key), &tables);
    assert_eq!(find(&table, &request), Some((slot, Direction::Request)));
    assert_eq!(find(&table, &reply), Some((slot, Direction::Reply)));
    assert_eq!(find(&table, &request.reversed()), None);
    table.remove(slot, &tables);
    assert_eq!(find(&table, &request), None);
    assert_eq!(find(&table, &reply), None);
    assert!(table.is_empty());
}

#[test]
fn a_second_flow_with_the_same_reply_key_is_a_collision() {
    let (tables, mut table) = (tables(), FlowTable::new(64, 1));
    insert(&mut table, &tables, 7, Protocol::TCP);
    let other = FlowKey { destination_port: 81, ..key(7, Protocol::TCP) };
    let record = Record::new(&other, ServiceId(0), ServerId(3), 0);
    assert_eq!(table.insert(NOW, record, &tables), Inserted::Collision);
    assert_eq!(table.len(), 1);
}

#[test]
fn operations_in_any_order_agree_with_a_plain_map() {
    use alloc::collections::BTreeMap;
    for seed in 0..20 {
        let tables = tables();
        let mut table = FlowTable::new(512, seed);
        let mut model: BTreeMap<u32, u32> = BTreeMap::new();
        let mut rng = Rng::new(seed);
        for _ in 0..5_000 {
            let client = rng.below(700) as u32;
            match model.get(&client) {
                Some(&slot) if rng.below(2) == 0 => {
                    table.remove(slot, &tables);
                    model.remove(&client);
                }
                Some(_) => {}
                None if model.len() < 512 => {
                    model.insert(client, insert(&mut table, &tables, client, Protocol::TCP));
                }
                None => {}
            }
            assert_eq!(table.len() as usize, model.len());
        }
        for client in 0..700 {
            let request = key(client, Protocol::TCP);
            let found = table.find(&request, table.hash(&request), &tables);
            assert_eq!(found.map(|(slot, _)| slot), model.get(&client).copied());
            let server = ServerId((client % 4) as u16);
            let reply = record(client, Protocol::TCP).reply_key(tables.server(server).unwrap());
            let found = table.find(&reply, table.hash(&reply), &tables);
            assert_eq!(found.map(|(slot, _)| slot), model.get(&client).copied());
        }
    }
}

#[test]
fn a_full_table_gives_up_half_open_then_closing_then_udp_flows_and_never_established_ones() {
    let (tables, mut table) = (tables(), FlowTable::new(64, 1));
    let state = |table: &mut FlowTable, client: u32, state: State| {
        let slot = insert(table, &tables, client, Protocol::TCP);
        table.update(slot, |record| record.state = state);
    };
    for client in 0..16 {
        state(&mut table, client, State::Established);
        insert(&mut table, &tables, 100 + client, Protocol::UDP);
        state(&mut table, 200 + client, State::Closing);
        insert(&mut table, &tables, 300 + client, Protocol::TCP);
    }
    let counts = |t: &FlowTable| {
        [Class::HalfOpen, Class::Closing, Class::Datagram, Class::Established].map(|c| t.count(c))
    };
    assert_eq!(counts(&table), [16, 16, 16, 16]);
    for newcomer in 0..48 {
        state(&mut table, 1_000 + newcomer, State::Established);
        let expected = match newcomer {
            0..16 => [15 - newcomer, 16, 16, 17 + newcomer],
            16..32 => [0, 31 - newcomer, 16, 17 + newcomer],
            _ => [0, 0, 47 - newcomer, 17 + newcomer],
        };
        assert_eq!(counts(&table), expected, "after newcomer {newcomer}");
    }
    let refused = table.insert(NOW, record(5_000, Protocol::TCP), &tables);
    assert_eq!(refused, Inserted::Full);
    assert_eq!(table.count(Class::Established), 64);
}

#[test]
fn the_oldest_half_open_flow_goes_first() {
    let (tables, mut table) = (tables(), FlowTable::new(64, 1));
    for client in 0..64 {
        insert(&mut table, &tables, client, Protocol::TCP);
    }
    insert(&mut table, &tables, 64, Protocol::TCP);
    let find = |client| {
        let key = key(client, Protocol::TCP);
        table.find(&key, table.hash(&key), &tables)
    };
    assert_eq!(find(0), None);
    assert!(find(1).is_some() && find(64).is_some());
}

#[test]
fn a_silent_flow_ends_after_the_time_of_its_state_and_a_touched_one_does_not() {
    let (tables, mut table) = (tables(), FlowTable::new(64, 1));
    let half_open = insert(&mut table, &tables, 1, Protocol::TCP);
    let established = insert(&mut table, &tables, 2, Protocol::TCP);
    let touched = insert(&mut table, &tables, 3, Protocol::TCP);
    for slot in [established, touched] {
        table.update(slot, |record| record.state = State::Established);
    }
    let ended_at = |table: &mut FlowTable, seconds: u64| {
        let mut ended = 0;
        let now = NOW + Duration::from_secs(seconds);
        table.expire(now, 1_000, &tables, |_| ended += 1);
        ended
    };
    assert_eq!(ended_at(&mut table, 60), 0);
    assert_eq!(ended_at(&mut table, 61), 1, "the half-open one");
    table.touch(touched, Ticks::at(NOW + Duration::from_secs(90)));
    assert_eq!(ended_at(&mut table, 101), 1, "the established one that stayed silent");
    assert_eq!(ended_at(&mut table, 191), 1, "at last the touched one");
    assert!(table.is_empty());
    let _ = half_open;
}

#[test]
fn a_record_is_one_cache_line_and_index_and_record_stay_within_a_hundred_and_thirty_octets() {
    assert_eq!(size_of::<Record>(), 64);
    let table = FlowTable::new(1 << 16, 1);
    assert!(table.octets_per_flow() <= 130, "{}", table.octets_per_flow());
}
