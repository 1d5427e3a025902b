use super::*;
use alloc::format;
use alloc::string::ToString;

const OPERATION: Scope = Scope { mode: Mode::Operation, role: Role::Configure };
const CONFIGURATION: Scope = Scope { mode: Mode::Configuration, role: Role::Configure };

fn outcome(text: &str, scope: Scope) -> String {
    match line(text, scope) {
        Ok(Line::Empty) => "nothing".into(),
        Ok(Line::Run(command, given, filters)) if given.is_empty() => {
            format!("{} {filters:?}", command.name)
        }
        Ok(Line::Run(command, given, filters)) => {
            format!("{} {given:?} {filters:?}", command.name)
        }
        Ok(Line::Help(commands)) => {
            let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
            format!("help on {}", names.join(", "))
        }
        Err(confusion) => confusion.to_string(),
    }
}

#[test]
fn lines_mean_a_command_or_say_what_would() {
    for (text, meaning) in [
        ("", "nothing"),
        ("   ", "nothing"),
        ("show ports", "show ports []"),
        ("  sh  po ", "show ports []"),
        ("show ports|json", "show ports [Json]"),
        ("show log | m a b | count", "show log [Match(\"a b\"), Count]"),
        ("show log | match \"a | b\"", "show log [Match(\"a | b\")]"),
        ("show log | except up | nopage", "show log [Except(\"up\"), NoPage]"),
        ("help show se", "help on show services, show servers, show sessions"),
        ("h sh po", "help on show ports"),
        ("reboot", "reboot []"),
        ("re", "\"re\" is ambiguous: restore, reboot"),
        ("reb", "\"reboot\" is not abbreviated: type it in full"),
        ("po", "\"poweroff\" is not abbreviated: type it in full"),
        ("show s", "\"s\" is ambiguous: services, servers, sessions"),
        ("show v", "\"v\" is ambiguous: vips, version"),
        ("show ports eth0", "\"eth0\" is one word too many"),
        ("reboot now", "\"now\" is one word too many"),
        ("show ports |", "incomplete, expected json, match, except, count, nopage"),
        ("show ports | xml", "unknown word \"xml\", expected json, match, except, count, nopage"),
        ("show ports | match", "match needs a text"),
        ("show ports | ex", "except needs a text"),
        ("show ports | json x", "\"x\" is one word too many"),
        ("drain server web s1", "drain server [\"web\", \"s1\"] []"),
        ("drain s web s1 | json", "drain server [\"web\", \"s1\"] [Json]"),
        ("drain server web", "incomplete, expected SERVER"),
        ("drain server", "incomplete, expected POOL"),
        ("drain", "incomplete, expected server, node"),
        ("move vip www to n2", "move vip [\"www\", \"n2\"] []"),
        ("mo v www t n2 | json", "move vip [\"www\", \"n2\"] [Json]"),
        ("move vip www n2", "unknown word \"n2\", expected to"),
        ("move vip www to", "incomplete, expected NODE"),
        ("move vip www", "incomplete, expected to NODE"),
        ("move vip", "incomplete, expected VIP"),
        ("drain node n2", "drain node [\"n2\"] []"),
        ("restore node n2", "restore node [\"n2\"] []"),
        ("drain server web s1 s2", "\"s2\" is one word too many"),
    ] {
        assert_eq!(outcome(text, OPERATION), meaning, "{text:?}");
    }
    let topics = "ports, vips, services, servers, flows, neighbors, cluster, counters, boot, \
                  version, config, revisions, sessions, candidate, log";
    assert_eq!(outcome("show", OPERATION), format!("incomplete, expected {topics}"));
    let unknown = format!("unknown word \"x\", expected {topics}");
    assert_eq!(outcome("show x", OPERATION), unknown);
    for text in ["format c:", "set a.b 1", "commit"] {
        let unknown = outcome(text, OPERATION);
        assert!(unknown.starts_with("unknown word") && unknown.contains("show, "), "{unknown}");
    }
}

#[test]
fn lines_of_configuration_carry_paths_values_and_comments() {
    for (text, meaning) in [
        ("set pool.web.scheduler maglev", "set [\"pool.web.scheduler\", \"maglev\"] []"),
        ("set a.b [1,  2] ", "set [\"a.b\", \"[1,  2]\"] []"),
        ("set a.b \"x | y\" | json", "set [\"a.b\", \"\\\"x | y\\\"\"] [Json]"),
        ("set a.b", "incomplete, expected VALUE"),
        ("set", "incomplete, expected PATH"),
        ("delete a.b", "delete [\"a.b\"] []"),
        ("delete", "incomplete, expected PATH"),
        ("show", "show [\"\"] []"),
        ("sh pool.web | match weight", "show [\"pool.web\"] [Match(\"weight\")]"),
        ("compare", "compare []"),
        ("comp", "compare []"),
        ("com", "\"com\" is ambiguous: compare, commit"),
        ("commit", "commit [\"\"] []"),
        ("commit comment more of it ", "commit [\"more of it\"] []"),
        ("commit comm \"more of it\"", "commit [\"more of it\"] []"),
        ("commit comment", "incomplete, expected TEXT"),
        ("commit at midnight", "unknown word \"at\", expected check, confirmed, confirm, comment"),
        ("commit check", "commit check []"),
        ("commit conf", "\"conf\" is ambiguous: confirmed, confirm"),
        ("commit confirm", "commit confirm []"),
        ("commit confirmed 5", "commit confirmed [\"5\", \"\"] []"),
        ("commit confirmed 5 comment try", "commit confirmed [\"5\", \"try\"] []"),
        ("commit confirmed", "incomplete, expected MINUTES"),
        ("rollback", "rollback [\"\"] []"),
        ("rollback 3", "rollback [\"3\"] []"),
        ("exit", "exit []"),
        ("exit discard", "exit discard []"),
        ("exit now", "unknown word \"now\", expected discard"),
        ("run show ports | json", "show ports [Json]"),
        ("run help show v", "help on show vips, show version"),
        ("run configure", "\"configure\" is one word too many"),
        ("run logout", "\"logout\" is one word too many"),
        ("reboot", "reboot is unknown"),
    ] {
        let outcome = outcome(text, CONFIGURATION);
        if meaning == "reboot is unknown" {
            assert!(outcome.starts_with("unknown word \"reboot\", expected set, "), "{outcome}");
        } else {
            assert_eq!(outcome, meaning, "{text:?}");
        }
    }
}

#[test]
fn what_is_given_must_fit() {
    for (text, meaning) in [
        ("commit confirmed 0", "\"0\" does not fit: MINUTES is a number from 1 to 60"),
        ("commit confirmed soon", "\"soon\" does not fit: MINUTES is a number from 1 to 60"),
        ("rollback 256", "\"256\" does not fit: N is a number from 0 to 255"),
        ("rollback -1", "\"-1\" does not fit: N is a number from 0 to 255"),
    ] {
        let Ok(Line::Run(command, given, _)) = line(text, CONFIGURATION) else { panic!("{text}") };
        let Action::Ask(make) = command.action else { panic!("{text}") };
        assert_eq!(make(&given).unwrap_err().to_string(), meaning, "{text}");
    }
}

#[test]
fn commands_above_ones_role_are_refused_with_a_sentence() {
    for (role, text, meaning) in [
        (Role::View, "show ports", "show ports []"),
        (Role::View, "reboot", "\"reboot\" needs the role operate"),
        (Role::View, "drain server web s1", "\"drain server\" needs the role operate"),
        (Role::View, "configure", "\"configure\" needs the role configure"),
        (Role::Operate, "reboot", "reboot []"),
        (Role::Operate, "configure", "\"configure\" needs the role configure"),
        (Role::View, "format", "unknown word \"format\", expected show, arp, help, logout, exit"),
        (Role::View, "", "nothing"),
    ] {
        let scope = Scope { mode: Mode::Operation, role };
        assert_eq!(outcome(text, scope), meaning, "{text:?} as {role}");
    }
}
