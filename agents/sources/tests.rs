//! Which files a model is shown.

use sre_space_domain::proposal::FileChange;
use sre_space_ports::doubles::forge::RecordingForge;

use super::*;
use crate::catalogue;

fn rules(sources: &str) -> ServiceRules {
    let text = format!("version: 1\nservices:\n  shop: {{ autonomy: suggest, sources: {sources} }}\n");
    catalogue::parse(&text).expect("good").services.remove("shop").expect("the shop")
}

async fn names(forge: &RecordingForge, sources: &str) -> Vec<String> {
    let head = forge.head().await.expect("a head");
    let shown = shown(forge, &head, &rules(sources)).await.expect("files");
    shown.into_iter().map(|file| file.path).collect()
}

fn file(path: &str, text: &str) -> FileChange {
    FileChange { path: path.to_owned(), contents: Some(text.to_owned()) }
}

#[tokio::test]
async fn the_files_of_the_newest_changes_come_first_then_the_others_by_name() {
    let first = ["rules/d", "rules/c", "rules/b", "rules/a", "config/x", "top.rs"].map(|path| (path, "1\n"));
    let forge = RecordingForge::with_files(&first);
    let sources = "[\"rules/**\", \"*.rs\"]";
    assert_eq!(names(&forge, sources).await, ["rules/a", "rules/b", "rules/c"]);
    forge.push("main", "Older", &[file("rules/deep/er/z", "2\n")]).expect("push");
    forge
        .push("main", "Newer", &[file("top.rs", "2\n"), file("config/x", "2\n"), file("rules/d", "2\n")])
        .expect("push");
    assert_eq!(names(&forge, sources).await, ["rules/d", "top.rs", "rules/deep/er/z"]);
    forge.push("main", "Gone", &[FileChange { path: "rules/d".to_owned(), contents: None }]).expect("push");
    assert_eq!(names(&forge, sources).await, ["top.rs", "rules/deep/er/z", "rules/a"]);
    assert_eq!(names(&forge, "[\"*.rs\"]").await, ["top.rs"]);
    assert_eq!(names(&forge, "[\"nowhere/**\"]").await, Vec::<String>::new());
    assert_eq!(names(&forge, "[]").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_guards_the_repository_or_cannot_be_read_as_it_is_is_not_shown() {
    let large = "x\n".repeat(40_000);
    let files = [
        ("rules/a", large.as_str()),
        ("rules/b", "hidden\u{200b}\n"),
        ("rules/CODEOWNERS", "* @ada\n"),
        ("rules/.env.local", "TOKEN=1\n"),
        ("rules/tls.KEY", "1\n"),
        ("rules/secrets.rhai", "1\n"),
        ("rules/pem", "-----BEGIN PRIVATE KEY-----\n"),
        ("rules/z", "1\n"),
    ];
    assert_eq!(names(&RecordingForge::with_files(&files), "[\"rules/**\"]").await, ["rules/z"]);
}

#[test]
fn a_pattern_begins_in_a_folder() {
    let table = [
        ("rules/**", "rules"),
        ("rules/*.rhai", "rules"),
        ("src/a/b.rs", "src/a"),
        ("src/{a,b}/c", "src"),
        ("**/x", ""),
        ("top", ""),
    ];
    for (source, expected) in table {
        assert_eq!(folder(source), expected, "{source}");
    }
}
