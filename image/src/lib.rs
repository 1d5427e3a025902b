//! The image builder: kernel, modules, supervisor and data files of a board become two files that
//! any loader can boot, `vmlinuz` and `initramfs.zst`, and a manifest that says what they are.
//!
//! ```text
//!   board file ──▶ package (apt) ──▶ vmlinuz ─────────────────────────────▶ vmlinuz
//!                      └──▶ modules (.modinfo) ─┐
//!   supervisor (cargo) ─────────────────────────┼──▶ archive (cpio) ─zstd─▶ initramfs.zst
//!   rootfs-overlay/ ────────────────────────────┘
//! ```
//!
//! No root is needed, and the same input gives the same octets. An operator's configuration is not
//! part of an image: [`with_config`] appends it.

mod archive;
mod cargo;
mod modules;
mod overlay;
mod package;
mod payload;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use board::{Board, BoardError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use archive::Archive;
pub use cargo::{CargoError, TARGET, build_example, build_supervisor};
pub use modules::{Chosen, ModulesError, choose};
pub use overlay::OverlayError;
pub use package::{KernelPackage, PackageError};
pub use payload::{PayloadError, unpacked_kernel};

/// How hard zstd tries: the hardest that still unpacks in little memory.
const COMPRESSION: i32 = 19;

/// Folders that PID 1 mounts on or finds files in.
const FOLDERS: [&str; 7] = ["config", "dev", "etc", "proc", "run", "sys", "tmp"];

/// What to build and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The repository.
    pub workspace: PathBuf,
    /// The board's name.
    pub board: String,
    /// The static binary that becomes `/init`; see [`build_supervisor`].
    pub supervisor: PathBuf,
    /// The folder that the files are written to; made if absent.
    pub output: PathBuf,
    /// The folder that kernel packages are kept in; made if absent.
    pub cache: PathBuf,
}

impl Options {
    /// The usual places: `target/images/portico-BOARD` and `target/cache/kernel`.
    pub fn new(workspace: &Path, board: &str, supervisor: &Path) -> Self {
        Self {
            workspace: workspace.to_owned(),
            board: board.to_owned(),
            supervisor: supervisor.to_owned(),
            output: workspace.join("target/images").join(format!("portico-{board}")),
            cache: workspace.join("target/cache/kernel"),
        }
    }
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The compressed kernel: what a loader calls the kernel.
    pub kernel: PathBuf,
    /// The compressed root file system: what a loader calls the initrd.
    pub initramfs: PathBuf,
    /// What both are, as JSON.
    pub manifest: PathBuf,
    /// The kernel's command line, ready to use.
    pub command_line: String,
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// The modules in load order, as paths below `/lib/modules/RELEASE`.
    pub modules: Vec<String>,
    /// Octets of the kernel.
    pub kernel_octets: u64,
    /// Octets of the initramfs.
    pub initramfs_octets: u64,
}

/// Why there is no image. The output folder holds the former one, if any.
#[derive(Debug)]
pub enum ImageError {
    /// The board cannot be used.
    Board(BoardError),
    /// There is no kernel.
    Package(PackageError),
    /// A module is missing or broken.
    Modules(ModulesError),
    /// A data file cannot be taken.
    Overlay(OverlayError),
    /// A file could not be read or written.
    File {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The binary given as supervisor needs a loader, which the image does not have.
    NotStatic {
        /// Its path.
        path: PathBuf,
    },
    /// The image is larger than its board allows.
    TooLarge {
        /// Octets of kernel and initramfs.
        octets: u64,
        /// The board's limit.
        limit: u64,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Board(source) => source.fmt(f),
            Self::Package(source) => source.fmt(f),
            Self::Modules(source) => source.fmt(f),
            Self::Overlay(source) => source.fmt(f),
            Self::File { path, source } => {
                write!(f, "cannot read or write {}: {source}", path.display())
            }
            Self::NotStatic { path } => write!(
                f,
                "{} is no static executable; a build with crt-static would be right",
                path.display()
            ),
            Self::TooLarge { octets, limit } => write!(
                f,
                "kernel and initramfs take {octets} octets; the board allows {limit} \
                 (`image.largest_mib`)"
            ),
        }
    }
}

impl std::error::Error for ImageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Board(source) => Some(source),
            Self::Package(source) => Some(source),
            Self::Modules(source) => Some(source),
            Self::Overlay(source) => Some(source),
            Self::File { source, .. } => Some(source),
            Self::NotStatic { .. } | Self::TooLarge { .. } => None,
        }
    }
}

/// Builds the image of a board.
///
/// # Errors
/// [`ImageError`].
pub fn build(options: &Options) -> Result<Artifacts, ImageError> {
    let board =
        board::load(&options.workspace.join("board"), &options.board).map_err(ImageError::Board)?;
    let package =
        KernelPackage::fetch(&board.kernel.package, &options.cache).map_err(ImageError::Package)?;
    let modules =
        modules::choose(&package.modules(), &board.modules).map_err(ImageError::Modules)?;
    let supervisor = read(&options.supervisor)?;
    check_static(&supervisor, &options.supervisor)?;

    let description = describe(&board, &package, &modules, &supervisor);
    let mut archive = Archive::default();
    overlay::add(&mut archive, &options.workspace.join("rootfs-overlay"))
        .map_err(ImageError::Overlay)?;
    fill(&mut archive, &package.release, &modules, supervisor, &description);
    let initramfs = compress(&archive.into_bytes())
        .map_err(|source| ImageError::File { path: options.output.clone(), source })?;
    let kernel = read(&package.kernel())?;

    let (kernel_octets, initramfs_octets) = (kernel.len() as u64, initramfs.len() as u64);
    let octets = kernel_octets + initramfs_octets;
    if octets > board.largest_image {
        return Err(ImageError::TooLarge { octets, limit: board.largest_image });
    }
    let mut manifest = description;
    manifest["files"] = json!({ "vmlinuz": digest(&kernel), "initramfs.zst": digest(&initramfs) });
    Ok(Artifacts {
        kernel: write(&options.output, "vmlinuz", &kernel)?,
        initramfs: write(&options.output, "initramfs.zst", &initramfs)?,
        manifest: write(&options.output, "manifest.json", &pretty(&manifest))?,
        command_line: board.kernel.command_line.join(" "),
        release: package.release,
        modules: modules.into_iter().map(|module| module.path).collect(),
        kernel_octets,
        initramfs_octets,
    })
}

/// The files of an operator as an archive that follows the image's own, each a path and its
/// content: `("/config/node.toml", b"name = \"n1\"\n")`. Its length is a multiple of four.
pub fn config_archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Archive::default();
    for (path, content) in files {
        // Secrets may be among them.
        archive.file(path, 0o600, content.to_vec());
    }
    archive.into_bytes()
}

/// An initramfs with the operator's files appended, as one initrd for a loader.
pub fn with_config(initramfs: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut initrd = initramfs.to_vec();
    // The kernel looks for a plain archive at multiples of four only.
    archive::pad(&mut initrd);
    initrd.extend(config_archive(files));
    initrd
}

/// Puts everything but the overlay into the archive.
fn fill(
    archive: &mut Archive,
    release: &str,
    modules: &[Chosen],
    supervisor: Vec<u8>,
    description: &Value,
) {
    for folder in FOLDERS {
        archive.directory(folder);
    }
    // The kernel opens it as PID 1's standard streams before anything is mounted.
    archive.device("dev/console", 5, 1);
    archive.file("init", 0o755, supervisor);
    archive.file("etc/portico/manifest.json", 0o644, pretty(description));
    if let Some(board) = description["board"].as_str() {
        // For the supervisor, which reads no JSON.
        archive.file("etc/portico/board", 0o644, format!("{board}\n").into_bytes());
    }
    archive.modules(release, modules);
}

/// What the image is, as far as the image itself can know.
fn describe(
    board: &Board,
    package: &KernelPackage,
    modules: &[Chosen],
    supervisor: &[u8],
) -> Value {
    let modules: Vec<&str> = modules.iter().map(|module| module.path.as_str()).collect();
    json!({
        "name": "portico",
        "version": env!("CARGO_PKG_VERSION"),
        "board": board.name,
        "kernel": {
            "package": package.name,
            "version": package.version,
            "release": package.release,
            "command_line": board.kernel.command_line.join(" "),
            "modules": modules,
        },
        "supervisor": digest(supervisor),
    })
}

fn digest(content: &[u8]) -> Value {
    let hash: String = Sha256::digest(content).iter().map(|octet| format!("{octet:02x}")).collect();
    json!({ "octets": content.len(), "sha256": hash })
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// One thread and no dictionary: the same input gives the same octets. Filled up so that another
/// archive may follow.
fn compress(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = zstd::bulk::compress(archive, COMPRESSION)?;
    archive::pad(&mut packed);
    Ok(packed)
}

fn check_static(content: &[u8], path: &Path) -> Result<(), ImageError> {
    use object::read::elf::{FileHeader, ProgramHeader};
    let not_static = || ImageError::NotStatic { path: path.to_owned() };
    let header = object::elf::FileHeader64::<object::LittleEndian>::parse(content)
        .map_err(|_error| not_static())?;
    let endian = header.endian().map_err(|_error| not_static())?;
    let segments = header.program_headers(endian, content).map_err(|_error| not_static())?;
    if segments.iter().any(|segment| segment.p_type(endian) == object::elf::PT_INTERP) {
        return Err(not_static());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    std::fs::read(path).map_err(|source| ImageError::File { path: path.to_owned(), source })
}

/// Writes beside and renames, so that whoever boots the former image meanwhile keeps it whole.
fn write(folder: &Path, name: &str, content: &[u8]) -> Result<PathBuf, ImageError> {
    let path = folder.join(name);
    let fresh = folder.join(format!(".{name}-{}", std::process::id()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&fresh, content))
        .and_then(|()| std::fs::rename(&fresh, &path));
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(ImageError::File { path, source }),
    }
}
