//! The image and the chores of PID 1, without the appliance: the smallest PID 1 in its place.

use std::path::{Path, PathBuf};

use image::{Artifacts, Options};
use qemu_tests::{End, Limit, Machine, Port, Turn, Wire};

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
fn machine(workspace: &Path, image: &Artifacts) -> Machine {
    let initramfs = std::fs::read(&image.initramfs).expect("the initramfs");
    let files: [(&str, &[u8]); 2] =
        [("/config/cluster.toml", b"[cluster]\n"), ("/config/node.toml", b"name = \"n1\"\n")];
    let initrd = workspace.join("target/images/bring-up.initrd");
    std::fs::write(&initrd, image::with_config(&initramfs, &files)).expect("room for the initrd");
    let mut machine = Machine::new(&image.kernel, initrd, image.command_line.as_str());
    machine.memory = 192;
    let port = |mac: &str| Port { mac: mac.to_owned(), wire: Wire::Unplugged };
    machine.ports = vec![port("52:54:00:00:00:01"), port("52:54:00:00:00:02")];
    machine
}

#[test]
fn the_smallest_pid_one_finds_its_hardware_in_192_mib_and_heeds_buttons_and_keys() {
    let workspace = workspace();
    let turn = Turn::take(&workspace.join("target")).unwrap();
    let image = build(&workspace, "qemu-x86_64");
    let machine = machine(&workspace, &image);

    let mut guest = machine.start(&turn).unwrap_or_else(|error| panic!("{error}"));
    let told = guest.expect("waiting: for", Limit::BOOT).unwrap_or_else(|error| panic!("{error}"));
    println!("{told}\nup {:?} after it was switched on", guest.age());
    assert!(!told.contains("Err("), "a chore failed:\n{told}");
    for expected in [
        "i6300esb: Ok(Fresh)",
        "watchdog: Some((\"i6300ESB timer\", 30s))",
        "config: Ok(2) files",
        "\"eth0\"",
        "\"eth1\"",
        "unguessable: true",
    ] {
        assert!(told.contains(expected), "{expected} is missing:\n{told}");
    }
    guest.press_power_button().unwrap();
    guest.expect("leaving: PowerOff", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guest.wait_for_end(Limit::ANSWER).unwrap(), End::PowerOff);

    let mut guest = machine.start(&turn).unwrap_or_else(|error| panic!("{error}"));
    guest.expect("waiting: for", Limit::BOOT).unwrap_or_else(|error| panic!("{error}"));
    guest.press_ctrl_alt_delete().unwrap();
    guest.expect("leaving: Restart", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guest.wait_for_end(Limit::ANSWER).unwrap(), End::Restart);
}
