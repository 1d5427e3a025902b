//! Keeping the kernel's own network stack away from a port.
//!
//! ```text
//!   driver -> taps (our receivers) -> ingress: drop everything -X- the kernel's IP, ARP, IPv6
//! ```
//!
//! The taps come first, so the port still sees every frame; what is dropped behind them costs the
//! least there. The stack is also left nothing to say: no addresses, no ARP, no IPv6.
//!
//! Reading list: tc-bpf(8) (`direct-action`), Linux `net/core/dev.c` (`__netif_receive_skb_core`),
//! `linux/pkt_cls.h`, `Documentation/networking/ip-sysctl.rst` (`disable_ipv6`). Kernel modules,
//! where they are not built in: `sch_ingress`, `cls_bpf`.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::link::{Link, LinkError};
use crate::netlink::number_at;
use crate::netlink::{ACKNOWLEDGE, CREATE, DUMP, EXCLUSIVE, Message, Received, Socket, attribute};

const CLSACT: u32 = 0xffff_fff1; // TC_H_CLSACT: where this queueing discipline hangs
const CLSACT_HANDLE: u32 = 0xffff_0000;
const INGRESS: u32 = 0xffff_fff2; // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
const FIRST_PRIORITY: u32 = 1 << 16;
const SHOT: u32 = 2; // TC_ACT_SHOT: drop

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_BPF_FLAGS: u16 = 8;
const DIRECT_ACTION: u32 = 1; // what the program returns is what is done

/// Octets of `struct ifaddrmsg`: family, prefix length, flags, scope, index.
const ADDRESS_FIXED: usize = 8;

/// A port could not be taken from the kernel's stack; some of the steps may have been done.
#[derive(Debug)]
pub enum QuietError {
    /// The interface cannot be asked for.
    Link(LinkError),
    /// /proc is not mounted, so IPv6 cannot be switched off.
    NoProc {
        /// The interface.
        interface: String,
    },
    /// The kernel refused a step.
    Refused {
        /// The interface.
        interface: String,
        /// Which step, and what it needs.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Takes an interface away from the kernel's network stack and switches it on. Doing it again
/// changes nothing. The calling thread's network namespace is meant.
pub fn quiet(interface: &str) -> Result<(), QuietError> {
    let refused =
        |step| move |source| QuietError::Refused { interface: interface.to_owned(), step, source };
    let netlink = "opening a netlink socket";
    let mut socket = Socket::for_requests().map_err(refused(netlink))?;
    let link = Link::ask(&mut socket, interface).map_err(QuietError::Link)?;
    let index = i32::try_from(link.index).unwrap_or(i32::MAX);
    drop_ingress(&mut socket, index).map_err(refused(
        "dropping what the taps have seen (needs kernel modules sch_ingress and cls_bpf)",
    ))?;
    disable_ipv6(interface)?;
    remove_addresses(&mut socket, link.index).map_err(refused("removing IPv4 addresses"))?;
    switch_on(&mut socket, index).map_err(refused("switching the interface on, without ARP"))
}

/// Hangs a program of one instruction, "drop", behind the taps.
fn drop_ingress(socket: &mut Socket, index: i32) -> io::Result<()> {
    let only_once = ACKNOWLEDGE | CREATE | EXCLUSIVE;
    let discipline = traffic_control(index, CLSACT_HANDLE, CLSACT, 0);
    let message = Message::new(libc::RTM_NEWQDISC, only_once, &discipline).text(TCA_KIND, "clsact");
    existing_is_fine(socket.request(message))?;

    let every_protocol = u32::from(0x0003_u16.to_be()); // ETH_P_ALL
    let filter = traffic_control(index, 1, INGRESS, FIRST_PRIORITY | every_protocol);
    let [r0, r1, r2, r3] = SHOT.to_ne_bytes();
    let [c0, c1] = 0x06_u16.to_ne_bytes(); // BPF_RET | BPF_K
    let options = Message::new(0, 0, &[])
        .attribute(TCA_BPF_OPS_LEN, &1_u16.to_ne_bytes())
        .attribute(TCA_BPF_OPS, &[c0, c1, 0, 0, r0, r1, r2, r3])
        .attribute(TCA_BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes());
    let message = Message::new(libc::RTM_NEWTFILTER, only_once, &filter)
        .text(TCA_KIND, "bpf")
        .nested(TCA_OPTIONS, &options);
    existing_is_fine(socket.request(message))
}

/// `struct tcmsg`.
fn traffic_control(index: i32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let mut fixed = vec![0; 4]; // any family
    fixed.extend(index.to_ne_bytes());
    fixed.extend([handle, parent, info].map(u32::to_ne_bytes).as_flattened());
    fixed
}

fn existing_is_fine(result: io::Result<Vec<Received>>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Switching IPv6 off also removes its addresses and the groups it has joined.
fn disable_ipv6(interface: &str) -> Result<(), QuietError> {
    let proc = Path::new("/proc/sys/net");
    if !proc.exists() {
        return Err(QuietError::NoProc { interface: interface.to_owned() });
    }
    let switch = proc.join("ipv6/conf").join(interface).join("disable_ipv6");
    match fs::write(switch, "1") {
        // A kernel without IPv6 is quiet about it already.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| QuietError::Refused {
            interface: interface.to_owned(),
            step: "switching IPv6 off",
            source,
        }),
    }
}

/// Removes every IPv4 address of an interface.
fn remove_addresses(socket: &mut Socket, index: u32) -> io::Result<()> {
    let mut question = [0; ADDRESS_FIXED];
    question[0] = u8::try_from(libc::AF_INET).unwrap_or_default();
    let all = socket.request(Message::new(libc::RTM_GETADDR, DUMP, &question))?;
    for Received { body, .. } in all {
        let Some(fixed) = body.get(..ADDRESS_FIXED) else { continue };
        let Some(local) = attribute(&body, ADDRESS_FIXED, libc::IFA_LOCAL) else { continue };
        if number_at(fixed, 4) != Some(index) {
            continue;
        }
        let message =
            Message::new(libc::RTM_DELADDR, ACKNOWLEDGE, fixed).attribute(libc::IFA_LOCAL, local);
        match socket.request(message) {
            // Removing the first address of a prefix takes the others of it along.
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

/// On, and without ARP.
fn switch_on(socket: &mut Socket, index: i32) -> io::Result<()> {
    let flags = (libc::IFF_UP | libc::IFF_NOARP).to_ne_bytes();
    let mut fixed = vec![0; 4];
    fixed.extend(index.to_ne_bytes());
    fixed.extend(flags);
    fixed.extend(flags); // those are to be changed
    socket.request(Message::new(libc::RTM_NEWLINK, ACKNOWLEDGE, &fixed)).map(drop)
}

impl fmt::Display for QuietError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(source) => write!(f, "{source}"),
            Self::NoProc { interface } => {
                write!(f, "{interface}: IPv6 cannot be switched off because /proc is not mounted")
            }
            Self::Refused { interface, step, source } => {
                write!(f, "{interface}: {step}: {source}")
            }
        }
    }
}

impl std::error::Error for QuietError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Link(source) => Some(source),
            Self::Refused { source, .. } => Some(source),
            Self::NoProc { .. } => None,
        }
    }
}
