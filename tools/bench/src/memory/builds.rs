//! How long control needs to build what the forwarder looks things up in.

use super::scene;
use crate::{Options, Row, Unit, clock};
use dataplane::maglev::{Candidate, Maglev};
use model::Config;
use node::Plan;
use std::hint::black_box;

/// Servers of a selection table.
const SERVERS: [u16; 4] = [2, 100, 1_000, 8_192];
/// Services and servers of a document.
const DOCUMENTS: [u32; 3] = [1, 100, 10_000];

/// Selection tables, documents and all tables of a node.
pub fn rows(options: &Options) -> Vec<Row> {
    let mut rows = Vec::new();
    for servers in SERVERS {
        let mut rng = base::rng::Rng::new(options.seed);
        let servers: Vec<_> = (0..servers)
            .map(|value| Candidate { value, identity: rng.next(), weight: 1 })
            .collect();
        let build = || drop(black_box(Maglev::build(black_box(&servers))));
        let what = format!("building a selection table for {} servers", servers.len());
        rows.push(timed(options, what, build));
    }
    for services in DOCUMENTS {
        let text = scene::document(services);
        let Ok(config) = Config::parse(&text) else { continue };
        let what = format!("reading a document of {services} services and servers");
        rows.push(timed(options, what, || drop(black_box(Config::parse(black_box(&text))))));
        let Some(plan) = Plan::new(config, "n1", options.seed) else { continue };
        let build = || drop(black_box(plan.tables(&scene::ATTACHED, |_| true)));
        let what = format!("building all tables for {services} services and servers");
        let row = timed(options, what, build);
        let pools = services.div_ceil(scene::SERVERS_PER_POOL);
        rows.push(row.note(format!("{pools} selection tables among them")));
    }
    rows
}

/// One call a round.
fn timed(options: &Options, what: String, call: impl Fn()) -> Row {
    let samples = (0..options.rounds).map(|_| {
        let start = clock::now();
        call();
        (clock::now() - start).as_secs_f64()
    });
    Row::new(what, Unit::Seconds, samples.collect())
}
