//! What the kernel is told and asked through `/proc`: its command line, its settings, its log.
//!
//! Reading list: the kernel's Documentation/admin-guide/sysctl/kernel.rst and vm.rst, `kmsg(4)` as
//! of Documentation/ABI/testing/dev-kmsg, `proc(5)`.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// Longest line that the kernel log takes in one piece (`LOG_LINE_MAX` less its prefix).
const LONGEST_LOG_LINE: usize = 900;

/// The kernel's command line as it was booted with, without the line end.
///
/// # Errors
/// As reading `/proc/cmdline` fails: nothing is mounted on `/proc`.
pub fn command_line() -> io::Result<String> {
    std::fs::read_to_string("/proc/cmdline").map(|line| line.trim_end().to_owned())
}

/// The value of `key=value` on a kernel command line; `Some("")` for a bare `key`. The last one
/// wins, as for the kernel's own parameters. Double quotes keep blanks together.
pub fn argument<'a>(command_line: &'a str, key: &str) -> Option<&'a str> {
    let mut quoted = false;
    let words = command_line.split(move |c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    });
    let values = words.filter_map(|word| match word.split_once('=') {
        Some((name, value)) => (name == key).then(|| value.trim_matches('"')),
        None => (word == key).then_some(""),
    });
    // Forwards, because a quote has its meaning only in that direction.
    values.fold(None, |_earlier, value| Some(value))
}

/// The kernel's release, as `uname -r` prints it, from `/proc/sys/kernel/osrelease`.
///
/// # Errors
/// As reading it fails: nothing is mounted on `/proc`.
pub fn release() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map(|text| text.trim_end().to_owned())
}

/// A kernel setting that could not be made. Nothing has changed.
#[derive(Debug)]
pub struct SettingError {
    /// The file below `/proc/sys`.
    pub path: PathBuf,
    /// The value it was to have.
    pub value: String,
    /// What the kernel said.
    pub source: io::Error,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot set {} to {:?}: {}", self.path.display(), self.value, self.source)
    }
}

impl std::error::Error for SettingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Writes one setting; `name` is the path below `/proc/sys`, as in `kernel/panic`.
///
/// # Errors
/// [`SettingError`] if the kernel does not have it or refuses the value.
pub fn set(name: &str, value: &str) -> Result<(), SettingError> {
    write_setting(Path::new("/proc/sys").join(name), value)
}

pub(crate) fn write_setting(path: PathBuf, value: &str) -> Result<(), SettingError> {
    let written =
        OpenOptions::new().write(true).open(&path).and_then(|mut f| f.write_all(value.as_bytes()));
    written.map_err(|source| SettingError { path, value: value.to_owned(), source })
}

/// Makes every way of dying end in a reboot: a panic after `seconds`, an oops at once, and running
/// out of memory too, for there is no second process that could be killed instead.
///
/// # Errors
/// [`SettingError`] for the first setting refused; all are tried.
pub fn set_crash_policy(seconds: u32) -> Result<(), SettingError> {
    let seconds = seconds.to_string();
    let settings = [
        ("kernel/panic", seconds.as_str()),
        ("kernel/panic_on_oops", "1"),
        ("vm/panic_on_oom", "1"),
        // A soft lockup may be an emulator that was not scheduled; the watchdog judges that.
        ("kernel/softlockup_panic", "0"),
    ];
    settings.iter().map(|(name, value)| set(name, value)).fold(Ok(()), Result::and)
}

/// Names the machine.
///
/// # Errors
/// `EINVAL` for a name longer than 64 octets, `EPERM` outside PID 1's rights.
pub fn set_hostname(name: &str) -> Result<(), Errno> {
    nix::unistd::sethostname(name)
}

/// The kernel log as a place for lines of our own: they survive where the log does (pstore, a
/// serial line), even when the writer does not.
#[derive(Debug)]
pub struct KernelLog {
    file: File,
}

/// How urgent a line of the kernel log is, in syslog's numbers (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// 0, the machine is about to go down. Printed whatever `quiet` says.
    Emergency,
    /// 5, normal but worth knowing.
    Notice,
}

impl KernelLog {
    /// Opens `/dev/kmsg` for writing, never to block.
    ///
    /// # Errors
    /// As opening fails: no devtmpfs on `/dev`, or not root.
    pub fn open() -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file =
            OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg")?;
        Ok(Self { file })
    }

    /// Writes `text`, each line as a record of its own and cut to what one record takes.
    ///
    /// # Errors
    /// As writing fails; the lines before the failing one are in the log.
    pub fn write(&mut self, urgency: Urgency, text: &str) -> io::Result<()> {
        for line in text.lines().filter(|line| !line.is_empty()) {
            self.file.write_all(record(urgency, line).as_bytes())?;
        }
        Ok(())
    }
}

/// One record: priority with the facility `user` (1), our name, and the line.
fn record(urgency: Urgency, line: &str) -> String {
    let level = match urgency {
        Urgency::Emergency => 0,
        Urgency::Notice => 5,
    };
    let end = line.floor_char_boundary(LONGEST_LOG_LINE);
    format!("<{}>portico: {}", 8 + level, &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_as_the_kernel_finds_them() {
        let line = "console=tty0 quiet portico.node=\"a b\" console=ttyS0,115200 panic=10 nope";
        let cases = [
            ("console", Some("ttyS0,115200")),
            ("quiet", Some("")),
            ("portico.node", Some("a b")),
            ("panic", Some("10")),
            ("pani", None),
            ("nope", Some("")),
            ("absent", None),
        ];
        for (key, value) in cases {
            assert_eq!(argument(line, key), value, "{key}");
        }
    }

    #[test]
    fn a_log_record_is_one_line_with_a_priority_and_never_too_long() {
        assert_eq!(record(Urgency::Notice, "boot"), "<13>portico: boot");
        assert_eq!(record(Urgency::Emergency, "gone"), "<8>portico: gone");
        let long = "ü".repeat(1000);
        assert!(record(Urgency::Notice, &long).len() <= LONGEST_LOG_LINE + "<13>portico: ".len());
    }

    #[test]
    fn a_setting_that_does_not_exist_is_named_in_the_error() {
        let error = set("kernel/portico_has_no_such_setting", "1").expect_err("not there");
        let text = error.to_string();
        assert!(text.contains("/proc/sys/kernel/portico_has_no_such_setting"), "{text}");
    }
}
