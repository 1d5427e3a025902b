//! The image and the chores of PID 1, without the appliance: the smallest PID 1 in its place.

use std::path::{Path, PathBuf};

use image::{Artifacts, Options};
use qemu_tests::{End, Guest, Limit, Machine, Port, Turn, Wire};

fn workspace() -> PathBuf {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"));
    here.parent().expect("the crate lies in the workspace").to_owned()
}

/// The board's image with the smallest PID 1, away from the appliance's own.
fn build(workspace: &Path, board: &str) -> Artifacts {
    let pid1 = image::build_example(workspace, "portico-init", "pid1").expect("pid1 builds");
    let mut options = Options::new(workspace, board, &pid1);
    options.output = workspace.join("target/images").join(format!("bring-up-{board}"));
    image::build(&options).expect("the image builds")
}

/// A machine of 192 MiB with two ports and the files of an operator in place.
fn machine(image: &Artifacts) -> Machine {
    let initramfs = std::fs::read(&image.initramfs).expect("the initramfs");
    let files: [(&str, &[u8]); 2] =
        [("/config/cluster.toml", b"[cluster]\n"), ("/config/node.toml", b"name = \"n1\"\n")];
    let initrd = image.initramfs.with_file_name("initrd");
    std::fs::write(&initrd, image::with_config(&initramfs, &files)).expect("room for the initrd");
    let mut machine = Machine::new(&image.kernel, initrd, image.command_line.as_str());
    machine.memory = 192;
    let port = |mac: &str| Port { mac: mac.to_owned(), wire: Wire::Unplugged };
    machine.ports = vec![port("52:54:00:00:00:01"), port("52:54:00:00:00:02")];
    machine
}

/// Starts the board's image with the smallest PID 1 and returns the guest once all its chores are
/// done, and what it told of them.
fn bring_up(workspace: &Path, turn: &Turn, board: &str) -> (Machine, Guest, String) {
    let machine = machine(&build(workspace, board));
    let mut guest = machine.start(turn).expect("the guest starts");
    let told = guest.expect("waiting: for", Limit::BOOT).expect("the chores end");
    println!("{board}: {:?} after it was switched on:\n{told}", guest.age());
    (machine, guest, told)
}

#[track_caller]
fn assert_told(told: &str, expected: &[&str]) {
    assert!(!told.contains("Err("), "a chore failed:\n{told}");
    for expected in expected {
        assert!(told.contains(expected), "{expected} is missing:\n{told}");
    }
}

/// What every board has in a machine with two ports and two files of an operator's.
const COMMON: [&str; 5] =
    ["button: Ok([\"/dev/", "unguessable: true", "config: Ok(2) files", "\"eth0\"", "\"eth1\""];

#[test]
fn the_smallest_pid_one_does_its_chores_in_192_mib_and_heeds_buttons_and_keys() {
    let workspace = workspace();
    let turn = Turn::take(&workspace.join("target")).unwrap();
    let (machine, mut guest, told) = bring_up(&workspace, &turn, "qemu-x86_64");
    assert_told(&told, &COMMON);
    assert_told(&told, &["watchdog: Some((\"Software Watchdog\", 30s))"]);

    guest.press_power_button().unwrap();
    guest.expect("leaving: PowerOff", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guest.wait_for_end(Limit::ANSWER).unwrap(), End::PowerOff);

    let mut guest = machine.start(&turn).unwrap_or_else(|error| panic!("{error}"));
    guest.expect("waiting: for", Limit::BOOT).unwrap_or_else(|error| panic!("{error}"));
    guest.press_ctrl_alt_delete().unwrap();
    guest.expect("leaving: Restart", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guest.wait_for_end(Limit::ANSWER).unwrap(), End::Restart);
}

#[test]
fn a_rack_board_arms_the_hardware_watchdog_and_loads_drivers_without_their_hardware() {
    let workspace = workspace();
    let turn = Turn::take(&workspace.join("target")).unwrap();
    let (_, _guest, told) = bring_up(&workspace, &turn, "rack-x86_64");
    assert_told(&told, &COMMON);
    assert_told(&told, &["watchdog: Some((\"i6300ESB timer\", 30s))", "module: mlx5_core: Ok("]);
}

/// Starts the board's image with a way to fail on its command line.
fn start_to_fail(turn: &Turn, board: &str, how: &str) -> Guest {
    let mut machine = machine(&build(&workspace(), board));
    machine.command_line.push_str(how);
    machine.start(turn).expect("the guest starts")
}

#[test]
fn a_pid_one_that_hangs_is_restarted_by_the_watchdog_of_either_board() {
    let turn = Turn::take(&workspace().join("target")).unwrap();
    // The software watchdog restarts by itself; the emulated card tells QEMU that it bit.
    for (board, end) in [("qemu-x86_64", End::Restart), ("rack-x86_64", End::Watchdog)] {
        let mut guest = start_to_fail(&turn, board, " pid1=hang");
        guest.expect("hanging: Ok(", Limit::BOOT).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(guest.wait_for_end(Limit::BOOT).unwrap(), end, "{board}");
    }
}

#[test]
fn a_pid_one_that_ends_panics_the_kernel_which_restarts() {
    let turn = Turn::take(&workspace().join("target")).unwrap();
    let mut guest = start_to_fail(&turn, "qemu-x86_64", " pid1=exit");
    guest.expect("exiting", Limit::BOOT).unwrap_or_else(|error| panic!("{error}"));
    let panic = "Attempted to kill init!";
    guest.expect(panic, Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    guest.expect("Rebooting in 10 seconds", Limit::ANSWER).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(guest.wait_for_end(Limit::BOOT).unwrap(), End::Restart);
}
