//! See [`fuzz::console`].
#![no_main]

mod start;

use fuzz::console::{input, seeds};

libfuzzer_sys::fuzz_target!(init: start::prepare(&seeds()), |octets: &[u8]| input(octets));
