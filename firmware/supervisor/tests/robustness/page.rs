//! The web page of a real box: its certificate, who is listed at it, the file of a capture.

use std::io::Write;

use packet::pcap::Reader;

use crate::lab::{CLUSTER, Lab, open_console, read_until};
use crate::namespace::Namespace;

/// Who may sign in: the password is `correct horse`.
const USER: &str = concat!(
    "\n[user.ann]\nrole = \"operate\"\npassword = \"$argon2id$v=19$m=19456,t=2,p=1$",
    "yLp0XWlftsqYlyBo9fXpdw$zwvcq+sLOMeiDjMU807AzzJ7LA2a/O82CngymTWhsbY\"\n"
);

/// A box that serves its page outside.
fn lab(test: &str, more: &str) -> Option<Lab> {
    let managed = CLUSTER.replace("[network.outside]", "[network.outside]\nmanagement = true");
    let mut lab = Lab::wired(test, &format!("{managed}{more}"), "name = \"n1\"\n")?;
    lab.start();
    lab.wait_for_log("boot: web: https://192.0.2.11/");
    lab.wait_until("a whole round trip", || lab.echoes());
    Some(lab)
}

/// What the certificate at an address says.
fn certificate(lab: &Lab, from: &Namespace, address: &str) -> String {
    let line = format!("curl -k -s -m 5 -o /dev/null -w %{{certs}} https://{address}/");
    let mut said = String::new();
    lab.wait_until(&format!("a page at {address}"), || {
        said = from.output(&line);
        said.contains("Subject Alternative Name")
    });
    said
}

/// The last word of the log behind a text.
fn word(log: &str, behind: &str) -> String {
    let start = log.rfind(behind).expect("it is in the log") + behind.len();
    let end = |letter: char| letter.is_whitespace() || letter == ';';
    log[start..].split(end).next().expect("a word").to_owned()
}

#[test]
fn another_address_has_another_certificate_of_the_same_key() {
    let Some(mut lab) = lab("certificate", "") else { return };
    let first = certificate(&lab, &lab.client, "192.0.2.11");
    assert!(first.contains("IP Address:192.0.2.11"), "{first}");
    let key = word(&lab.log(), "of the key ");
    let print = word(&lab.log(), "next start; SHA-256 ");
    let addresses = r#"["192.0.2.12/24", "2001:db8:1::11/64"]"#;
    lab.type_in_all(&[
        "configure",
        &format!("set node.n1.port.eth0.addresses {addresses}"),
        "commit",
        "exit",
    ]);
    let second = certificate(&lab, &lab.client, "192.0.2.12");
    assert!(second.contains("IP Address:192.0.2.12"), "{second}");
    assert!(!second.contains("IP Address:192.0.2.11"), "{second}");
    lab.wait_for_log("web: another certificate, SHA-256 ");
    assert_eq!(word(&lab.log(), "the same key, SHA-256 "), key, "{}", lab.log());
    assert_ne!(word(&lab.log(), "another certificate, SHA-256 "), print, "{}", lab.log());
    lab.type_in_all(&["configure", "set network.inside.management true", "commit", "exit"]);
    let third = certificate(&lab, &lab.server, "10.0.0.201");
    for address in ["192.0.2.12", "10.0.0.201"] {
        assert!(third.contains(&format!("IP Address:{address}")), "{third}");
    }
    lab.assert_sound();
}

#[test]
fn who_is_at_the_page_is_listed_and_gets_what_the_console_captured() {
    let Some(lab) = lab("page_sessions", USER) else { return };
    let curl = lab.path("curlrc");
    std::fs::write(&curl, "user = \"ann:correct horse\"\n").expect("written");
    let page = |path: &str| {
        let curl = curl.display();
        lab.client.output(&format!("curl -k -s -m 20 -K {curl} https://192.0.2.11/api/v1/{path}"))
    };
    assert!(page("capture").contains("nothing was captured"));
    let mut console = open_console(&lab.path("console"));
    console.write_all(b"\r").expect("it takes a key");
    read_until(&mut console, "login: ");
    console.write_all(b"ann\r").expect("it takes a name");
    read_until(&mut console, "password: ");
    console.write_all(b"correct horse\r").expect("it takes a password");
    read_until(&mut console, "n1> ");
    console.write_all(b"capture eth1 packets 3\r").expect("it takes a line");
    read_until(&mut console, "3 frames of eth1 in ");
    let file = lab.path("eth1.pcap");
    page(&format!("capture -o {}", file.display()));
    let file = std::fs::read(file).expect("a file");
    let records: Vec<_> = Reader::new(&file).expect("a capture").collect();
    assert_eq!(records.len(), 3);
    for record in records {
        let record = record.expect("a record");
        assert!(record.bytes.len() <= record.original_length as usize);
        assert!(packet::headers::parse(record.bytes).is_ok(), "{:?}", record.bytes);
    }
    let listed: serde_json::Value = serde_json::from_str(&page("sessions")).expect("JSON");
    let faces: Vec<_> = listed.as_array().expect("rows").iter().map(|row| &row["face"]).collect();
    assert_eq!(faces, ["serial", "web"], "{listed}");
    assert!(listed.as_array().expect("rows").iter().all(|row| row["user"] == "ann"), "{listed}");
    console.write_all(b"show sessions\r").expect("it takes a line");
    let shown = read_until(&mut console, "web");
    assert!(shown.contains("serial"), "{shown}");
}
