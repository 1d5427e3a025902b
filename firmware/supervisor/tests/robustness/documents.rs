//! A node that was told nonsense.

use crate::lab::{CLUSTER, Lab};
use crate::traffic::pings;

#[test]
fn a_wrong_cluster_document_leaves_own_addresses_and_a_log_of_every_problem() {
    let wrong = CLUSTER
        .replace("protocol = \"udp\"", "protocol = \"sctp\"")
        .replace("scheduler = \"maglev\"", "schedular = \"maglev\"")
        .replacen("pool = \"web\"", "pool = \"wbe\"", 1);
    let Some(mut lab) = Lab::wired("a_wrong_document", &wrong, "name = \"n1\"\n") else { return };
    lab.start();
    lab.wait_for_log("failure config: this node's own addresses, no VIPs");
    lab.wait_for_log("port eth1 opened");
    let (client, server) = (&lab.client, &lab.server);
    lab.wait_until("own addresses", || pings(client, "192.0.2.11", 1) == 1);
    for (namespace, address, answers) in [
        (client, "192.0.2.11", 3),
        (client, "2001:db8:1::11", 3),
        (server, "10.0.0.201", 3),
        (server, "fd00::201", 3),
        (client, "192.0.2.80", 0),
        (client, "2001:db8:1::80", 0),
        (server, "10.0.0.1", 0),
    ] {
        assert_eq!(pings(namespace, address, 3), answers, "{address}");
    }
    let log = lab.log();
    // Each problem with its place, and what would be legal there.
    let line = |text: &str| wrong.lines().position(|line| line.contains(text)).expect(text) + 1;
    for (place, hint) in
        [(line("sctp"), "tcp"), (line("schedular"), "scheduler"), (line("\"wbe\""), "web")]
    {
        let place = format!("{place}:");
        let said = log.lines().any(|line| line.contains(&place) && line.contains(hint));
        assert!(said, "{place} … {hint}\n{log}");
    }
    let said = |word: &str| log.lines().filter(|line| line.contains(word)).count();
    assert_eq!((said("sctp"), said("schedular"), said("wbe")), (2, 4, 1), "{log}");
    assert!(!log.contains("panic"), "{log}");
    assert_eq!(lab.show("version")["node"], "n1");
}

#[test]
fn documents_that_are_missing_empty_or_about_others_leave_a_console_and_a_reason() {
    let cases: [(&str, Option<&str>, &str, &[&str]); 5] = [
        ("no node document", Some(CLUSTER), "", &["node.toml", "cannot be read"]),
        ("no cluster document", None, "name = \"n1\"\n", &["cluster.toml", "cannot be read"]),
        ("a stranger", Some(CLUSTER), "name = \"n9\"\n", &["no node \"n9\"", "one of: n1"]),
        ("an empty cluster", Some(""), "name = \"n1\"\n", &["cluster.toml is refused"]),
        ("binary", Some("\u{0}\u{1}\u{7f}[[["), "name = \"n1\"\n", &["cluster.toml is refused"]),
    ];
    for (case, cluster, node, words) in cases {
        let Some(mut lab) = Lab::wired(case, cluster.unwrap_or_default(), node) else { return };
        if cluster.is_none() {
            std::fs::remove_file(lab.path("cluster.toml")).expect("it was written");
        }
        if node.is_empty() {
            std::fs::remove_file(lab.path("node.toml")).expect("it was written");
        }
        lab.start();
        lab.wait_for_log("failure config: no addresses, no VIPs; this console only");
        let log = lab.log();
        for word in words {
            assert!(log.contains(word), "{case}: {word}\n{log}");
        }
        let mut console = crate::lab::open_console(&lab.path("console"));
        std::io::Write::write_all(&mut console, b"\rshow version\r").expect("it takes keys");
        crate::lab::read_until(&mut console, "Linux");
    }
}

#[test]
fn a_refused_document_with_users_leaves_the_line_to_them_or_to_nobody() {
    let user = "[user.ann]\npassword = \"$argon2id$v=19$m=64,t=1,p=1$c29tZQ$c29tZQ\"\n";
    let right = format!("{CLUSTER}{user}");
    let wrong = right.replace("scheduler = \"maglev\"", "schedular = \"maglev\"");
    let lost = wrong.replace("$argon2id", "argon2id");
    let (n1, n9) = ("name = \"n1\"\n", "name = \"n9\"\n");
    let (asks, closed) = ("login: ", "login: refused.");
    let cases = [
        ("a user that is right", &wrong, n1, asks),
        ("no user that is right", &lost, n1, closed),
        ("not even addresses", &format!("?\n{user}"), n1, asks),
        ("not even addresses, nor users", &"?\n[user.ann]\n".into(), n1, closed),
        ("a document about other boxes", &right, n9, asks),
        ("a wrong node document", &right, "nmae = \"n1\"\n", asks),
        ("no node document", &right, "", asks),
    ];
    for (case, cluster, node, told) in cases {
        let Some(mut lab) = Lab::wired(case, cluster, node) else { return };
        if node.is_empty() {
            std::fs::remove_file(lab.path("node.toml")).expect("it was written");
        }
        lab.start();
        lab.wait_for_log("failure config: ");
        let mut console = crate::lab::open_console(&lab.path("console"));
        std::io::Write::write_all(&mut console, b"\rshow version\r").expect("it takes keys");
        let text = crate::lab::read_until(&mut console, told);
        assert!(!text.contains("no login is needed"), "{case}: {text}");
        assert_eq!(lab.log().contains("nobody can log in"), told == closed, "{case}");
    }
}
