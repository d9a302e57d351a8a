//! `analyze`: one look at what was measured, for a person, a schedule or another program.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;
use sre_space_coherence::event::moment;
use sre_space_coherence::report::Report;
use sre_space_ports::signals::{Past, PastIncident, Span, pages};
use sre_space_ports::store::StoreError;

use super::{GOOD, on_runtime};
use crate::app;
use crate::config::{Given, Settings};
use crate::signals::{self, Place, Seen, word};

/// Incidents that `--history` shows at most, the newest.
const MOST_SHOWN: usize = 10_000;

/// Arguments of `analyze`.
///
/// Three detectors (variance that escalates, spikes, trends) over every series, errors grouped into incidents, and what preceded
/// each of them within six hours. Nothing is written but the incidents found in tables, for `--history`.
#[derive(ClapArgs)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// File of events: JSON lines as `simulate --out` writes them, a JSON array, or CSV with a header (ts, host, metric, value).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from_store", "history"])]
    input: Option<PathBuf>,
    /// The tables `signal_events` and `metrics`; so without `--input` too.
    #[arg(long)]
    from_store: bool,
    /// Incidents that earlier looks at the tables found, instead of looking.
    #[arg(long)]
    history: bool,
    /// Only those of this host.
    #[arg(long, requires = "history")]
    host: Option<String>,
    /// How much of the tables, counted back from the newest row.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..=2_160))]
    hours: u16,
    /// Where the tables are.
    #[arg(long, value_enum, default_value_t = Place::Configured)]
    store: Place,
    /// How results are printed.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// The causal graph, for Graphviz.
    Dot,
}

/// Looks once and prints. What was found, however grave, is no failure of the look.
pub fn run(args: &Args, given: &Given) -> Result<u8> {
    if let Some(file) = &args.input {
        let read = signals::read(file)?;
        read.why.iter().for_each(|why| eprintln!("{}: {why}", file.display()));
        return print(&Report::of(&read.events, read.refused), args.output);
    }
    let settings = args.store.settings(given)?;
    if args.history {
        return on_runtime(history(args.host.clone(), args.output, settings));
    }
    on_runtime(stored(args.hours, args.output, settings))
}

/// What to do about it.
const TAKEN: &str = "a running server has these tables, and looks at them by itself every SRE_SPACE_LOOK_EVERY_S: stop it, or name \
                     a file with --input";

/// Tables in an embedded database belong to the server that runs over it.
pub(super) fn unless_taken(error: anyhow::Error, mend: &'static str) -> anyhow::Error {
    match matches!(error.downcast_ref(), Some(StoreError::Taken)) {
        true => error.context(mend),
        false => error,
    }
}

async fn stored(hours: u16, output: Output, settings: Settings) -> Result<u8> {
    let (store, at) = app::signals(&settings).await.map_err(|error| unless_taken(error, TAKEN))?;
    let Seen { events, since_ms } = signals::events(store.as_ref(), hours).await?;
    if events.is_empty() {
        eprintln!("there are no events in {at}: `sre-space simulate` writes some");
    }
    let report = Report::of(&events, 0);
    signals::remember(store.as_ref(), &report, since_ms).await?;
    print(&report, output)
}

fn print(report: &Report, output: Output) -> Result<u8> {
    match output {
        Output::Text => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(report)?),
        Output::Dot => print!("{}", report.graph.dot()),
    }
    Ok(GOOD)
}

async fn history(host: Option<String>, output: Output, settings: Settings) -> Result<u8> {
    let (store, _) = app::signals(&settings).await.map_err(|error| unless_taken(error, TAKEN))?;
    let ever = Span { since_ms: i64::MIN, until_ms: i64::MAX, offset: 0 };
    let read = pages(ever, MOST_SHOWN, |span| store.incidents(span, Past::Incidents)).await?;
    if !read.is_whole {
        eprintln!("these are the newest {MOST_SHOWN}; older ones are left out");
    }
    let mut past = read.rows;
    past.retain(|past| host.as_ref().is_none_or(|host| past.host == *host));
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&past)?),
        Output::Text | Output::Dot => past.iter().for_each(|past| println!("{}", line(past))),
    }
    Ok(GOOD)
}

fn line(past: &PastIncident) -> String {
    let (errors, minutes) = (&past.report["error_count"], &past.report["duration_minutes"]);
    let causes = past.report["hypotheses"].as_array().into_iter().flatten();
    let causes: Vec<String> =
        causes.map(|cause| format!("{} of {}", word(cause, "class"), word(cause, "metric"))).collect();
    format!("{}  {}  {errors} error(s), {minutes} min: {}", moment(past.at_ms), past.host, causes.join(", "))
}
