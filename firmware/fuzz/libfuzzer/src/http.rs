//! See [`fuzz::http`].
#![no_main]

mod start;

use fuzz::http::{input, seeds};

libfuzzer_sys::fuzz_target!(init: start::prepare(&seeds()), |octets: &[u8]| input(octets));
