//! The configuration changes while connections run: none of them notices.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::lab::{CLUSTER, Lab, drain, open_console, pause, read_until, wake};
use crate::traffic::{self, Echo};

/// Connections that are open all the time.
const CONNECTIONS: usize = 1_000;

/// A person at the console who changes the configuration.
struct Person(File);

impl Person {
    fn at(lab: &Lab) -> Self {
        let mut console = open_console(&lab.path("console"));
        wake(&mut console);
        Self(console)
    }

    /// Types a line, waits until `answer` is said, and then for the prompt that ends so. Lines of
    /// the log may come in between. What was said.
    fn types(&mut self, line: &str, answer: &str, prompt: &str) -> String {
        drain(&mut self.0);
        self.0.write_all(format!("{line}\r").as_bytes()).expect("it takes a line");
        let before = read_until(&mut self.0, answer);
        before + answer + &read_until(&mut self.0, prompt)
    }

    /// Changes the candidate by some lines, and commits it.
    fn commits(&mut self, lines: &[&str], commit: &str) {
        self.types("configure", "yours to change", "n1# ");
        for line in lines {
            self.types(line, "the candidate is changed", "n1# ");
        }
        self.types(commit, "is in force", "n1# ");
        self.types("exit", "free to be changed", "n1> ");
    }
}

/// Ends what goes on meanwhile, however a test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How many flows a server has now.
fn flows(lab: &Lab, server: &str) -> u64 {
    let servers = lab.show("servers");
    let rows = servers.as_array().expect("a table").iter();
    let mut of = rows.filter(|row| row["pool"] == "web" && row["server"] == server);
    of.next().and_then(|row| row["flows"].as_u64()).unwrap_or_else(|| panic!("{server}: {servers}"))
}

#[test]
fn a_thousand_connections_outlive_every_kind_of_commit() {
    // Checks that let a busy machine take its time: the failure of a server would end connections.
    let patient = CLUSTER.replace("\"200ms\"", "\"5s\"\ntimeout = \"5s\"");
    let lab = Lab::wired("a_thousand_connections", &patient, "name = \"n1\"\n");
    let Some(mut lab) = lab else { return };
    lab.start();
    lab.wait_for_log("boot: serving");
    lab.wait_until("a whole round trip", || lab.echoes());
    lab.server.ip("address add 10.0.0.14/24 dev eth0");
    lab.server.ip("address add 10.0.0.15/24 dev eth0");
    let vips = traffic::VIPS;
    let open = || (0..CONNECTIONS).map(|number| Echo::open(vips[number % 2])).collect();
    let mut echoes: Vec<Echo> = lab.client.run(open);
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // New connections all the time; one that breaks ends the test.
        let meanwhile = scope.spawn(|| {
            lab.client.run(|| {
                while !over.load(Ordering::Relaxed) {
                    traffic::download(vips[0], 10_000);
                    done.fetch_add(1, Ordering::Relaxed);
                    // Not more than the client has ports for until the closed ones are forgotten.
                    pause(Duration::from_millis(5));
                }
            });
        });
        let over = Over(&over);
        let mut person = Person::at(&lab);
        let mut round = |what: &str| {
            let before = done.load(Ordering::Relaxed);
            lab.client.run(|| echoes.iter_mut().for_each(Echo::round));
            lab.wait_until(&format!("new connections after {what}"), || {
                done.load(Ordering::Relaxed) > before
            });
        };
        round("nothing");
        let server = |name: &str| format!("set pool.web.server.s{name}.address 10.0.0.{name}");
        let port = |name: &str| format!("set pool.web.server.s{name}.port 8080");
        person.commits(&[&server("14"), &port("14")], "commit comment more room");
        round("a new server");
        lab.wait_until("flows of the new server", || flows(&lab, "s14") > 0);
        person.commits(&["delete pool.web.server.s12"], "commit");
        round("a removed server");
        // The number of the removed one is still its own.
        person.commits(&[&server("15"), &port("15")], "commit");
        round("a server after that");
        person.commits(&["set pool.web.server.s13.state draining"], "commit");
        round("a drained server");
        person.commits(&["set pool.web.server.s11.weight 5"], "commit");
        round("another weight");
        person.types("drain server web s11", "no new flows", "n1> ");
        round("a server drained for now");
        let added = [
            "set vip.also.network outside",
            "set vip.also.address 192.0.2.81",
            "set service.also.vip also",
            "set service.also.protocol tcp",
            "set service.also.ports 80",
            "set service.also.pool web",
        ];
        person.commits(&added, "commit");
        round("a new VIP and service");
        let at_the_new = || traffic::download("192.0.2.81", 10_000);
        lab.client.run(at_the_new);
        drop(over);
        meanwhile.join().expect("no new connection broke");
    });
    lab.client.run(|| echoes.iter_mut().for_each(Echo::round));
    assert_eq!(lab.show("revisions").as_array().map(Vec::len), Some(7));
    lab.assert_sound();
}

#[test]
fn a_commit_that_nobody_confirms_returns_when_its_session_ends() {
    let Some(mut lab) = Lab::new("a_commit_that_nobody_confirms") else { return };
    let mut echo = lab.client.run(|| Echo::open(traffic::VIPS[0]));
    let reachable = || {
        lab.client.run(|| {
            let address = "192.0.2.80:80".parse().expect("an address");
            TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok()
        })
    };
    assert!(reachable());
    let mut person = Person::at(&lab);
    let gone = ["delete service.web", "delete service.echo", "delete vip.www"];
    person.commits(&gone, "commit confirmed 5");
    lab.wait_until("the end of the service", || !reachable());
    person.0.write_all(b"exit\r").expect("it takes a line");
    lab.wait_for_log("config: returned from revision 2 by revision 3: its session ended");
    lab.wait_until("the service", reachable);
    lab.client.run(|| echo.round());
    lab.assert_sound();
}

#[test]
fn a_wrong_candidate_is_refused_with_every_problem_and_changes_nothing() {
    let Some(mut lab) = Lab::new("a_wrong_candidate") else { return };
    let mut person = Person::at(&lab);
    let before = lab.show("config");
    person.types("configure", "yours to change", "n1# ");
    person.types("delete vip.www", "the candidate is changed", "n1# ");
    let said = person.types("commit", "service.web.vip", "n1# ");
    assert!(said.contains("service.echo.vip"), "{said}");
    person.types("compare", "- set vip.www.address", "n1# ");
    person.types("exit discard", "free to be changed", "n1> ");
    assert_eq!(lab.show("config"), before);
    lab.assert_sound();
}
