//! The Sentinel as lines: where there is no terminal, and for programs.

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use sre_space_coherence::sentinel::{Chain, Mode, Report, Sensor, Status};
use tokio::time::MissedTickBehavior;
use tracing::warn;

use super::{Look, Watch};
use crate::cli::client::Output;
use crate::cli::{GOOD, interrupted};

/// Prints a line a look until interrupted, until so many were printed, or until nobody reads them.
pub async fn watch(mut watch: Watch, pace: Duration, (ticks, output): (Option<u64>, Output)) -> Result<u8> {
    let mut due = tokio::time::interval(pace.max(Duration::from_nanos(1)));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    let mut tally = Tally::default();
    while ticks.is_none_or(|ticks| tally.looks < ticks) {
        if !pace.is_zero() {
            tokio::select! {
                _ = due.tick() => {}
                () = &mut interrupted => break,
            }
        }
        let look = watch.look().await?;
        tally.note(&look);
        if !print(&look, output)? {
            return Ok(GOOD);
        }
    }
    if output == Output::Text {
        write(&tally.summary())?;
    }
    Ok(GOOD)
}

/// Prints a look; answers whether anybody reads it.
pub fn print(look: &Look, output: Output) -> Result<bool> {
    match output {
        Output::Json => write(&serde_json::to_string(look)?),
        Output::Text => write(&line(look)),
    }
}

fn write(line: &str) -> Result<bool> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A look as one line.
pub fn line(look: &Look) -> String {
    let report = &look.report;
    let at = clock(report.at);
    let load = report.load.map_or_else(
        || "load ?".to_owned(),
        |load| {
            format!(
                "load {:5.1} % mean {:5.1} var {:7.1} sigma {:4.1}",
                load.newest, load.mean, load.variance, load.sigma
            )
        },
    );
    let trouble = look.trouble.as_ref().map_or_else(String::new, |trouble| format!(" Source: {trouble}."));
    let (advice, flags, said) = (advice(report), flags(report), &report.narrative);
    format!("{at} {:<7} {load}  {}  {advice}{flags} {said}{trouble}", report.status.to_string(), measures(report))
}

fn measures(report: &Report) -> String {
    let value = |sensor: Sensor| report.sensors[sensor as usize].value;
    let velocity = value(Sensor::Fever).map_or_else(|| "?".to_owned(), |value| format!("{value:+.0}"));
    let ratio = value(Sensor::AutoImmune).map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"));
    format!("memory {velocity:>5} MB/s  out/in {ratio:>5}")
}

/// What is advised, in order of priority; `-` for nothing.
pub fn advice(report: &Report) -> String {
    let advice: Vec<String> = report.vetoes.iter().map(|veto| format!("{}/{}", veto.domain, veto.action)).collect();
    if advice.is_empty() { "-".to_owned() } else { advice.join(" ") }
}

/// ` [FLAG …]`, or nothing.
pub fn flags(report: &Report) -> String {
    let flags: Vec<String> = report.flags.iter().map(ToString::to_string).collect();
    if flags.is_empty() { String::new() } else { format!(" [{}]", flags.join(" ")) }
}

/// The time of day, UTC.
pub fn clock(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "??:??:??".to_owned(), |at| at.strftime("%H:%M:%S").to_string())
}

/// What a run came to. It also logs what a line alone would hide: a mode or a trouble that changed.
#[derive(Debug, Default)]
pub struct Tally {
    /// Looks so far.
    pub looks: u64,
    vetoed: u64,
    stale: u64,
    worst: Option<Chain>,
    mode: Option<Mode>,
    trouble: Option<String>,
}

impl Tally {
    /// Takes a look in.
    pub fn note(&mut self, look: &Look) {
        let report = &look.report;
        self.looks += 1;
        self.vetoed += u64::from(report.status == Status::Veto);
        self.stale += u64::from(report.status == Status::Stale);
        let risk = |chain: &Option<Chain>| chain.as_ref().map_or(0.0, |chain| chain.risk);
        if risk(&report.chain) >= risk(&self.worst) {
            self.worst = report.chain.clone().or(self.worst.take());
        }
        self.log(look);
    }

    fn log(&mut self, look: &Look) {
        let report = &look.report;
        let is_settled = !matches!(report.status, Status::Warmup | Status::NoData | Status::Stale);
        if is_settled && self.mode.as_ref() != Some(&report.mode) {
            match &report.mode {
                Mode::Basic { cause } => {
                    warn!(host = report.host, cause, "the Sentinel goes on with basic physics alone")
                }
                Mode::Advanced => {}
            }
            self.mode = Some(report.mode.clone());
        }
        if self.trouble != look.trouble {
            if let Some(trouble) = &look.trouble {
                warn!(source = look.source, trouble, "the source told nothing");
            }
            self.trouble.clone_from(&look.trouble);
        }
    }

    /// The run in a sentence or two, with the incident it saw.
    pub fn summary(&self) -> String {
        let Self { looks, vetoed, stale, .. } = self;
        let seen = format!("{looks} looks: vetoed at {vetoed}, stale at {stale}.");
        let Some(chain) = &self.worst else { return format!("{seen} No incident.") };
        let kinds: Vec<String> = chain.kinds.iter().map(ToString::to_string).collect();
        let (signals, lasted_s, risk) = (chain.signals, chain.lasted_s, chain.risk);
        let since = clock(chain.since);
        format!(
            "{seen} Incident since {since}: {signals} signals in {lasted_s:.0} s ({}), risk {risk:.2}.",
            kinds.join(", ")
        )
    }
}
