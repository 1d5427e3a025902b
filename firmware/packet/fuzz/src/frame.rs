//! The fuzz target: any bytes through everything that takes foreign bytes.
#![no_main]

mod corpus;
mod exercise;

use std::path::Path;

libfuzzer_sys::fuzz_target!(
    init: {
        if let Err(error) = write_seeds(Path::new("corpus")) {
            eprintln!("no seeds: {error}");
        }
    },
    |input: &[u8]| exercise::input(input)
);

/// Puts one input for every kind of frame where libFuzzer starts from.
fn write_seeds(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (index, input) in corpus::inputs().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{index:03}")), input)?;
    }
    Ok(())
}
