//! Edits that change one value and keep every other byte.

use super::*;

const INT: KnobValue = KnobValue::Int(100);

#[track_caller]
fn turns(before: &str, path: &str, value: &KnobValue, after: &str) {
    assert_eq!(set("a.yaml", before, path, value).map(|edit| edit.text).as_deref(), Ok(after));
}

#[track_caller]
fn refuses(text: &str, path: &str, why: EditError) {
    assert_eq!(set("a.yaml", text, path, &INT), Err(why), "{text}");
}

#[test]
fn only_the_value_changes() {
    for (before, after) in [
        ("a:\n  b: 20\n", "a:\n  b: 100\n"),
        (
            "# head\na:\n  # why\n  b: 20   # twenty\n  c: 20\n# foot\n",
            "# head\na:\n  # why\n  b: 100   # twenty\n  c: 20\n# foot\n",
        ),
        ("a: {c: 1, b: 20, d: 2}\n", "a: {c: 1, b: 100, d: 2}\n"),
        ("{ \"a\": { \"b\": 20 } }\n", "{ \"a\": { \"b\": 100 } }\n"),
        ("'a':\n    \"b\":    20\n", "'a':\n    \"b\":    100\n"),
        ("a:\r\n  b: 20\r\n  c: \"x\"\r\n", "a:\r\n  b: 100\r\n  c: \"x\"\r\n"),
        ("a:\n  b: 20", "a:\n  b: 100"),
        ("---\na:\n  b: -5\n...\n", "---\na:\n  b: 100\n...\n"),
        ("x: 'it''s # no comment'\na:\n  b: 20\n", "x: 'it''s # no comment'\na:\n  b: 100\n"),
        ("x: |\n  b: 20\n  a: b\na:\n  b: 20\n", "x: |\n  b: 20\n  a: b\na:\n  b: 100\n"),
        ("é: ü\na:\n  b: 20 # ö\n", "é: ü\na:\n  b: 100 # ö\n"),
        ("b: 20\na:\n  a:\n    b: 20\n  b: 20\n", "b: 20\na:\n  a:\n    b: 20\n  b: 100\n"),
    ] {
        turns(before, "a.b", &INT, after);
    }
    turns("a: 20\n", "a", &INT, "a: 100\n");
    turns("on: { enabled: false } # off\n", "on.enabled", &KnobValue::Bool(true), "on: { enabled: true } # off\n");
}

#[test]
fn the_old_value_is_told() {
    assert_eq!(set("a.yaml", "a: 20\n", "a", &INT).map(|edit| edit.from), Ok(KnobValue::Int(20)));
}

#[test]
fn what_is_not_there_is_not_invented() {
    for (text, path) in
        [("a:\n  b: 20\n", "a.c"), ("a:\n  b: 20\n", "a.b.c"), ("a:\n", "a"), ("a: [1, 2]\n", "a.0"), ("- a\n", "a")]
    {
        refuses(text, path, EditError::Missing(path.to_owned()));
    }
}

#[test]
fn another_type_or_notation_is_refused() {
    for written in [
        "\"20\"",
        "'20'",
        "0x14",
        "2e1",
        "20.0",
        "+20",
        "020",
        "1_000",
        "true",
        "twenty",
        "~",
        "!!int 20",
        "!x 20",
        "[20]",
        "{b: 1}",
        "99999999999999999999",
    ] {
        refuses(&format!("a: {written}\n"), "a", EditError::WrongType("a".to_owned()));
    }
    refuses("a: |\n  20\n", "a", EditError::WrongType("a".to_owned()));
    for written in ["True", "yes", "on", "\"false\"", "1"] {
        let refused = set("a.yaml", &format!("a: {written}\n"), "a", &KnobValue::Bool(true));
        assert_eq!(refused, Err(EditError::WrongType("a".to_owned())), "{written}");
    }
}

#[test]
fn files_in_which_one_edit_may_mean_more_are_refused() {
    for text in ["x: &n 20\na: *n\n", "x: &base {a: 20}\ny:\n  <<: *base\na: 20\n", "a: &n 20\n"] {
        refuses(text, "a", EditError::Anchors);
    }
    for text in ["a: 20\na: 30\n", "a: 20\n---\na: 30\n", "a: [20\n", "a: b: c\n", "\ta: 20\n", "x: *gone\na: 20\n"] {
        refuses(text, "a", EditError::Unreadable);
    }
}

#[test]
fn a_value_that_is_there_already_is_no_change() {
    refuses("a: 100 # yes\n", "a", EditError::Unchanged("a".to_owned()));
}

#[track_caller]
fn turns_in(file: &str, before: &str, path: &str, value: &KnobValue, after: &str) {
    assert_eq!(set(file, before, path, value).map(|edit| edit.text).as_deref(), Ok(after), "{file}");
}

fn text(word: &str) -> KnobValue {
    KnobValue::Text(word.to_owned())
}

#[test]
fn json_keeps_its_order_and_its_quotes() {
    let before = "{\n  \"z\": 1,\n  \"rating\": { \"timeout\": \"5s\", \"pool\": 20 }\n}\n";
    turns_in("conf/a.json", before, "rating.timeout", &text("650ms"), &before.replace("5s", "650ms"));
    turns_in("conf/a.json", before, "rating.pool", &INT, &before.replace("20", "100"));
}

#[test]
fn toml_keeps_comments_and_order() {
    let before = "# head\n[rating] # calls\ntimeout = \"5s\"   # promised: 500 ms\nbreaker = false\n\n[database]\npool = 20 # twenty\n";
    turns_in("a.toml", before, "rating.timeout", &text("650ms"), &before.replace("5s", "650ms"));
    turns_in("a.toml", before, "rating.breaker", &KnobValue::Bool(true), &before.replace("false", "true"));
    turns_in("a.toml", before, "database.pool", &INT, &before.replace("= 20", "= 100"));
    turns_in("a.toml", "a = { b = 20, c = 20 }\n", "a.b", &INT, "a = { b = 100, c = 20 }\n");
    for (wrong, why) in [
        ("pool = 0x14\n", EditError::WrongType("pool".to_owned())),
        ("pool = \"20\"\n", EditError::WrongType("pool".to_owned())),
        ("other = 20\n", EditError::Missing("pool".to_owned())),
        ("pool = 20\npool = 20\n", EditError::Unreadable),
    ] {
        assert_eq!(set("a.toml", wrong, "pool", &INT), Err(why), "{wrong}");
    }
}

#[test]
fn an_environment_file_keeps_comments_and_order() {
    let before = "# settings\nexport POOL=20 # twenty\nTIMEOUT=5s\nBREAKER = false\nPOOL_MAX=20\n";
    turns_in(".env", before, "POOL", &INT, &before.replace("POOL=20", "POOL=100"));
    turns_in("deploy/.env.production", before, "TIMEOUT", &text("650ms"), &before.replace("5s", "650ms"));
    turns_in("app.env", before, "BREAKER", &KnobValue::Bool(true), &before.replace("false", "true"));
    for (wrong, why) in [
        ("POOL=\"20\"\n", EditError::WrongType("POOL".to_owned())),
        ("POOL=\n", EditError::WrongType("POOL".to_owned())),
        ("# POOL=20\n", EditError::Missing("POOL".to_owned())),
        ("POOL=20\nPOOL=30\n", EditError::Unreadable),
    ] {
        assert_eq!(set(".env", wrong, "POOL", &INT), Err(why), "{wrong}");
    }
}

#[test]
fn other_files_are_left_alone() {
    for file in ["a.ini", "Makefile", "a.yaml.bak", "env"] {
        assert_eq!(set(file, "a: 20\n", "a", &INT), Err(EditError::Kind(file.to_owned())));
    }
}
