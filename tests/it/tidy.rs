//! House rules that the compiler cannot check.

use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folders: &[&str]) -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder").map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if entry.is_dir() {
                // What is installed there is not ours.
                open.extend((name != "node_modules" && !name.starts_with('.')).then_some(entry));
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                files.push(entry);
            }
        }
    }
    files
}

fn ours() -> Vec<PathBuf> {
    rust_files(&["src", "agents", "crates", "demo", "tests", "benches"])
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("a readable file")
}

/// Files that hold a forbidden text, except those named.
fn holding(files: &[PathBuf], forbidden: &str, except: &[&str]) -> Vec<PathBuf> {
    let excused = |file: &Path| except.iter().any(|name| file.ends_with(name));
    files.iter().filter(|file| !excused(file) && text(file).contains(forbidden)).cloned().collect()
}

#[test]
fn files_stay_small() {
    let long: Vec<_> = ours().into_iter().filter(|file| text(file).lines().count() > LONGEST_FILE).collect();
    assert!(long.is_empty(), "over {LONGEST_FILE} lines: {long:?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = ours().into_iter().filter(|file| !text(file).starts_with("//!")).collect();
    assert!(silent.is_empty(), "no door text: {silent:?}");
}

#[test]
fn the_domain_is_synchronous_and_does_no_input_or_output() {
    let domain = rust_files(&["crates/domain/src"]);
    for forbidden in ["async fn", ".await", "std::fs", "std::net", "tokio::", "Timestamp::now", "Instant::now"] {
        assert_eq!(holding(&domain, forbidden, &[]), Vec::<PathBuf>::new(), "{forbidden}");
    }
}

#[test]
fn only_config_reads_the_environment() {
    let server = rust_files(&["src", "agents", "crates"]);
    for forbidden in ["env::var(", "env::vars("] {
        assert_eq!(holding(&server, forbidden, &["src/config.rs"]), Vec::<PathBuf>::new(), "{forbidden}");
    }
}

#[test]
fn only_the_crew_starts_tasks() {
    let server = rust_files(&["src", "agents", "crates/domain"]);
    let tests: Vec<&str> = vec!["src/crew.rs", "tests.rs"];
    assert_eq!(holding(&server, "tokio::spawn(", &tests), Vec::<PathBuf>::new());
}

/// Where backends are named.
fn in_parts(file: &Path) -> bool {
    file.components().any(|component| component.as_os_str() == "parts")
}

#[test]
fn only_the_app_names_backends() {
    let server: Vec<PathBuf> = rust_files(&["src"]).into_iter().filter(|file| !in_parts(file)).collect();
    assert_eq!(holding(&server, "sre_space_adapters", &["src/app/parts.rs"]), Vec::<PathBuf>::new());
}

#[test]
fn agents_do_not_know_adapters_nor_the_marketplace_us() {
    assert!(!text(&root().join("agents/Cargo.toml")).contains("sre-space-adapters"));
    assert!(!text(&root().join("crates/adapters/Cargo.toml")).contains("sre-space-agents"));
    assert!(!text(&root().join("demo/marketplace/Cargo.toml")).contains("sre-space"));
}

#[test]
fn only_effects_hold_the_writing_ports() {
    let server = rust_files(&["src"]);
    assert_eq!(holding(&server, "parts.changes", &["src/orchestrator/effects.rs"]), Vec::<PathBuf>::new());
    assert_eq!(holding(&server, "parts.memory", &["src/orchestrator/effects.rs"]), Vec::<PathBuf>::new());
}

#[test]
fn nothing_unfinished_and_nothing_of_one_machine() {
    let this = ["tests/it/tidy.rs"];
    for forbidden in ["todo!(", "unimplemented!(", "TODO", "FIXME", "#[ignore", "#[should_panic", "/root/"] {
        assert_eq!(holding(&ours(), forbidden, &this), Vec::<PathBuf>::new(), "{forbidden}");
    }
}
