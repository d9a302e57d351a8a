//! Couriers over a real journal, with a channel that records.

use sre_space_domain::incident::EscalationReason;
use sre_space_domain::signal::{Certainty, Signal, SignalKind};
use sre_space_ports::doubles::notify::RecordingNotifier;
use sre_space_ports::notify::NotifyError;
use sre_space_ports::store::Record;
use tokio::task::JoinSet;
use ulid::Ulid;

use super::*;
use crate::app::Parts;
use crate::config::Given;

const BRIEF: Duration = Duration::from_millis(1);

struct Play {
    _dir: tempfile::TempDir,
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    channel: Arc<RecordingNotifier>,
}

impl Play {
    async fn begin() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        git2::Repository::init_bare(dir.path().join("watched.git")).expect("a repository");
        let mut given = Given::default();
        given.set("SRE_SPACE_REPO", dir.path().join("watched.git").display());
        given.set("SRE_SPACE_DATA_DIR", dir.path().join("data").display());
        let parts = Parts::open(&given.settings().expect("settings")).await.expect("parts");
        let feed = Arc::new(Feed::new(Arc::clone(&parts.store)));
        Self { _dir: dir, store: parts.store, feed, channel: Arc::default() }
    }

    fn courier(&self) -> Courier {
        Courier {
            channel: self.channel.clone(),
            store: Arc::clone(&self.store),
            feed: Arc::clone(&self.feed),
            monitor: "http://127.0.0.1:8001".to_owned(),
            patience: Patience {
                first: BRIEF,
                longest: BRIEF * 4,
                call: BRIEF * 200,
                other: BRIEF * 200,
                ..Patience::default()
            },
            keeps_books: true,
        }
    }

    /// Journals one step, as the loop does.
    async fn step(
        &self,
        incident: &mut Incident,
        state: State,
        (agent, phase): (Agent, Phase),
        data: serde_json::Value,
    ) {
        incident.state = state;
        let row = Draft {
            at: Timestamp::now(),
            incident: Some(incident.id.clone()),
            agent,
            phase,
            state: Some(state),
            text: format!("now {state:?}"),
            data,
        };
        let record = Some(Record { incident: incident.clone(), pending: None });
        let entries = self.store.commit(Write { record, rows: vec![row], outcome: None }).await.expect("committed");
        self.feed.show(&entries);
    }

    async fn steps(&self, incident: &mut Incident, states: &[State]) {
        for state in states {
            self.step(incident, *state, (Agent::System, Phase::Act), json!({})).await;
        }
    }

    async fn call(&self, incident: &mut Incident, reason: EscalationReason) {
        let data = json!({"reason": reason, "detail": "why"});
        self.step(incident, State::AwaitingHuman, (Agent::Human, Phase::Escalate), data).await;
    }

    /// Waits until so many notices are in the books; answers them.
    async fn booked(&self, count: usize) -> Vec<Booked> {
        let rows = Arc::clone(&self.feed).follow(Some(0)).await;
        let booked = rows.filter_map(async |entry| booking(&entry)).take(count).collect();
        tokio::time::timeout(Duration::from_secs(30), booked).await.expect("booked in time")
    }

    fn told(&self) -> Vec<What> {
        self.channel.told.lock().expect("lock").iter().map(|(notice, _)| notice.what).collect()
    }
}

fn incident(number: u128) -> Incident {
    let signal = Signal {
        service: "shop".into(),
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
    Incident::open(IncidentId::new(Ulid(number)), signal, Timestamp::now())
}

fn hire(courier: Courier) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(courier.run(CancellationToken::new()));
    tasks
}

#[tokio::test]
async fn an_incident_is_told_step_by_step_and_once_each() {
    let play = Play::begin().await;
    let _task = hire(play.courier());
    let mut healed = incident(1);
    play.steps(&mut healed, &[State::Detected, State::Matching, State::Matching, State::Acting, State::Resolved]).await;
    let booked = play.booked(3).await;
    assert_eq!(play.told(), [What::Opened, What::Moved, What::Over]);
    let keys = play.channel.keys();
    let receipts: Vec<Option<String>> = booked.into_iter().map(|row| row.told.receipt).collect();
    assert_eq!(receipts, keys.iter().cloned().map(Some).collect::<Vec<_>>());
    let (_, last) = play.channel.told.lock().expect("lock").last().expect("told").clone();
    assert_eq!(last.receipt(), Some(keys[1].as_str()), "reminded of what it said before");
}

#[tokio::test]
async fn a_suspicion_that_fades_is_no_news() {
    let play = Play::begin().await;
    let _task = hire(play.courier());
    play.steps(&mut incident(1), &[State::Detected, State::Suppressed]).await;
    play.steps(&mut incident(2), &[State::Detected, State::Matching]).await;
    play.booked(1).await;
    assert_eq!(play.told(), [What::Opened]);
}

#[tokio::test]
async fn whoever_died_before_it_booked_tells_again_under_the_same_key_and_no_third_time() {
    let play = Play::begin().await;
    let mut needy = incident(1);
    play.steps(&mut needy, &[State::Detected, State::Matching]).await;
    play.call(&mut needy, EscalationReason::NoRemedy).await;
    let rows = play.store.journal(0, 0, Some(&needy.id)).await.expect("read");
    let notices = human::notices(&needy, &rows, "http://127.0.0.1:8001");
    // Told, and killed before the journal heard of it.
    play.channel.tell(&notices[0], &Before::default()).await.expect("told");
    let first = hire(play.courier());
    play.booked(2).await;
    drop(first);
    let keys: Vec<String> = notices.iter().map(Notice::key).collect();
    assert_eq!(play.channel.keys(), [&keys[..1], &keys].concat());
    let doubts: Vec<bool> = play.channel.told.lock().expect("lock").iter().map(|(_, before)| before.in_doubt).collect();
    assert_eq!(doubts, [false, true, true]);
    let _second = hire(play.courier());
    play.steps(&mut incident(2), &[State::Detected, State::Matching]).await;
    play.booked(3).await;
    assert_eq!(play.channel.keys().len(), 4, "what is booked is not told again");
}

#[tokio::test]
async fn what_fails_is_tried_again_and_what_is_refused_is_journaled_as_not_told() {
    let play = Play::begin().await;
    let down = || NotifyError::Unreachable("500: ".to_owned());
    let refused = NotifyError::Refused("400: no such channel".to_owned());
    play.channel.failures.lock().expect("lock").extend([down(), down(), refused]);
    let _task = hire(play.courier());
    let mut needy = incident(1);
    play.steps(&mut needy, &[State::Detected, State::Matching]).await;
    play.call(&mut needy, EscalationReason::Inconclusive).await;
    let booked = play.booked(2).await;
    let failed: Vec<Option<String>> = booked.into_iter().map(|row| row.failed).collect();
    assert_eq!(failed, [Some("refused: 400: no such channel".to_owned()), None], "the next one is told");
    assert_eq!(play.told(), [What::Call(EscalationReason::Inconclusive)]);
}

#[tokio::test]
async fn a_channel_that_stays_away_is_given_up_in_time_and_says_so() {
    let play = Play::begin().await;
    play.channel.failures.lock().expect("lock").extend(vec![NotifyError::Unreachable("gone".to_owned()); 10_000]);
    let _task = hire(play.courier());
    play.steps(&mut incident(1), &[State::Detected, State::Matching]).await;
    assert_eq!(play.booked(1).await.remove(0).failed, Some("gone".to_owned()));
}

#[tokio::test]
async fn after_a_restart_old_news_is_left_and_who_is_waited_for_is_called() {
    let play = Play::begin().await;
    let mut needy = incident(1);
    play.steps(&mut needy, &[State::Detected, State::Matching]).await;
    play.call(&mut needy, EscalationReason::ApprovalRequired).await;
    play.steps(&mut incident(2), &[State::Detected, State::Matching, State::Resolved]).await;
    let courier = play.courier();
    let patience = Patience { news: Duration::ZERO, ..courier.patience };
    let _task = hire(Courier { patience, ..courier });
    play.booked(1).await;
    assert_eq!(play.told(), [What::Call(EscalationReason::ApprovalRequired)]);
}
