//! The programs of the host that a verb needs, and the Debian packages that bring them.
//!
//! A verb calls [`need`] before it starts. What is missing is named and installed; where that is
//! not possible, the person is told the exact command.

use crate::privilege;
use std::fmt;

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    name: &'static str,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

/// What the lab needs: namespaces, real servers, real clients.
pub const LAB: &[Program] = &[
    program("ip", "iproute2"),
    program("ping", "iputils-ping"),
    program("curl", "curl"),
    program("nginx", "nginx-light"),
    program("tcpdump", "tcpdump"),
    program("ethtool", "ethtool"),
    program("nft", "nftables"),
    program("socat", "socat"),
];

/// What measuring needs beside the lab's: the peers, and what tells their libraries.
pub const BENCH: &[Program] = &[
    program("haproxy", "haproxy"),
    program("ipvsadm", "ipvsadm"),
    program("keepalived", "keepalived"),
    program("ldd", "libc-bin"),
    program("/usr/lib/nginx/modules/ngx_stream_module.so", "libnginx-mod-stream"),
];

/// What the image builder needs, to fetch kernel packages and take them apart.
pub const IMAGE: &[Program] = &[
    program("apt-cache", "apt"),
    program("apt-get", "apt"),
    program("dpkg-deb", "dpkg"),
    program("xz", "xz-utils"),
];

/// What building libFuzzer needs.
pub const FUZZ: &[Program] = &[program("c++", "g++")];

/// What booting an image needs.
pub const QEMU: &[Program] =
    &[program("qemu-system-x86_64", "qemu-system-x86"), program("setpriv", "util-linux")];

/// What the browser test needs.
pub const BROWSER: &[Program] =
    &[program("chromium", "chromium"), program("node", "nodejs"), program("npm", "npm")];

/// Where programs stand, beside `PATH`, which often lacks the folders of the administrator.
const FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// Why programs are still missing.
#[derive(Debug)]
pub enum Missing {
    /// We are neither root nor may become it without a password, or this is no Debian.
    CannotInstall { packages: Vec<&'static str>, why: &'static str },
    /// `apt-get` ran and failed.
    InstallFailed { packages: Vec<&'static str>, said: String },
    /// `apt-get` succeeded and the programs are still not there.
    NotInPath { programs: Vec<&'static str> },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_hand = |packages: &[&str]| {
            format!(
                "install by hand, as root:\n    apt-get update && apt-get install \
                 --no-install-recommends {}",
                packages.join(" ")
            )
        };
        match self {
            Missing::CannotInstall { packages, why } => {
                write!(f, "missing packages: {} ({why}); {}", packages.join(" "), by_hand(packages))
            }
            Missing::InstallFailed { packages, said } => {
                let said = said.trim();
                write!(f, "apt-get could not install {}:\n{said}\n", packages.join(" "))?;
                write!(f, "{}", by_hand(packages))
            }
            Missing::NotInPath { programs } => write!(
                f,
                "apt-get succeeded, but these programs are still neither in PATH nor in {}: {}",
                FOLDERS.join(", "),
                programs.join(", ")
            ),
        }
    }
}

impl std::error::Error for Missing {}

/// Sees to it that every program of `lists` is there, by installing packages where one is not.
///
/// # Errors
/// [`Missing`] with the packages and the command that would bring them.
pub fn need(lists: &[&[Program]]) -> Result<(), Missing> {
    let missing = missing(lists, is_installed);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = packages(&missing);
    println!("missing packages: {}; installing them", packages.join(" "));
    install(packages)?;
    let programs: Vec<_> =
        missing.iter().filter(|program| !is_installed(program.name)).map(|p| p.name).collect();
    if programs.is_empty() { Ok(()) } else { Err(Missing::NotInPath { programs }) }
}

/// The programs of `lists` for which `is_there` says no.
fn missing(lists: &[&[Program]], is_there: impl Fn(&str) -> bool) -> Vec<Program> {
    lists.iter().flat_map(|list| list.iter()).filter(|p| !is_there(p.name)).copied().collect()
}

/// The packages of some programs, each once, sorted.
fn packages(programs: &[Program]) -> Vec<&'static str> {
    let mut packages: Vec<_> = programs.iter().map(|program| program.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Whether a program stands in `PATH` or where administrators' programs stand.
pub fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(FOLDERS.iter().map(Into::into))
        .any(|folder| folder.join(name).is_file())
}

/// Runs apt-get as root. Packages that bring a daemon (nginx does) would start it at once and at
/// every boot; we start our own inside namespaces, so neither may happen on a developer's machine.
const INSTALL: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
get() { apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@"; }
add() { get install --no-install-recommends "$@"; }
add "$@" || { get update; add "$@"; }
case " $* " in
*" nginx-light "*) if [ -d /run/systemd/system ]; then systemctl disable --now nginx; fi ;;
esac
"#;

/// Installs packages, as root or through a sudo that asks no password.
fn install(packages: Vec<&'static str>) -> Result<(), Missing> {
    if !is_installed("apt-get") {
        return Err(Missing::CannotInstall { packages, why: "this machine has no apt-get" });
    }
    let Some(mut command) = privilege::command("sh") else {
        let why = "we are not root, and sudo wants a password or is not there";
        return Err(Missing::CannotInstall { packages, why });
    };
    match command.args(["-c", INSTALL, "install"]).args(&packages).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Missing::InstallFailed { packages, said })
        }
        Err(error) => Err(Missing::InstallFailed { packages, said: error.to_string() }),
    }
}

/// Fetches the lists of packages anew, for who found that apt does not offer what it should.
/// `false` where that is not possible.
pub fn update_lists() -> bool {
    println!("apt-get update");
    privilege::command("apt-get").is_some_and(|mut command| {
        let arguments = ["-qq", "-o", "DPkg::Lock::Timeout=120", "update"];
        command.args(arguments).status().is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_become_packages_once() {
        let have = ["ip", "curl"];
        let lists: &[&[Program]] =
            &[&[program("ip", "iproute2"), program("bridge", "iproute2")], LAB];
        let missing = missing(lists, |name| have.contains(&name));
        let names: Vec<_> = missing.iter().map(|program| program.name).collect();
        assert_eq!(names, ["bridge", "ping", "nginx", "tcpdump", "ethtool", "nft", "socat"]);
        let expected =
            ["ethtool", "iproute2", "iputils-ping", "nftables", "nginx-light", "socat", "tcpdump"];
        assert_eq!(packages(&missing), expected);
    }

    #[test]
    fn the_message_holds_the_command_to_type() {
        let missing = Missing::CannotInstall { packages: vec!["curl", "kmod"], why: "no sudo" };
        let said = missing.to_string();
        assert!(said.contains("apt-get install --no-install-recommends curl kmod"), "{said}");
    }

    #[test]
    fn programs_are_looked_for_in_the_folders_of_the_administrator() {
        assert!(is_installed("sh"));
        assert!(!is_installed("a-program-that-nobody-has"));
    }
}
