//! Which words may follow where only the box knows: what to ask it, and what its answer means.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use model::config::document::{Document, complete};
use model::config::schema::{CLUSTER_DOCUMENT, Key, Kind};
use model::operator::{Reply, Request, Topic};
use model::status::{Node, Ownership, Presence};

use crate::options::{Choice, Lookup, Options};

/// What is to be asked.
pub(crate) fn request(lookup: &Lookup) -> Request {
    match lookup {
        Lookup::Port => Request::Show(Topic::Ports),
        Lookup::Pool | Lookup::Server(_) => Request::Show(Topic::Servers),
        Lookup::Vip | Lookup::Node => Request::Show(Topic::Cluster),
        Lookup::Path | Lookup::Value(_) => Request::ShowCandidate { path: String::new() },
    }
}

/// The options with the words that the answer knows; without a useful one they stay as they are.
pub(crate) fn fill(mut options: Options, reply: Reply) -> Options {
    let choices = match (options.lookup.take(), reply) {
        (Some(Lookup::Port), Reply::Ports(ports)) => {
            ports.into_iter().map(|port| choice(port.name, port.network)).collect()
        }
        (Some(Lookup::Pool), Reply::Servers(servers)) => {
            let mut pools: Vec<String> = servers.into_iter().map(|server| server.pool).collect();
            pools.dedup();
            pools.into_iter().map(|pool| choice(pool, String::new())).collect()
        }
        (Some(Lookup::Server(pool)), Reply::Servers(servers)) => {
            let own = servers.into_iter().filter(|server| server.pool == pool);
            own.map(|server| choice(server.name, alloc::format!("{}", server.address))).collect()
        }
        (Some(Lookup::Vip), Reply::Cluster(cluster)) => {
            cluster.owners.into_iter().map(|vip| choice(vip.vip.clone(), served_by(&vip))).collect()
        }
        (Some(Lookup::Node), Reply::Cluster(cluster)) => cluster
            .nodes
            .into_iter()
            .map(|node| choice(node.name.clone(), standing(&node)))
            .collect(),
        (Some(Lookup::Path), Reply::Lines(lines)) => paths(&document(&lines), &options.begun),
        (Some(Lookup::Value(path)), Reply::Lines(lines)) => match key(&path) {
            Some(key) => {
                options.free = Some(("VALUE", key.kind.legal()));
                values(key, &document(&lines))
            }
            None => Vec::new(),
        },
        _ => Vec::new(),
    };
    let begun = &options.begun;
    options.words.extend(choices.into_iter().filter(|choice| choice.word.starts_with(begun)));
    options
}

fn served_by(vip: &Ownership) -> String {
    match &vip.owner {
        Some(owner) => alloc::format!("{}, at {owner}", vip.address),
        None => alloc::format!("{}, at nobody", vip.address),
    }
}

fn standing(node: &Node) -> String {
    let own = if node.presence == Presence::Own { "this box, " } else { "" };
    let member = if node.member { "a member" } else { "no member" };
    alloc::format!("{own}{member}")
}

/// A candidate as the box shows it. It is always right; nothing stands for one that is not.
fn document(lines: &[String]) -> Document {
    Document::parse(&lines.join("\n")).unwrap_or_default()
}

/// The paths that go on like this; one that goes on further ends with a dot.
fn paths(document: &Document, begun: &str) -> Vec<Choice> {
    let found = complete(document, begun).into_iter();
    found
        .map(|path| match key(&path) {
            Some(key) => choice(path, key.about.to_owned()),
            None => choice(path + ".", String::new()),
        })
        .collect()
}

/// The words that may stand behind a key.
fn values(key: &Key, document: &Document) -> Vec<Choice> {
    let word = |word: &str| choice(word.to_owned(), String::new());
    if let Kind::Boolean = key.kind {
        return ["false", "true"].map(word).into();
    }
    if let Kind::Reference(table) = key.kind {
        let above = alloc::format!("{table}.");
        let names = complete(document, &above).into_iter();
        return names.filter_map(|path| path.strip_prefix(&above).map(word)).collect();
    }
    let Kind::Word(words) = key.kind else { return Vec::new() };
    words.iter().filter(|word| !word.later).map(|built| word(built.name)).collect()
}

/// The key that a path leads to.
fn key(path: &str) -> Option<&'static Key> {
    let mut section = &CLUSTER_DOCUMENT;
    let mut names = path.split('.');
    loop {
        let key = section.key(names.next()?)?;
        if let Kind::Table(inner) = key.kind {
            section = inner;
        } else if let Kind::Tables(inner, _) = key.kind {
            names.next()?;
            section = inner;
        } else {
            return names.next().is_none().then_some(key);
        }
    }
}

fn choice(word: String, about: String) -> Choice {
    Choice { word, about }
}
