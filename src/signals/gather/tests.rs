//! Sources that are away, late, refuse a name, or tell too much.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sre_space_ports::doubles::signals::MemorySignals;
use sre_space_ports::signals::{SignalStore, Span};
use sre_space_ports::source::Told;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const NOW_MS: i64 = 100 * HOUR_MS;

/// A source by what it answers; it remembers what it was asked.
struct Scripted {
    answer: fn(&Wanted) -> Result<Vec<i64>, SourceError>,
    asked: Mutex<Vec<Wanted>>,
}

fn scripted(answer: fn(&Wanted) -> Result<Vec<i64>, SourceError>) -> Arc<Scripted> {
    Arc::new(Scripted { answer, asked: Mutex::default() })
}

impl Scripted {
    /// What it was asked since the last time: metric, and the hours before now.
    fn asked(&self) -> Vec<(String, f64, f64)> {
        let hours = |at_ms: i64| (NOW_MS - at_ms) as f64 / HOUR_MS as f64;
        let asked = std::mem::take(&mut *self.asked.lock().expect("no panic"));
        asked.iter().map(|one| (one.metrics.join(","), hours(one.since_ms), hours(one.until_ms))).collect()
    }
}

#[async_trait]
impl Source for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        self.asked.lock().expect("no panic").push(wanted.clone());
        let metric = wanted.metrics.first().map_or("cpu", String::as_str);
        let reading = |at_ms| Reading { host: "a".into(), metric: metric.into(), at_ms, value: 1.0 };
        let readings = (self.answer)(wanted)?.into_iter().map(reading).collect();
        Ok(Told { readings, ..Told::default() })
    }
}

fn away(_: &Wanted) -> Result<Vec<i64>, SourceError> {
    Err(SourceError::Unreachable { name: "scripted", why: "away".into() })
}

fn patrol(store: Arc<MemorySignals>, sources: &[&Arc<Scripted>], metrics: &[&str]) -> Patrol {
    Patrol {
        store,
        journal: None,
        sources: sources.iter().map(|source| Arc::clone(source) as Arc<dyn Source>).collect(),
        metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
        levels: Arc::default(),
        channels: vec![],
        monitor: String::new(),
        every: Duration::from_secs(900),
    }
}

async fn kept(store: &MemorySignals) -> BTreeSet<(String, i64)> {
    let span = Span { since_ms: 0, until_ms: i64::MAX, offset: 0 };
    let read = store.metrics(span).await.expect("read");
    read.into_iter().map(|reading| (reading.metric, reading.at_ms)).collect()
}

#[tokio::test]
async fn a_source_that_is_away_keeps_no_other_from_being_read_and_is_asked_for_all_of_it_later() {
    let (gone, there) = (scripted(away), scripted(|wanted| Ok(vec![wanted.since_ms])));
    let patrol = patrol(Arc::default(), &[&gone, &there], &["load"]);
    let mut cursors = Cursors::default();
    patrol.gather(&mut cursors, NOW_MS).await;
    assert_eq!(gone.asked(), [(String::new(), 48.25, 36.0)], "and no second question");
    let pieces = [(48.25, 36.0), (36.25, 24.0), (24.25, 12.0), (12.25, 0.0)];
    let of = |metric: &str| pieces.map(|(since, until)| (metric.to_owned(), since, until)).to_vec();
    assert_eq!(there.asked(), [of(""), of("load")].concat());
    patrol.gather(&mut cursors, NOW_MS + HOUR_MS).await;
    assert_eq!(gone.asked()[0].1, 47.25, "from the beginning of what is looked at");
    assert_eq!(there.asked(), [("".to_owned(), 0.25, -1.0), ("load".to_owned(), 0.25, -1.0)], "late points are read");
}

#[tokio::test]
async fn what_could_not_be_kept_is_read_again() {
    let source = scripted(|wanted| Ok(vec![wanted.until_ms - 1]));
    // The first write fails.
    let store = Arc::new(MemorySignals::refusing(&[0]));
    let (patrol, mut cursors) = (patrol(Arc::clone(&store), &[&source], &[]), Cursors::default());
    patrol.gather(&mut cursors, NOW_MS).await;
    assert_eq!((source.asked().len(), kept(&store).await.len()), (1, 0));
    patrol.gather(&mut cursors, NOW_MS).await;
    assert!(kept(&store).await.contains(&("cpu".to_owned(), NOW_MS - 1)));
}

#[tokio::test]
async fn what_arrived_and_could_not_be_kept_waits() {
    let store = Arc::new(MemorySignals::refusing(&[0]));
    let (patrol, mut cursors) = (patrol(Arc::clone(&store), &[], &[]), Cursors::default());
    cursors.unwritten.push(Reading { host: "a".into(), metric: "x.usage".into(), at_ms: 7, value: 1.0 });
    patrol.gather(&mut cursors, NOW_MS).await;
    assert_eq!((kept(&store).await.len(), cursors.unwritten.len()), (0, 1));
    patrol.gather(&mut cursors, NOW_MS).await;
    assert_eq!((kept(&store).await.len(), cursors.unwritten.len()), (1, 0));
}

#[tokio::test]
async fn a_name_that_a_source_refuses_costs_only_itself() {
    let source = scripted(|wanted| match wanted.metrics.first().map(String::as_str) {
        Some("shop.load") => Err(SourceError::Refused { name: "scripted", why: "no such name".into() }),
        Some(_) | None => Ok(vec![wanted.until_ms - 1]),
    });
    let store = Arc::new(MemorySignals::default());
    let patrol = patrol(Arc::clone(&store), &[&source], &["shop.load", "node_load1"]);
    let mut cursors = Cursors::default();
    patrol.gather(&mut cursors, NOW_MS).await;
    let newest = kept(&store).await.into_iter().filter(|(_, at_ms)| *at_ms == NOW_MS - 1);
    assert_eq!(newest.map(|(metric, _)| metric).collect::<Vec<_>>(), ["cpu", "node_load1"]);
    assert!(cursors.of[&(0, Some("shop.load".to_owned()))].is_refused);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_asked_for_in_shorter_pieces() {
    let source = scripted(|wanted| match wanted.until_ms - wanted.since_ms > 4 * HOUR_MS {
        true => Err(SourceError::Unreadable { name: "scripted", why: "more than a million readings".into() }),
        false => Ok(vec![wanted.until_ms - 1]),
    });
    let store = Arc::new(MemorySignals::default());
    let (patrol, mut cursors) = (patrol(Arc::clone(&store), &[&source], &[]), Cursors::default());
    for _ in 0..40 {
        patrol.gather(&mut cursors, NOW_MS).await;
    }
    assert!(kept(&store).await.contains(&("cpu".to_owned(), NOW_MS - 1)));
}
