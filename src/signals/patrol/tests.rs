//! A patrol over tables in memory, with channels that record.

use async_trait::async_trait;
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
use sre_space_ports::source::{SourceError, Told};
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

fn told(channel: &RecordingNotifier) -> Vec<(What, String)> {
    let told = channel.told.lock().expect("no panic");
    told.iter().map(|(notice, _)| (notice.what, notice.title.clone())).collect()
}

#[tokio::test]
async fn a_grave_risk_is_told_once_and_its_end_once() {
    let (store, channel, flight) = (Arc::default(), Arc::default(), Flight::default());
    let patrol = patrol(&store, &channel);
    keep(store.as_ref(), &flight.events(), |_| ()).await;
    for quarter in 0..3 {
        patrol.look(flight.end_ms + quarter * 900_000).await.expect("looked");
    }
    let risks = told(&channel);
    let risky = |(what, title): &(What, String)| *what == What::Risk && !title.contains(HEALTHY);
    assert!(risks.len() == 3 && risks.iter().all(risky), "{risks:?}");
    let days = 3 * 86_400_000;
    for quarter in 0..3 {
        patrol.look(flight.end_ms + days + quarter * 900_000).await.expect("looked");
    }
    assert_eq!(told(&channel)[3..].iter().map(|(what, _)| *what).collect::<Vec<_>>(), [What::Over; 3]);
    let past = store.incidents(Span { since_ms: 0, until_ms: i64::MAX, offset: 0 }).await.expect("read");
    assert_eq!(past.iter().filter(|past| Risk::read(past).is_none()).count(), 1, "the incident is kept beside them");
}

#[tokio::test]
async fn a_channel_that_failed_is_told_with_the_next_look() {
    let (store, channel, flight) = (Arc::default(), Arc::new(RecordingNotifier::default()), Flight::default());
    let patrol = patrol(&store, &channel);
    keep(store.as_ref(), &flight.events(), |_| ()).await;
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
    assert_eq!(keep(patrol.store.as_ref(), &flight.events(), |_| ()).await, 2_321);
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
    keep(patrol.store.as_ref(), &flight.events(), |_| ()).await;
    let report = patrol.look(flight.end_ms).await.expect("looked");
    let told: Vec<_> = report.incidents.iter().map(|one| (one.incident_id.as_str(), one.error_count)).collect();
    assert_eq!(told, [("host-stressed@2025-12-13T04:10:00Z", 13), ("host-stressed@2025-12-13T16:10:00Z", 1)]);
    assert!(report.incidents[1].hypotheses.iter().any(|cause| cause.class == Class::MemoryLeak));
}

/// Tells one reading, or nothing.
struct Told1(bool);

#[async_trait]
impl Source for Told1 {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let reading = Reading { host: "a".into(), metric: "cpu".into(), at_ms: wanted.since_ms, value: 1.0 };
        match self.0 {
            true => Ok(Told { readings: vec![reading], ..Told::default() }),
            false => Err(SourceError::Unreachable { name: "told", why: "away".into() }),
        }
    }
}

#[tokio::test]
async fn a_source_that_is_away_keeps_no_other_from_being_read() {
    let (store, channel) = (Arc::default(), Arc::default());
    let mut patrol = patrol(&store, &channel);
    patrol.sources = vec![Arc::new(Told1(false)), Arc::new(Told1(true))];
    patrol.gather(1_000, 2_000).await;
    let read = store.metrics(Span { since_ms: 0, until_ms: i64::MAX, offset: 0 }).await.expect("read");
    assert_eq!(read, [Reading { host: "a".into(), metric: "cpu".into(), at_ms: 1_000, value: 1.0 }]);
}
