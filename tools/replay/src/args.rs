//! What a person types.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use base::Mac;
use clap::Parser;

/// Run the forwarder over captures: what would the box do with these frames?
///
/// Writes DIR/NETWORK.pcap with the frames sent on each network of the configuration, and
/// DIR/verdicts.jsonl with one line for each frame of the merged input. Captures are classic pcap.
#[derive(Clone, Debug, Parser)]
#[command(name = "replay")]
pub struct Args {
    /// The cluster document
    #[arg(long, value_name = "CLUSTER.toml")]
    pub config: PathBuf,
    /// The node of that document whose forwarder runs; it owns every virtual address
    #[arg(long, value_name = "NAME")]
    pub node: String,
    /// Frames that the node receives from a network; repeatable, all are merged by time
    #[arg(long = "in", value_name = "NETWORK=CAPTURE", required = true)]
    pub captures: Vec<NetworkCapture>,
    /// Where the results go; made if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Where a station on a network of the node is; only stations named so are known
    #[arg(long = "neighbor", value_name = "IP=MAC")]
    pub neighbors: Vec<Neighbor>,
    /// The Ethernet address of the node's port on a network; without it 02:70:6f:00:NN:PP, NN
    /// being the node's id and PP the port's place in the document, both in hexadecimal
    #[arg(long = "mac", value_name = "NETWORK=MAC")]
    pub macs: Vec<NetworkMac>,
    /// The largest IP packet on a network, in octets; 1500 without it
    #[arg(long = "mtu", value_name = "NETWORK=OCTETS")]
    pub mtus: Vec<NetworkMtu>,
    /// A server that has failed; NAME alone where it is unique
    #[arg(long = "down", value_name = "POOL/NAME|NAME")]
    pub down: Vec<String>,
}

/// `NETWORK=CAPTURE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkCapture {
    /// The network's name.
    pub network: String,
    /// The capture file.
    pub path: PathBuf,
}

/// `IP=MAC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// A station on one of the node's networks.
    pub address: IpAddr,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// `NETWORK=MAC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkMac {
    /// The network's name.
    pub network: String,
    /// The Ethernet address of the node's port there.
    pub mac: Mac,
}

/// `NETWORK=OCTETS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkMtu {
    /// The network's name.
    pub network: String,
    /// The largest IP packet there.
    pub mtu: u32,
}

/// The smallest MTU that both families can live with (RFC 791 §3.2, RFC 8200 §5) is not asked
/// for: a link of 68 octets carries IPv4.
const LEAST_MTU: u32 = 68;

impl FromStr for NetworkCapture {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (network, path) = pair(text, "NETWORK=CAPTURE")?;
        Ok(Self { network: network.into(), path: path.into() })
    }
}

impl FromStr for Neighbor {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, mac) = pair(text, "IP=MAC")?;
        let address = address.parse().map_err(|_| format!("{address:?} is no IP address"))?;
        Ok(Self { address, mac: station(mac)? })
    }
}

impl FromStr for NetworkMac {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (network, mac) = pair(text, "NETWORK=MAC")?;
        Ok(Self { network: network.into(), mac: station(mac)? })
    }
}

impl FromStr for NetworkMtu {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (network, mtu) = pair(text, "NETWORK=OCTETS")?;
        let legal = mtu.parse().ok().filter(|mtu| (LEAST_MTU..=65_535).contains(mtu));
        let mtu = legal.ok_or_else(|| format!("{mtu:?} is no number from {LEAST_MTU} to 65535"))?;
        Ok(Self { network: network.into(), mtu })
    }
}

fn pair<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    let parts = text.split_once('=').filter(|(left, right)| !left.is_empty() && !right.is_empty());
    parts.ok_or_else(|| format!("expected {form}"))
}

/// A single station's address.
fn station(text: &str) -> Result<Mac, String> {
    let mac: Mac = text.parse().map_err(|error| format!("{text:?} is {error}"))?;
    if mac.is_group() || mac == Mac::ZERO {
        return Err(format!("{mac} is no single station's address"));
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_anything_else_is_refused_with_a_reason() {
        let neighbor: Neighbor = "fd00::11=02:00:00:00:00:11".parse().unwrap();
        assert_eq!(neighbor.address, "fd00::11".parse::<IpAddr>().unwrap());
        for (text, why) in [
            ("10.0.0.11", "expected IP=MAC"),
            ("10.0.0.11=", "expected IP=MAC"),
            ("10.0.0=02:00:00:00:00:11", "is no IP address"),
            ("10.0.0.11=02:00:00:00:00", "six hexadecimal octets"),
            ("10.0.0.11=01:00:5e:00:00:01", "no single station"),
            ("10.0.0.11=00:00:00:00:00:00", "no single station"),
        ] {
            let error = text.parse::<Neighbor>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error = "outside=67".parse::<NetworkMtu>().unwrap_err();
        assert!(error.contains("68 to 65535"), "{error}");
        assert!("outside=".parse::<NetworkCapture>().is_err());
    }
}
