//! `sentinel`: the Variance Sentinel over one source, in the terminal, or as lines where there is none. It reads, and has nothing to
//! write with.

mod feed;
mod lines;
mod rows;
mod screen;
mod view;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use serde::Serialize;
use sre_space_coherence::sentinel::{Condition, Judge, Report, Sentinel, Status, WARM_UP, advanced};

use self::feed::Feed;
use super::client::Output;
use super::{GOOD, on_runtime};
use crate::app::watched;
use crate::config::{self, Given, SourceName};

/// Arguments of `sentinel`.
#[derive(ClapArgs)]
pub struct Args {
    /// Where samples come from.
    #[arg(long, value_enum, default_value_t = Origin::Sim)]
    source: Origin,
    /// The file of `--source csv`.
    #[arg(long, value_name = "FILE", required_if_eq("source", "csv"))]
    input: Option<PathBuf>,
    /// One report, as soon as there are samples enough for one.
    #[arg(long, conflicts_with = "ticks")]
    once: bool,
    /// End after so many looks.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    ticks: Option<u64>,
    /// Seed of the simulated host.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Which host, where the source tells of several (default: the one it tells most of).
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// How reports are printed.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Origin {
    /// A simulated host on which four things go wrong, seeded.
    Sim,
    /// This host.
    Live,
    /// Datadog.
    Datadog,
    /// Prometheus.
    Prometheus,
    /// OTLP metrics.
    Otlp,
    /// A file of `timestamp,value`, each row judged by the anomaly detector.
    Csv,
    /// Darshan's summaries.
    Darshan,
    /// CloudWatch.
    Cloudwatch,
    /// New Relic.
    Newrelic,
}

impl Origin {
    /// The source that is polled; nothing where none is.
    fn polled(self) -> Option<SourceName> {
        match self {
            Self::Sim | Self::Csv => None,
            Self::Live => Some(SourceName::Live),
            Self::Datadog => Some(SourceName::Datadog),
            Self::Prometheus => Some(SourceName::Prometheus),
            Self::Otlp => Some(SourceName::Otlp),
            Self::Darshan => Some(SourceName::Darshan),
            Self::Cloudwatch => Some(SourceName::Cloudwatch),
            Self::Newrelic => Some(SourceName::Newrelic),
        }
    }
}

/// A report, with where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Look {
    source: &'static str,
    #[serde(flatten)]
    report: Report,
    /// Why the source told nothing at this look, where it failed.
    trouble: Option<String>,
}

/// The Sentinel and what it is fed with.
struct Watch {
    feed: Feed,
    sentinel: Sentinel,
    has_advanced: bool,
}

impl Watch {
    fn new(feed: Feed, settings: &config::Sentinel) -> Self {
        let judge = settings.advanced.then_some(advanced::judge as Judge);
        let sentinel = Sentinel::new(feed.host(), settings.limits, judge);
        Self { feed, sentinel, has_advanced: settings.advanced }
    }

    /// The next look. What a source refuses at once is an error; what it fails with later is told as trouble.
    async fn look(&mut self) -> Result<Look> {
        let tick = self.feed.next().await?;
        self.sentinel.set_host(self.feed.host());
        let report = self.sentinel.observe(tick.now_ms, &tick.told);
        Ok(Look { source: self.feed.source(), report, trouble: tick.trouble })
    }

    /// Looks until there is something to say, at most until the warm-up is over.
    async fn once(&mut self, poll: Duration) -> Result<Look> {
        let mut look = self.look().await?;
        for _ in 0..WARM_UP {
            if let Some(trouble) = look.trouble {
                bail!("{trouble}");
            }
            if !is_warming_up(&look.report) {
                break;
            }
            if !self.feed.is_simulated() {
                tokio::time::sleep(poll).await;
            }
            look = self.look().await?;
        }
        Ok(look)
    }

    fn turn_advanced(&mut self) {
        self.has_advanced = !self.has_advanced;
        self.sentinel.set_advanced(self.has_advanced.then_some(advanced::judge as Judge));
    }
}

fn is_warming_up(report: &Report) -> bool {
    report.status == Status::NoData || report.sensors.iter().any(|sense| sense.condition == Condition::Warmup)
}

/// Watches until interrupted, or for as long as was asked.
pub fn run(args: Args, given: &Given) -> Result<u8> {
    let settings = given.settings()?;
    if let (Origin::Csv, Some(input)) = (args.source, &args.input) {
        return rows::run(input, args.ticks, args.output);
    }
    on_runtime(async move {
        let feed = match args.source.polled() {
            None => Feed::simulated(args.seed),
            Some(name) => Feed::polled(watched(name, &settings).await?, args.host, settings.sentinel.limits.window_ms),
        };
        let mut watch = Watch::new(feed, &settings.sentinel);
        let poll = args.source.polled().map_or(settings.sentinel.poll, |name| name.pace(settings.sentinel.poll));
        if args.once {
            let look = watch.once(poll).await?;
            lines::print(&look, args.output)?;
            return Ok(GOOD);
        }
        if args.output == Output::Text && std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
            return screen::watch(watch, poll, args.ticks).await;
        }
        // A simulation that ends need not be waited for.
        let pace = if watch.feed.is_simulated() && args.ticks.is_some() { Duration::ZERO } else { poll };
        lines::watch(watch, pace, (args.ticks, args.output)).await
    })
}

#[cfg(test)]
mod tests;
