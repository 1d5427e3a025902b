//! A text longer than the screen, shown page by page. It is a whole reply already: while somebody
//! reads, nothing in the box waits for it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::keys::Key;

/// Rows of a page: the last one of 24 holds the question.
const ROWS: usize = 23;
/// Columns of the screen; a longer line takes several rows.
const COLUMNS: usize = 80;
const QUESTION: &[u8] = b"--More--";

/// A text that is being shown.
#[derive(Debug)]
pub(crate) struct Pager {
    text: String,
    /// What has been shown.
    shown: usize,
}

impl Pager {
    /// Shows the first page of a text of whole lines; a pager if there are more.
    pub(crate) fn begin(text: String, out: &mut Vec<u8>) -> Option<Self> {
        let mut pager = Self { text, shown: 0 };
        pager.advance(ROWS, out).then_some(pager)
    }

    /// Does what a key does; false at the end.
    pub(crate) fn key(&mut self, key: Key, out: &mut Vec<u8>) -> bool {
        match key {
            Key::Character(b' ') => self.turn(ROWS, out),
            Key::Enter | Key::Down => self.turn(1, out),
            Key::Character(b'q' | b'Q') | Key::Interrupt => {
                wipe(out);
                false
            }
            Key::Redraw => {
                wipe(out);
                self.draw(out);
                true
            }
            Key::Character(_)
            | Key::Tab
            | Key::Backspace
            | Key::Delete
            | Key::Left
            | Key::Right
            | Key::Up
            | Key::Home
            | Key::End
            | Key::EraseToStart
            | Key::EraseToEnd
            | Key::EraseWord => {
                out.push(0x07);
                true
            }
        }
    }

    /// Writes the question on an empty line.
    pub(crate) fn draw(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(QUESTION);
    }

    fn turn(&mut self, rows: usize, out: &mut Vec<u8>) -> bool {
        wipe(out);
        self.advance(rows, out)
    }

    /// Shows at least one more line, and more as long as they fit into `rows`; whether there is
    /// more.
    fn advance(&mut self, rows: usize, out: &mut Vec<u8>) -> bool {
        let mut room = rows;
        while let Some(rest) = self.text.get(self.shown..).filter(|rest| !rest.is_empty()) {
            let line = rest.split_inclusive('\n').next().unwrap_or(rest);
            let needed = line.trim_end().chars().count().div_ceil(COLUMNS).max(1);
            if needed > room && room < rows {
                break;
            }
            out.extend_from_slice(line.as_bytes());
            self.shown += line.len();
            room = room.saturating_sub(needed);
            if room == 0 {
                break;
            }
        }
        let more = self.shown < self.text.len();
        if more {
            self.draw(out);
        }
        more
    }
}

/// Clears the line of the question.
pub(crate) fn wipe(out: &mut Vec<u8>) {
    out.push(b'\r');
    out.extend(core::iter::repeat_n(b' ', QUESTION.len()));
    out.push(b'\r');
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn lines(count: usize) -> String {
        (1..=count).map(|number| format!("line {number}\r\n")).collect()
    }

    /// What the screen is sent next.
    fn sent(out: &mut Vec<u8>) -> String {
        String::from_utf8(core::mem::take(out)).unwrap()
    }

    #[test]
    fn what_fits_the_screen_is_shown_at_once() {
        let mut out = Vec::new();
        assert!(Pager::begin(lines(23), &mut out).is_none());
        assert_eq!(sent(&mut out), lines(23));
        assert!(Pager::begin(String::new(), &mut out).is_none());
    }

    #[test]
    fn space_shows_a_page_enter_a_line_and_q_nothing_more() {
        let mut out = Vec::new();
        let mut pager = Pager::begin(lines(60), &mut out).unwrap();
        assert!(sent(&mut out).ends_with("line 23\r\n--More--"));
        assert!(pager.key(Key::Enter, &mut out));
        assert_eq!(sent(&mut out), "\r        \rline 24\r\n--More--");
        assert!(pager.key(Key::Character(b' '), &mut out));
        let page = sent(&mut out);
        assert!(
            page.starts_with("\r        \rline 25\r\n") && page.ends_with("line 47\r\n--More--")
        );
        assert!(pager.key(Key::Character(b'x'), &mut out));
        assert_eq!(sent(&mut out), "\u{7}");
        assert!(!pager.key(Key::Character(b' '), &mut out), "that was all");
        assert!(sent(&mut out).ends_with("line 60\r\n"));
        let mut pager = Pager::begin(lines(60), &mut out).unwrap();
        out.clear();
        assert!(!pager.key(Key::Character(b'q'), &mut out));
        assert_eq!(sent(&mut out), "\r        \r");
    }

    #[test]
    fn a_line_wider_than_the_screen_takes_several_rows() {
        let wide = format!("{}\r\n", "x".repeat(161));
        let mut out = Vec::new();
        let mut pager = Pager::begin(wide.repeat(9), &mut out).unwrap();
        assert_eq!(sent(&mut out), format!("{}--More--", wide.repeat(7)), "7 × 3 rows");
        assert!(pager.key(Key::Enter, &mut out), "one line at least, whatever it takes");
        assert_eq!(sent(&mut out), format!("\r        \r{wide}--More--"));
        // Wider than a whole page: it is shown nevertheless.
        assert!(Pager::begin(format!("{}\r\n", "x".repeat(80 * 30)), &mut out).is_none());
    }
}
