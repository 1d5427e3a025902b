//! The real image, booted: from power-on to traffic and out again, seen from outside only.

mod console;
mod scene;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use qemu_tests::{End, Limit};
use scene::Scene;
use scene::echo::{self, Answer, Server};

/// Steps of the boot list in their order; between them may be others.
const BOOT_LIST: [&str; 6] = ["pid 1", "mounts", "modules", "watchdog", "config", "serving"];

/// Seconds after kernel start in a line such as `[    2.134] portico: boot: serving: 3 VIPs`.
fn stamp(told: &str, step: &str) -> f64 {
    let end = format!("portico: boot: {step}: ");
    let line = told.lines().find(|line| line.contains(&end)).unwrap_or_default();
    assert!(!line.is_empty(), "no step {step:?} in:\n{told}");
    let from = line.rfind('[').expect("a stamp in brackets") + 1;
    let to = from + line[from..].find(']').expect("a stamp in brackets");
    line[from..to].trim().parse().expect("seconds")
}

#[test]
fn the_image_boots_to_its_boot_list_and_turns_off_by_the_power_button() {
    let scene = Scene::new("power");
    let (mut guest, told) = scene.boot();
    println!("{:?} after it was switched on:\n{told}", guest.age());
    let stamps = BOOT_LIST.map(|step| stamp(&told, step));
    assert!(stamps.is_sorted(), "{BOOT_LIST:?} at {stamps:?}");
    guest.press_power_button().unwrap();
    let end = guest.wait_for_end(Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(end, End::PowerOff, "{}", guest.transcript());
}

#[test]
fn ctrl_alt_del_reboots_in_order() {
    let scene = Scene::new("keys");
    let (mut guest, _) = scene.boot();
    guest.press_ctrl_alt_delete().unwrap();
    let end = guest.wait_for_end(Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(end, End::Restart, "{}", guest.transcript());
    assert!(!guest.transcript().contains("Kernel panic"), "{}", guest.transcript());
}

#[test]
fn the_console_answers_on_the_serial_line_and_switches_the_box_off() {
    let scene = Scene::new("console");
    let (mut guest, _) = scene.boot();
    guest.type_text("show vips\r").unwrap();
    let shown = guest.expect("2001:db8:1::80", Limit::ANSWER);
    let shown = shown.unwrap_or_else(|error| panic!("{error}"));
    assert!(shown.contains("192.0.2.80"), "{shown}");
    guest.type_text("poweroff\r").unwrap();
    let end = guest.wait_for_end(Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(end, End::PowerOff, "{}", guest.transcript());
}

/// Octets that notice if any is lost, doubled or moved.
fn pattern(length: usize) -> Vec<u8> {
    (0u32..).flat_map(u32::to_be_bytes).take(length).collect()
}

/// The scene's servers; the number of one of each family and protocol is 1, of the other 2.
fn start_servers(scene: &Scene) -> Vec<Server> {
    let hosts = [("10.0.0.11", 1), ("10.0.0.12", 2), ("fd00::11", 1), ("fd00::12", 2)];
    let address = |host: &str, port| SocketAddr::new(host.parse().expect("an address"), port);
    let tcp = hosts.map(|(host, n)| Server::tcp(&scene.servers, n, address(host, 8080)));
    let udp = hosts.map(|(host, n)| Server::udp(&scene.servers, n, address(host, 7007)));
    tcp.into_iter().chain(udp).collect()
}

/// Asks until an answer comes: a health check may have run before its server did.
fn first_answer(what: &str, mut ask: impl FnMut() -> io::Result<Answer>) -> Answer {
    let mut last = None;
    for _ in 0..10 {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => last = Some(error),
        }
        std::thread::park_timeout(Duration::from_millis(500));
    }
    println!("{what}: {last:?}");
    last.map(Err).expect("ten attempts").expect("an answer by now")
}

#[test]
fn the_image_balances_both_protocols_of_both_families_and_every_octet_comes_through() {
    balances(&Scene::new("traffic"));
}

/// The first core takes interrupts and everything else, so three cores mean two workers, and the
/// kernel's steering decides which of them sees a frame.
#[test]
fn two_workers_balance_as_one_does() {
    let mut scene = Scene::new("workers");
    scene.machine.cores = 3;
    let told = balances(&scene);
    assert!(told.contains("forwarding: 2 workers"), "{told}");
}

/// Traffic of every kind through an appliance; what it told.
fn balances(scene: &Scene) -> String {
    let mut guest = scene.start();
    let _servers = start_servers(scene);
    guest.expect("boot: serving: ", Limit::BOOT).expect("it serves");
    for (vip, client) in [("192.0.2.80", "192.0.2.100"), ("2001:db8:1::80", "2001:db8:1::100")] {
        let vip: IpAddr = vip.parse().expect("an address");
        let client: IpAddr = client.parse().expect("an address");
        for (protocol, port) in [("TCP", 80), ("UDP", 7)] {
            let what = format!("{protocol} to {vip}");
            let ask = |content: Vec<u8>| match protocol {
                "TCP" => echo::ask_tcp(&scene.client, SocketAddr::new(vip, port), content),
                _ => echo::ask_udp(&scene.client, SocketAddr::new(vip, port), content),
            };
            first_answer(&what, || ask(b"hello".to_vec()));
            // More than a segment; of UDP, more than a frame, so that it goes in fragments.
            let length = if protocol == "TCP" { 1 << 20 } else { 4000 };
            let mut served = [0u32; 2];
            for round in 0..24 {
                let content = pattern(if round == 0 { length } else { 100 + round });
                let answer = ask(content.clone());
                let told = guest.transcript();
                assert!(answer.is_ok(), "{what}, round {round}: {answer:?}\n{told}");
                let answer = answer.expect("asserted");
                assert!(answer.content == content, "{what}: round {round} came back different");
                assert_eq!(answer.client.ip(), client, "{what}: the server sees the client");
                served[usize::from(answer.number) - 1] += 1;
            }
            println!("{what}: served {served:?}");
            assert!(served.iter().all(|&count| count >= 2), "{what}: {served:?}");
        }
    }
    assert!(!guest.transcript().contains("panicked"), "{}", guest.transcript());
    guest.transcript().to_owned()
}

#[test]
fn a_server_that_refuses_is_left_out_until_it_answers_again() {
    let scene = Scene::new("health");
    let mut guest = scene.start();
    let mut servers = start_servers(&scene);
    guest.expect("boot: serving: ", Limit::BOOT).unwrap_or_else(|error| panic!("{error}"));
    let vip: SocketAddr = "192.0.2.80:80".parse().unwrap();
    let ask = || echo::ask_tcp(&scene.client, vip, b"who?".to_vec());
    first_answer("before", ask);

    drop(servers.remove(0));
    guest.expect("server web/s1 down", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..16 {
        assert_eq!(ask().unwrap().number, 2, "nobody is sent to the one that is down");
    }
    let again = "10.0.0.11:8080".parse().unwrap();
    servers.push(Server::tcp(&scene.servers, 1, again));
    guest.expect("server web/s1 up", Limit::ANSWER).unwrap_or_else(|error| panic!("{error}"));
    let numbers: Vec<u8> = (0..24).map(|_| ask().unwrap().number).collect();
    assert!(numbers.contains(&1), "it is given its share again: {numbers:?}");
}
