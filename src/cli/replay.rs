//! `replay`: recorded OTLP through Scout and Brain.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args as ClapArgs;
use jiff::Timestamp;

use super::GOOD;
use super::client::Output;
use crate::config::Given;
use crate::replay::{Replayed, replay};

/// Arguments of `replay`.
#[derive(ClapArgs)]
pub struct Args {
    /// Files of recorded OTLP: JSON lines (`.jsonl`, `.json`) or length-delimited protobuf, also as `.gz` or `.zst`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// As fast as it can be read, or in the time it took.
    #[arg(long, value_enum, default_value_t = Rate::Max)]
    rate: Rate,
    /// How results are printed.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How fast a recording is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Rate {
    /// As fast as it can be read.
    Max,
    /// A second takes a second.
    #[value(name = "1x")]
    Live,
}

impl Rate {
    /// Waits until it is time for a moment of the recording, milliseconds since its start.
    fn pace(self) -> impl FnMut(i64) {
        let began = Instant::now();
        move |since_ms| {
            let due = began + Duration::from_millis(u64::try_from(since_ms).unwrap_or_default());
            if self == Self::Live {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
    }
}

/// Replays and prints what would have become an incident.
pub fn run(args: &Args, given: &Given) -> Result<u8> {
    let report = replay(&args.files, given.settings()?.latency_ms, &mut args.rate.pace())?;
    match args.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Text => {
            let (spans, seconds) = (report.spans, report.lasted_ms as f64 / 1_000.0);
            println!("{spans} spans over {seconds:.1} s, {} left out as malformed", report.rejected);
            report.incidents.iter().for_each(|incident| println!("{}", line(incident)));
            println!("{} incident(s)", report.incidents.len());
        }
    }
    Ok(GOOD)
}

fn line(incident: &Replayed) -> String {
    let at = Timestamp::from_millisecond(incident.confirmed_ms).map_or_else(|_| "?".to_owned(), |at| at.to_string());
    let signal = &incident.signal;
    let why = match (&incident.diagnosis, &incident.unclear) {
        (Some(found), _) => format!("{} (confidence {})", found.summary, found.confidence),
        (None, Some(why)) => why.clone(),
        (None, None) => "the recording ends before the cause can be told".to_owned(),
    };
    format!("{at}  {} {}: {why}", signal.service, signal.operation)
}
