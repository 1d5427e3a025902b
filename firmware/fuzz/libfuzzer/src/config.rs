//! See [`fuzz::config`].
#![no_main]

mod start;

use fuzz::config::{input, seeds};

libfuzzer_sys::fuzz_target!(init: start::prepare(&seeds()), |octets: &[u8]| input(octets));
