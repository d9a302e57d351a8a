//! `chaos`: breaks the marketplace on purpose and keeps the score of what healed it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sre_space_domain::incident::Incident;
use tokio::time::{Instant, interval};

use super::client::{Client, Output, Server};
use super::demo::{BASELINE_PATIENCE, Demo, TYPES};
use super::timeline::{self, Marketplace};
use super::{BAD, GOOD, on_runtime};
use crate::config::Given;
use crate::orchestrator::Context;

/// How often a running server is asked how far it has come.
const LOOK: Duration = Duration::from_millis(500);
/// States in which nothing more happens by itself.
const STOPPED: [&str; 2] = ["escalated", "awaiting_human"];

/// Arguments of `chaos`.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Breaks the marketplace of a running demo.
    Inject(Injection),
    /// Runs a demo of its own through a suite of faults, one after another, and prints what healed each and when.
    Run(Suite),
}

#[derive(ClapArgs)]
struct Injection {
    /// What breaks.
    #[arg(value_name = "TYPE", value_parser = TYPES)]
    kind: String,
    /// Wait until recovery is verified and the lesson stored, and exit 0; exit 1 otherwise.
    #[arg(long)]
    until_healed: bool,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECS", default_value_t = 180)]
    timeout: u64,
    #[command(flatten)]
    server: Server,
}

#[derive(ClapArgs)]
struct Suite {
    /// YAML or JSON: `faults: [memory, retry-storm]` and, if need be, `timeout_s: 120` (default: every fault there is).
    #[arg(long, value_name = "FILE")]
    suite: Option<PathBuf>,
    /// Folder of the demo.
    #[arg(long, value_name = "DIR", default_value = ".sre-space/chaos")]
    dir: PathBuf,
    /// Quotes asked for per second.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 60.0)]
    load: f64,
    /// How the score is printed.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What a suite's file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    faults: Vec<String>,
    #[serde(default = "usual_timeout")]
    timeout_s: u64,
}

fn usual_timeout() -> u64 {
    180
}

/// What is wrong when a fault is injected, in a diagnosis' words; an incident that found another cause healed something else.
fn cause(fault: &str) -> &'static str {
    match fault {
        "500" => "pool-exhausted",
        "latency" => "slow-query",
        "dependency" => "dependency-timeout",
        "memory" => "memory-leak",
        "bad-deploy" => "bad-change",
        "retry-storm" => "retry-storm",
        _ => "unknown",
    }
}

/// How one fault went.
#[derive(Debug, Serialize)]
struct Score {
    fault: String,
    /// Recovery was proven, and the cause that was told is the one that was injected.
    is_healed: bool,
    /// What went otherwise.
    why: Option<String>,
    /// What Scout saw first.
    signal: Option<Value>,
    diagnosis: Option<String>,
    confidence: Option<f64>,
    healed_by: Option<String>,
    /// Seconds after the injection.
    seconds: Vec<(&'static str, f64)>,
}

/// Breaks what it is told to.
pub fn run(args: Args, given: Given) -> Result<u8> {
    match args.what {
        What::Inject(injection) => {
            let client = Client::new(&injection.server, &given)?;
            on_runtime(async move { inject(&client, &injection).await })
        }
        What::Run(suite) => {
            if !(1.0..=1_000.0).contains(&suite.load) {
                bail!("--load {} is refused: 1 to 1000 quotes per second", suite.load);
            }
            on_runtime(run_suite(suite, given))
        }
    }
}

async fn inject(client: &Client, injection: &Injection) -> Result<u8> {
    let since = Timestamp::now();
    let path = format!("/demo/inject-failure?type={}", injection.kind);
    client.send(Method::POST, &path, &json!({})).await?;
    println!("injected {}", injection.kind);
    if !injection.until_healed {
        return Ok(GOOD);
    }
    let (began, mut look) = (Instant::now(), interval(LOOK));
    let mut told = String::new();
    while began.elapsed() < Duration::from_secs(injection.timeout) {
        look.tick().await;
        let listed = client.get("/api/v1/incidents?limit=20").await?;
        let Some(incident) = ours(&listed, since) else { continue };
        let state = incident["state"].as_str().unwrap_or_default();
        if state != told {
            println!(
                "{:7.2} s  {} {state}",
                began.elapsed().as_secs_f64(),
                incident["id"].as_str().unwrap_or_default()
            );
            state.clone_into(&mut told);
        }
        if state == "resolved" {
            return Ok(GOOD);
        }
        if STOPPED.contains(&state) {
            return Ok(BAD);
        }
    }
    println!("stopped: time is up");
    Ok(BAD)
}

/// The oldest incident since a moment that was more than a suspicion.
fn ours(listed: &Value, since: Timestamp) -> Option<&Value> {
    let opened = |incident: &&Value| {
        let at = incident["opened_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        at.is_some_and(|at| at >= since) && incident["state"] != "suppressed"
    };
    listed.as_array()?.iter().rev().find(opened)
}

async fn run_suite(suite: Suite, given: Given) -> Result<u8> {
    let plan = plan(&suite)?;
    let demo = Demo::open(given, &suite.dir, None, suite.load).await?;
    demo.run(async |context, marketplace| {
        let mut scores = Vec::new();
        for fault in &plan.faults {
            scores.push(play(&context, &marketplace, fault, Duration::from_secs(plan.timeout_s)).await);
        }
        print(&scores, suite.output)?;
        Ok(if scores.iter().all(|score| score.is_healed) { GOOD } else { BAD })
    })
    .await
}

fn plan(suite: &Suite) -> Result<Plan> {
    let Some(file) = &suite.suite else {
        return Ok(Plan { faults: TYPES.map(str::to_owned).to_vec(), timeout_s: usual_timeout() });
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let plan: Plan = serde_saphyr::from_str(&text).with_context(|| format!("{} is no suite", file.display()))?;
    if let Some(unknown) = plan.faults.iter().find(|fault| !TYPES.contains(&fault.as_str())) {
        bail!("{unknown:?} is no fault type: one of {}", TYPES.join(", "));
    }
    Ok(plan)
}

/// One fault. What goes wrong around it costs this fault's score and no other's.
async fn play(context: &Context, marketplace: &Marketplace, fault: &str, patience: Duration) -> Score {
    let played = async {
        marketplace.baseline(context, "marketplace-web", BASELINE_PATIENCE).await?;
        let since = marketplace.inject(fault).await?;
        println!("\ninjected {fault}");
        let store = context.parts.store.as_ref();
        let healed = timeline::follow(store, since, patience).await?;
        let seconds = match &healed {
            Some(incident) => timeline::milestones(store, incident, since).await?,
            None => Vec::new(),
        };
        anyhow::Ok(Score::of(fault, healed.as_ref(), seconds))
    };
    played.await.unwrap_or_else(|error| Score { why: Some(format!("{error:#}")), ..Score::of(fault, None, Vec::new()) })
}

impl Score {
    fn of(fault: &str, healed: Option<&Incident>, seconds: Vec<(&'static str, f64)>) -> Self {
        let found = healed.and_then(|incident| incident.diagnosis.as_ref());
        let told = found.map(|found| found.kind.as_str());
        let why = match told {
            None => Some("nothing was proven to be healed in time".to_owned()),
            Some(told) if told != cause(fault) => Some(format!("the cause told is {told}")),
            Some(_) => None,
        };
        Self {
            fault: fault.to_owned(),
            is_healed: why.is_none(),
            why,
            signal: healed.map(|incident| json!(incident.signal.kind)),
            diagnosis: told.map(str::to_owned),
            confidence: found.map(|found| found.confidence.get()),
            healed_by: healed.map(timeline::source),
            seconds,
        }
    }

    fn line(&self) -> String {
        let at = |name: &str| {
            let seconds = self.seconds.iter().find(|(milestone, _)| *milestone == name);
            seconds.map_or("-".to_owned(), |(_, seconds)| format!("{seconds:.1}"))
        };
        let signal = self.signal.as_ref().and_then(Value::as_str).unwrap_or("-");
        format!(
            "{:<12} {:<7} {:<14} {:<19} {:>8} {:>8} {:>8} {:>9} {:>8}  {}",
            self.fault,
            if self.is_healed { "healed" } else { "not" },
            signal,
            self.diagnosis.as_deref().unwrap_or("-"),
            at("detect"),
            at("diagnose"),
            at("merge"),
            at("recovered"),
            at("resolved"),
            self.healed_by.as_deref().unwrap_or("-"),
        )
    }
}

fn print(scores: &[Score], output: Output) -> Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(scores)?);
        return Ok(());
    }
    println!(
        "\n{:<12} {:<7} {:<14} {:<19} {:>8} {:>8} {:>8} {:>9} {:>8}  by",
        "fault", "", "signal", "diagnosis", "detect", "diagnose", "merge", "recovered", "resolved"
    );
    scores.iter().for_each(|score| println!("{}", score.line()));
    for (fault, why) in scores.iter().filter_map(|score| Some((&score.fault, score.why.as_ref()?))) {
        println!("{fault}: {why}");
    }
    let healed = scores.iter().filter(|score| score.is_healed).count();
    println!("{healed} of {} healed; times in seconds after the injection", scores.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_incident_of_an_injection_is_the_first_since_then_that_was_more_than_a_suspicion() {
        let listed = json!([
            {"id": "c", "opened_at": "2026-01-01T00:00:30Z", "state": "detected"},
            {"id": "b", "opened_at": "2026-01-01T00:00:20Z", "state": "resolved"},
            {"id": "s", "opened_at": "2026-01-01T00:00:15Z", "state": "suppressed"},
            {"id": "a", "opened_at": "2026-01-01T00:00:00Z", "state": "resolved"}
        ]);
        let since = "2026-01-01T00:00:10Z".parse().expect("a time");
        assert_eq!(ours(&listed, since).map(|incident| &incident["id"]), Some(&json!("b")));
        assert_eq!(ours(&json!([]), since), None);
    }

    #[test]
    fn every_fault_has_a_cause_that_a_diagnosis_can_name() {
        for fault in TYPES {
            let named: Result<sre_space_domain::diagnosis::FaultKind, _> = serde_json::from_value(json!(cause(fault)));
            assert!(named.is_ok_and(|kind| kind != sre_space_domain::diagnosis::FaultKind::Unknown), "{fault}");
        }
        assert!(!Score::of("500", None, Vec::new()).is_healed);
    }

    #[test]
    fn a_suite_names_faults_that_there_are() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let told = |text: &str| {
            let file = dir.path().join("suite.yaml");
            std::fs::write(&file, text).expect("a file");
            let (load, output) = (60.0, Output::Text);
            plan(&Suite { suite: Some(file), dir: PathBuf::new(), load, output }).map(|plan| plan.faults)
        };
        assert_eq!(told("faults: [memory, retry-storm]").expect("a suite"), ["memory", "retry-storm"]);
        assert!(told("faults: [gremlins]").is_err_and(|error| error.to_string().contains("retry-storm")));
        assert!(told("fault: [memory]").is_err());
    }
}
