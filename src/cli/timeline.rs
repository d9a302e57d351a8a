//! The unattended story: waits for a baseline, injects, waits for the end, prints what happened and when.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use sre_space_domain::incident::{Incident, State};
use sre_space_domain::journal::Entry;
use sre_space_ports::store::{Filter, Store};
use tokio::time::{Instant, interval};

use crate::orchestrator::Context;

/// Requests of the marketplace that make a baseline.
const BASELINE_REQUESTS: f64 = 300.0;
const LOOK: Duration = Duration::from_millis(250);

/// Waits until Scout has watched the marketplace serve quotes for a while and suspects nobody.
pub async fn baseline(context: &Context, service: &str, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        let now_ms = context.now_ms();
        let graph = { context.scout().graph(now_ms) };
        let node = graph.nodes.iter().find(|node| node.service == service);
        let calm = { context.scout().calm(service, now_ms) };
        if calm && node.is_some_and(|node| node.requests as f64 >= BASELINE_REQUESTS) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("no healthy baseline within {} s: see user-plane.log in the demo's folder", patience.as_secs());
        }
    }
}

/// Asks the marketplace itself to break.
pub async fn inject(web: &str, kind: &str) -> Result<Timestamp> {
    let url = format!("{web}/demo/inject-failure?type={kind}");
    let at = Timestamp::now();
    let answer = reqwest::Client::new().post(&url).send().await.context("the marketplace does not answer")?;
    if !answer.status().is_success() {
        bail!("the marketplace refused: {} {}", answer.status(), answer.text().await.unwrap_or_default());
    }
    Ok(at)
}

/// Follows incidents opened since `since`, printing each step; answers whether one was resolved in time.
pub async fn follow(store: &dyn Store, since: Timestamp, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    let mut look = interval(LOOK);
    let mut seen = 0;
    loop {
        look.tick().await;
        for entry in store.journal(seen, 1_000, None).await? {
            seen = entry.seq;
            if entry.row.at >= since {
                print_step(&entry, since)?;
            }
        }
        let records = store.incidents(Filter { limit: 20, ..Filter::default() }).await?;
        let ours = || records.iter().map(|record| &record.incident).filter(|incident| incident.opened_at >= since);
        if let Some(incident) = ours().find(|incident| incident.state == State::Resolved) {
            summarise(store, incident, since).await?;
            return Ok(true);
        }
        let with_person = |incident: &&Incident| matches!(incident.state, State::Escalated | State::AwaitingHuman);
        if let Some(incident) = ours().find(with_person) {
            stopped(incident);
            return Ok(false);
        }
        if Instant::now() > deadline {
            match ours().next() {
                Some(incident) => stopped(incident),
                None => println!("stopped: nothing was detected within {} s", patience.as_secs()),
            }
            return Ok(false);
        }
    }
}

fn stopped(incident: &Incident) {
    let why = incident.escalation.as_ref().map_or_else(|| "time is up".to_owned(), |call| call.detail.clone());
    println!("stopped in state {:?} of {}: {why}", incident.state, incident.id);
}

fn print_step(entry: &Entry, since: Timestamp) -> Result<()> {
    let seconds = entry.row.at.duration_since(since).as_secs_f64();
    let (agent, phase) = (format!("{:?}", entry.row.agent).to_lowercase(), format!("{:?}", entry.row.phase));
    println!("{seconds:7.2} s  {agent:<9} [{}] {}", phase.to_uppercase(), entry.row.text);
    std::io::stdout().flush()?;
    Ok(())
}

/// The steps of the story, by the journal's own words.
const MILESTONES: [(&str, &str); 8] = [
    ("detect", "suspect:"),
    ("confirm", "confirmed:"),
    ("decide", "ALLOW"),
    ("PR", "pull request #"),
    ("merge", "merged as"),
    ("deployed", "spans of the new revision"),
    ("recovered", "RECOVERED"),
    ("resolved", "resolved after"),
];

async fn summarise(store: &dyn Store, incident: &Incident, since: Timestamp) -> Result<()> {
    let entries = store.journal(0, 1_000, Some(&incident.id)).await?;
    println!("\n{} {} healed by {}", incident.id, incident.service, source(incident));
    for (name, words) in MILESTONES {
        if let Some(entry) = entries.iter().find(|entry| entry.row.text.starts_with(words)) {
            println!("  {name:<10} {:6.2} s", entry.row.at.duration_since(since).as_secs_f64());
        }
    }
    Ok(())
}

fn source(incident: &Incident) -> String {
    let source = incident.source.map(|source| serde_json::json!(source));
    let source = source.as_ref().and_then(|value| value.as_str()).unwrap_or("nobody").to_owned();
    match &incident.remedy {
        Some(remedy) => format!("{source} with {} {}", remedy.kind(), remedy.id()),
        None => source,
    }
}
