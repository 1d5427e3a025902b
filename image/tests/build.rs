//! Images built for real: with the kernel package of the boards and the smallest PID 1.

use std::path::{Path, PathBuf};

use image::Options;

fn workspace() -> PathBuf {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"));
    here.parent().expect("the crate lies in the workspace").to_owned()
}

fn pid1(workspace: &Path) -> PathBuf {
    image::build_example(workspace, "portico-init", "pid1").expect("the smallest PID 1 builds")
}

#[test]
fn every_board_gives_an_image_within_its_limit_and_the_same_octets_twice() {
    let workspace = workspace();
    let supervisor = pid1(&workspace);
    for board in board::names(&workspace.join("board")).unwrap() {
        let outputs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let images = outputs.each_ref().map(|output| {
            let mut options = Options::new(&workspace, &board, &supervisor);
            options.output = output.path().to_owned();
            image::build(&options).unwrap_or_else(|error| panic!("{board}: {error}"))
        });
        let [one, other] = &images;
        for (a, b) in [
            (&one.kernel, &other.kernel),
            (&one.initramfs, &other.initramfs),
            (&one.manifest, &other.manifest),
        ] {
            assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap(), "{board}: {a:?}");
        }
        println!(
            "{board}: kernel {} + initramfs {} octets, {} modules: {:?}",
            one.kernel_octets,
            one.initramfs_octets,
            one.modules.len(),
            one.modules
        );
    }
}

#[test]
fn what_a_module_needs_is_loaded_before_it() {
    let workspace = workspace();
    let mut options = Options::new(&workspace, "rack-x86_64", &pid1(&workspace));
    let output = tempfile::tempdir().unwrap();
    options.output = output.path().to_owned();
    let image = image::build(&options).unwrap_or_else(|error| panic!("{error}"));
    let position = |name: &str| {
        let ending = format!("/{name}.ko");
        image.modules.iter().position(|path| path.ends_with(&ending)).expect(name)
    };
    assert!(position("virtio_ring") < position("virtio"));
    assert!(position("virtio") < position("virtio_net"));
    assert!(position("failover") < position("net_failover"));
    assert!(position("net_failover") < position("virtio_net"));
    assert!(position("watchdog") < position("i6300esb"), "the watchdog core before its driver");
    assert!(position("i6300esb") < position("virtio_pci"), "the watchdog before everything else");
}

#[test]
fn the_binary_is_the_same_octets_built_in_another_folder() {
    let here = workspace();
    let elsewhere = tempfile::Builder::new().prefix("portico-other-place").tempdir().unwrap();
    copy(&here, elsewhere.path());
    let one = std::fs::read(pid1(&here)).unwrap();
    let other = std::fs::read(pid1(elsewhere.path())).unwrap();
    assert!(one == other, "{} and {} octets differ", one.len(), other.len());
    let place = here.to_str().unwrap().as_bytes();
    let stands_in_it = one.windows(place.len()).any(|window| window == place);
    assert!(!stands_in_it, "the binary holds the path of the workspace");
}

/// Copies the sources, without what was built and without hidden folders but cargo's.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        if name == "target" || (name.starts_with('.') && name != ".cargo") {
            continue;
        }
        if entry.file_type().expect("a kind").is_dir() {
            std::fs::create_dir(to.join(&name)).expect("a new folder");
            copy(&entry.path(), &to.join(&name));
        } else {
            std::fs::copy(entry.path(), to.join(&name)).expect("a copy");
        }
    }
}
