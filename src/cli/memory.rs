//! `memory`: what was learned, searched, taken out, brought in, and given vectors of another kind.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use sre_space_domain::knowledge::{Lesson, Origin};
use sre_space_ports::store::StoreError;

use super::client::{Client, Output, Server};
use super::{GOOD, on_runtime};
use crate::app;
use crate::config::{Given, Settings};

/// Lessons that a search shows.
const MOST_FOUND: usize = 50;
/// A file to import is at most this long.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Arguments of `memory`.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The lessons nearest to a text, with their scores.
    Search {
        /// The text: a service, an operation, a kind of fault, what was seen.
        #[arg(required = true)]
        text: Vec<String>,
        /// How many.
        #[arg(short, default_value_t = 3)]
        k: usize,
        /// Ask the running server; without it the configured memory is opened.
        #[command(flatten)]
        server: Server,
    },
    /// Every lesson, one a line as JSON, oldest first.
    Export,
    /// Lessons of a file that `export` wrote. They are shown as evidence and not acted on: none of them was verified here.
    Import {
        /// The file.
        file: PathBuf,
    },
    /// Makes the vectors of every lesson anew, with the embedder that is configured now.
    Reembed,
}

/// Runs one.
pub fn run(args: Args, given: &Given) -> Result<u8> {
    let settings = given.settings()?;
    match args.what {
        What::Search { text, k, server } => {
            search(&text.join(" "), k.clamp(1, MOST_FOUND), (&server, given, &settings))
        }
        What::Export => on_runtime(async move {
            for lesson in app::memory(&settings).await?.all().await? {
                println!("{}", serde_json::to_string(&lesson)?);
            }
            Ok(GOOD)
        }),
        What::Import { file } => import(&file, settings),
        What::Reembed => on_runtime(async move {
            println!("{} lesson(s) have vectors of the configured kind", app::reembed(&settings).await?);
            Ok(GOOD)
        }),
    }
}

fn search(text: &str, k: usize, (server, given, settings): (&Server, &Given, &Settings)) -> Result<u8> {
    on_runtime(async move {
        let found = if server.is_named(given) {
            Client::new(server, given)?.get(&path(text, k)).await?
        } else {
            let memory = app::memory(settings).await.map_err(unless_taken)?;
            let found = memory.nearest(text, k).await?;
            found.iter().map(|found| json!({"score": found.score, "lesson": found.lesson})).collect()
        };
        match server.output {
            Output::Json => println!("{}", serde_json::to_string_pretty(&found)?),
            Output::Text => found.as_array().into_iter().flatten().for_each(|found| println!("{}", line(found))),
        }
        Ok(GOOD)
    })
}

/// An embedded memory belongs to the server that runs over it.
fn unless_taken(error: anyhow::Error) -> anyhow::Error {
    match matches!(error.downcast_ref(), Some(StoreError::Taken)) {
        true => error.context("ask the running server with --server URL"),
        false => error,
    }
}

/// Everything but letters and digits is escaped, so that no text is taken for a part of the URL.
fn path(text: &str, k: usize) -> String {
    let escaped = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    format!("/api/v1/memory/search?k={k}&q={}", text.bytes().map(escaped).collect::<String>())
}

fn line(found: &Value) -> String {
    let word = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    let signature = ["service", "operation", "kind"].map(|field| word(&format!("/lesson/signature/{field}")));
    let score = found["score"].as_f64().unwrap_or_default();
    let remedy = word("/lesson/remedy/remedy");
    format!("{score:.3}  {}  {}: {remedy}", word("/lesson/incident"), signature.join(" "))
}

fn import(file: &Path, settings: Settings) -> Result<u8> {
    let lessons = read(file)?;
    on_runtime(async move {
        let memory = app::memory(&settings).await?;
        for lesson in &lessons {
            memory.remember(lesson).await?;
        }
        println!("{} lesson(s) read; one whose incident is remembered already was left as it is", lessons.len());
        Ok(GOOD)
    })
}

/// The lessons of a file, without what vouches for them elsewhere.
fn read(file: &Path) -> Result<Vec<Lesson>> {
    let named = || format!("{}", file.display());
    let opened = std::fs::File::open(file).with_context(named)?;
    let mut text = String::new();
    let length = opened.take(MOST_BYTES + 1).read_to_string(&mut text).with_context(named)?;
    if length as u64 > MOST_BYTES {
        bail!("{}: more than {MOST_BYTES} bytes", file.display());
    }
    let lesson = |(number, line): (usize, &str)| {
        let lesson: Lesson =
            serde_json::from_str(line).with_context(|| format!("{}:{}", file.display(), number + 1))?;
        Ok(Lesson { origin: Origin::Imported, seal: None, ..lesson })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(lesson).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_cannot_break_out_of_its_question() {
        assert_eq!(path("a b&k=9", 3), "/api/v1/memory/search?k=3&q=a%20b%26k%3D9");
    }

    #[test]
    fn imported_lessons_are_vouched_for_by_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("lessons.jsonl");
        let seal = "ab".repeat(32);
        let lesson = json!({
            "incident": "inc_1", "at_ms": 7, "postmortem": "it broke", "seal": seal,
            "signature": {"service": "shop", "operation": "GET /", "kind": "bad-change", "facts": []},
            "remedy": {"remedy": "revert", "service": "shop", "commit": "ab"},
            "origin": {"verified": {"revision": null, "samples": 9, "statistic": -5.0, "threshold": -4.6}},
        });
        std::fs::write(&file, format!("{lesson}\n\n")).expect("written");
        let read_back = read(&file).expect("lessons");
        assert_eq!(
            read_back.iter().map(|lesson| (&lesson.origin, &lesson.seal)).collect::<Vec<_>>(),
            [(&Origin::Imported, &None)]
        );
        std::fs::write(&file, "{}").expect("written");
        assert!(format!("{:#}", read(&file).expect_err("no lesson")).contains("lessons.jsonl:1"));
    }
}
