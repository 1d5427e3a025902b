//! The kernel as an ELF file, out of its compressed form. An emulator boots that one too, and
//! saves the emulated processor unpacking it, which takes longer than the rest of the boot.
//!
//! Reading list: the kernel's Documentation/x86/boot.rst (`setup_sects`, `payload_offset`,
//! `payload_length`), `xz(1)`.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where fields of the setup header stand in the file.
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// What an XZ stream begins with.
const XZ: &[u8] = b"\xfd7zXZ\0";

/// Why a kernel could not be unpacked.
#[derive(Debug)]
pub enum PayloadError {
    /// The file could not be read.
    Read(io::Error),
    /// It has no setup header, or one whose numbers lead outside.
    NoKernel,
    /// It is packed with something else than XZ.
    NotXz,
    /// xz could not be run, or failed.
    Unpack(String),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(source) => write!(f, "cannot read the kernel: {source}"),
            Self::NoKernel => f.write_str("this is no compressed kernel (bzImage)"),
            Self::NotXz => {
                f.write_str("the kernel is not packed with XZ; linux-image-amd64 of Debian 12 is")
            }
            Self::Unpack(what) => write!(f, "xz could not unpack the kernel: {what}"),
        }
    }
}

impl std::error::Error for PayloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(source) => Some(source),
            Self::NoKernel | Self::NotXz | Self::Unpack(_) => None,
        }
    }
}

/// The ELF file inside a compressed kernel.
///
/// # Errors
/// [`PayloadError`].
pub fn unpacked_kernel(path: &Path) -> Result<Vec<u8>, PayloadError> {
    let image = std::fs::read(path).map_err(PayloadError::Read)?;
    let payload = payload(&image).ok_or(PayloadError::NoKernel)?;
    if !payload.starts_with(XZ) {
        return Err(PayloadError::NotXz);
    }
    let failed = |error: io::Error| PayloadError::Unpack(error.to_string());
    // Behind the stream stands its unpacked length, which is no part of it.
    let mut xz = Command::new("xz")
        .args(["--decompress", "--stdout", "--single-stream"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let input = xz.stdin.take();
    let output = std::thread::scope(|scope| {
        // What xz thinks of its input is told by how it ends.
        scope.spawn(move || input.map(|mut input| input.write_all(payload)));
        xz.wait_with_output()
    })
    .map_err(failed)?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(PayloadError::Unpack(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_le_bytes(*image.get(at..)?.first_chunk()?) as usize);
    if image.get(MAGIC..)?.first_chunk()? != b"HdrS" {
        return None;
    }
    // An old kernel's zero means four.
    let sectors = match image.get(SETUP_SECTORS)? {
        0 => 4,
        sectors => usize::from(*sectors),
    };
    let start = (sectors + 1) * 512 + word(PAYLOAD_OFFSET)?;
    image.get(start..start.checked_add(word(PAYLOAD_LENGTH)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a setup header of one sector, and what is packed in it.
    fn image(packed: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024 + 16];
        image[SETUP_SECTORS] = 1;
        image[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        image[PAYLOAD_OFFSET] = 16;
        let length = u32::try_from(packed.len()).unwrap().to_le_bytes();
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&length);
        image.extend(packed);
        image.extend(b"what follows");
        image
    }

    #[test]
    fn the_payload_is_found_by_the_setup_header() {
        assert_eq!(payload(&image(b"packed")), Some(&b"packed"[..]));
    }

    #[test]
    fn what_is_no_kernel_has_no_payload() {
        let mut outside = image(b"packed");
        outside[PAYLOAD_LENGTH + 2] = 1;
        let mut without = image(b"packed");
        without[MAGIC] = 0;
        for image in [&[][..], &[0; 600], &outside, &without] {
            assert_eq!(payload(image), None);
        }
    }

    #[test]
    fn an_xz_payload_with_its_length_behind_it_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "an ELF file").unwrap();
        let packed = Command::new("xz").arg("-c").arg(&plain).output().unwrap().stdout;
        let path = folder.path().join("vmlinuz");
        std::fs::write(&path, image(&[&packed[..], b"\x0b\0\0\0"].concat())).unwrap();
        assert_eq!(unpacked_kernel(&path).unwrap(), b"an ELF file");
        std::fs::write(&path, image(&[&packed[..20], b"broken"].concat())).unwrap();
        assert!(matches!(unpacked_kernel(&path), Err(PayloadError::Unpack(_))));
        std::fs::write(&path, image(b"LZ4")).unwrap();
        assert!(matches!(unpacked_kernel(&path), Err(PayloadError::NotXz)));
    }
}
