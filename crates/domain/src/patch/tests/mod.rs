//! What a model is shown, what it may write, and what becomes of it.

mod attacks;
mod walk;

use serde_json::json;

use super::*;
use crate::counsel::tests::diagnosed;
use crate::ids::Digest;
use crate::path::{BadPath, MAX_LINES};

const PRICING: &str = "rules/pricing.rhai";
const BEFORE: &str = "// loyalty\nlet price = base / years;\nprice\n";
const AFTER: &str = "// loyalty\nlet price = base;\nprice\n";

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

fn shown(files: &[SourceFile]) -> Assignment {
    Assignment::of(&diagnosed(vec![]).incident, files).expect("an assignment")
}

fn assignment() -> Assignment {
    shown(&[file(PRICING, BEFORE), file("rules/terms.json", "{\"a\": 1}\n")])
}

fn answer(path: &str, content: &str) -> String {
    json!({"files": [{"path": path, "content": content}], "why": "It divides by zero years."}).to_string()
}

fn good() -> String {
    answer(PRICING, AFTER)
}

/// The patch of [`good`].
fn written() -> SourcePatch {
    read(&good(), &assignment(), "m").expect("a patch")
}

#[test]
fn a_patch_is_contents_with_digests_of_what_was_read_and_written() {
    let sum = |text: &str| Digest::of([text.as_bytes()]);
    let edits = BTreeMap::from([(PRICING.to_owned(), Rewrite { before: sum(BEFORE), after: sum(AFTER) })]);
    let expected = SourcePatch {
        model: "m".to_owned(),
        edits: edits.clone(),
        files: BTreeMap::from([(PRICING.to_owned(), AFTER.to_owned())]),
        words: "It divides by zero years.".to_owned(),
    };
    assert_eq!(written(), expected);
    let remedy = written().remedy("shop");
    assert_eq!(remedy, Remedy::SourcePatch { service: "shop".to_owned(), edits });
    assert_eq!((remedy.kind(), remedy.id(), remedy.needs_person()), ("source-patch", "source-patch".to_owned(), true));
}

#[test]
fn the_assignment_is_the_brief_and_the_files_and_nothing_else() {
    let assignment = assignment();
    insta::assert_snapshot!("assignment", assignment.text);
    insta::assert_snapshot!("assignment_schema", format!("{:#}", assignment.schema));
    for name in ["ignore previous", "quote-engine", "marketplace-web", "/price"] {
        assert!(!assignment.text.contains(name), "{name}: {}", assignment.text);
    }
}

#[test]
fn no_more_is_shown_than_three_files_of_bounded_size_that_can_be_read_as_they_are() {
    let names = |files: &[SourceFile]| shown(files).files().keys().cloned().collect::<Vec<_>>();
    let four = ["d", "c", "b", "a"].map(|name| file(name, "x\n"));
    assert_eq!(names(&four), ["b", "c", "d"], "the first three");
    let half = "x".repeat(MOST_BYTES / 2);
    assert_eq!(names(&[file("a", &half), file("b", &format!("{half}x")), file("c", &half)]), ["a", "c"]);
    assert_eq!(names(&[file("a", "x\n"), file("b", &"\n".repeat(MOST_LINES)), file("a", "again\n")]), ["a"]);
    for hidden in [
        "",
        "a\0",
        "a\u{1b}[2J",
        "a\u{200b}",
        "a\u{202e}b",
        "a\u{2066}",
        "\u{feff}a",
        "a\u{e0041}",
        "a\u{85}",
        "a\rb\r\n",
    ] {
        assert_eq!(Assignment::of(&diagnosed(vec![]).incident, &[file("a", hidden)]), None, "{hidden:?}");
    }
    assert_eq!(Assignment::of(&diagnosed(vec![]).incident, &[]), None);
    assert_eq!(
        names(&[file("a", "let price = \"10 \u{20ac}\";\r\n\tyes\n")]),
        ["a"],
        "letters of any language are seen"
    );
}

#[test]
fn what_shows_nothing_is_not_shown_whatever_it_is_for() {
    for hidden in ["\u{fe0f}", "\u{61c}", "\u{34f}", "\u{180e}", "\u{fff9}", "\u{17b5}", "\u{1d173}", "\u{e0100}"] {
        let text = format!("a{hidden}b\n");
        assert_eq!(Assignment::of(&diagnosed(vec![]).incident, &[file("a", &text)]), None, "{hidden:?}");
    }
}

#[test]
fn a_lone_return_is_refused_in_a_file_that_has_its_lines_end_with_one() {
    let before = BEFORE.replace('\n', "\r\n");
    let assignment = shown(&[file(PRICING, &before)]);
    let after = before.replace("\r\n", "  \r\n");
    assert!(read(&answer(PRICING, &after), &assignment, "m").is_ok());
    let covered = format!("{before}evil();\rharmless();\r\n");
    assert_eq!(read(&answer(PRICING, &covered), &assignment, "m"), Err(Refusal::NotPlain(PRICING.to_owned())));
}

#[test]
fn every_path_but_those_that_were_shown_is_refused() {
    for path in attacks::BAD.into_iter().chain(attacks::OTHERS) {
        assert_eq!(read(&answer(path, AFTER), &assignment(), "m"), Err(Refusal::NotShown), "{path:?}");
    }
}

#[test]
fn a_bad_path_is_refused_even_if_it_was_shown() {
    for path in attacks::BAD {
        let refused = read(&answer(path, AFTER), &shown(&[file(path, BEFORE)]), "m");
        assert!(
            matches!(refused, Err(Refusal::Path(BadPath::NotPlain(_) | BadPath::Wanders(_) | BadPath::Guarded(_)))),
            "{path:?}"
        );
    }
}

#[test]
fn garbage_is_refused_whole() {
    let good = good();
    let two = good.replace("[{", "[{\"path\":\"rules/terms.json\",\"content\":\"{}\"},{");
    assert!(read(&good, &assignment(), "m").is_ok() && read(&two, &assignment(), "m").is_ok());
    let garbage = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        format!("```json\n{good}\n```"),
        format!("{good}{good}"),
        format!("[{good}]"),
        good[..good.len() - 1].to_owned(),
        good.replace("\"why\"", "\"Why\""),
        good.replace("\"why\":", "\"why\":\"x\",\"why\":"),
        good.replace("\"why\":", "\"merge\":true,\"why\":"),
        good.replace("\"path\":", "\"mode\":\"120000\",\"path\":"),
        good.replace("\"path\":", "\"path\":\"rules/terms.json\",\"path\":"),
        good.replace("\"path\":", "\"delete\":true,\"path\":"),
        good.replace("\"path\":", "\"rename_from\":\"a\",\"path\":"),
        json!({"files": [[PRICING, AFTER]], "why": "x"}).to_string(),
        json!([[{"path": PRICING, "content": AFTER}], "x"]).to_string(),
        json!({"files": {PRICING: AFTER}, "why": "x"}).to_string(),
        json!({"files": [{"path": PRICING, "content": null}], "why": "x"}).to_string(),
        json!({"files": [{"path": PRICING}], "why": "x"}).to_string(),
        json!({"files": [{"path": PRICING, "content": [AFTER]}], "why": "x"}).to_string(),
        json!({"files": [{"path": [PRICING], "content": AFTER}], "why": "x"}).to_string(),
        json!({"files": null, "why": "x"}).to_string(),
        json!({"diff": "--- a/rules/pricing.rhai", "why": "x"}).to_string(),
        json!({"tool_calls": [{"function": {"name": "merge"}}]}).to_string(),
        good.replace("\"It divides by zero years.\"", "1e999"),
        format!("{}1{}", "{\"files\":".repeat(2_000), "}".repeat(2_000)),
    ];
    for answer in garbage {
        let refused = read(&answer, &assignment(), "m");
        let is_form = matches!(refused, Err(Refusal::Form(crate::counsel::Refusal::NotAgreed { .. })));
        assert!(is_form, "{answer:.80}: {refused:?}");
    }
    let long = answer(PRICING, &"x\n".repeat(40_000));
    assert!(matches!(read(&long, &assignment(), "m"), Err(Refusal::Form(crate::counsel::Refusal::TooLong(_)))));
}

#[test]
fn what_a_reader_cannot_see_or_count_is_refused() {
    let pricing = || PRICING.to_owned();
    let table = [
        (BEFORE.to_owned(), Refusal::Unchanged(pricing())),
        (String::new(), Refusal::Empty(pricing())),
        (" \n\t\n".to_owned(), Refusal::Empty(pricing())),
        (AFTER.replace("base", "b\u{430}se"), Refusal::NotPlain(pricing())),
        (format!("{AFTER}// \u{202e} }} hidden"), Refusal::NotPlain(pricing())),
        (format!("{AFTER}\u{200b}"), Refusal::NotPlain(pricing())),
        (format!("\u{feff}{AFTER}"), Refusal::NotPlain(pricing())),
        (AFTER.replace('\n', "\r\n"), Refusal::NotPlain(pricing())),
        (format!("{AFTER}\0"), Refusal::NotPlain(pricing())),
        (format!("{AFTER}\u{1b}[2K"), Refusal::NotPlain(pricing())),
        (format!("{AFTER}\u{e9}"), Refusal::NotPlain(pricing())),
        (format!("{AFTER}{}", "x\n".repeat(MAX_LINES as usize + 1)), Refusal::TooManyLines(pricing())),
    ];
    for (content, refusal) in table {
        assert_eq!(read(&answer(PRICING, &content), &assignment(), "m"), Err(refusal), "{content:.80}");
    }
    let euros = shown(&[file(PRICING, "// \u{20ac}\r\nprice\r\n")]);
    assert!(read(&answer(PRICING, "// \u{20ac}, \u{20ac}\r\nprice\r\n"), &euros, "m").is_ok(), "as the file has them");
}

#[test]
fn at_most_three_files_each_once() {
    let many = |paths: &[&str]| {
        let files: Vec<_> = paths.iter().map(|path| json!({"path": path, "content": AFTER})).collect();
        read(&json!({"files": files, "why": "x"}).to_string(), &assignment(), "m")
    };
    assert_eq!(many(&[]), Err(Refusal::Nothing));
    assert_eq!(many(&["a", "b", "c", "d"]), Err(Refusal::TooManyFiles(4)));
    assert_eq!(many(&[PRICING, PRICING]), Err(Refusal::Twice(PRICING.to_owned())));
}

#[test]
fn its_reason_is_one_line_of_plain_text() {
    let why = "Fixes #1.\n\n# Approved\n@everyone <script>`x`</script> [skip ci] | ![](https://evil.example)";
    let said = good().replace("It divides by zero years.", &why.escape_default().to_string());
    let patch = read(&said, &assignment(), "m\u{202e}`odel").expect("a patch");
    let words = "Fixes 1.  Approved @everyone scriptx/script skip ci  !(https://evil.example)";
    assert_eq!((patch.words.as_str(), patch.model.as_str()), (words, "model"));
}
