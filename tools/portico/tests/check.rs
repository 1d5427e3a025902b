//! The host tool as a person runs it.

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Output};

    const EXAMPLE: &str = include_str!("../../../firmware/model/tests/example.toml");

    fn portico(folder: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
        command.current_dir(folder).args(arguments).output().unwrap()
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_good_document_is_summed_up_in_a_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cluster.toml"), EXAMPLE).unwrap();
        std::fs::write(folder.path().join("node.toml"), "name = \"n1\"\n").unwrap();
        let output = portico(folder.path(), &["check", "cluster.toml", "node.toml"]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(
            text(&output.stdout),
            "cluster.toml: cluster edge: 2 networks, 2 VIPs, 1 service, 1 pool, 1 server, 1 node\n\
             node.toml: node n1\n"
        );
    }

    #[test]
    fn every_problem_is_a_line_and_the_exit_code_is_1() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = EXAMPLE.replace("\"192.0.2.80\"", "\"10.9.9.9\"").replace("id = 1", "id = 0");
        std::fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
        let output = portico(folder.path(), &["check", "wrong.toml"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            text(&output.stdout),
            "14:11 vip.www.address: 10.9.9.9 is in no prefix of network \"outside\", \
             expected an address in 192.0.2.0/24 or 2001:db8:1::/64\n\
             39:6 node.n1.id: 0 is out of range, expected a number from 1 to 255\n"
        );
        let output = portico(folder.path(), &["check", "wrong.toml", "wrong.toml"]);
        let lines = text(&output.stdout).lines();
        assert_eq!(lines.filter(|line| line.starts_with("wrong.toml:14:11 vip")).count(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_the_rest_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cluster.toml"), EXAMPLE).unwrap();
        std::fs::write(folder.path().join("binary"), b"\n\xff").unwrap();
        let output = portico(folder.path(), &["check", "absent", ".", "binary", "cluster.toml"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            text(&output.stderr),
            "portico: absent: there is no such file\n\
             portico: .: it is a directory, a file is expected\n\
             portico: binary: it is not UTF-8 text: line 2 has an octet that does not belong\n"
        );
        assert!(text(&output.stdout).starts_with("cluster.toml: cluster edge"));
    }

    #[test]
    fn the_manuals_are_printed() {
        let folder = tempfile::tempdir().unwrap();
        for (arguments, start) in [
            (&["manual"][..], "# Console reference\n"),
            (&["manual", "console"], "# Console reference\n"),
            (&["manual", "configuration"], "# Configuration reference\n"),
        ] {
            let output = portico(folder.path(), arguments);
            assert_eq!(output.status.code(), Some(0));
            assert!(text(&output.stdout).starts_with(start), "{arguments:?}");
        }
    }
}
