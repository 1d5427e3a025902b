//! What can be used of a document that is refused: enough to reach the box, and nothing that makes
//! it more open than the document meant it to be.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::problem::Report;
use super::value::is_name;
use super::{Cluster, Config, Newcomers, Policy, Profile, User, Users, check, raw};
use crate::limits;

impl Config {
    /// What can be used of a document that [`Config::parse`] refuses, so that the box can still be
    /// reached: the networks, the ports of the node `name`, and [`Users::salvage`]. No VIPs,
    /// services or pools. `None`: not even these are legal.
    pub fn salvage(text: &str, name: &str) -> Option<Self> {
        let mut raw = raw::read(&mut Report::new(text), text)?;
        raw.vips.clear();
        raw.services.clear();
        raw.pools.clear();
        raw.users.clear();
        raw.nodes.retain(|node| node.name == name);
        // Whoever has a wrong name cannot be spoken of, and would stand in the wrong place.
        raw.nodes.iter_mut().for_each(|node| node.ports.retain(|port| is_name(&port.name)));
        raw.networks.retain(|network| is_name(&network.name) && !network.prefixes.is_empty());
        raw.cluster.get_or_insert_with(|| Cluster {
            name: String::from("refused"),
            policy: Policy::Witness,
            profile: Profile::Auto,
            newcomers: Newcomers::Welcome,
        });
        let mut report = Report::new(text);
        let config = check::check(&mut report, raw);
        let config = report.finish(config).ok().filter(|config| config.node(name).is_some())?;
        Some(Self { users: Users::salvage(text), ..config })
    }
}

impl Users {
    /// Who may log in where a document is refused: every user that is right by itself, wherever it
    /// stands in the text. A document that speaks of users, none of whom is, lets nobody in.
    pub fn salvage(text: &str) -> Self {
        let (mut spoken_of, read) = raw::users(&mut Report::new(text), text);
        let mut all = BTreeMap::new();
        let mut keep = |user: raw::User| {
            let raw::User { name, password, role } = user;
            if let Some(password) = password.filter(|_| is_name(&name)) {
                all.entry(name.clone()).or_insert(User { name, password, role });
            }
        };
        read.into_iter().for_each(&mut keep);
        // What stands behind a syntax error may not have been read: each table by itself.
        for table in tables(text).filter(|table| speaks_of_users(table)) {
            spoken_of = true;
            raw::users(&mut Report::new(table), table).1.into_iter().for_each(&mut keep);
        }
        let list: Vec<_> = all.into_values().take(limits::USERS).collect();
        Self { lost: spoken_of && list.is_empty(), list }
    }
}

/// The text in pieces, each from one line that begins with a bracket to the next.
fn tables(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    core::iter::from_fn(move || {
        let mut end = 0;
        for line in rest.split_inclusive('\n') {
            if end > 0 && line.trim_start().starts_with('[') {
                break;
            }
            end += line.len();
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Whether one of the lines has the key of users at its beginning, as table or as dotted key.
fn speaks_of_users(table: &str) -> bool {
    table.lines().any(|line| {
        let key = line.trim_start().trim_start_matches(['[', ' ', '\t']);
        let quoted = ["\"user\"", "'user'", "user"];
        let behind = quoted.iter().find_map(|word| key.strip_prefix(word));
        behind.is_some_and(|rest| {
            rest.chars().next().is_none_or(|c| c.is_whitespace() || ".]=\"'".contains(c))
        })
    })
}
