//! A screen that obeys what every terminal obeys, and reports what one could misunderstand.

/// Printable characters, tab, carriage return, line feed, backspace and bell; anything else is
/// what a terminal could take for an order (ECMA-48: C0 and C1).
#[derive(Debug, Default)]
pub struct Screen {
    column: usize,
    /// Octets of a character that are still to come.
    missing: usize,
    /// The octet before.
    last: u8,
}

impl Screen {
    /// Shows what was sent.
    pub fn print(&mut self, octets: &[u8]) {
        octets.iter().for_each(|&octet| self.octet(octet));
    }

    /// The rest of what was to be sent will not come.
    pub const fn cut(&mut self) {
        self.missing = 0;
    }

    fn octet(&mut self, octet: u8) {
        if self.missing > 0 {
            assert!(octet & 0xc0 == 0x80, "{octet:#x} within a character");
            assert!(self.last != 0xc2 || octet >= 0xa0, "C1 control {octet:#x} is sent");
            self.missing -= 1;
        } else {
            match octet {
                b'\r' => self.column = 0,
                b'\n' | 0x07 => {}
                0x08 => {
                    assert!(self.column > 0, "no way left of the margin");
                    self.column -= 1;
                }
                b'\t' | 0x20..=0x7e => self.column += 1,
                0xc2..=0xf4 => {
                    self.missing = octet.leading_ones() as usize - 1;
                    self.column += 1;
                }
                _ => panic!("{octet:#x} is sent to the terminal"),
            }
        }
        self.last = octet;
    }
}
