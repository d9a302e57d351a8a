//! `incidents`, `approve`, `reject`, `autonomy`: a person at a running server.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, Output, Server};
use super::{BAD, GOOD, on_runtime};
use crate::config::Given;

/// Arguments of `incidents`.
#[derive(ClapArgs)]
pub struct Incidents {
    #[command(subcommand)]
    what: Look,
    #[command(flatten)]
    server: Server,
}

#[derive(Subcommand)]
enum Look {
    /// The newest incidents, a line each.
    Ls {
        /// Only this state.
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// The proof its pull request carries, for `sre-space verify-proof`.
    Proof {
        /// The incident's id.
        id: String,
    },
    /// One incident with its journal.
    Show {
        /// The incident's id.
        id: String,
    },
}

/// Arguments of `approve` and `reject`.
#[derive(ClapArgs)]
pub struct Decide {
    /// The incident's id.
    id: String,
    /// Digest of the proposal that was looked at; without it the diff is shown and asked about.
    #[arg(long)]
    digest: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// Arguments of `autonomy`.
#[derive(ClapArgs)]
pub struct Switch {
    /// Switch writing to repositories on or off, or tell how it stands.
    #[arg(value_enum)]
    to: Position,
    #[command(flatten)]
    server: Server,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Position {
    On,
    Off,
    Status,
}

/// Lists or shows incidents.
pub fn incidents(args: Incidents, given: &Given) -> Result<u8> {
    let client = Client::new(&args.server, given)?;
    let output = args.server.output;
    on_runtime(async move {
        match args.what {
            Look::Ls { state, limit } => {
                let state = state.map(|state| format!("&state={state}")).unwrap_or_default();
                let listed = client.get(&format!("/api/v1/incidents?limit={limit}{state}")).await?;
                print(output, &listed, |listed| listed.as_array().into_iter().flatten().map(line).collect());
            }
            Look::Proof { id } => {
                let proof = client.get(&format!("/api/v1/incidents/{id}/proof")).await?;
                println!("{}", serde_json::to_string_pretty(&proof)?);
            }
            Look::Show { id } => {
                let incident = client.get(&format!("/api/v1/incidents/{id}")).await?;
                let events = client.get(&format!("/api/v1/incidents/{id}/events")).await?;
                print(output, &json!({"incident": incident, "events": events}), story);
            }
        }
        Ok(GOOD)
    })
}

/// Approves or rejects what waits for a person.
pub fn decide(word: &'static str, args: Decide, given: &Given) -> Result<u8> {
    let client = Client::new(&args.server, given)?;
    on_runtime(async move {
        let digest = match args.digest {
            Some(digest) => digest,
            None => {
                let incident = client.get(&format!("/api/v1/incidents/{}", args.id)).await?;
                match asked(word, &incident)? {
                    Some(digest) => digest,
                    None => return Ok(BAD),
                }
            }
        };
        let path = format!("/api/v1/incidents/{}/{word}", args.id);
        let incident = client.send(Method::POST, &path, &json!({"digest": digest})).await?;
        print(args.server.output, &incident, |incident| vec![line(incident)]);
        Ok(GOOD)
    })
}

/// Turns or reads the kill switch.
pub fn autonomy(args: Switch, given: &Given) -> Result<u8> {
    let client = Client::new(&args.server, given)?;
    on_runtime(async move {
        let path = "/api/v1/autonomy";
        let status = match args.to {
            Position::Status => client.get(path).await?,
            Position::On => client.send(Method::PUT, path, &json!({"enabled": true})).await?,
            Position::Off => client.send(Method::PUT, path, &json!({"enabled": false})).await?,
        };
        let word = if status["enabled"] == true { "on" } else { "off" };
        print(args.server.output, &status, |status| vec![format!("autonomy is {word}: {}", text(status, "/why"))]);
        Ok(GOOD)
    })
}

/// Shows the change and asks; `None` when the answer is no.
fn asked(word: &str, incident: &Value) -> Result<Option<String>> {
    let digest = text(incident, "/proposal/digest");
    if digest.is_empty() {
        bail!("{} proposes no change: there is nothing to {word}", text(incident, "/id"));
    }
    println!("{}\n\n{}\n{}", line(incident), text(incident, "/proposal/diff"), text(incident, "/escalation/detail"));
    if !std::io::stdin().is_terminal() {
        bail!("not asked for want of a terminal: --digest {digest} says that this very change was looked at");
    }
    print!("{word} this change? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes").then(|| digest.to_owned()))
}

fn print(output: Output, value: &Value, lines: impl Fn(&Value) -> Vec<String>) {
    match output {
        Output::Json => println!("{value:#}"),
        Output::Text => lines(value).iter().for_each(|line| println!("{line}")),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn line(incident: &Value) -> String {
    let part = |pointer| text(incident, pointer);
    format!(
        "{}  {:<14}  {}  {} {}  {}",
        part("/id"),
        part("/state"),
        part("/opened_at"),
        part("/service"),
        part("/operation"),
        part("/diagnosis/kind")
    )
}

fn story(shown: &Value) -> Vec<String> {
    let incident = &shown["incident"];
    let row = |row: &Value| {
        format!("{}  {:<9}  [{}] {}", text(row, "/at"), text(row, "/agent"), text(row, "/phase"), text(row, "/text"))
    };
    let rows = shown["events"].as_array().into_iter().flatten().map(row);
    let diff = text(incident, "/proposal/diff");
    let diff = (!diff.is_empty()).then(|| format!("\ndigest {}\n{diff}", text(incident, "/proposal/digest")));
    std::iter::once(line(incident)).chain(rows).chain(diff).collect()
}
