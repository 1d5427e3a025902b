//! A whole document, typed or pasted, until Ctrl-D. Octets are taken as they come, since a comment
//! may hold any language; what is shown of them is ASCII.

use alloc::string::String;
use alloc::vec::Vec;

use model::limits;

/// A document on its way in.
#[derive(Debug, Default)]
pub(crate) struct Paste {
    text: Vec<u8>,
    /// The last octet was a carriage return: a line feed behind it belongs to it.
    returned: bool,
    /// Something did not fit: the document is not what was pasted.
    pub(crate) lost: bool,
}

/// What an octet did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pasted {
    /// It is part of the document.
    More,
    /// It ended the document.
    Document(String),
    /// It ended what cannot be a document.
    Refused(&'static str),
}

const END: u8 = 0x04;

impl Paste {
    /// Takes an octet and shows it.
    pub(crate) fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Pasted {
        let returned = core::mem::replace(&mut self.returned, byte == b'\r');
        match byte {
            END => {
                out.extend_from_slice(b"\r\n");
                return self.finish();
            }
            b'\n' if returned => {}
            b'\r' | b'\n' => {
                if self.push(b'\n') {
                    out.extend_from_slice(b"\r\n");
                }
            }
            b'\t' => {
                if self.push(b'\t') {
                    out.push(b' ');
                }
            }
            0x08 | 0x7f => self.rub_out(out),
            0x00..=0x1f => {}
            0x20..=0x7e => {
                if self.push(byte) {
                    out.push(byte);
                }
            }
            // One sign on the screen for each character, however many octets it has.
            0x80..=0xbf => drop(self.push(byte)),
            0xc0..=0xff => {
                if self.push(byte) {
                    out.push(b'?');
                }
            }
        }
        Pasted::More
    }

    fn push(&mut self, byte: u8) -> bool {
        let room = self.text.len() < limits::DOCUMENT_OCTETS;
        if room {
            self.text.push(byte);
        }
        self.lost |= !room;
        room
    }

    /// Takes back a character. Octets that go on with none were not shown: nothing is wiped for
    /// them, and the line before is none of their business.
    fn rub_out(&mut self, out: &mut Vec<u8>) {
        let shown = |octet: &u8| !matches!(octet, 0x80..=0xbf);
        let start = self.text.iter().rposition(shown);
        match start.filter(|&start| self.text.get(start) != Some(&b'\n')) {
            Some(start) => {
                self.text.truncate(start);
                out.extend_from_slice(b"\x08 \x08");
            }
            None => {
                self.text.truncate(start.map_or(0, |end| end + 1));
                out.push(0x07);
            }
        }
    }

    fn finish(&mut self) -> Pasted {
        if self.lost {
            return Pasted::Refused(
                "the document came too fast or is too long; nothing was changed",
            );
        }
        match String::from_utf8(core::mem::take(&mut self.text)) {
            Ok(text) if text.trim().is_empty() => {
                Pasted::Refused("the document is empty; nothing was changed")
            }
            Ok(text) => Pasted::Document(text),
            Err(_) => Pasted::Refused("the document is not UTF-8; nothing was changed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pasted(bytes: &[u8]) -> (Pasted, String) {
        let (mut paste, mut out) = (Paste::default(), Vec::new());
        let mut last = Pasted::More;
        for &byte in bytes {
            assert_eq!(last, Pasted::More, "nothing comes behind the end");
            last = paste.byte(byte, &mut out);
        }
        (last, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_document_is_what_stands_before_the_end() {
        for (bytes, text, screen) in [
            (&b"[a]\r\nb = 1\r\n\x04"[..], "[a]\nb = 1\n", "[a]\r\nb = 1\r\n\r\n"),
            (b"a\rb\n\nc\x04", "a\nb\n\nc", "a\r\nb\r\n\r\nc\r\n"),
            (b"ax\x7f\tb\x04", "a\tb", "ax\x08 \x08 b\r\n"),
            ("# Käse\u{7f}\u{7f}\x04".as_bytes(), "# Kä", "# K?se\x08 \x08\x08 \x08\r\n"),
            ("# ä\u{7f}\x04".as_bytes(), "# ", "# ?\x08 \x08\r\n"),
            (b"a\n\x7f\x1b[Ab\x04", "a\n[Ab", "a\r\n\x07[Ab\r\n"),
            (b"\x8d\x7fa\n\x8d\x7fb\x04", "a\nb", "\x07a\r\n\x07b\r\n"),
        ] {
            let (last, shown) = pasted(bytes);
            assert_eq!(last, Pasted::Document(text.into()), "{bytes:?}");
            assert_eq!(shown, screen, "{bytes:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_document_is_refused() {
        let mut long = alloc::vec![b'#'; limits::DOCUMENT_OCTETS + 1];
        long.push(END);
        for (bytes, why) in [
            (&b"\x04"[..], "empty"),
            (b" \r\n\x04", "empty"),
            (b"# \xe4\x04", "not UTF-8"),
            (&long[..], "too long"),
        ] {
            let (Pasted::Refused(sentence), _) = pasted(bytes) else { panic!("{why}") };
            assert!(sentence.contains(why), "{sentence}");
        }
    }
}
