//! What every appliance must do, seen from a real client, whatever it runs on: a namespace or an
//! emulated machine. The steps are the same; only where the log comes from differs.
//!
//! Times are told and bounded generously: the machine that runs this is shared.

use crate::clock;
use crate::command::run_in;
use crate::lifecycle::{self, Design};
use crate::place::Place;
use crate::process::Process;
use crate::topology::{Host, Role};
use crate::traffic::{self, Watch};
use crate::{LabError, servers};
use model::config::{Service, ServiceProtocol};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a change may take until it is seen. Ten times what it should take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long clients may still be sent to a server that has ended.
const LEFT_WITHIN: Duration = Duration::from_secs(1);
/// How long it is watched after that, for a request that still goes wrong.
const AFTERWARDS: Duration = Duration::from_millis(1500);
/// Octets of the file that is moved.
const LARGE: u64 = 16 << 20;

/// Where the steps are played: a lab with an appliance that serves.
pub struct Stage<'a> {
    /// The lab.
    pub place: &'a Place,
    /// What it was built from; the default configuration, or one with services like it.
    pub design: &'a Design,
    /// All that the appliance has said so far.
    pub log: &'a mut dyn FnMut() -> String,
    /// How often a client asks.
    pub requests: usize,
}

/// How a step went: a line to show, or what went wrong.
type Outcome = Result<String, String>;

impl Stage<'_> {
    fn client(&self) -> String {
        self.place.host("client1")
    }

    fn servers(&self) -> impl Iterator<Item = &Host> {
        let is_server = |host: &&Host| matches!(host.role, Role::Server { .. });
        self.design.topology.hosts.iter().filter(is_server)
    }

    /// Where the services of a protocol are reached, the IPv4 ones first.
    fn services(&self, protocol: ServiceProtocol) -> Vec<SocketAddr> {
        self.services_with_pools(protocol).into_iter().map(|(at, _)| at).collect()
    }

    /// Where the services of a protocol are reached, with the names of their pools.
    fn services_with_pools(&self, protocol: ServiceProtocol) -> Vec<(SocketAddr, &str)> {
        let config = &self.design.config;
        let of_protocol = config.services.iter().filter(|service| service.protocol == protocol);
        let place = |service: &Service| {
            let vip = config.vips.get(service.vip.index())?;
            let pool = config.pools.get(service.pool.index())?;
            Some((SocketAddr::new(vip.address, service.ports.first()), pool.name.as_str()))
        };
        let mut all: Vec<_> = of_protocol.filter_map(place).collect();
        all.sort_by_key(|(at, _)| at.is_ipv6());
        all
    }

    /// Every VIP answers a ping.
    pub fn pings(&mut self) -> Outcome {
        let mut answered = Vec::new();
        for vip in self.design.config.vips.iter().map(|vip| vip.address) {
            let host =
                if self.is_outside(vip) { self.client() } else { self.place.host("server1") };
            let address = vip.to_string();
            let arguments = ["-n", "-c", "3", "-i", "0.2", "-W", "2", &address];
            run_in(&host, "ping", &arguments).map_err(|error| error.to_string())?;
            answered.push(address);
        }
        Ok(format!("answer to ping: {}", answered.join(", ")))
    }

    fn is_outside(&self, vip: IpAddr) -> bool {
        let client = self.design.topology.hosts.iter().find(|host| host.name == "client1");
        let segment = client.and_then(|host| host.interfaces.first()).map(|i| i.segment.as_str());
        let of_vip = self.design.topology.vips.iter().find(|known| known.address == vip);
        of_vip.map(|known| known.segment.as_str()) == segment
    }

    /// curl through every TCP service, spread over all servers.
    pub fn web(&mut self) -> Outcome {
        let mut lines = Vec::new();
        for service in self.services(ServiceProtocol::Tcp) {
            let spread = traffic::web(&self.client(), &format!("http://{service}/"), self.requests);
            if !spread.is_whole(self.servers().count()) {
                return Err(format!("http://{service}/: {spread}; every server should answer"));
            }
            lines.push(format!("http://{service}/  {spread}"));
        }
        Ok(lines.join("\n"))
    }

    /// Datagrams through every UDP service.
    pub fn echo(&mut self) -> Outcome {
        let mut lines = Vec::new();
        for service in self.services(ServiceProtocol::Udp) {
            let spread = traffic::echo(&self.client(), service, self.requests);
            if !spread.is_whole(self.servers().count()) {
                return Err(format!("udp {service}: {spread}; every server should answer"));
            }
            lines.push(format!("udp {service}  {spread}"));
        }
        Ok(lines.join("\n"))
    }

    /// Servers see the client's own address.
    pub fn transparency(&mut self) -> Outcome {
        let client = self.design.topology.host("client1").map_err(|error| error.to_string())?;
        let own: Vec<&str> = client
            .interfaces
            .iter()
            .flat_map(|interface| &interface.addresses)
            .filter_map(|address| address.split('/').next())
            .collect();
        let mut lines = Vec::new();
        for service in self.services(ServiceProtocol::Tcp) {
            let url = format!("http://{service}/whoami");
            let body = traffic::get(&self.client(), &url)
                .ok_or_else(|| format!("{url}: no answer to a single request"))?;
            let seen = body.split(' ').nth(1).unwrap_or_default();
            if !own.contains(&seen) {
                return Err(format!("a server saw {seen}; the client is {}", own.join(" or ")));
            }
            lines.push(seen.to_owned());
        }
        Ok(format!("servers see the client as {}", lines.join(" and ")))
    }

    /// A large file down and up through every TCP service.
    pub fn bulk(&mut self) -> Outcome {
        let file = self.place.host_folder("server1").join("files/16M");
        let file = file.to_string_lossy().into_owned();
        let mut lines = Vec::new();
        for service in self.services(ServiceProtocol::Tcp) {
            let client = self.client();
            let down = traffic::transfer(&client, &format!("http://{service}/16M"), None, LARGE)?;
            let url = format!("http://{service}/upload");
            let up = traffic::transfer(&client, &url, Some(&file), LARGE)?;
            lines.push(format!("16 MiB through {service}: {down:.0} MB/s down, {up:.0} MB/s up"));
        }
        Ok(lines.join("\n"))
    }

    /// A server that ends is left, and used again when it is back, while a client asks on.
    pub fn stop_and_return(&mut self, server: &str) -> Outcome {
        let first = self.services_with_pools(ServiceProtocol::Tcp).into_iter().next();
        let (service, pool) = first.ok_or("the configuration has no TCP service")?;
        let name = format!("server {pool}/{server}");
        let host = self.design.topology.host(server).map_err(|error| error.to_string())?;
        let watch = Watch::start(&self.client(), &format!("http://{service}/"));
        let left = self.stop(&watch, host, &name)?;
        let back = self.start_again(&watch, host, &name)?;
        Ok(format!("{left}\n{back}"))
    }

    /// Kills the web server of a host and watches it being left.
    fn stop(&mut self, watch: &Watch, host: &Host, name: &str) -> Outcome {
        let server = host.name.as_str();
        let process = Process::find(self.place, &servers::web_process(server))
            .ok_or_else(|| format!("the web server of {server} does not run"))?;
        let before = (self.log)().len();
        let killed = clock::now();
        process.kill();
        let line = self.wait_for_log(before, &format!("{name} down"))?;
        let told = clock::now().duration_since(killed);
        clock::pause(AFTERWARDS);
        let samples = watch.samples();
        let last = traffic::last_failure(&samples, killed).unwrap_or_default();
        let asked = samples.iter().filter(|sample| sample.ended >= killed).count();
        let failed = samples.iter().filter(|s| s.ended >= killed && s.answer.is_none()).count();
        let text = format!(
            "{server} killed: the last of {failed} failed requests (of {asked}) ended after \
             {:.0} ms; told after {:.0} ms:\n  {line}",
            last.as_secs_f64() * 1e3,
            told.as_secs_f64() * 1e3
        );
        if last > LEFT_WITHIN {
            return Err(format!("{text}\na server that ended should be left within a second"));
        }
        let misled = samples.iter().any(|sample| {
            sample.began > killed + LEFT_WITHIN && sample.answer.as_deref() == Some(server)
        });
        if misled { Err(format!("{text}\n{server} still answers")) } else { Ok(text) }
    }

    /// Starts the web server of a host again and watches it being used.
    fn start_again(&mut self, watch: &Watch, host: &Host, name: &str) -> Outcome {
        let before = (self.log)().len();
        let failed = |error: LabError| error.to_string();
        servers::start_web(self.place, host).map_err(failed)?;
        lifecycle::wait_for_web(self.place, host).map_err(failed)?;
        let listening = clock::now();
        let line = self.wait_for_log(before, &format!("{name} up"))?;
        let first = clock::wait_for(
            &format!("the first answer of {}", host.name),
            LIMIT,
            || Ok(traffic::first_answer(&watch.samples(), listening, &host.name)),
            || format!("{} requests since the start", watch.samples().len()),
        );
        let first = first.map_err(failed)?;
        Ok(format!(
            "{} back: its first answer came {:.0} ms after it listened:\n  {line}",
            host.name,
            first.as_secs_f64() * 1e3
        ))
    }

    /// Waits for a line of the appliance's log behind octet `from` and gives it.
    fn wait_for_log(&mut self, from: usize, wanted: &str) -> Outcome {
        let log = &mut self.log;
        let mut seen = String::new();
        let line = clock::wait_for(
            &format!("the line `{wanted}` in the appliance's log"),
            LIMIT,
            || {
                let text = log();
                seen = text.get(from..).unwrap_or_default().to_owned();
                Ok(log_lines(&seen, wanted).into_iter().next())
            },
            String::new,
        );
        line.map_err(|error| format!("{error}{seen}"))
    }
}

/// The lines of an appliance's log that hold a text, from their stamp on. On a serial line the
/// console's prompt stands in front of them.
pub fn log_lines(log: &str, wanted: &str) -> Vec<String> {
    let from_stamp = |line: &str| {
        let name = line.find("] portico: ")?;
        let stamp = line[..name].rfind('[')?;
        Some(line[stamp..].trim_end().to_owned())
    };
    log.lines().filter(|line| line.contains(wanted)).filter_map(from_stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_begin_with_their_stamp() {
        let log = "[    1.0] portico: boot: a\r\nn1> \r    \r[    2.0] portico: boot: b\r\n\
                   n1> [    3.0] portico: server x down\nportico: boot: torn";
        assert_eq!(
            log_lines(log, "boot:"),
            ["[    1.0] portico: boot: a", "[    2.0] portico: boot: b"]
        );
        assert_eq!(log_lines(log, "x down"), ["[    3.0] portico: server x down"]);
    }
}
