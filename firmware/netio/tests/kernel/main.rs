//! Ports against a real kernel: veth cables between network namespaces. Everything here needs
//! root, and says so where it is skipped.

#[cfg(test)]
mod apart;
#[cfg(test)]
mod common;
#[cfg(test)]
mod datagrams;
#[cfg(test)]
mod links;
#[cfg(test)]
mod ports;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tags_and_workers;
