use super::*;
use alloc::string::ToString;
use model::operator::{Face, Role};
use proptest::prelude::*;

/// The node of the packet tests, with a key that says what its absence would mean.
fn text() -> String {
    let text = include_str!("../../tests/common/cluster.toml");
    let mut document = Document::parse(text).unwrap();
    document.set("pool.pair.server.p1.weight", "1").unwrap();
    document.render()
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

fn person(session: u64) -> Origin {
    let user = format!("user{session}");
    Origin { session, user, role: Role::Configure, face: Face::Web }
}

fn engine() -> Engine {
    let config = Config::parse(&text()).unwrap();
    let node = config.node("n1").unwrap().clone();
    Engine::new(at(0), text(), Apply { config, node })
}

fn ask(engine: &mut Engine, seconds: u64, session: u64, request: Request) -> Outcome {
    engine.handle_request(at(seconds), &person(session), &request).expect("it is the engine's")
}

fn set_weight(weight: u16) -> Request {
    let path = "pool.pair.server.p1.weight".into();
    Request::Set { path, value: weight.to_string() }
}

const ENTER: Request = Request::ConfigureEnter { take_over: false };

fn commit(confirmed: Option<u16>) -> Request {
    Request::Commit { confirmed, comment: "why not".into() }
}

fn weight(config: &Config) -> u16 {
    let pool = config.pools.iter().find(|pool| pool.name == "pair").unwrap();
    pool.servers.iter().find(|server| server.name == "p1").unwrap().weight
}

/// What is to be carried out by this box alone.
fn alone(due: Due) -> Apply {
    match due {
        Due::Apply(apply) => *apply,
        Due::Propose(proposal) => panic!("{proposal:?}"),
    }
}

fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome.reply, Reply::Done(_) | Reply::Committed { .. } | Reply::Lines(_))
}

#[test]
fn a_commit_is_in_force_at_once_and_a_revision() {
    let mut engine = engine();
    assert!(is_done(&ask(&mut engine, 1, 7, ENTER)));
    assert!(is_done(&ask(&mut engine, 1, 7, set_weight(3))));
    let compared = ask(&mut engine, 1, 7, Request::Compare).reply;
    let Reply::Lines(lines) = compared else { panic!("{compared:?}") };
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("set pool.pair.server.p1.weight = 3"), "{lines:?}");
    let outcome = ask(&mut engine, 2, 7, commit(None));
    let expected = Reply::Committed { revision: 2, saved: false, confirm_by: None };
    assert_eq!(outcome.reply, expected);
    assert_eq!(weight(&outcome.apply.unwrap().config), 3);
    let reply = ask(&mut engine, 3, 8, Request::Show(Topic::Revisions)).reply;
    let Reply::Revisions(revisions) = reply else { panic!("{reply:?}") };
    assert_eq!(revisions.len(), 2);
    let (newest, first) = (&revisions[0], &revisions[1]);
    assert_eq!((newest.number, newest.changes, newest.user.as_str()), (2, 1, "user7"));
    assert_eq!((newest.comment.as_str(), newest.face), ("why not", Some(Face::Web)));
    assert_eq!((first.number, first.face), (1, None));
    assert!(engine.text().contains("weight = 3"));
}

#[test]
fn a_wrong_candidate_gives_every_problem_and_changes_nothing() {
    let mut engine = engine();
    ask(&mut engine, 1, 1, ENTER);
    ask(&mut engine, 1, 1, Request::Delete { path: "vip.www".into() });
    let outcome = ask(&mut engine, 1, 1, commit(None));
    let Reply::Problems(problems) = outcome.reply else { panic!("{outcome:?}") };
    assert!(problems.len() > 5, "{problems:?}");
    assert_eq!(outcome.apply, None);
    assert_eq!(engine.text(), text());
    ask(&mut engine, 1, 1, Request::Rollback { number: 0 });
    ask(&mut engine, 1, 1, Request::Delete { path: "node.n1".into() });
    let outcome = ask(&mut engine, 1, 1, Request::CommitCheck);
    let Reply::Problems(problems) = outcome.reply else { panic!("{outcome:?}") };
    assert_eq!(problems[0].what, "there is no node \"n1\", which this box is");
    let whole = ask(&mut engine, 1, 1, Request::Replace { text: "[cluster\n= 1\n".into() });
    assert!(matches!(whole.reply, Reply::Problems(_)), "{whole:?}");
}

#[test]
fn an_unconfirmed_commit_returns_at_its_deadline_and_not_before() {
    let mut engine = engine();
    ask(&mut engine, 100, 1, ENTER);
    ask(&mut engine, 100, 1, set_weight(3));
    let outcome = ask(&mut engine, 100, 1, commit(Some(2)));
    let expected = Reply::Committed { revision: 2, saved: false, confirm_by: Some(at(220)) };
    assert_eq!(outcome.reply, expected);
    assert_eq!(engine.next_deadline(), Some(at(220)));
    assert_eq!(engine.handle_timeout(at(219)), None);
    let back = engine.handle_timeout(at(220)).expect("it returns");
    assert_eq!(weight(&alone(back).config), 1);
    assert_eq!(engine.text(), text());
    assert_eq!(engine.next_deadline(), None);
    assert_eq!(engine.handle_timeout(at(500)), None, "once");
}

#[test]
fn a_second_unconfirmed_commit_returns_to_what_was_confirmed_last() {
    let mut engine = engine();
    ask(&mut engine, 1, 1, ENTER);
    for (second, value) in [(1, 3), (30, 4)] {
        ask(&mut engine, second, 1, set_weight(value));
        ask(&mut engine, second, 1, commit(Some(1)));
    }
    assert_eq!(engine.handle_timeout(at(61)), None, "the second has its own time");
    assert_eq!(weight(&alone(engine.handle_timeout(at(90)).unwrap()).config), 1);
}

#[test]
fn a_commit_that_cannot_be_carried_out_was_never_there() {
    let mut engine = engine();
    ask(&mut engine, 1, 1, ENTER);
    ask(&mut engine, 1, 1, set_weight(3));
    ask(&mut engine, 1, 1, commit(Some(1)));
    engine.undo();
    assert_eq!(engine.text(), text());
    assert_eq!(engine.next_deadline(), None);
    assert_eq!(engine.poll_event(), None);
    let again = ask(&mut engine, 2, 1, commit(None));
    assert!(again.apply.is_some(), "the candidate is still there: {again:?}");
}

#[test]
fn hashes_of_passwords_are_shown_to_those_who_may_change_them() {
    let mut engine = engine();
    ask(&mut engine, 1, 1, ENTER);
    let (path, value) = ("user.ann.password".into(), "$argon2id$secret".into());
    assert!(is_done(&ask(&mut engine, 1, 1, Request::Set { path, value })));
    ask(&mut engine, 1, 1, commit(None));
    for (role, shown) in [(Role::View, false), (Role::Operate, false), (Role::Configure, true)] {
        let origin = Origin { role, ..person(2) };
        let outcome = engine.handle_request(at(2), &origin, &Request::Show(Topic::Config));
        let Some(Reply::Config(text)) = outcome.map(|outcome| outcome.reply) else { panic!() };
        assert_eq!(text.contains("secret"), shown, "{role}");
        assert!(text.contains("[user.ann]"), "{role}");
    }
}

/// What somebody may do.
#[derive(Clone, Debug)]
enum Step {
    Ask(u64, Request),
    End(u64),
    Silence(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let session = 1..=3_u64;
    let request = prop_oneof![
        3 => any::<bool>().prop_map(|take_over| Request::ConfigureEnter { take_over }),
        1 => any::<bool>().prop_map(|discard| Request::ConfigureExit { discard }),
        6 => (1..=9_u16).prop_map(set_weight),
        4 => Just(commit(None)),
        4 => (1..=3_u16).prop_map(|minutes| commit(Some(minutes))),
        2 => Just(Request::CommitConfirm),
        2 => (0..=4_u8).prop_map(|number| Request::Rollback { number }),
    ];
    prop_oneof![
        12 => (session.clone(), request).prop_map(|(session, request)| Step::Ask(session, request)),
        1 => session.clone().prop_map(Step::End),
        1 => session.prop_map(Step::Silence),
        2 => (1..=100_u64).prop_map(Step::Wait),
    ]
}

/// The same, said plainly: the candidate is one number.
#[derive(Default)]
struct Model {
    /// All revisions, oldest first.
    revisions: Vec<u16>,
    /// Who holds the candidate, what it is, and what it was when nothing in it was new.
    lock: Option<(u64, u16, u16)>,
    /// By session, whose user it is: what was left with changes. The newest last.
    aside: Vec<(u64, u16)>,
    /// Who has to confirm, until when, and what it returns to.
    pending: Option<(u64, u64, u16)>,
}

impl Model {
    fn running(&self) -> u16 {
        *self.revisions.last().unwrap()
    }

    fn go_back(&mut self) -> Option<u16> {
        let (.., before) = self.pending.take()?;
        self.revisions.push(before);
        Some(before)
    }

    /// Whether it is done, and what comes into force.
    fn ask(&mut self, now: u64, session: u64, request: &Request) -> (bool, Option<u16>) {
        let mine = self.lock.filter(|(holder, ..)| *holder == session);
        match (request, mine) {
            (Request::ConfigureEnter { .. }, Some(_)) => (false, None),
            (Request::ConfigureEnter { take_over }, None) => {
                if *take_over {
                    self.leave(|_| true);
                }
                let (free, running) = (self.lock.is_none(), self.running());
                if free {
                    let at = self.aside.iter().position(|(user, _)| *user == session);
                    let back = at.map_or(running, |at| self.aside.remove(at).1);
                    self.lock = Some((session, back, running));
                }
                (free, None)
            }
            (Request::CommitConfirm, _) => {
                let may = self.pending.is_some_and(|(holder, ..)| holder == session);
                self.pending = self.pending.filter(|_| !may);
                (may, None)
            }
            (Request::ConfigureExit { discard }, Some((_, candidate, original))) => {
                let may = *discard || candidate == original;
                self.lock = self.lock.filter(|_| !may);
                (may, None)
            }
            (Request::Set { value, .. }, Some((_, _, original))) => {
                self.lock = Some((session, value.parse().unwrap(), original));
                (true, None)
            }
            (Request::Rollback { number }, Some((_, _, original))) => {
                let back = self.revisions.iter().rev().nth(usize::from(*number)).copied();
                self.lock = back.map(|back| (session, back, original)).or(self.lock);
                (back.is_some(), None)
            }
            (Request::Commit { confirmed, .. }, Some((_, candidate, _))) => {
                if self.pending.is_some_and(|(holder, ..)| holder != session) {
                    return (false, None);
                }
                let before = self.running();
                let first = self.pending.take().map_or(before, |(.., first)| first);
                if candidate == before && confirmed.is_none() {
                    return (true, None);
                }
                self.pending = confirmed.map(|m| (session, now + 60 * u64::from(m), first));
                self.revisions.push(candidate);
                self.lock = Some((session, candidate, candidate));
                (true, Some(candidate))
            }
            (Request::ConfigureExit { .. }, None) => (true, None),
            _ => (false, None),
        }
    }

    /// The candidate is nobody's any more, if it was this one's.
    fn leave(&mut self, whose: impl Fn(u64) -> bool) {
        let Some((user, candidate, original)) = self.lock.take_if(|(holder, ..)| whose(*holder))
        else {
            return;
        };
        if candidate != original {
            self.aside.retain(|(other, _)| *other != user);
            self.aside.push((user, candidate));
        }
    }
}

proptest! {
    #[test]
    fn the_engine_does_as_a_plain_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut engine = engine();
        let mut model = Model { revisions: alloc::vec![1], ..Model::default() };
        let mut now = 10;
        for step in steps {
            let (applied, expected) = match &step {
                Step::Ask(session, request) => {
                    let outcome = ask(&mut engine, now, *session, request.clone());
                    let (done, expected) = model.ask(now, *session, request);
                    prop_assert_eq!(is_done(&outcome), done, "{:?}: {:?}", step, outcome);
                    (outcome.apply, expected)
                }
                Step::End(session) => {
                    model.leave(|holder| holder == *session);
                    let waits = model.pending.is_some_and(|(holder, ..)| holder == *session);
                    let expected = if waits { model.go_back() } else { None };
                    (engine.session_ended(at(now), *session).map(alone), expected)
                }
                Step::Silence(session) => {
                    model.leave(|holder| holder == *session);
                    engine.session_silent(*session);
                    (None, None)
                }
                Step::Wait(seconds) => {
                    now += seconds;
                    let due = model.pending.is_some_and(|(_, deadline, _)| deadline <= now);
                    let expected = if due { model.go_back() } else { None };
                    (engine.handle_timeout(at(now)).map(alone), expected)
                }
            };
            let applied = applied.map(|apply| weight(&apply.config));
            prop_assert_eq!(applied, expected, "{:?}", step);
            let running = weight(&Config::parse(engine.text()).unwrap());
            prop_assert_eq!(running, model.running(), "{:?}", step);
            prop_assert_eq!(engine.next_deadline(), model.pending.map(|(_, due, _)| at(due)));
        }
    }
}

fn waiting(engine: &mut Engine, session: u64) -> Candidate {
    let reply = ask(engine, 50, session, Request::Show(Topic::Candidate)).reply;
    let Reply::Candidate(candidate) = reply else { panic!("{reply:?}") };
    candidate
}

#[test]
fn everybody_sees_who_changes_the_configuration_and_what_waits_to_be_confirmed() {
    let mut engine = engine();
    assert_eq!(waiting(&mut engine, 2), Candidate::default());
    ask(&mut engine, 10, 1, ENTER);
    let holder = waiting(&mut engine, 2).holder.expect("it is held");
    assert_eq!((holder.session, holder.user.as_str(), holder.since), (1, "user1", at(10)));
    ask(&mut engine, 20, 1, set_weight(3));
    ask(&mut engine, 20, 1, commit(Some(2)));
    let commit = waiting(&mut engine, 2).unconfirmed.expect("it waits");
    assert_eq!((commit.revision, commit.session, commit.user.as_str()), (2, 1, "user1"));
    assert_eq!((commit.face, commit.confirm_by), (Face::Web, at(140)));
    ask(&mut engine, 30, 1, Request::CommitConfirm);
    assert_eq!(waiting(&mut engine, 2).unconfirmed, None);
    engine.session_ended(at(40), 1);
    assert_eq!(waiting(&mut engine, 2).holder, None);
}

#[test]
fn a_candidate_stays_as_it_was_written_until_a_key_of_it_is_changed() {
    let mut engine = engine();
    let shown = |engine: &mut Engine| {
        let reply = ask(engine, 1, 1, Request::ShowCandidate { path: String::new() }).reply;
        let Reply::Lines(lines) = reply else { panic!("{reply:?}") };
        lines.join("\n") + "\n"
    };
    ask(&mut engine, 1, 1, ENTER);
    let written = format!("# ours\n\n{}", text().replace("weight = 1\n", "weight = 5 # more\n"));
    ask(&mut engine, 1, 1, Request::Replace { text: written.clone() });
    assert_eq!(shown(&mut engine), written);
    ask(&mut engine, 1, 1, commit(None));
    assert_eq!(engine.text(), written);
    let wrong = written.replace("weight = 5", "weight = 5000");
    ask(&mut engine, 1, 1, Request::Replace { text: wrong.clone() });
    let reply = ask(&mut engine, 1, 1, Request::CommitCheck).reply;
    let Reply::Problems(problems) = reply else { panic!("{reply:?}") };
    let line = wrong.lines().position(|line| line.contains("5000")).unwrap() + 1;
    assert_eq!(problems[0].line as usize, line, "the place is that in what was written");
    ask(&mut engine, 1, 1, set_weight(6));
    assert!(!shown(&mut engine).contains('#'));
}

#[test]
fn a_change_of_comments_alone_can_be_committed_and_is_not_lost_on_the_way() {
    let mut engine = engine();
    ask(&mut engine, 1, 1, ENTER);
    let written = format!("# why this is so\n{}", text());
    ask(&mut engine, 1, 1, Request::Replace { text: written.clone() });
    let exit = ask(&mut engine, 1, 1, Request::ConfigureExit { discard: false });
    assert!(matches!(exit.reply, Reply::Refused(_)), "{exit:?}");
    let lines = ask(&mut engine, 1, 1, Request::Compare).reply;
    assert_eq!(lines, Reply::Lines(alloc::vec!["~ comments and layout only, no key".into()]));
    let outcome = ask(&mut engine, 1, 1, commit(None));
    let expected = Reply::Committed { revision: 2, saved: false, confirm_by: None };
    assert_eq!(outcome.reply, expected);
    assert_eq!(engine.text(), written);
    let again = ask(&mut engine, 1, 1, commit(None));
    assert_eq!(again.reply, Reply::Done("nothing differs from what is in force".into()));
    assert!(is_done(&ask(&mut engine, 1, 1, Request::ConfigureExit { discard: false })));
    // What is set key by key and set back says nothing about comments, and leaves them.
    ask(&mut engine, 2, 1, ENTER);
    ask(&mut engine, 2, 1, set_weight(3));
    ask(&mut engine, 2, 1, set_weight(1));
    let nothing = ask(&mut engine, 2, 1, commit(None));
    assert_eq!(nothing.reply, again.reply);
    assert_eq!(engine.text(), written);
    // A revision with other comments can be gone back to.
    ask(&mut engine, 3, 1, Request::Rollback { number: 1 });
    assert!(matches!(ask(&mut engine, 3, 1, commit(None)).reply, Reply::Committed { .. }));
    assert_eq!(engine.text(), text());
}

#[test]
fn a_candidate_that_is_left_is_put_aside_and_its_user_has_it_back() {
    let mut engine = engine();
    let is_held = |engine: &mut Engine| waiting(engine, 9).holder.map(|holder| holder.session);
    ask(&mut engine, 1, 1, ENTER);
    ask(&mut engine, 1, 1, set_weight(3));
    engine.session_silent(2);
    assert_eq!(is_held(&mut engine), Some(1), "another session's silence changes nothing");
    engine.session_silent(1);
    assert_eq!(is_held(&mut engine), None);
    let told = engine.poll_event().map(|event| event.to_string()).unwrap_or_default();
    assert!(told.contains("the candidate of user1 is put aside, nobody was there"), "{told}");
    assert!(matches!(ask(&mut engine, 2, 1, set_weight(4)).reply, Reply::Refused(_)));
    // Somebody else begins from what is in force, and commits.
    ask(&mut engine, 3, 2, ENTER);
    let path = "vip.www.group".to_string();
    ask(&mut engine, 3, 2, Request::Set { path, value: "web".into() });
    ask(&mut engine, 3, 2, commit(None));
    let held = ask(&mut engine, 4, 1, ENTER).reply;
    assert!(matches!(held, Reply::Refused(ref why) if why.starts_with("user2 (web)")), "{held:?}");
    let Reply::Done(told) =
        ask(&mut engine, 5, 1, Request::ConfigureEnter { take_over: true }).reply
    else {
        panic!("it is not taken over")
    };
    assert!(
        told.contains("your candidate of before is back, which began from revision 1"),
        "{told}"
    );
    let Reply::Lines(lines) = ask(&mut engine, 5, 1, Request::Compare).reply else { panic!() };
    assert_eq!(lines.len(), 2, "its change, and what it would undo: {lines:?}");
    // Who lost it without changes lost nothing, and can leave.
    assert!(!core::iter::from_fn(|| engine.poll_event()).any(|it| it.name() == "candidate-left"));
    let lost = ask(&mut engine, 6, 2, Request::Set { path: "a.b".into(), value: "1".into() }).reply;
    assert!(matches!(lost, Reply::Refused(ref why) if why.starts_with("user1 (web)")), "{lost:?}");
    assert!(is_done(&ask(&mut engine, 6, 2, Request::ConfigureExit { discard: false })));
}

#[test]
fn so_many_candidates_are_kept_for_their_users_as_the_limit_says() {
    let mut engine = engine();
    for user in 1..=limits::CANDIDATES_ASIDE as u64 + 1 {
        ask(&mut engine, 1, user, ENTER);
        ask(&mut engine, 1, user, set_weight(9));
        engine.session_ended(at(2), user);
    }
    for (user, expected) in [(1, 0), (2, 1), (5, 1)] {
        ask(&mut engine, 3, user, ENTER);
        let Reply::Lines(lines) = ask(&mut engine, 3, user, Request::Compare).reply else {
            panic!()
        };
        assert_eq!(lines.len(), expected, "user{user}");
        ask(&mut engine, 3, user, Request::ConfigureExit { discard: true });
    }
}

#[test]
fn a_box_that_started_without_a_usable_document_returns_to_what_it_started_with() {
    let config = Config::parse(&text()).unwrap();
    let node = Node { ports: Vec::new(), ..config.node("n1").unwrap().clone() };
    let vips = Vec::new();
    let start = Apply { config: Config { vips, services: Vec::new(), ..config }, node };
    for unusable in ["", "[network", "not TOML at all\n"] {
        let mut engine = Engine::new(at(0), unusable.into(), start.clone());
        ask(&mut engine, 1, 1, ENTER);
        assert!(is_done(&ask(&mut engine, 2, 1, Request::Replace { text: text() })));
        let outcome = ask(&mut engine, 3, 1, commit(Some(1)));
        assert!(outcome.apply.is_some(), "{unusable:?}: {:?}", outcome.reply);
        let due = engine.handle_timeout(at(64)).map(alone);
        assert_eq!(due.as_ref(), Some(&start), "{unusable:?}");
        assert_eq!(engine.text(), unusable);
        assert_eq!(engine.next_deadline(), None);
    }
}
