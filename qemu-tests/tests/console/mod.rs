//! The serial line, as a person uses it who has nothing else.

use qemu_tests::{End, Guest, Limit};

use crate::scene::{CLUSTER, Scene};

/// "correct horse", judged in a moment even by an emulated machine.
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$YSBzYWx0IGZvciB0ZXN0cw$\
                    DHmK4KG4+RGkZb/PVVVbYgStxIZ6EAbAMUZYeehx1Vo";

/// Types a line, and waits for what shows that it was understood; what was told until then.
fn enter(guest: &mut Guest, line: &str, sign: &str) -> String {
    guest.type_text(&format!("{line}\r")).expect("the line takes it");
    guest.expect(sign, Limit::ANSWER).expect(line)
}

fn power_off(mut guest: Guest) {
    guest.type_text("poweroff\r").expect("the line takes it");
    let end = guest.wait_for_end(Limit::ANSWER).expect("it goes off");
    assert_eq!(end, End::PowerOff, "{}", guest.transcript());
    assert!(!guest.transcript().contains("panicked"), "{}", guest.transcript());
}

#[test]
fn a_person_changes_the_configuration_and_takes_it_back() {
    let scene = Scene::new("configure");
    let (mut guest, _) = scene.boot();
    enter(&mut guest, "", "n1> ");
    enter(&mut guest, "configure", "n1# ");
    enter(&mut guest, "set pool.web.server.s3.address 10.0.0.13", "n1# ");
    enter(&mut guest, "set pool.web.server.s3.wieght 2", "weight");
    // TAB types what is sure: the one key of s3 that begins so.
    enter(&mut guest, "set pool.web.server.s3.po\t8080", "s3.port 8080");
    enter(&mut guest, "compare", "+ set pool.web.server.s3.address");
    enter(&mut guest, "commit check", "can be committed");
    enter(&mut guest, "commit comment one more server", "is in force");
    enter(&mut guest, "run show servers | match s3", "10.0.0.13");
    enter(&mut guest, "rollback 1", "n1# ");
    enter(&mut guest, "compare", "- ");
    enter(&mut guest, "commit", "is in force");
    enter(&mut guest, "exit", "n1> ");
    let revisions = enter(&mut guest, "show revisions", "one more server");
    assert!(revisions.contains("console"), "who did it: {revisions}");
    enter(&mut guest, "show servers | match s3 | count", "\n0\r");
    power_off(guest);
}

#[test]
fn a_document_is_pasted_and_a_long_reply_read_page_by_page() {
    let scene = Scene::new("paste");
    let (mut guest, _) = scene.boot();
    enter(&mut guest, "", "n1> ");
    enter(&mut guest, "show counters", "--More--");
    guest.type_text(" q").unwrap();
    guest.expect("n1> ", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    enter(&mut guest, "configure", "n1# ");
    enter(&mut guest, "load", "Ctrl-D");
    let document = CLUSTER.replace('\n', "\r").replace("name = \"scene\"", "name = \"pasted\"");
    guest.type_text(&document).unwrap();
    guest.type_text("\x04").unwrap();
    guest.expect("n1# ", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    enter(&mut guest, "compare", "pasted");
    enter(&mut guest, "commit confirmed 1", "is in force");
    enter(&mut guest, "commit confirm", "is in force");
    enter(&mut guest, "exit", "n1> ");
    enter(&mut guest, "show config | match pasted", "name = \"pasted\"");
    power_off(guest);
}

#[test]
fn with_a_user_the_line_asks_who_it_is() {
    let scene = Scene::new("login");
    let (mut guest, _) = scene.boot();
    enter(&mut guest, "", "no login");
    enter(&mut guest, "configure", "n1# ");
    enter(&mut guest, &format!("set user.anna.password \"{HASH}\""), "n1# ");
    enter(&mut guest, "set user.anna.role configure", "n1# ");
    enter(&mut guest, &format!("set user.otto.password \"{HASH}\""), "n1# ");
    enter(&mut guest, "set user.otto.role view", "n1# ");
    enter(&mut guest, "commit", "is in force");
    enter(&mut guest, "exit", "n1> ");
    enter(&mut guest, "logout", "ends");
    enter(&mut guest, "", "login: ");
    enter(&mut guest, "anna", "password: ");
    enter(&mut guest, "battery staple", "login: ");
    enter(&mut guest, "otto", "password: ");
    enter(&mut guest, "correct horse", "n1> ");
    enter(&mut guest, "reboot", "needs the role operate");
    enter(&mut guest, "logout", "ends");
    enter(&mut guest, "", "login: ");
    enter(&mut guest, "anna", "password: ");
    enter(&mut guest, "correct horse", "n1> ");
    let sessions = enter(&mut guest, "show sessions", "serial");
    assert!(sessions.contains("anna"), "{sessions}");
    assert!(!guest.transcript().contains("battery"), "a password is not echoed");
    power_off(guest);
}
