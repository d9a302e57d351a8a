//! A patrol over tables in memory, with channels that record.

use sre_space_coherence::event::moment;
use sre_space_coherence::flight::{Flight, HEALTHY, STRESSED};
use sre_space_coherence::modal::Class;
use sre_space_domain::ids::IncidentId;
use sre_space_domain::signal::{Certainty, Signal, SignalKind};
use sre_space_peers::recipients::pagerduty::{PagerDuty, ROUTING_KEY};
use sre_space_peers::recipients::slack::Slack;
use sre_space_ports::doubles::notify::RecordingNotifier;
use sre_space_ports::doubles::signals::MemorySignals;
use sre_space_ports::notify::{NotifyError, What};
use sre_space_ports::source::{Reading, SourceError, Told, Wanted};
use sre_space_ports::store::{Record, Write};
use ulid::Ulid;

use super::*;
use crate::app::Parts;
use crate::config::Given;
use crate::signals::keep;

fn patrol(store: &Arc<MemorySignals>, channel: &Arc<RecordingNotifier>) -> Patrol {
    let (store, channel): (Arc<dyn SignalStore>, Arc<dyn Notifier>) =
        (Arc::clone(store) as _, Arc::clone(channel) as _);
    let monitor = "http://127.0.0.1:8001/".to_owned();
    let (sources, levels, every) = (vec![], Arc::default(), Duration::from_secs(900));
    Patrol { store, journal: None, sources, metrics: vec![], levels, channels: vec![channel], monitor, every }
}

/// A flight as if it had been measured.
fn measured(flight: Flight) -> Vec<SignalEvent> {
    flight.events().into_iter().map(|event| SignalEvent { synthetic: false, ..event }).collect()
}

/// Calm days of the stressed host.
fn calm(end_ms: i64) -> Vec<SignalEvent> {
    let all = measured(Flight { end_ms, ..Flight::default() }).into_iter();
    all.filter(|event| event.host == HEALTHY).map(|event| SignalEvent { host: STRESSED.into(), ..event }).collect()
}

fn told(channel: &RecordingNotifier) -> Vec<(What, String)> {
    let told = channel.told.lock().expect("no panic");
    told.iter().map(|(notice, _)| (notice.what, notice.title.clone())).collect()
}

#[tokio::test]
async fn a_grave_risk_is_told_once_and_its_end_once() {
    let (store, channel, flight) = (Arc::default(), Arc::default(), Flight::default());
    let patrol = patrol(&store, &channel);
    keep(store.as_ref(), &measured(flight), |_| ()).await;
    for quarter in 0..3 {
        patrol.look(flight.end_ms + quarter * 900_000).await.expect("looked");
    }
    let risks = told(&channel);
    let risky = |(what, title): &(What, String)| *what == What::Risk && !title.contains(HEALTHY);
    assert!(risks.len() == 3 && risks.iter().all(risky), "{risks:?}");
    let days = 3 * 86_400_000;
    patrol.look(flight.end_ms + days).await.expect("looked");
    assert_eq!(told(&channel).len(), 3, "of a host that fell silent nobody knows");
    keep(store.as_ref(), &calm(flight.end_ms + days), |_| ()).await;
    for quarter in 0..3 {
        patrol.look(flight.end_ms + days + quarter * 900_000).await.expect("looked");
    }
    assert_eq!(told(&channel)[3..].iter().map(|(what, _)| *what).collect::<Vec<_>>(), [What::Over; 3]);
    let ever = Span { since_ms: 0, until_ms: i64::MAX, offset: 0 };
    let past = store.incidents(ever, Past::Incidents).await.expect("read");
    assert_eq!(past.len(), 1, "the incident is kept beside them");
}

#[tokio::test]
async fn what_was_made_and_not_measured_wakes_nobody() {
    let (store, channel, flight) = (Arc::default(), Arc::default(), Flight::default());
    let patrol = patrol(&store, &channel);
    keep(store.as_ref(), &flight.events(), |_| ()).await;
    let report = patrol.look(flight.end_ms).await.expect("looked");
    assert_eq!((told(&channel), report.incident_count), (vec![], 0));
}

/// Hosts with the stressed one's cpu and memory.
fn stressed(hosts: std::ops::Range<u32>) -> Vec<SignalEvent> {
    let flight = measured(Flight::default()).into_iter();
    let one: Vec<SignalEvent> = flight.filter(|event| event.host == STRESSED && event.metric == "memory").collect();
    let of = |host| one.iter().map(move |event| SignalEvent { host: format!("host-{host:02}"), ..event.clone() });
    hosts.flat_map(of).collect()
}

#[tokio::test]
async fn one_risk_more_than_are_told_ends_none() {
    let (store, channel) = (Arc::default(), Arc::default());
    let (patrol, end_ms) = (patrol(&store, &channel), Flight::default().end_ms);
    keep(store.as_ref(), &stressed(0..20), |_| ()).await;
    patrol.look(end_ms).await.expect("looked");
    let first = told(&channel);
    assert_eq!(first.len(), MOST_RISKS);
    keep(store.as_ref(), &stressed(20..23), |_| ()).await;
    patrol.look(end_ms + 900_000).await.expect("looked");
    assert_eq!(told(&channel), first);
}

/// Tells a flight once, and is away at first.
struct Late(std::sync::atomic::AtomicBool);

#[async_trait::async_trait]
impl Source for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        if !self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Err(SourceError::Unreachable { name: "late", why: "away".into() });
        }
        let flight = Flight { end_ms: Timestamp::now().as_millisecond(), ..Flight::default() };
        let within =
            measured(flight).into_iter().filter(|event| (wanted.since_ms..wanted.until_ms).contains(&event.at_ms));
        let levels = within.filter(|event| !event.is_error());
        let reading = |event: SignalEvent| Reading {
            host: event.host,
            metric: event.metric,
            at_ms: event.at_ms / 60_000 * 60_000,
            value: event.value,
        };
        Ok(Told { readings: levels.map(reading).collect(), ..Told::default() })
    }
}

#[tokio::test(start_paused = true)]
async fn it_looks_until_it_is_stopped_and_what_was_missed_is_read_with_the_next_look() {
    let (store, channel): (Arc<MemorySignals>, Arc<RecordingNotifier>) = (Arc::default(), Arc::default());
    let mut patrol = patrol(&store, &channel);
    patrol.sources = vec![Arc::new(Late(false.into()))];
    let stop = CancellationToken::new();
    let told_of = async {
        let mut look = interval(Duration::from_secs(60));
        for _ in 0..120 {
            look.tick().await;
            if !told(&channel).is_empty() {
                break;
            }
        }
        stop.cancel();
    };
    tokio::join!(patrol.run(stop.clone()), told_of);
    let titles: Vec<String> = told(&channel).into_iter().map(|(_, title)| title).collect();
    assert!(titles.iter().any(|title| title.starts_with("host-stressed memory")), "{titles:?}");
}

#[tokio::test]
async fn a_channel_that_failed_is_told_with_the_next_look() {
    let (store, channel, flight) = (Arc::default(), Arc::new(RecordingNotifier::default()), Flight::default());
    let patrol = patrol(&store, &channel);
    keep(store.as_ref(), &measured(flight), |_| ()).await;
    channel.failures.lock().expect("no panic").extend([NotifyError::Unreachable("away".into())]);
    patrol.look(flight.end_ms).await.expect("looked");
    assert_eq!(told(&channel).len(), 2);
    patrol.look(flight.end_ms).await.expect("looked");
    assert_eq!(told(&channel).len(), 3);
}

/// Real parts in a folder of their own.
async fn opened(dir: &tempfile::TempDir, settings: &[(&str, String)]) -> Parts {
    git2::Repository::init_bare(dir.path().join("watched.git")).expect("a repository");
    let mut given = Given::default();
    given.set("SRE_SPACE_REPO", dir.path().join("watched.git").display());
    given.set("SRE_SPACE_DATA_DIR", dir.path().join("data").display());
    settings.iter().for_each(|(name, value)| given.set(name, value));
    Parts::open(&given.settings().expect("settings")).await.expect("parts")
}

/// The tables in a real file, and people on stand-ins that check what they are sent.
#[tokio::test]
async fn slack_and_pagerduty_are_each_told_of_a_risk_once() {
    let (slack, pagerduty) = (Slack::start(), PagerDuty::start());
    let dir = tempfile::tempdir().expect("a folder");
    let people = [
        ("SLACK_WEBHOOK_URL", slack.hook()),
        ("PAGERDUTY_API_URL", pagerduty.url()),
        ("PAGERDUTY_ROUTING_KEY", ROUTING_KEY.to_owned()),
    ];
    let parts = opened(&dir, &people).await;
    let monitor = "http://127.0.0.1:8001".to_owned();
    let (store, sources, levels, channels) = (parts.signals, parts.sources, Arc::default(), parts.notifiers);
    let journal = Some(parts.store);
    let patrol =
        Patrol { store, journal, sources, metrics: vec![], levels, channels, monitor, every: Duration::from_secs(900) };
    let flight = Flight::default();
    assert_eq!(keep(patrol.store.as_ref(), &measured(flight), |_| ()).await, 2_321);
    for quarter in 0..3 {
        patrol.look(flight.end_ms + quarter * 900_000).await.expect("looked");
    }
    let risks = ["cpu/spike_detection", "cpu/variance_escalation", "memory/trend_detection"];
    let expected = risks.map(|risk| format!("risk:host-stressed:{risk}@{}", flight.end_ms));
    let mut paged = pagerduty.events();
    paged.sort();
    assert_eq!(paged, expected.map(|subject| ("trigger".to_owned(), subject)));
    assert_eq!(slack.0.took().len(), 3);
}

#[tokio::test]
async fn an_incident_of_the_loop_is_an_error_that_is_explained() {
    let dir = tempfile::tempdir().expect("a folder");
    let parts = opened(&dir, &[]).await;
    let flight = Flight::default();
    let signal = Signal {
        service: STRESSED.into(),
        operation: "serve".into(),
        kind: SignalKind::ErrorRate,
        certainty: Certainty::Confirmed,
        observed: 0.5,
        baseline: 0.01,
        threshold: 13.0,
        window_s: 5.0,
        samples: 10,
        statistic: 20.0,
        posterior: 0.999,
        sources: vec!["a".into()],
        onset_ms: 1,
        coherence: None,
    };
    let incident = Incident::open(IncidentId::new(Ulid(1)), signal, moment(flight.end_ms));
    let write = Write { record: Some(Record { incident, pending: None }), ..Write::default() };
    parts.store.commit(write).await.expect("committed");
    let (store, journal, sources) = (parts.signals, Some(parts.store), parts.sources);
    let (levels, channels, monitor) = (Arc::default(), vec![], String::new());
    let patrol =
        Patrol { store, journal, sources, metrics: vec![], levels, channels, monitor, every: Duration::from_secs(900) };
    keep(patrol.store.as_ref(), &measured(flight), |_| ()).await;
    let report = patrol.look(flight.end_ms).await.expect("looked");
    let told: Vec<_> = report.incidents.iter().map(|one| (one.incident_id.as_str(), one.error_count)).collect();
    assert_eq!(told, [("host-stressed@2025-12-13T04:10:00Z", 13), ("host-stressed@2025-12-13T16:10:00Z", 1)]);
    assert!(report.incidents[1].hypotheses.iter().any(|cause| cause.class == Class::MemoryLeak));
}
