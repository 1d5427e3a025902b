//! What has to be built before something can be tried: the supervisor and the image.

use crate::packages;
use image::{Artifacts, ImageError, Options};
use std::path::{Path, PathBuf};

/// Builds the supervisor, for release and static, and returns where it is.
///
/// # Errors
/// A sentence; what the compiler said stands above it.
pub fn supervisor(root: &Path) -> Result<PathBuf, String> {
    image::build_supervisor(root).map_err(|error| error.to_string())
}

/// Builds the image of a board. Where apt does not offer the kernel, its lists may be missing or
/// old, so they are fetched and the build is tried once more.
///
/// # Errors
/// A sentence.
pub fn image(root: &Path, board: &str, supervisor: &Path) -> Result<Artifacts, String> {
    packages::need(&[packages::IMAGE]).map_err(|missing| missing.to_string())?;
    let options = Options::new(root, board, supervisor);
    let built = match image::build(&options) {
        Err(ImageError::Package(error)) => {
            println!("{error}");
            if !packages::update_lists() {
                return Err("the lists of packages cannot be fetched either".into());
            }
            image::build(&options)
        }
        other => other,
    };
    built.map_err(|error| error.to_string())
}

/// Builds the image of a board and says what came out. With a folder of documents it also writes
/// the initramfs with them in it, for a loader that takes one file.
///
/// # Errors
/// A sentence.
pub fn print_image(root: &Path, board: &str, config: Option<&Path>) -> Result<(), String> {
    let documents = config.map(documents).transpose()?;
    let artifacts = image(root, board, &supervisor(root)?)?;
    let size = |octets: u64| format!("{:6.1} MiB", octets as f64 / f64::from(1 << 20));
    println!("{}  {}", size(artifacts.kernel_octets), artifacts.kernel.display());
    println!("{}  {}", size(artifacts.initramfs_octets), artifacts.initramfs.display());
    println!("            {}", artifacts.manifest.display());
    if let Some([cluster, node]) = documents {
        let initramfs = std::fs::read(&artifacts.initramfs)
            .map_err(|error| format!("{}: {error}", artifacts.initramfs.display()))?;
        let files = [("/config/cluster.toml", &*cluster), ("/config/node.toml", &*node)];
        let initrd = image::with_config(&initramfs, &files);
        let path = artifacts.initramfs.with_file_name("initrd");
        std::fs::write(&path, &initrd).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}  {} (with the documents)", size(initrd.len() as u64), path.display());
    }
    println!("kernel {} with {} modules", artifacts.release, artifacts.modules.len());
    println!("command line: {}", artifacts.command_line);
    Ok(())
}

/// The two documents of a folder. What they say is checked by the box, and by `cargo xtask check`.
fn documents(folder: &Path) -> Result<[Vec<u8>; 2], String> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|error| {
            format!("{}: {error}; the folder must hold cluster.toml and node.toml", path.display())
        })
    };
    Ok([read("cluster.toml")?, read("node.toml")?])
}
