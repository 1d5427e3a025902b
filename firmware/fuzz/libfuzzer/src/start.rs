//! What every program does before libFuzzer starts.

use fuzz::Seeds;
use std::io::Write as _;
use std::path::Path;

/// Puts the seeds and the dictionary where libFuzzer is told to look for them: `corpus` and
/// `dictionary` in the folder it runs in.
pub fn prepare(seeds: &Seeds) {
    if let Err(error) = write(seeds) {
        eprintln!("no seeds: {error}");
    }
}

fn write(seeds: &Seeds) -> std::io::Result<()> {
    let folder = Path::new("corpus");
    std::fs::create_dir_all(folder)?;
    for (index, input) in seeds.inputs.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{index:03}")), input)?;
    }
    let mut dictionary = std::fs::File::create("dictionary")?;
    // libFuzzer refuses an empty one.
    writeln!(dictionary, "# Words of the inputs.")?;
    for word in seeds.words.iter().filter(|word| !word.is_empty()) {
        let escaped: String = word.iter().map(|octet| format!("\\x{octet:02x}")).collect();
        writeln!(dictionary, "\"{escaped}\"")?;
    }
    Ok(())
}
