use super::*;

/// The repository's own boards.
fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"))
}

/// A folder of boards, each a name and a text.
fn boards(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    folder
}

const GOOD: &str = r#"
description = "a machine"
[kernel]
package = "linux-image-amd64"
command_line = ["console=ttyS0"]
[modules]
network = ["virtio_net"]
[image]
largest_mib = 24
"#;

#[test]
fn every_board_of_the_repository_loads() {
    let names = names(&folder()).unwrap();
    assert!(names.contains(&"qemu-x86_64".to_owned()), "{names:?}");
    assert!(names.contains(&"rack-x86_64".to_owned()), "{names:?}");
    for name in names {
        let board = load(&folder(), &name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(board.name, name);
        assert_eq!(board.modules[0].name, "watchdog", "the watchdog is loaded first");
        let line = &board.kernel.command_line;
        assert!(line.contains(&"ipv6.disable=1".to_owned()), "{name} lets the kernel send");
        assert!(line.iter().any(|word| word.starts_with("panic=")), "{name} hangs on a crash");
    }
}

#[test]
fn a_board_says_only_what_differs_from_its_parent() {
    let child = r#"
inherits = "parent"
description = "another"
[modules]
storage = ["ahci"]
[parameters]
virtio_net = "napi_tx=1"
"#;
    let folder = boards(&[("parent", GOOD), ("child", child)]);
    let board = load(folder.path(), "child").unwrap();
    assert_eq!(board.description, "another");
    assert_eq!(board.kernel.package, "linux-image-amd64");
    assert_eq!(board.largest_image, 24 << 20);
    let modules: Vec<_> = board
        .modules
        .iter()
        .flat_map(|purpose| purpose.modules.iter().map(|m| (purpose.name, m.name.as_str())))
        .collect();
    assert_eq!(modules, [("network", "virtio_net"), ("storage", "ahci")]);
    assert_eq!(board.modules[2].modules[0].parameters, "napi_tx=1");
}

#[test]
fn a_list_given_again_replaces_the_inherited_one() {
    let child = "inherits = \"parent\"\n[modules]\nnetwork = [\"igb\"]\n";
    let folder = boards(&[("parent", GOOD), ("child", child)]);
    let board = load(folder.path(), "child").unwrap();
    let network = &board.modules[2];
    assert_eq!((network.name, network.modules.len()), ("network", 1));
    assert_eq!(network.modules[0].name, "igb");
}

#[test]
fn each_mistake_is_told_with_its_place() {
    let cases: &[(&str, String, &str)] = &[
        ("no TOML", "description = \n".to_owned(), "line 1"),
        ("an unknown key", format!("{GOOD}\n[disk]\n"), "unknown field `disk`"),
        (
            "an unknown purpose",
            GOOD.replace("network =", "nics ="),
            "expected one of `watchdog`, `button`, `network`, `filter`, `storage`",
        ),
        ("no description", GOOD.replace("description", "inherits"), "no board \"a machine\""),
        ("no package", GOOD.replace("linux-image-amd64", "vmlinuz"), "`kernel.package`"),
        ("no console", GOOD.replace("console=", "konsole="), "no console="),
        ("two words", GOOD.replace("ttyS0", "ttyS0 quiet"), "one word of printable ASCII"),
        ("no network", GOOD.replace("\"virtio_net\"", ""), "`modules.network` is missing"),
        ("a path", GOOD.replace("virtio_net", "net/virtio_net"), "a module's name"),
        ("twice", GOOD.replace("\"virtio_net\"", "\"igb\", \"igb\""), "has igb a second time"),
        ("parameters for none", format!("{GOOD}\n[parameters]\nigb = \"a=1\"\n"), "does not load"),
        ("too large", GOOD.replace("24", "4096"), "`image.largest_mib`"),
    ];
    for (name, text, expected) in cases {
        let folder = boards(&[("bad", text)]);
        let error = load(folder.path(), "bad").expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn all_problems_of_a_board_are_told_at_once() {
    let folder = boards(&[("bad", "")]);
    match load(folder.path(), "bad") {
        Err(BoardError::Wrong { problems, .. }) => assert_eq!(problems.len(), 5, "{problems:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_circle_and_an_unknown_parent_are_refused() {
    let folder = boards(&[
        ("a", "inherits = \"b\""),
        ("b", "inherits = \"a\""),
        ("c", "inherits = \"nobody\""),
    ]);
    let error = load(folder.path(), "a").expect_err("circle").to_string();
    assert!(error.contains("a from b from a"), "{error}");
    let error = load(folder.path(), "c").expect_err("unknown").to_string();
    assert!(error.contains("\"nobody\"; there are: a, b, c"), "{error}");
    assert!(matches!(load(folder.path(), "d"), Err(BoardError::Unknown { .. })));
}
