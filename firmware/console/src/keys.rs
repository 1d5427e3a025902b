//! From bytes to keys: what terminals of the last fifty years send (ECMA-48 §5.4, the VT100 and
//! VT220 manuals). What means nothing here gives no key.

/// What somebody pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A printable ASCII character.
    Character(u8),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-U.
    EraseToStart,
    /// Ctrl-K.
    EraseToEnd,
    /// Ctrl-W.
    EraseWord,
    /// Ctrl-L.
    Redraw,
}

/// Where in an escape sequence the line is.
///
/// ```text
///   Plain ──CR──> AfterReturn ──LF or NUL: nothing──> Plain
///     └──ESC──> Escape ──'['──> Control ──digits──> Control ──final──> Plain
///                  └────'O'──> Single ──any──> Plain
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Decoder {
    #[default]
    Plain,
    AfterReturn,
    Escape,
    /// Behind `ESC [`, with the number before the final byte, if it is one.
    Control(u8),
    /// Behind `ESC O`.
    Single,
}

const ESCAPE: u8 = 0x1b;

impl Decoder {
    /// The key that `byte` completes.
    pub(crate) fn byte(&mut self, byte: u8) -> Option<Key> {
        let state = core::mem::take(self);
        // An escape begins anew wherever it comes, and so do the control characters: a broken
        // sequence must not swallow the Enter behind it.
        if byte == ESCAPE {
            *self = Self::Escape;
            return None;
        }
        if byte < 0x20 || byte == 0x7f {
            return self.control(state, byte);
        }
        match state {
            Self::Plain | Self::AfterReturn => (byte < 0x7f).then_some(Key::Character(byte)),
            Self::Escape => {
                match byte {
                    b'[' => *self = Self::Control(0),
                    b'O' => *self = Self::Single,
                    _ => {}
                }
                None
            }
            Self::Control(number) => match byte {
                b'0'..=b'9' => {
                    let digit = byte - b'0';
                    *self = Self::Control(number.saturating_mul(10).saturating_add(digit));
                    None
                }
                // Parameters beyond the first, and intermediate bytes, change nothing here.
                0x20..=0x3f => {
                    *self = Self::Control(number);
                    None
                }
                b'~' => numbered(number),
                other => arrow(other),
            },
            Self::Single => arrow(byte),
        }
    }

    fn control(&mut self, state: Self, byte: u8) -> Option<Key> {
        match byte {
            b'\r' => {
                *self = Self::AfterReturn;
                Some(Key::Enter)
            }
            // CR LF, and the CR NUL of RFC 854, are one Enter.
            b'\n' if matches!(state, Self::AfterReturn) => None,
            b'\n' => Some(Key::Enter),
            b'\t' => Some(Key::Tab),
            0x08 | 0x7f => Some(Key::Backspace),
            0x01 => Some(Key::Home),
            0x02 => Some(Key::Left),
            0x03 => Some(Key::Interrupt),
            0x04 => Some(Key::Delete),
            0x05 => Some(Key::End),
            0x06 => Some(Key::Right),
            0x0b => Some(Key::EraseToEnd),
            0x0c => Some(Key::Redraw),
            0x0e => Some(Key::Down),
            0x10 => Some(Key::Up),
            0x15 => Some(Key::EraseToStart),
            0x17 => Some(Key::EraseWord),
            _ => None,
        }
    }
}

fn arrow(byte: u8) -> Option<Key> {
    match byte {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(Key::Right),
        b'D' => Some(Key::Left),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    }
}

fn numbered(number: u8) -> Option<Key> {
    match number {
        1 | 7 => Some(Key::Home),
        3 => Some(Key::Delete),
        4 | 8 => Some(Key::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn keys_are_what_terminals_send_for_them() {
        let letter = Key::Character;
        for (bytes, keys) in [
            (&b"a?"[..], &[letter(b'a'), letter(b'?')][..]),
            (
                b"a\r\nb\r\0c\nd\n\n",
                &[
                    letter(b'a'),
                    Key::Enter,
                    letter(b'b'),
                    Key::Enter,
                    letter(b'c'),
                    Key::Enter,
                    letter(b'd'),
                    Key::Enter,
                    Key::Enter,
                ],
            ),
            (b"\x1b[A\x1bOB\x1b[1;5C\x1b[D", &[Key::Up, Key::Down, Key::Right, Key::Left]),
            (
                b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[3~",
                &[Key::Home, Key::End, Key::Home, Key::End, Key::Delete],
            ),
            (
                b"\x08\x7f\x15\x0b\x17\x03\x0c\t",
                &[
                    Key::Backspace,
                    Key::Backspace,
                    Key::EraseToStart,
                    Key::EraseToEnd,
                    Key::EraseWord,
                    Key::Interrupt,
                    Key::Redraw,
                    Key::Tab,
                ],
            ),
            // Unknown sequences and octets that are no ASCII give nothing.
            (b"\x1b[20~\x1b[99999999q\x1bx\x80\xff\x00", &[]),
            // A broken sequence does not swallow what follows.
            (b"\x1b[1\rx\x1b\x1b[A", &[Key::Enter, letter(b'x'), Key::Up]),
        ] {
            let mut decoder = Decoder::default();
            let got: Vec<Key> = bytes.iter().filter_map(|&byte| decoder.byte(byte)).collect();
            assert_eq!(got, keys, "{bytes:?}");
        }
    }
}
