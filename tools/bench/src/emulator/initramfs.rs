//! What the guest boots: Debian's full kernel, and an initramfs with this program as process 1, the
//! supervisor, the kernel's modules and a few of Debian's programs with their libraries.

use super::plan::{MODULES, PLAN_PATH, PROGRAMS, Plan, SUPERVISOR_PATH};
use crate::{BenchError, Options};
use board::{ModuleName, Purpose};
use image::{Archive, KernelPackage};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package with the kernel; the appliance's own has no IPVS.
const PACKAGE: &str = "linux-image-amd64";

/// Folders where programs stand, beside `PATH`.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// What a machine needs to boot, as files.
#[derive(Debug)]
pub struct Bootable {
    /// The kernel, unpacked.
    pub kernel: PathBuf,
    /// The root file system, not packed either.
    pub initramfs: PathBuf,
}

/// Puts kernel and initramfs into the folder of the run.
///
/// # Errors
/// [`BenchError`]: what is missing and what would bring it.
pub fn build(options: &Options, plan: &Plan) -> Result<Bootable, BenchError> {
    let cache = options.root.join("target/cache/kernel");
    let package = KernelPackage::fetch(PACKAGE, &cache).map_err(problem)?;
    let modules = image::choose(&package.modules(), &[purpose()]).map_err(problem)?;
    let Some(supervisor) = &options.supervisor else {
        return Err(problem("there is no supervisor to measure; --supervisor would name one"));
    };

    let mut archive = Archive::default();
    for folder in ["dev", "proc", "run", "sys", "tmp", "node"] {
        archive.directory(folder);
    }
    archive.device("dev/console", 5, 1);
    let own = std::env::current_exe().map_err(BenchError::at("this program"))?;
    archive.file("init", 0o755, read(&own)?);
    archive.file(SUPERVISOR_PATH, 0o755, read(supervisor)?);
    archive.file(PLAN_PATH, 0o644, serde_json::to_vec(plan).map_err(problem)?);
    archive.modules(&package.release, &modules);
    let mut libraries = BTreeSet::new();
    for program in PROGRAMS {
        let path = find(program)?;
        archive.file(&format!("bin/{program}"), 0o755, read(&path)?);
        libraries.extend(libraries_of(&path)?);
    }
    for library in libraries {
        archive.file(&library.to_string_lossy(), 0o755, read(&library)?);
    }

    std::fs::create_dir_all(&options.folder).map_err(BenchError::at(options.folder.display()))?;
    let write = |name: &str, content: &[u8]| {
        let path = options.folder.join(name);
        std::fs::write(&path, content).map_err(BenchError::at(path.display())).map(|()| path)
    };
    let kernel = image::unpacked_kernel(&package.kernel()).map_err(problem)?;
    Ok(Bootable {
        kernel: write("vmlinux", &kernel)?,
        initramfs: write("initramfs", &archive.into_bytes())?,
    })
}

fn purpose() -> Purpose {
    let module = |(name, parameters): (&str, &str)| ModuleName {
        name: name.to_owned(),
        parameters: parameters.to_owned(),
    };
    Purpose { name: "bench", modules: MODULES.into_iter().map(module).collect() }
}

fn find(program: &str) -> Result<PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(FOLDERS.iter().map(Into::into))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| problem(format!("{program} is not installed; Debian has it")))
}

/// The shared libraries that a program is loaded with, the loader among them.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let output = Command::new("ldd").arg(program).output().map_err(BenchError::at("ldd"))?;
    Ok(libraries_in(&String::from_utf8_lossy(&output.stdout)))
}

/// The paths in lines such as `libc.so.6 => /lib/libc.so.6 (0x7f…)` and `/lib64/ld.so (0x7f…)`.
fn libraries_in(listed: &str) -> Vec<PathBuf> {
    let paths = listed.lines().filter_map(|line| {
        let path = line.split("=>").last()?.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    });
    paths.collect()
}

fn read(path: &Path) -> Result<Vec<u8>, BenchError> {
    std::fs::read(path).map_err(BenchError::at(path.display()))
}

fn problem(what: impl Display) -> BenchError {
    BenchError::CannotMeasure(what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_stands_behind_the_arrow_and_the_loader() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                      \tlibmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007f66)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f67)\n\tstatically linked\n\
                      \tlibgone.so => not found\n";
        let expected = ["/lib/x86_64-linux-gnu/libmnl.so.0", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(libraries_in(listed), expected.map(PathBuf::from));
    }
}
