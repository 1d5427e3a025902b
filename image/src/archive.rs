//! The `newc` cpio archive that the kernel unpacks as its first root file system.
//!
//! The same files give the same octets: entries are sorted by name, belong to root, have one fixed
//! time and are numbered in order.
//!
//! Reading list: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst, whose
//! words are used here; `cpio(5)` for the field list.

use std::collections::BTreeMap;

use crate::modules::Chosen;

/// File types and permissions as `stat(2)` has them.
const DIRECTORY: u32 = 0o040_755;
const CHARACTER_DEVICE: u32 = 0o020_600;
const REGULAR: u32 = 0o100_000;

/// The time of every file: 2020-01-01 00:00:00 UTC, early enough to be nobody's news.
const TIME: u32 = 1_577_836_800;

/// The name that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    /// Path without a leading slash, to what lies there. A parent sorts before its children.
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    Directory,
    Device { major: u32, minor: u32 },
    File { mode: u32, content: Vec<u8> },
}

impl Archive {
    /// Adds a folder and those above it.
    pub fn directory(&mut self, path: &str) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            self.entries.entry(path[..end].to_owned()).or_insert(Entry::Directory);
        }
        if !path.is_empty() {
            self.entries.entry(path.to_owned()).or_insert(Entry::Directory);
        }
    }

    /// Adds a file and the folders above it; a file of that path is replaced.
    pub fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.add(path, Entry::File { mode: REGULAR | mode, content });
    }

    /// Adds a character device and the folders above it.
    pub fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.add(path, Entry::Device { major, minor });
    }

    /// Adds kernel modules below `lib/modules/RELEASE`, and `load.list` there, which tells PID 1 in
    /// which order and with which parameters to load them.
    pub fn modules(&mut self, release: &str, modules: &[Chosen]) {
        let folder = format!("lib/modules/{release}");
        let mut list = String::from("# Kernel modules in load order, each with its parameters.\n");
        for module in modules {
            list.push_str(format!("{} {}", module.path, module.parameters).trim_end());
            list.push('\n');
            self.file(&format!("{folder}/{}", module.path), 0o644, module.content.clone());
        }
        self.file(&format!("{folder}/load.list"), 0o644, list.into_bytes());
    }

    fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// The finished archive; its length is a multiple of four, so that another may follow.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, (path, entry)) in (1u32..).zip(&self.entries) {
            let (mode, links, device, content) = match entry {
                Entry::Directory => (DIRECTORY, 2, (0, 0), &[][..]),
                Entry::Device { major, minor } => (CHARACTER_DEVICE, 1, (*major, *minor), &[][..]),
                Entry::File { mode, content } => (*mode, 1, (0, 0), content.as_slice()),
            };
            append(&mut out, &Header { number, mode, links, time: TIME, device }, path, content);
        }
        let end = Header { number: 0, mode: 0, links: 1, time: 0, device: (0, 0) };
        append(&mut out, &end, TRAILER, &[]);
        out
    }
}

/// What of a header differs between entries.
struct Header {
    number: u32,
    mode: u32,
    links: u32,
    time: u32,
    device: (u32, u32),
}

fn append(out: &mut Vec<u8>, header: &Header, path: &str, content: &[u8]) {
    // The name counts with its closing NUL. A file past 4 GiB cannot be told in eight digits; no
    // board's image comes near (`largest_image`).
    let fields = [
        header.number,
        header.mode,
        0,
        0,
        header.links,
        header.time,
        u32::try_from(content.len()).unwrap_or(u32::MAX),
        0,
        0,
        header.device.0,
        header.device.1,
        u32::try_from(path.len() + 1).unwrap_or(u32::MAX),
        0,
    ];
    out.extend(b"070701");
    for field in fields {
        out.extend(format!("{field:08x}").as_bytes());
    }
    out.extend(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend(content);
    pad(out);
}

/// Fills up with zeros to a multiple of four; the kernel skips them between archives.
pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Name, mode, device and content.
    type Listed = (String, u32, (u32, u32), Vec<u8>);

    /// Every entry, read back as the format has them.
    pub(crate) fn list(mut bytes: &[u8]) -> Vec<Listed> {
        let mut entries = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |index: usize| {
                let digits = &bytes[6 + index * 8..14 + index * 8];
                u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let (mode, length, device) = (field(1), field(6) as usize, (field(9), field(10)));
            let name_length = field(11) as usize;
            let name = String::from_utf8(bytes[110..110 + name_length - 1].to_vec()).unwrap();
            let start = (110 + name_length).next_multiple_of(4);
            let content = bytes[start..start + length].to_vec();
            bytes = &bytes[(start + length).next_multiple_of(4)..];
            if name == TRAILER {
                assert!(bytes.is_empty(), "nothing stands behind the end");
                return entries;
            }
            entries.push((name, mode, device, content));
        }
    }

    #[test]
    fn an_archive_reads_back_as_it_was_made_with_parents_before_children() {
        let mut archive = Archive::default();
        archive.file("/lib/modules/a.ko", 0o644, b"module".to_vec());
        archive.file("init", 0o755, b"#".to_vec());
        archive.device("/dev/console", 5, 1);
        archive.directory("/proc");
        let entries = list(&archive.into_bytes());
        let expected = [
            ("dev", 0o040_755, (0, 0), ""),
            ("dev/console", 0o020_600, (5, 1), ""),
            ("init", 0o100_755, (0, 0), "#"),
            ("lib", 0o040_755, (0, 0), ""),
            ("lib/modules", 0o040_755, (0, 0), ""),
            ("lib/modules/a.ko", 0o100_644, (0, 0), "module"),
            ("proc", 0o040_755, (0, 0), ""),
        ];
        let expected =
            expected.map(|(name, mode, device, text)| (name.to_owned(), mode, device, text.into()));
        assert_eq!(entries, expected);
    }

    #[test]
    fn the_order_of_adding_makes_no_difference() {
        let (mut one, mut other) = (Archive::default(), Archive::default());
        one.file("a/b", 0o644, vec![1]);
        one.file("a/c", 0o644, vec![2]);
        other.file("a/c", 0o644, vec![2]);
        other.file("a/b", 0o644, vec![1]);
        assert_eq!(one.into_bytes(), other.into_bytes());
    }

    #[test]
    fn every_archive_ends_on_a_multiple_of_four() {
        for length in 0..9 {
            let mut archive = Archive::default();
            archive.file("x", 0o644, vec![7; length]);
            assert_eq!(archive.into_bytes().len() % 4, 0);
        }
    }
}
