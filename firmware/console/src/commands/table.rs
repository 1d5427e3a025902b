//! The table of commands.

use model::operator::{Request, Role, Topic};

use super::given::{
    ADDRESS, BOX, CAPTURE, COMMENT, COUNT, MOVE, PATH, SERVER, capture, drain, first, number, path,
    ping,
};
use super::{Action, Command, Given, Kind, Mode, Parameter};
use crate::parse::Confusion;

const fn show(
    name: &'static str,
    about: &'static str,
    manual: &'static str,
    topic: Topic,
) -> Command {
    let action = Action::Show(topic);
    Command { action, ..plain(name, about, manual, Role::View) }
}

/// A command of operation without parameters.
const fn plain(
    name: &'static str,
    about: &'static str,
    manual: &'static str,
    role: Role,
) -> Command {
    Command {
        name,
        parameters: &[],
        about,
        manual,
        mode: Mode::Operation,
        role,
        action: Action::Help,
        whole: false,
    }
}

/// A command of operation that asks for something.
const fn ask(
    name: &'static str,
    parameters: &'static [Parameter],
    (about, manual): (&'static str, &'static str),
    role: Role,
    make: fn(&Given) -> Result<Request, Confusion>,
) -> Command {
    Command { parameters, action: Action::Ask(make), ..plain(name, about, manual, role) }
}

/// A command of configuration that asks for something.
const fn change(
    name: &'static str,
    parameters: &'static [Parameter],
    texts: (&'static str, &'static str),
    make: fn(&Given) -> Result<Request, Confusion>,
) -> Command {
    let mode = Mode::Configuration;
    Command { mode, ..ask(name, parameters, texts, Role::Configure, make) }
}

/// A command of configuration that the session does itself.
const fn local(
    name: &'static str,
    about: &'static str,
    manual: &'static str,
    action: Action,
) -> Command {
    let mode = Mode::Configuration;
    Command { mode, action, ..plain(name, about, manual, Role::Configure) }
}

/// Every command, in the order of the manual.
pub static COMMANDS: &[Command] = &[
    show(
        "show ports",
        "ports with link, traffic and drops",
        "One row for each port of this box. Received and sent are frames since start; dropped \
         are frames that came in and were not passed on, whose reasons stand in show counters. \
         JSON has interface, VLAN, octets and \
         frames that could not be sent as well.",
        Topic::Ports,
    ),
    show(
        "show vips",
        "virtual addresses, and whether they are served here",
        "One row for each virtual address of the cluster. One that is served answers ARP and \
         neighbour solicitations on its network from this box.",
        Topic::Vips,
    ),
    show(
        "show services",
        "services with usable servers and flows",
        "One row for each service. Usable servers are those that get new flows. JSON has mode, \
         pool and the total of flows as well.",
        Topic::Services,
    ),
    show(
        "show servers",
        "servers with health, its cause, and flows",
        "One row for each server of each pool. State is what the configuration says of it, \
         health what the checks say. JSON has weight, the total of flows, and since when the \
         health is what it is, in seconds since the kernel started.",
        Topic::Servers,
    ),
    show(
        "show flows",
        "flows by state",
        "How many flows there are in each state, and how many there may be.",
        Topic::Flows,
    ),
    show(
        "show neighbors",
        "stations on the networks, as ARP and NDP found them",
        "One row for each neighbor that this box knows or looks for.",
        Topic::Neighbors,
    ),
    show(
        "show cluster",
        "boxes, who serves which address, and leases",
        "How this box sees the cluster. The view is the agreement that it is part of; members \
         stand in the order in which the token goes round. Each node is heard, missing (two \
         heartbeats), or silent; hears_us is whether it shows that it hears this box. Paths are \
         the networks on which others were heard: for how long they have been quiet there, the \
         round trip, and what got lost to here (in) and to there (out), in thousandths. Owners \
         are as this box knows them; served is whether it answers here now. A lease that is not \
         renewed closes, and nothing is served on its network then. Refused are datagrams on \
         the cluster's port that were not believed, by reason; a few are usual while boxes \
         start. Patience is the silence after which others take over. Used is what a node or an \
         address has to do, in thousandths of what the node can carry. Closings are how often a \
         lease has ended. Moves are the latest changes of owners and why. JSON has what that was \
         concluded from, each node's weight, and which start of it was heard as well.",
        Topic::Cluster,
    ),
    show(
        "show counters",
        "everything that is counted",
        "Every counter of the box by name, since start. A frame that is dropped is counted under \
         the name of its reason.",
        Topic::Counters,
    ),
    show(
        "show boot",
        "how the box started, step by step",
        "The steps of starting up, each with the time at which it was done in seconds since \
         the kernel started.",
        Topic::Boot,
    ),
    show(
        "show version",
        "what runs here",
        "Versions of firmware and kernel, board, cluster, node, and the time since start.",
        Topic::Version,
    ),
    show(
        "show config",
        "the configuration in force",
        "The cluster document as it is in force.",
        Topic::Config,
    ),
    show(
        "show revisions",
        "earlier configurations: who, when, from where, why",
        "One row for each configuration that was in force, the newest first. Rollback takes \
         how many commits ago it was; changes are the keys that differ from the one before.",
        Topic::Revisions,
    ),
    show(
        "show sessions",
        "who is here",
        "One row for each session of an operator, and which one changes the configuration.",
        Topic::Sessions,
    ),
    show(
        "show candidate",
        "who configures, and what waits to be confirmed",
        "Changed_by is whose the candidate is, and since when. Unconfirmed is the revision in \
         force that returns by itself unless who committed it confirms it, and returns_at when. \
         Times are seconds since the kernel started. What the candidate says is shown while \
         configuring.",
        Topic::Candidate,
    ),
    show(
        "show log",
        "what happened",
        "The lines of the log that the box remembers, oldest first.",
        Topic::Log,
    ),
    ask(
        "arp",
        &[],
        (
            "the same as show neighbors",
            "One row for each neighbor that this box knows or looks for.",
        ),
        Role::View,
        |_| Ok(Request::Show(Topic::Neighbors)),
    ),
    ask(
        "ping",
        &[ADDRESS, COUNT],
        (
            "ask a host whether it is there",
            "One question a second (ICMP echo), from the box's own address on the network of the \
             host, or of the gateway that leads to it. Each answer is shown as it comes, and a \
             summary at the end; Ctrl-C ends it early.",
        ),
        Role::Operate,
        ping,
    ),
    ask(
        "capture",
        CAPTURE,
        (
            "show the frames that pass a port, and keep them",
            "A line for each frame, in and out: seconds since the kernel started, from, to, what \
             it is, octets. The beginnings of the frames are kept until the next capture, as a \
             file that /api/v1/capture of the page gives. Ctrl-C ends it early. Forwarding does \
             not wait: frames that come faster than they are fetched are counted as lost.",
        ),
        Role::Operate,
        capture,
    ),
    ask(
        "drain server",
        SERVER,
        (
            "give a server no new flows",
            "Flows that the server has go on until they end. It lasts until undrain server, the \
             next commit or the next start; show servers has it as the state.",
        ),
        Role::Operate,
        |given| Ok(drain(given, true)),
    ),
    ask(
        "undrain server",
        SERVER,
        (
            "give a drained server new flows again",
            "It ends what drain server began. A server that the configuration drains stays so.",
        ),
        Role::Operate,
        |given| Ok(drain(given, false)),
    ),
    ask(
        "move vip",
        MOVE,
        (
            "have another box serve a virtual address",
            "The addresses of its group go with it. Connections go on: the \
             box that had it passes on what still comes to it. Any box of the cluster takes the \
             order. It stays where it was put for three minutes at least; a preferred box that is \
             to have it back (return) gets it back then. Refused where the box is not attached to \
             the network, is no member, is drained, or the address is pinned to another.",
        ),
        Role::Operate,
        |given| {
            let node = given.get(1).cloned().unwrap_or_default();
            Ok(Request::MoveVip { vip: first(given), node })
        },
    ),
    ask(
        "drain node",
        BOX,
        (
            "have other boxes serve what a box serves",
            "For maintenance: all its virtual addresses are moved to other boxes, connections go \
             on, and it gets no other ones until restore node. Any box of the cluster takes the \
             order. show cluster says when it owns none any more.",
        ),
        Role::Operate,
        |given| Ok(Request::DrainNode { node: first(given), drain: true }),
    ),
    ask(
        "restore node",
        BOX,
        (
            "let a drained box serve again",
            "It ends what drain node began. The box gets its share of the virtual addresses soon \
             after.",
        ),
        Role::Operate,
        |given| Ok(Request::DrainNode { node: first(given), drain: false }),
    ),
    Command {
        action: Action::Configure { take_over: false },
        ..plain(
            "configure",
            "change the configuration",
            "Leads to the commands of configuration. One session at a time may change it; who \
             comes second is told who has it. Who left changes without exit has them back.",
            Role::Configure,
        )
    },
    Command {
        action: Action::Configure { take_over: true },
        ..plain(
            "configure take-over",
            "change the configuration instead of who does",
            "The changes of whoever had it are put aside; configure gives them back to that user.",
            Role::Configure,
        )
    },
    Command {
        action: Action::Help,
        ..plain(
            "help",
            "explain commands: help, help show, help show ports",
            "Without words it lists all commands; with the first words of a command it explains \
             those that begin with them. The key ? does so at any place in a line, and TAB \
             completes a word.",
            Role::View,
        )
    },
    Command {
        action: Action::Logout,
        ..plain("logout", "end the session", "The next key begins another one.", Role::View)
    },
    Command {
        action: Action::Logout,
        ..plain("exit", "end the session", "The same as logout.", Role::View)
    },
    Command {
        whole: true,
        ..ask(
            "reboot",
            &[],
            (
                "start the box again",
                "The box stops serving in order and starts again. Not abbreviated.",
            ),
            Role::Operate,
            |_| Ok(Request::Reboot),
        )
    },
    Command {
        whole: true,
        ..ask(
            "poweroff",
            &[],
            ("switch the box off", "The box stops serving in order and goes off. Not abbreviated."),
            Role::Operate,
            |_| Ok(Request::PowerOff),
        )
    },
    change(
        "set",
        &[
            PATH,
            Parameter {
                keyword: "",
                name: "VALUE",
                about: "a word, a number, or a value in TOML",
                kind: Kind::Value,
                optional: false,
            },
        ],
        (
            "give a key a value",
            "The path is the names of tables and key joined by dots, as in \
             set pool.web.server.s3.weight 2. Tables that are not there yet are made. Quotes \
             around a text may be left out. TAB and ? know the keys; docs/configuration.md \
             describes them.",
        ),
        |given| match given {
            [path, value, ..] => Ok(Request::Set { path: path.clone(), value: value.clone() }),
            [] | [_] => Err(Confusion::Missing("PATH")),
        },
    ),
    change(
        "delete",
        &[PATH],
        ("take away a key, or a table with all in it", "A key without a value has its default."),
        |given| Ok(Request::Delete { path: path(given) }),
    ),
    change(
        "show",
        &[Parameter { optional: true, ..PATH }],
        (
            "the candidate, or a part of it",
            "What commit would put in force. Commands of operation, show ports and so on, are \
             had by run show ports.",
        ),
        |given| Ok(Request::ShowCandidate { path: path(given) }),
    ),
    change(
        "compare",
        &[],
        (
            "what commit would change",
            "One line for each difference between the candidate and what is in force: + is new, \
             - goes, ~ has another value.",
        ),
        |_| Ok(Request::Compare),
    ),
    change(
        "commit",
        &[COMMENT],
        (
            "put the candidate in force",
            "All of it or nothing: a candidate with problems changes nothing, and each problem \
             is told with its place. Connections through the box go on.",
        ),
        |given| Ok(Request::Commit { confirmed: None, comment: first(given) }),
    ),
    change(
        "commit check",
        &[],
        (
            "see whether the candidate is right",
            "Tells every problem with its place; changes nothing.",
        ),
        |_| Ok(Request::CommitCheck),
    ),
    change(
        "commit confirmed",
        &[
            Parameter {
                keyword: "",
                name: "MINUTES",
                about: "how long, 1 to 60",
                kind: Kind::Word,
                optional: false,
            },
            COMMENT,
        ],
        (
            "put it in force, and take it back unless confirmed",
            "Unless commit confirm comes in time from the same session, the box returns to the \
             configuration before. So it does when the session ends: a change that cuts you off \
             undoes itself.",
        ),
        |given| {
            let minutes = number("MINUTES", given.first(), 1, 60)?;
            let comment = given.get(1).cloned().unwrap_or_default();
            Ok(Request::Commit { confirmed: Some(minutes), comment })
        },
    ),
    change(
        "commit confirm",
        &[],
        ("keep what commit confirmed put in force", "A plain commit does so as well."),
        |_| Ok(Request::CommitConfirm),
    ),
    change(
        "rollback",
        &[Parameter {
            keyword: "",
            name: "N",
            about: "how many commits ago, as show revisions counts; or 0",
            kind: Kind::Word,
            optional: true,
        }],
        (
            "make the candidate an earlier configuration",
            "0 is the one in force, 1 the one before. Nothing is in force until commit.",
        ),
        |given| {
            let given = given.first().filter(|given| !given.is_empty());
            let number = given.map_or(Ok(0), |given| number("N", Some(given), 0, 255))?;
            Ok(Request::Rollback { number: u8::try_from(number).unwrap_or(u8::MAX) })
        },
    ),
    local(
        "load",
        "replace the candidate by a document to be pasted",
        "Takes all that is typed or pasted until Ctrl-D as a TOML document; Ctrl-C gives it up. \
         The document takes the place of the whole candidate, unless it has problems.",
        Action::Load,
    ),
    local(
        "run",
        "do a command of operation: run show ports",
        "What follows is read as behind the prompt of operation.",
        Action::Run,
    ),
    local(
        "exit",
        "end configuring",
        "Refused while the candidate differs from what is in force.",
        Action::Leave { discard: false },
    ),
    local(
        "exit discard",
        "end configuring, and drop the changes",
        "The candidate is again what is in force.",
        Action::Leave { discard: true },
    ),
    local("help", "explain commands: help, help commit", "As in operation.", Action::Help),
];

/// What the commands with a common first word do, for that word.
pub(crate) static GROUPS: &[(&str, &str)] = &[
    ("show", "see what the box is like"),
    ("drain", "take a server or a box out of use"),
    ("configure", "change the configuration"),
    ("commit", "put the candidate in force"),
    ("exit", "end configuring"),
];
