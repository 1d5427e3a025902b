//! One document for all nodes, in simulated time: commits while messages get lost, members die and
//! halves are cut apart.

mod world;

use base::NodeId;
use base::time::Duration;
use cluster::config::{About, Decision, Unfit};
use cluster::{NodeSettings, Settings};
use model::{Policy, Profile};
use world::{FIRST, World, id, settings};

const POLICIES: [Policy; 3] = [Policy::Witness, Policy::Available, Policy::Quorum];

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `count` nodes that agree on the first document, and know some others.
fn world(count: u16, policy: Policy) -> World {
    let first = settings(count, 2, 4, policy);
    let mut world = World::new(first.clone());
    for name in ["second", "third", "fourth"] {
        world.documents.insert(name.into(), first.clone());
    }
    world.run(seconds(2));
    world
}

/// Proposes a document at a node.
fn propose(world: &mut World, n: u16, text: &str) -> Result<(), Unfit> {
    let now = world.now;
    let settings = world.documents[text].clone();
    let node = world.node(n);
    let record = node.record.next(text.into(), About::default());
    let proposed = node.cluster.propose(now, &record, settings);
    if proposed.is_ok() {
        node.judged = Some(record);
    }
    world.drain(id(n));
    proposed
}

/// The texts in force, by node.
fn texts(world: &World) -> Vec<&str> {
    world.nodes.values().filter(|node| !node.dead).map(|node| &*node.record.text).collect()
}

fn with(world: &mut World, text: &str, change: impl FnOnce(&mut Settings)) {
    let mut settings = world.settings.clone();
    change(&mut settings);
    world.documents.insert(text.into(), settings);
}

#[test]
fn a_document_that_one_node_proposes_is_in_force_at_all_of_them() {
    for policy in POLICIES {
        for count in [1, 2, 3, 5] {
            let mut world = world(count, policy);
            world.gap();
            for (author, text) in [(1, "second"), (count, "third")] {
                propose(&mut world, author, text).unwrap();
                world.run(seconds(1));
                assert!(texts(&world).iter().all(|it| *it == text), "{:?}", texts(&world));
                let decided = std::mem::take(&mut world.node(author).decided);
                assert_eq!(decided, [Decision::Committed], "{policy:?} {count}");
            }
            assert_eq!(world.node(1).record.generation, 2);
            assert!(world.node(1).views <= 2, "no view changes: {}", world.node(1).views);
            assert_eq!(world.gap(), Duration::ZERO, "{policy:?} {count}");
            world.assert_owned();
        }
    }
}

#[test]
fn what_one_member_cannot_carry_out_changes_nothing_anywhere() {
    for author in 1..=3 {
        let mut world = world(3, Policy::Witness);
        // Nobody can; the author believes to.
        let settings = world.settings.clone();
        world.documents.insert("impossible".into(), settings);
        propose(&mut world, author, "impossible").unwrap();
        world.documents.remove("impossible");
        world.run(seconds(2));
        assert_eq!(texts(&world), [FIRST; 3]);
        let decided = world.node(author).decided.pop();
        let Some(Decision::Refused { by, why }) = decided else { panic!("{decided:?}") };
        assert_eq!(why, format!("node {} has no such port", by.0));
        // And the next one is not held up.
        propose(&mut world, author, "second").unwrap();
        world.run(seconds(1));
        assert_eq!(texts(&world), ["second"; 3]);
    }
}

#[test]
fn of_two_proposals_one_wins_and_the_other_is_told_by_whom() {
    let mut world = world(3, Policy::Witness);
    propose(&mut world, 1, "second").unwrap();
    let late = propose(&mut world, 2, "third");
    assert!(late.is_ok() || matches!(late, Err(Unfit::Overtaken(_))));
    world.run(seconds(1));
    let texts = texts(&world);
    assert!(texts == ["second"; 3] || texts == ["third"; 3], "{texts:?}");
    let (winner, loser) = if texts[0] == "second" { (1, 2) } else { (2, 1) };
    assert_eq!(world.node(winner).decided, [Decision::Committed]);
    assert_eq!(world.node(loser).decided, [Decision::Overtaken { by: Some(id(winner)) }]);
}

#[test]
fn commits_come_through_whatever_gets_lost() {
    for loss in [50, 200, 400] {
        let mut world = world(3, Policy::Witness);
        world.loss = loss;
        world.rng = base::rng::Rng::new(loss);
        for (round, text) in (1_u16..).zip(["second", "third", "fourth"]) {
            let author = round % 3 + 1;
            if propose(&mut world, author, text).is_ok() {
                world.run(seconds(12));
            }
        }
        world.loss = 0;
        world.run(seconds(3));
        let texts = texts(&world);
        assert!(texts.iter().all(|text| *text == texts[0]), "{loss}: {texts:?}");
        world.assert_owned();
        world.assert_view(&[1, 2, 3]);
    }
}

#[test]
fn a_commit_survives_the_death_of_anybody_at_any_moment_or_never_was() {
    for dead in 1..=3 {
        for after in 0..40 {
            let mut world = world(3, Policy::Quorum);
            propose(&mut world, 1, "second").unwrap();
            world.run(Duration::from_micros(after * 250));
            world.node(dead).dead = true;
            world.run(seconds(12));
            let texts = texts(&world);
            assert!(texts.iter().all(|text| *text == texts[0]), "{dead} {after}: {texts:?}");
            if dead != 1 {
                assert_eq!(texts, ["second"; 2], "its author lives: {dead} {after}");
            }
            world.assert_owned();
            assert!(world.overlaps.is_empty(), "{dead} {after}: {:?}", world.overlaps);
        }
    }
}

#[test]
fn the_author_of_a_commit_comes_back_that_was_cut_off_before_it_heard_of_it() {
    for author in 1..=3_u16 {
        for after in 0..40 {
            let mut world = world(3, Policy::Quorum);
            propose(&mut world, author, "second").unwrap();
            world.run(Duration::from_micros(after * 250));
            let others: Vec<u16> = (1..=3).filter(|other| *other != author).collect();
            world.part(&[author], &others);
            world.run(seconds(3));
            world.cut.clear();
            world.run(seconds(12));
            let (view, texts) = (world.node(author).cluster.document(), texts(&world));
            assert!(texts.iter().all(|text| *text == texts[0]), "{author} {after}: {texts:?}");
            for other in others {
                assert_eq!(world.node(other).cluster.document(), view, "{author} {after}");
            }
            world.assert_view(&[1, 2, 3]);
            world.assert_owned();
        }
    }
}

#[test]
fn who_was_asked_about_a_document_and_fell_out_comes_back_to_the_one_that_followed_it() {
    for after in 0..30 {
        let mut world = world(3, Policy::Quorum);
        propose(&mut world, 1, "second").unwrap();
        while world.node(3).judged.is_none() {
            world.run(Duration::from_micros(100));
        }
        world.run(Duration::from_micros(after * 100));
        world.part(&[3], &[1, 2]);
        world.run(seconds(2));
        propose(&mut world, 2, "third").unwrap();
        world.run(seconds(2));
        world.cut.clear();
        world.run(seconds(3));
        assert_eq!(texts(&world), ["third"; 3], "{after}");
        world.assert_view(&[1, 2, 3]);
        world.assert_owned();
    }
}

#[test]
fn a_node_with_another_document_serves_nothing_before_it_has_that_of_the_others() {
    for policy in POLICIES {
        let mut world = world(3, policy);
        world.node(3).dead = true;
        world.run(seconds(1));
        propose(&mut world, 1, "second").unwrap();
        world.run(seconds(1));
        world.start(id(3), 2);
        let mut joined = false;
        for _ in 0..1_000 {
            world.run(Duration::from_millis(1));
            let node = &world.nodes[&id(3)];
            joined |= node.record.text == "second";
            assert!(joined || node.roles.is_empty(), "{policy:?}");
        }
        assert!(joined);
        world.assert_view(&[1, 2, 3]);
        world.assert_owned();
        // It began with what the others had begun with: nothing is lost.
        assert_eq!(world.node(3).lost, []);
    }
}

#[test]
fn a_node_that_starts_with_a_document_of_its_own_keeps_it_to_show_what_was_lost() {
    let mut world = world(3, Policy::Witness);
    world.node(3).dead = true;
    world.run(seconds(1));
    world.start_with(id(3), 2, "third");
    world.run(seconds(1));
    world.assert_view(&[1, 2, 3]);
    assert_eq!(texts(&world), [FIRST; 3]);
    let lost: Vec<_> = world.node(3).lost.iter().map(|record| record.text.clone()).collect();
    assert_eq!(lost, ["third"]);
}

#[test]
fn a_cold_start_with_different_documents_ends_with_one() {
    for boots in [["first", "second", "third"], ["third", "third", "first"]] {
        let mut world = world(3, Policy::Witness);
        for n in 1..=3 {
            world.node(n).dead = true;
        }
        world.run(seconds(1));
        for (n, text) in (1..).zip(boots) {
            world.start_with(id(n), 2, text);
        }
        world.run(seconds(3));
        world.assert_view(&[1, 2, 3]);
        assert_eq!(texts(&world), [boots[0]; 3], "that of the lowest id");
        world.assert_owned();
    }
}

#[test]
fn edits_on_one_side_of_a_partition_are_taken_over_by_the_other() {
    // The side with the edit is the smaller one, and would give way otherwise.
    let mut world = world(3, Policy::Available);
    world.part(&[3], &[1, 2]);
    world.run(seconds(1));
    propose(&mut world, 3, "second").unwrap();
    world.run(seconds(1));
    assert_eq!(texts(&world), [FIRST, FIRST, "second"]);
    world.cut.clear();
    world.run(seconds(2));
    world.assert_view(&[1, 2, 3]);
    assert_eq!(texts(&world), ["second"; 3]);
    assert!(world.nodes.values().all(|node| node.lost.is_empty()));
    world.assert_owned();
}

#[test]
fn after_edits_on_both_sides_one_document_is_in_force_and_the_other_is_kept() {
    for policy in [Policy::Witness, Policy::Available] {
        for (smaller, larger) in [(vec![3], vec![1, 2]), (vec![1], vec![2, 3])] {
            let mut world = world(3, policy);
            world.part(&smaller, &larger);
            world.run(seconds(1));
            propose(&mut world, smaller[0], "second").unwrap();
            propose(&mut world, larger[0], "third").unwrap();
            world.run(seconds(1));
            propose(&mut world, smaller[0], "fourth").unwrap();
            world.run(seconds(1));
            world.cut.clear();
            world.run(seconds(2));
            world.assert_view(&[1, 2, 3]);
            assert_eq!(texts(&world), ["third"; 3], "{policy:?}");
            let lost = &world.node(smaller[0]).lost;
            assert_eq!(lost.iter().map(|it| &*it.text).collect::<Vec<_>>(), ["fourth"]);
            assert!(world.node(larger[0]).lost.is_empty());
            world.assert_owned();
        }
    }
}

#[test]
fn addresses_come_and_go_while_the_others_are_served_without_a_gap() {
    for policy in POLICIES {
        let mut world = world(3, policy);
        with(&mut world, "one more", |settings| {
            let mut vip = settings.vips[0];
            vip.address = [192, 0, 2, 200].into();
            settings.vips.insert(0, vip);
            for (group, vip) in (0..).zip(&mut settings.vips) {
                vip.group = group;
            }
        });
        world.gap();
        propose(&mut world, 2, "one more").unwrap();
        world.run(seconds(1));
        world.assert_owned();
        assert!(world.overlaps.is_empty(), "{policy:?} {:?}", world.overlaps);
        world.gap();
        with(&mut world, "two less", |settings| {
            settings.vips.drain(2..4);
            for (group, vip) in (0..).zip(&mut settings.vips) {
                vip.group = group;
            }
        });
        propose(&mut world, 3, "two less").unwrap();
        world.run(seconds(1));
        world.assert_owned();
        assert_eq!(world.gap(), Duration::ZERO, "{policy:?}");
        assert!(world.overlaps.is_empty(), "{policy:?} {:?}", world.overlaps);
    }
}

#[test]
fn addresses_of_several_owners_that_are_to_stay_together_have_one_owner_soon() {
    for policy in POLICIES {
        let mut world = world(3, policy);
        with(&mut world, "together", |settings| {
            settings.vips.iter_mut().for_each(|vip| vip.group = 0);
        });
        world.gap();
        propose(&mut world, 1, "together").unwrap();
        world.run(seconds(2));
        world.assert_owned();
        let owners = (0..8_u16).map(|vip| world.serving(base::VipId(vip))).collect::<Vec<_>>();
        assert!(owners.iter().all(|owner| *owner == owners[0]), "{owners:?}");
        assert!(world.overlaps.is_empty(), "{policy:?} {:?}", world.overlaps);
    }
}

#[test]
fn a_node_that_is_added_joins_and_has_its_share() {
    for policy in POLICIES {
        for count in [1, 2, 3] {
            let mut world = world(count, policy);
            let networks = world.settings.nodes[0].networks.clone();
            with(&mut world, "one more", |settings| {
                settings.nodes.push(NodeSettings { id: NodeId(9), networks, weight: 1 });
            });
            world.gap();
            propose(&mut world, 1, "one more").unwrap();
            world.run(seconds(1));
            if policy != Policy::Quorum || count > 1 {
                assert_eq!(world.gap(), Duration::ZERO, "{policy:?} {count}");
            }
            world.start_with(id(9), 1, "one more");
            world.run(seconds(3));
            let mut all: Vec<u16> = (1..=count).collect();
            all.push(9);
            world.assert_view(&all);
            world.assert_owned();
            let own = (0..8).filter(|vip| world.serving(base::VipId(*vip)) == [id(9)]).count();
            assert!(own >= 8 / all.len() - 1 && own > 0, "{policy:?} {count}: {own} of 8");
            assert!(world.overlaps.is_empty(), "{policy:?} {:?}", world.overlaps);
        }
    }
}

#[test]
fn a_node_that_is_removed_hands_over_what_it_serves_and_leaves() {
    for policy in POLICIES {
        for removed in 2..=3 {
            let mut world = world(3, policy);
            with(&mut world, "one less", |settings| {
                settings.nodes.retain(|node| node.id != id(removed));
            });
            world.gap();
            propose(&mut world, 1, "one less").unwrap();
            world.run(seconds(3));
            let rest: Vec<u16> = (1..=3).filter(|n| *n != removed).collect();
            world.assert_view(&rest);
            assert_eq!(world.node(1).decided, [Decision::Committed], "{policy:?}");
            assert!(world.node(removed).removed);
            // The time of a frame from the old owner to the new one, which passes on what comes.
            let gap = world.gap();
            assert!(gap < Duration::from_millis(2), "{policy:?} {removed} {gap:?}");
            world.run(seconds(20));
            world.assert_owned();
            assert!(world.overlaps.is_empty(), "{policy:?} {:?}", world.overlaps);
        }
    }
}

#[test]
fn policy_and_profile_change_without_a_gap() {
    let profiles = [Profile::Fast, Profile::Normal, Profile::Vm];
    for before in POLICIES {
        for after in POLICIES {
            for profile in profiles {
                let mut world = world(3, before);
                with(&mut world, "other", |settings| {
                    (settings.policy, settings.profile) = (after, profile);
                });
                world.gap();
                propose(&mut world, 1, "other").unwrap();
                world.run(seconds(3));
                assert_eq!(texts(&world), ["other"; 3]);
                world.assert_view(&[1, 2, 3]);
                let gap = world.gap();
                assert_eq!(gap, Duration::ZERO, "{before:?} {after:?} {profile:?}");
                assert!(world.node(1).views <= 2, "{before:?} {after:?} {profile:?}");
            }
        }
    }
}

#[test]
fn nothing_is_proposed_where_nothing_can_be_agreed_on() {
    let mut world = world(3, Policy::Quorum);
    propose(&mut world, 1, "second").unwrap();
    assert!(matches!(propose(&mut world, 1, "third"), Err(Unfit::Busy | Unfit::Overtaken(_))));
    world.run(seconds(1));
    world.part(&[1], &[2, 3]);
    world.run(seconds(1));
    assert_eq!(propose(&mut world, 1, "third"), Err(Unfit::Outside));
}
