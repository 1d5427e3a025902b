//! Scenario files, played as a person would play them. The rest of `tools/lab/scenarios` is played
//! by hand.

use std::path::Path;
use std::process::{Command, Stdio};

/// How long one may take, in seconds. Generous: machines are shared, the supervisor may have to be
/// built, and another emulated machine may have to end first.
const LIMIT: &str = "900";

/// Plays a file of `tools/lab/scenarios`.
fn play(file: &str, on: &str) {
    if !nix::unistd::Uid::effective().is_root() {
        println!("skipped: a lab makes network namespaces and needs root for that");
        return;
    }
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo");
    let path = Path::new(&here).join("../lab/scenarios").join(format!("{file}.toml"));
    // It ends by itself; if it does not, it is told to, and takes its lab down.
    let output = Command::new("timeout")
        .args(["--kill-after=30", LIMIT, env!("CARGO_BIN_EXE_xtask"), "lab", "run"])
        .arg(path)
        .args(["--on", on, "--name", &format!("test-{on}-{file}")])
        .stdin(Stdio::null())
        .output()
        .expect("coreutils are installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}\n{said}{complaint}", output.status);
    assert!(said.contains("all of it is as it should be"), "{said}");
}

#[test]
fn a_server_that_fails_is_left_and_used_again_in_namespaces() {
    play("server-failure", "netns");
}

#[test]
fn a_server_that_fails_is_left_and_used_again_in_an_emulated_machine() {
    play("server-failure", "qemu");
}

#[test]
fn links_that_are_cut_are_noticed_and_used_again() {
    play("link-cut", "netns");
}

#[test]
fn a_stall_of_the_supervisor_breaks_no_connection() {
    play("supervisor-pause", "netns");
}
