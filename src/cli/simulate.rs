//! `simulate`: a flight of two hosts, into a file or into the tables.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;
use jiff::Timestamp;
use sre_space_coherence::event::{SignalEvent, moment};
use sre_space_coherence::flight::{END_MS, Flight};

use super::analyze::unless_taken;
use super::{BAD, GOOD, on_runtime};
use crate::app;
use crate::config::{Given, Settings};
use crate::signals::{Place, keep};

/// Arguments of `simulate`.
///
/// Events of two hosts, `host-healthy` and `host-stressed`: cpu and memory every five minutes, and an hour of errors after three
/// quarters of the time (48 hours: 2,321 events, 13 of them errors). Equal seeds give equal events. They go into the table
/// `signal_events` in batches of 500, each in place of one of the same host, metric and moment: of the Supabase project where
/// SUPABASE_URL and SUPABASE_KEY are set, else of the database (DATABASE_URL, or journal.db in the data folder). With `--out` they
/// go into a file instead, one JSON object a line. `analyze` reads either; a running server calls nobody for them.
#[derive(ClapArgs)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Equal seeds give equal flights.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How long the flight is.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..=2_160))]
    hours: u16,
    /// When it ends (RFC 3339; default 2025-12-13T16:10:00Z).
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// File to write instead, `-` for standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    out: Option<PathBuf>,
    /// Where the tables are.
    #[arg(long, value_enum, default_value_t = Place::Configured)]
    store: Place,
    /// Prints the tables as Supabase wants them, for its SQL editor, and writes nothing.
    #[arg(long)]
    schema: bool,
}

/// Simulates and writes.
pub fn run(args: &Args, given: &Given) -> Result<u8> {
    if args.schema {
        print!("{}", app::SIGNAL_TABLES);
        return Ok(GOOD);
    }
    let end_ms = args.until.map_or(END_MS, Timestamp::as_millisecond);
    let flight = Flight { seed: args.seed, hours: args.hours, end_ms };
    let events = flight.events();
    match args.out.as_deref() {
        Some(file) if file == Path::new("-") => lines(&events, std::io::stdout().lock()).map(|()| GOOD),
        Some(file) => {
            let written = File::create(file).map_err(anyhow::Error::from).and_then(|file| lines(&events, file));
            written.with_context(|| format!("{}", file.display()))?;
            println!("{}: into {}", about(&flight, &events), file.display());
            Ok(GOOD)
        }
        None => on_runtime(store(flight, events, args.store.settings(given)?)),
    }
}

fn lines(events: &[SignalEvent], to: impl std::io::Write) -> Result<()> {
    let mut to = BufWriter::new(to);
    for event in events {
        serde_json::to_writer(&mut to, event)?;
        to.write_all(b"\n")?;
    }
    Ok(to.flush()?)
}

fn about(flight: &Flight, events: &[SignalEvent]) -> String {
    let at = |event: Option<&SignalEvent>| event.map_or_else(String::new, |event| moment(event.at_ms).to_string());
    let errors = events.iter().filter(|event| event.is_error()).count();
    let (from, until) = (at(events.first()), at(events.last()));
    format!("seed {}: {} events, {errors} of them errors, {from} to {until}", flight.seed, events.len())
}

/// What to do about it.
const TAKEN: &str = "a running server has these tables: stop it, or write into a file with --out";

async fn store(flight: Flight, events: Vec<SignalEvent>, settings: Settings) -> Result<u8> {
    let (store, at) = app::signals(&settings).await.map_err(|error| unless_taken(error, TAKEN))?;
    println!("{}", about(&flight, &events));
    let written = keep(store.as_ref(), &events, |kept| match &kept.failed {
        None => println!("batch {}: {} events", kept.batch, kept.events),
        Some(error) => eprintln!("batch {}: {} events were not written: {error}", kept.batch, kept.events),
    })
    .await;
    println!("{written} of {} events are in the table signal_events of {at}", events.len());
    Ok(if written == events.len() { GOOD } else { BAD })
}

#[cfg(test)]
mod tests {
    use sre_space_coherence::report::Report;

    use super::*;
    use crate::signals::read;

    #[test]
    fn what_is_written_is_what_is_read_and_equal_seeds_give_equal_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        let events = Flight::default().events();
        let written = |name: &str, events: &[SignalEvent]| {
            let path = dir.path().join(name);
            lines(events, File::create(&path).expect("a file")).expect("written");
            path
        };
        let (one, other) = (written("one", &events), written("other", &Flight::default().events()));
        assert_eq!(std::fs::read(&one).expect("bytes"), std::fs::read(&other).expect("bytes"));
        let read = read(&one).expect("read");
        assert_eq!((&read.events, read.refused), (&events, 0));
        assert_eq!(Report::of(&read.events, 0), Report::of(&events, 0));
    }
}
