use std::format;
use std::vec;
use std::vec::Vec;

use super::*;

fn file(words: impl Fn(u32) -> [u8; 4], halves: impl Fn(u16) -> [u8; 2], magic: u32) -> Vec<u8> {
    let mut file = words(magic).to_vec();
    file.extend(halves(2));
    file.extend(halves(4));
    file.extend([0; 8]);
    file.extend(words(65_535));
    file.extend(words(1));
    for (seconds, fraction, original) in [(1_700_000_000, 999_999, 4), (1_700_000_001, 5, 1500)] {
        for number in [seconds, fraction, 4, original] {
            file.extend(words(number));
        }
        file.extend([1, 2, 3, 4]);
    }
    file
}

#[test]
fn both_byte_orders_and_both_units_are_read() {
    for (name, bytes, unit) in [
        ("little, micro", file(u32::to_le_bytes, u16::to_le_bytes, 0xa1b2_c3d4), 1000),
        ("little, nano", file(u32::to_le_bytes, u16::to_le_bytes, 0xa1b2_3c4d), 1),
        ("big, micro", file(u32::to_be_bytes, u16::to_be_bytes, 0xa1b2_c3d4), 1000),
        ("big, nano", file(u32::to_be_bytes, u16::to_be_bytes, 0xa1b2_3c4d), 1),
    ] {
        let records: Vec<_> = Reader::new(&bytes).unwrap().map(Result::unwrap).collect();
        let time = |seconds: u64, fraction: u64| {
            Instant::from_nanos(seconds * 1_000_000_000 + fraction * unit)
        };
        let record = |time, original_length| Record { time, bytes: &[1, 2, 3, 4], original_length };
        let expected =
            [record(time(1_700_000_000, 999_999), 4), record(time(1_700_000_001, 5), 1500)];
        assert_eq!(records, expected, "{name}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mut writer = Writer::new();
    assert_eq!(Reader::new(&writer.clone().into_bytes()).unwrap().count(), 0);
    let frames: [(u64, &[u8]); 3] =
        [(0, b"first"), (1_234_567_890_123, b""), (u64::MAX >> 8, b"x")];
    for (nanos, bytes) in frames {
        writer.push(Instant::from_nanos(nanos), bytes);
    }
    let file = writer.into_bytes();
    // As libpcap knows a file in nanoseconds.
    assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
    assert_eq!(file[20..24], [1, 0, 0, 0]);
    for (record, (nanos, bytes)) in Reader::new(&file).unwrap().zip(frames) {
        let record = record.unwrap();
        assert_eq!((record.time.as_nanos(), record.bytes), (nanos, bytes));
        assert_eq!(record.original_length as usize, bytes.len());
    }
}

#[test]
fn what_is_no_ethernet_capture_is_refused() {
    let good = Writer::new().into_bytes();
    let changed = |at: usize, octet: u8| {
        let mut file = good.clone();
        file[at] = octet;
        Reader::new(&file).map(|_| ()).unwrap_err()
    };
    assert_eq!(changed(0, 0), PcapError::BadMagic(0xa1b2_3c00));
    assert_eq!(changed(4, 1), PcapError::BadVersion(1));
    assert_eq!(changed(20, 101), PcapError::NotEthernet(101));
    for length in 0..24 {
        assert_eq!(Reader::new(&good[..length]).err(), Some(PcapError::NoHeader));
    }
    assert!(format!("{}", PcapError::NotEthernet(101)).contains("101"));
}

#[test]
fn a_file_cut_short_ends_in_one_error() {
    let mut writer = Writer::new();
    writer.push(Instant::ZERO, b"whole");
    writer.push(Instant::ZERO, b"cut");
    let file = writer.into_bytes();
    for cut in 46..file.len() {
        let records: Vec<_> = Reader::new(&file[..cut]).unwrap().collect();
        assert_eq!(records.len(), 2, "{cut}");
        assert_eq!(records[1], Err(PcapError::Truncated { offset: 45 }));
    }
    let mut huge = file;
    huge[53..57].fill(0xff);
    let records: Vec<_> = Reader::new(&huge).unwrap().collect();
    assert_eq!(records.last(), Some(&Err(PcapError::Truncated { offset: 45 })));
    let empty: Vec<u8> = vec![];
    assert!(Reader::new(&empty).is_err());
}
