use super::*;
use alloc::collections::BTreeMap as Map;
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../../tests/example.toml");

fn example() -> Document {
    Document::parse(EXAMPLE).unwrap()
}

#[test]
fn a_document_written_down_means_the_same() {
    let document = example();
    let text = document.render();
    assert_eq!(Document::parse(&text).unwrap(), document);
    assert_eq!(super::super::Config::parse(&text), super::super::Config::parse(EXAMPLE));
    assert!(text.starts_with("[cluster]\n"), "{text}");
}

#[test]
fn keys_are_set_as_people_type_them() {
    for (path, value, line) in [
        ("vip.www.address", "192.0.2.81", "address = \"192.0.2.81\""),
        ("vip.www.address", "\"192.0.2.81\"", "address = \"192.0.2.81\""),
        ("vip.\"a.b\".address", "192.0.2.81", "address = \"192.0.2.81\""),
        ("service.web.ports", "80", "ports = \"80\""),
        ("service.web.ports", "80,443", "ports = \"80,443\""),
        ("pool.web.server.s1.weight", "7", "weight = 7"),
        ("pool.web.check.interval", "200ms", "interval = \"200ms\""),
        ("network.inside.management", "true", "management = true"),
        ("network.inside.prefixes", "10.0.0.0/24", "prefixes = [\"10.0.0.0/24\"]"),
        (
            "network.inside.prefixes",
            "10.0.0.0/24, fd00::/64",
            "prefixes = [\"10.0.0.0/24\", \"fd00::/64\"]",
        ),
        ("network.inside.prefixes", "[\"10.0.0.0/24\"]", "prefixes = [\"10.0.0.0/24\"]"),
        ("pool.new", "", "[pool.new]"),
    ] {
        let mut document = example();
        document.set(path, value).unwrap();
        assert_eq!(document.get(path).unwrap().trim_end(), line, "{path} = {value}");
    }
}

#[test]
fn what_cannot_be_set_is_refused_and_changes_nothing() {
    for (path, value, why) in [
        ("", "1", "\"\" is no path, expected names joined by dots such as vip.www.address"),
        (
            "vip..x",
            "1",
            "\"vip..x\" is no path, expected names joined by dots such as vip.www.address",
        ),
        ("vipp.www.address", "1", "vipp: unknown key, did you mean \"vip\"?"),
        ("vip.www.adress", "1", "vip.www.adress: unknown key, did you mean \"address\"?"),
        ("service.web.tunnel", "gre", "service.web.tunnel: not built yet, leave it out"),
        ("vip.www", "1", "vip.www: this is a table, expected the path of a key in it"),
        ("vip", "", "vip: this is a table, expected the path of a key in it"),
        (
            "vip.www.address.x",
            "1",
            "vip.www.address.x: unknown key, expected nothing behind a value",
        ),
        (
            "vip.www.address",
            "192.0.2.300",
            "vip.www.address: \"192.0.2.300\" is not an IP address, expected an IP address such as \
             \"192.0.2.80\" or \"2001:db8:1::80\"",
        ),
        (
            "pool.web.server.s1.weight",
            "many",
            "pool.web.server.s1.weight: a string stands here, expected a number from 0 to 1000",
        ),
        (
            "pool.web.server.s1.weight",
            "2000",
            "pool.web.server.s1.weight: 2000 is out of range, expected a number from 0 to 1000",
        ),
        (
            "network.inside.prefixes",
            "10.0.0.0/24,x",
            "network.inside.prefixes[1]: \"x\" is not a prefix, expected an array of 1 to 8 \
             prefixes such as [\"192.0.2.0/24\", \"2001:db8:1::/64\"]",
        ),
        (
            "pool.\"-x\".scheduler",
            "maglev",
            "pool.-x: \"-x\" is not a name, expected a name in quotes of at most 63 letters, \
             digits, -, _ and ., beginning with a letter or digit",
        ),
        (
            "pool.\"a\0\".scheduler",
            "maglev",
            "pool.\"a\u{fffd}\": \"a\u{fffd}\" is not a name, expected a name in quotes of at most \
             63 letters, digits, -, _ and ., beginning with a letter or digit",
        ),
        (
            "pool.a-name-of-more-than-48-octets-which-messages-cut-off.scheduler",
            "roulette",
            "pool.a-name-of-more-than-48-octets-which-messages-cut….scheduler: \"roulette\" is \
             unknown, expected \"maglev\"",
        ),
    ] {
        let mut document = example();
        assert_eq!(document.set(path, value).unwrap_err().to_string(), why, "{path} = {value}");
        assert_eq!(document, example());
    }
}

#[test]
fn a_deleted_table_takes_its_keys_with_it_and_an_absent_one_is_told() {
    let mut document = example();
    document.delete("pool.web.server.s1").unwrap();
    assert_eq!(document.get("pool.web.server.s1"), None);
    let why = document.delete("pool.web.server.s1").unwrap_err().to_string();
    assert_eq!(why, "pool.web.server.s1: nothing is set there");
    document.delete("pool").unwrap();
    assert_eq!(document.get("pool"), None);
    document.delete("vip.www.group").unwrap();
    assert!(document.get("vip.www").unwrap().contains("address"));
}

#[test]
fn the_last_key_of_a_table_leaves_the_table() {
    let mut document = Document::parse("[pool.web.check]\ninterval = \"1s\"").unwrap();
    document.delete("pool.web.check.interval").unwrap();
    assert_eq!(document.render(), "[pool.web.check]\n", "the servers are watched as before");
    document.set("pool.web.server.s1.weight", "1").unwrap();
    document.delete("pool.web.server.s1").unwrap();
    assert_eq!(document.render(), "[pool.web.check]\n", "no names, no table of names");
}

#[test]
fn a_path_is_completed_from_the_schema_and_the_document() {
    let document = example();
    for (prefix, expected) in [
        ("vi", "vip"),
        ("vip.", "vip.gw vip.www"),
        ("vip.www.a", "vip.www.address"),
        ("pool.web.s", "pool.web.scheduler pool.web.server"),
        ("pool.web.server.s", "pool.web.server.s1"),
        ("vip.www.address.", ""),
        ("nonsense.", ""),
    ] {
        let found = complete(&document, prefix).join(" ");
        assert!(found.starts_with(expected), "{prefix}: {found}");
        assert_eq!(found.is_empty(), expected.is_empty(), "{prefix}: {found}");
    }
}

#[test]
fn a_difference_reads_as_what_was_typed() {
    let before = example();
    let mut after = before.clone();
    after.set("pool.web.server.s9.address", "10.0.0.19").unwrap();
    after.set("cluster.name", "other").unwrap();
    after.set("user.ann.password", "$argon2id$x").unwrap();
    after.delete("vip.www.group").unwrap();
    let lines: Vec<String> = diff(&before, &after).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "~ set cluster.name = \"other\" (was \"edge\")",
            "+ set pool.web.server.s9.address = \"10.0.0.19\"",
            "+ set user.ann.password = (hidden)",
            "- set vip.www.group = \"www\"",
        ]
    );
    assert_eq!(diff(&before, &before), []);
}

#[test]
fn a_comment_behind_a_number_is_no_part_of_it() {
    let mut document = example();
    for typed in ["7#", "7 # as much as s2"] {
        document.set("pool.web.server.s1.weight", typed).unwrap();
        assert_eq!(document.get("pool.web.server.s1.weight").unwrap(), "weight = 7\n", "{typed}");
        assert_eq!(Document::parse(&document.render()).unwrap(), document, "{typed}");
    }
}

#[test]
fn what_is_no_number_without_its_underscores_is_told_and_nothing_is_read() {
    for number in
        ["19_7\u{1f}9", "1_2:", "0_1", "1_2-3", "-1_e", "[1, 3_:4]", "1_0.", "{ a = 1_: }"]
    {
        let problems = Document::parse(&format!("en = {number}")).unwrap_err();
        let told = problems[0].to_string();
        assert!(told.starts_with("1:"), "{number}: {told}");
    }
    let told = Document::parse("en = 1_2:").unwrap_err()[0].to_string();
    assert_eq!(told, "1:6 document: invalid number, expected digits");
    let numbers = [("1_000", "1000"), ("0xf_f", "0xff"), ("+1_0", "+10"), ("1_0.5e1_0", "10.5e10")];
    for (number, written) in numbers {
        let document = Document::parse(&format!("en = {number}")).unwrap();
        assert_eq!(document.render(), format!("en = {written}\n"));
    }
}

/// Any small document: tables of tables with values of every kind.
fn any_document() -> impl Strategy<Value = Document> {
    let text = prop_oneof!["[ -~]{0,6}", any::<char>().prop_map(String::from)];
    let literal = prop_oneof![Just("1".to_string()), Just("true".into()), Just("-0.5".into())];
    let leaf = prop_oneof![
        text.clone().prop_map(Value::Text),
        literal.prop_map(Value::Literal),
        prop::collection::vec(text.prop_map(Value::Text), 0..3).prop_map(Value::Array),
    ];
    let key = prop_oneof!["[a-c]", "[ -~]{1,3}"];
    let value = leaf.prop_recursive(3, 24, 4, move |inner| {
        prop::collection::btree_map(key.clone(), inner, 0..4).prop_map(Value::Table)
    });
    let name = "[a-c]{1,2}";
    prop::collection::btree_map(name, value, 0..4).prop_map(|root| Document { root })
}

/// A document's leaves after a difference was carried out on them, by the text of their paths.
fn carried_out(before: &Document, differences: &[Difference]) -> Map<String, String> {
    let empty = Document::default();
    let mut leaves: Map<String, String> =
        diff(&empty, before).into_iter().map(|leaf| (leaf.path, leaf.after.unwrap())).collect();
    for Difference { path, before, after } in differences {
        assert_eq!(leaves.remove(path), *before, "{path}");
        if let Some(after) = after {
            leaves.insert(path.clone(), after.clone());
        }
    }
    leaves
}

proptest! {
    #[test]
    fn any_document_survives_being_written_and_read(document in any_document()) {
        let text = document.render();
        prop_assert_eq!(Document::parse(&text), Ok(document), "{}", text);
    }

    #[test]
    fn a_difference_carried_out_makes_one_document_of_the_other(
        before in any_document(),
        after in any_document(),
    ) {
        let differences = diff(&before, &after);
        let whole = diff(&Document::default(), &after);
        let wanted: Map<_, _> = whole.into_iter().map(|l| (l.path, l.after.unwrap())).collect();
        prop_assert_eq!(carried_out(&before, &differences), wanted);
        prop_assert_eq!(differences.is_empty(), before == after);
    }

    #[test]
    fn any_path_and_value_change_one_key_or_nothing(path in "[a-z\". ]{0,30}", value in ".{0,20}") {
        let mut document = example();
        if document.set(&path, &value).is_err() {
            prop_assert_eq!(&document, &example());
        }
        let _ = document.delete(&path);
        let _ = complete(&document, &path);
        prop_assert!(Document::parse(&document.render()).is_ok());
    }

    #[test]
    fn a_key_that_is_set_is_got_and_deleted_again(
        weight in 0..=1000_u16,
        name in "[a-z][a-z0-9.-]{0,9}",
    ) {
        let path = alloc::format!("pool.web.server.\"{name}\".weight");
        let mut document = example();
        let known = document.get(&alloc::format!("pool.web.server.\"{name}\"")).is_some();
        document.set(&path, &weight.to_string()).unwrap();
        prop_assert_eq!(document.get(&path), Some(alloc::format!("weight = {weight}\n")));
        if !known {
            document.delete(&alloc::format!("pool.web.server.\"{name}\"")).unwrap();
            prop_assert_eq!(document, example());
        }
    }
}
