//! The unattended story: waits for a baseline, injects, waits for the end, prints what happened and when.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde::Deserialize;
use sre_space_domain::incident::{Incident, State};
use sre_space_domain::journal::{Agent, Draft, Entry};
use sre_space_ports::store::{Filter, Store};
use tokio::time::{Instant, interval};

use crate::orchestrator::Context;

/// Requests of the marketplace that make a baseline.
const BASELINE_REQUESTS: u64 = 300;
const LOOK: Duration = Duration::from_millis(250);

/// The marketplace at its own port.
pub struct Marketplace {
    web: String,
    client: reqwest::Client,
}

/// Answer of `/demo/resolve`: the merge that brought the owners' baseline back, where one was needed.
#[derive(Deserialize)]
struct Resolved {
    merged: Option<String>,
}

/// Answer of `/demo/faults`.
#[derive(Deserialize)]
struct Faults {
    active: Vec<String>,
}

impl Marketplace {
    /// The marketplace whose web server has this base URL.
    pub fn at(web: String) -> Self {
        Self { web, client: sre_space_tls::client() }
    }

    /// Waits until it answers, mends what an earlier story left, and waits until Scout has watched it serve quotes for a
    /// while and suspects nobody.
    pub async fn baseline(&self, context: &Context, service: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let mut look = interval(LOOK);
        let mut resolved = None;
        loop {
            look.tick().await;
            if resolved.is_none() {
                resolved = self.resolve().await.ok();
            } else if resolved.as_ref().is_some_and(|resolved| is_calm(context, service, resolved.merged.as_deref())) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("no healthy baseline within {} s: see user-plane.log in the demo's folder", patience.as_secs());
            }
        }
    }

    async fn resolve(&self) -> Result<Resolved> {
        let answer = self.client.post(format!("{}/demo/resolve", self.web)).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    /// Asks it to break; answers when.
    pub async fn inject(&self, kind: &str) -> Result<Timestamp> {
        let at = Timestamp::now();
        let request = self.client.post(format!("{}/demo/inject-failure?type={kind}", self.web));
        let answer = request.send().await.context("the marketplace does not answer")?;
        if !answer.status().is_success() {
            bail!("the marketplace refused: {} {}", answer.status(), answer.text().await.unwrap_or_default());
        }
        Ok(at)
    }

    /// Faults that are switched on.
    pub async fn faults(&self) -> Result<Vec<String>> {
        let answer = self.client.get(format!("{}/demo/faults", self.web)).send().await?;
        Ok(answer.json::<Faults>().await?.active)
    }
}

fn is_calm(context: &Context, service: &str, merged: Option<&str>) -> bool {
    let now_ms = context.now_ms();
    let scout = context.scout();
    let graph = scout.graph(now_ms);
    let served = graph.nodes.iter().any(|node| node.service == service && node.requests >= BASELINE_REQUESTS);
    let is_deployed = merged.is_none_or(|merged| graph.nodes.iter().any(|node| node.revision == merged));
    served
        && is_deployed
        && scout.calm(service, now_ms)
        && scout.knows_usual()
        && graph.nodes.iter().all(|node| node.state == "healthy")
}

/// Follows incidents opened since `since`, printing each step; answers the one that was resolved in time.
pub async fn follow(store: &dyn Store, since: Timestamp, patience: Duration) -> Result<Option<Incident>> {
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
            return Ok(Some(incident.clone()));
        }
        let with_person = |incident: &&Incident| matches!(incident.state, State::Escalated | State::AwaitingHuman);
        if let Some(incident) = ours().find(with_person) {
            stopped(incident);
            return Ok(None);
        }
        if Instant::now() > deadline {
            match ours().next() {
                Some(incident) => stopped(incident),
                None => println!("stopped: nothing was detected within {} s", patience.as_secs()),
            }
            return Ok(None);
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

/// Whether a row of the journal completed a step.
type Completes = fn(&Draft) -> bool;

/// The steps of the story.
const MILESTONES: [(&str, Completes); 9] = [
    ("detect", |row| row.state == Some(State::Detected)),
    ("confirm", |row| row.state == Some(State::Matching)),
    ("diagnose", |row| row.data.get("diagnosis").is_some()),
    ("decide", |row| row.agent == Agent::Guardrail),
    ("PR", |row| row.agent == Agent::Fixer && row.data.get("pr").is_some()),
    ("merge", |row| row.state == Some(State::Deploying)),
    ("deployed", |row| row.state == Some(State::Verifying)),
    ("recovered", |row| row.state == Some(State::Learning)),
    ("resolved", |row| row.state == Some(State::Resolved)),
];

async fn summarise(store: &dyn Store, incident: &Incident, since: Timestamp) -> Result<()> {
    println!("\n{} {} healed by {}", incident.id, incident.service, source(incident));
    for (name, seconds) in milestones(store, incident, since).await? {
        println!("  {name:<10} {seconds:6.2} s");
    }
    Ok(())
}

/// The steps an incident has come through, with the seconds after a moment at which it did.
pub async fn milestones(store: &dyn Store, incident: &Incident, since: Timestamp) -> Result<Vec<(&'static str, f64)>> {
    let entries = store.journal(0, 1_000, Some(&incident.id)).await?;
    let reached = |(name, completes): (&'static str, Completes)| {
        let entry = entries.iter().find(|entry| completes(&entry.row))?;
        Some((name, entry.row.at.duration_since(since).as_secs_f64()))
    };
    Ok(MILESTONES.into_iter().filter_map(reached).collect())
}

/// Who named the remedy that held, and which it was.
pub fn source(incident: &Incident) -> String {
    let source = incident.source.map(|source| serde_json::json!(source));
    let source = source.as_ref().and_then(|value| value.as_str()).unwrap_or("nobody").to_owned();
    match &incident.remedy {
        Some(remedy) => format!("{source} with {} {}", remedy.kind(), remedy.id()),
        None => source,
    }
}
