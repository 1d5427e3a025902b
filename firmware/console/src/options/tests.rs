use super::*;
use model::operator::Role;

const OPERATION: Scope = Scope { mode: Mode::Operation, role: Role::Configure };
const CONFIGURATION: Scope = Scope { mode: Mode::Configuration, role: Role::Configure };

fn names(options: &Options) -> String {
    let names: Vec<&str> = options.words.iter().map(|choice| choice.word.as_str()).collect();
    names.join(" ")
}

#[test]
fn what_may_follow_is_known_at_every_place() {
    let first = "show arp ping capture drain undrain move restore configure help logout exit \
                 reboot poweroff";
    for (scope, before, words, end, free) in [
        (OPERATION, "", first, false, ""),
        (OPERATION, "s", "show", false, ""),
        (OPERATION, "show se", "services servers sessions", false, ""),
        (OPERATION, "show ports", "ports", false, ""),
        (OPERATION, "show ports ", "", true, ""),
        (OPERATION, "show ports x", "", false, ""),
        (OPERATION, "help ", first, true, ""),
        (OPERATION, "help show b", "boot", false, ""),
        (OPERATION, "show ports | ", "json match except count nopage", false, ""),
        (OPERATION, "show ports | c", "count", false, ""),
        (OPERATION, "show ports | match ", "", false, "TEXT"),
        (OPERATION, "show ports | match x", "", false, "TEXT"),
        (OPERATION, "show ports | json ", "", true, ""),
        (OPERATION, "nonsense ", "", false, ""),
        (OPERATION, "drain ", "server node", false, ""),
        (OPERATION, "drain node ", "", false, "NODE"),
        (OPERATION, "drain node n2 ", "", true, ""),
        (OPERATION, "move vip ", "", false, "VIP"),
        (OPERATION, "move vip www ", "to", false, ""),
        (OPERATION, "move vip www to ", "", false, "NODE"),
        (OPERATION, "move vip www to n2 ", "", true, ""),
        (OPERATION, "drain server ", "", false, "POOL"),
        (OPERATION, "drain server web", "", false, "POOL"),
        (OPERATION, "drain server web ", "", false, "SERVER"),
        (OPERATION, "drain server web s1 ", "", true, ""),
        (OPERATION, "ping ", "", false, "ADDRESS"),
        (OPERATION, "ping 192.0.2.1 ", "count", true, ""),
        (OPERATION, "ping 192.0.2.1 count ", "", false, "N"),
        (OPERATION, "capture ", "", false, "PORT"),
        (OPERATION, "capture eth0 ", "seconds packets host port", true, ""),
        (OPERATION, "capture eth0 port 80 p", "packets", false, ""),
        (CONFIGURATION, "co", "compare commit", false, ""),
        (CONFIGURATION, "commit ", "check confirmed confirm comment", true, ""),
        (CONFIGURATION, "commit c", "check confirmed confirm comment", false, ""),
        (CONFIGURATION, "commit comment ", "", false, "TEXT"),
        (CONFIGURATION, "commit comment why ", "", false, "TEXT"),
        (CONFIGURATION, "commit confirmed ", "", false, "MINUTES"),
        (CONFIGURATION, "commit confirmed 5 ", "comment", true, ""),
        (CONFIGURATION, "set ", "", false, "PATH"),
        (CONFIGURATION, "set pool.web", "", false, "PATH"),
        (CONFIGURATION, "set pool.web.scheduler ", "", false, "VALUE"),
        (CONFIGURATION, "show ", "", true, "PATH"),
        (CONFIGURATION, "rollback ", "", true, "N"),
        (CONFIGURATION, "exit ", "discard", true, ""),
        (CONFIGURATION, "run show por", "ports", false, ""),
    ] {
        let options = options(before, scope);
        assert_eq!(names(&options), words, "{before:?}");
        assert_eq!(options.end, end, "{before:?}");
        assert_eq!(options.free.as_ref().map_or("", |(name, _)| name), free, "{before:?}");
    }
}

#[test]
fn what_only_the_box_knows_is_looked_up() {
    for (scope, before, begun, lookup) in [
        (OPERATION, "drain server w", "w", Lookup::Pool),
        (OPERATION, "drain server web s", "s", Lookup::Server("web".into())),
        (OPERATION, "restore node n", "n", Lookup::Node),
        (OPERATION, "move vip w", "w", Lookup::Vip),
        (OPERATION, "move vip www to n", "n", Lookup::Node),
        (CONFIGURATION, "set pool.w", "pool.w", Lookup::Path),
        (CONFIGURATION, "delete ", "", Lookup::Path),
        (
            CONFIGURATION,
            "set pool.web.scheduler m",
            "m",
            Lookup::Value("pool.web.scheduler".into()),
        ),
        (CONFIGURATION, "run drain server w", "w", Lookup::Pool),
    ] {
        let options = options(before, scope);
        assert_eq!(options.begun, begun, "{before:?}");
        assert_eq!(options.lookup, Some(lookup), "{before:?}");
    }
}

#[test]
fn commands_above_ones_role_are_not_offered() {
    let scope = Scope { mode: Mode::Operation, role: Role::View };
    assert_eq!(names(&options("", scope)), "show arp help logout exit");
    let scope = Scope { mode: Mode::Operation, role: Role::Operate };
    assert_eq!(
        names(&options("", scope)),
        "show arp ping capture drain undrain move restore help logout exit reboot poweroff"
    );
}

#[test]
fn a_question_mark_is_text_only_where_text_stands() {
    for (before, is_text) in [
        ("commit comment wh", true),
        ("show | match ", true),
        ("set pool.web.scheduler ", false),
        ("set pool.web.scheduler x", true),
        ("set pool.", false),
        ("", false),
    ] {
        assert_eq!(options(before, CONFIGURATION).is_text(), is_text, "{before:?}");
    }
}
