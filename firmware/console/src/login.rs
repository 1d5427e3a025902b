//! Name and password, asked for in turn. A name is shown as it is typed, a password is not.
//!
//! ```text
//!          Enter            Enter: to be verified
//!   Name ─────────> Password ────────────────────> (done)
//!    ▲ Ctrl-C           │
//!    └──────────────────┘
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use model::limits;

use crate::keys::Key;

/// Who says to be whom.
#[derive(Debug, Default)]
pub(crate) struct Login {
    /// The name, once it is finished.
    name: Option<String>,
    /// What is being typed.
    typed: String,
}

impl Login {
    /// Does what a key does, and says so on the screen; what it returns is to be verified.
    pub(crate) fn key(&mut self, key: Key, out: &mut Vec<u8>) -> Option<(String, String)> {
        match key {
            Key::Character(octet) if self.typed.len() < limits::CONSOLE_LINE_OCTETS => {
                self.typed.push(char::from(octet));
                if self.name.is_none() {
                    out.push(octet);
                }
            }
            Key::Backspace if self.typed.pop().is_some() => self.rub_out(1, out),
            Key::EraseToStart | Key::EraseWord => {
                let length = self.typed.len();
                self.typed.clear();
                self.rub_out(length, out);
            }
            Key::Enter => return self.finish(out),
            Key::Redraw => {
                out.extend_from_slice(b"\r\n");
                self.draw(out);
            }
            Key::Character(_)
            | Key::Tab
            | Key::Backspace
            | Key::Delete
            | Key::Left
            | Key::Right
            | Key::Up
            | Key::Down
            | Key::Home
            | Key::End
            | Key::Interrupt
            | Key::EraseToEnd => out.push(BELL),
        }
        None
    }

    /// Writes the question, and of the answer what may be seen, on an empty line.
    pub(crate) fn draw(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.shown().as_bytes());
    }

    /// Clears the line that holds them.
    pub(crate) fn wipe(&self, out: &mut Vec<u8>) {
        out.push(b'\r');
        out.extend(core::iter::repeat_n(b' ', self.shown().len().min(79)));
        out.push(b'\r');
    }

    fn shown(&self) -> String {
        match &self.name {
            None => alloc::format!("login: {}", self.typed),
            Some(_) => "password: ".into(),
        }
    }

    fn rub_out(&self, characters: usize, out: &mut Vec<u8>) {
        if self.name.is_none() {
            out.extend(core::iter::repeat_n(*b"\x08 \x08", characters).flatten());
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Option<(String, String)> {
        out.extend_from_slice(b"\r\n");
        let typed = core::mem::take(&mut self.typed);
        match self.name.take() {
            Some(name) => return Some((name, typed)),
            None if typed.trim().is_empty() => {}
            None => self.name = Some(typed.trim().into()),
        }
        self.draw(out);
        None
    }
}

const BELL: u8 = 0x07;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Decoder;
    use alloc::string::ToString;

    /// What the screen is sent for these bytes, and what is to be verified.
    fn typed(bytes: &[u8]) -> (String, Option<(String, String)>) {
        let (mut login, mut out, mut decoder) = (Login::default(), Vec::new(), Decoder::default());
        let mut verify = None;
        for key in bytes.iter().filter_map(|&byte| decoder.byte(byte)) {
            verify = verify.or(login.key(key, &mut out));
        }
        (String::from_utf8(out).unwrap(), verify)
    }

    #[test]
    fn a_name_is_shown_and_a_password_is_not() {
        let (screen, verify) = typed(b"anna\rtop secret\r");
        assert_eq!(screen, "anna\r\npassword: \r\n");
        assert_eq!(verify, Some(("anna".to_string(), "top secret".to_string())));
    }

    #[test]
    fn mistakes_are_mended_and_those_in_a_password_are_not_seen() {
        let (screen, verify) = typed(b"anx\x7fna\rwrong\x15rihg\x7f\x7fght\r");
        assert_eq!(screen, "anx\x08 \x08na\r\npassword: \r\n");
        assert_eq!(verify, Some(("anna".to_string(), "right".to_string())));
        let (screen, verify) = typed(b"\r\r  \r");
        assert_eq!(screen, "\r\nlogin: \r\nlogin:   \r\nlogin: ");
        assert_eq!(verify, None);
    }

    #[test]
    fn names_and_passwords_end_somewhere() {
        let mut bytes = alloc::vec![b'a'; 10_000];
        bytes.push(b'\r');
        bytes.extend(alloc::vec![b'b'; 10_000]);
        bytes.push(b'\r');
        let (_, verify) = typed(&bytes);
        let (name, password) = verify.unwrap();
        assert_eq!(name.len(), limits::CONSOLE_LINE_OCTETS);
        assert_eq!(password.len(), limits::CONSOLE_LINE_OCTETS);
    }
}
