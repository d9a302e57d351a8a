//! Tickets and calls, once each.

use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use sre_space_domain::diagnosis::{Confidence, Diagnosis, FaultKind, Measured, Term};
use sre_space_domain::ids::{Digest, IncidentId, Sha};
use sre_space_domain::incident::{Attempt, Change, Escalation, EscalationReason, Incident};
use sre_space_domain::proposal::{KnobValue, Proposal, Remedy};
use sre_space_domain::signal::{Certainty, Signal, SignalKind};
use sre_space_ports::forge::{ForgeError, Issue, Issues, PullRequest};
use ulid::Ulid;

use serde_json::{Value, json};
use sre_space_domain::incident::State;
use sre_space_domain::journal::{Agent, Draft, Entry, Phase};
use sre_space_ports::notify::{Notice, Question, Severity, What};

use super::{close_ticket, notices, open_ticket, page};

const STRANGER: &str = "`**IGNORE** [rules](https://evil.example) @everyone\n# now";

/// A drawer of tickets that keeps the port's promises: one an incident, one comment a key.
#[derive(Default)]
struct Drawer {
    tickets: Mutex<Vec<(IncidentId, Issue)>>,
    keys: Mutex<Vec<String>>,
}

#[async_trait]
impl Issues for Drawer {
    async fn open(&self, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, ForgeError> {
        let mut tickets = self.tickets.lock().expect("lock");
        if let Some((_, there)) = tickets.iter().find(|(id, _)| id == incident) {
            return Ok(there.clone());
        }
        let issue = Issue {
            number: tickets.len() as u64 + 1,
            url: String::new(),
            title: title.to_owned(),
            state: "open".to_owned(),
            body: body.to_owned(),
            comments: vec![],
        };
        tickets.push((incident.clone(), issue.clone()));
        Ok(issue)
    }

    async fn comment(&self, number: u64, key: &str, body: &str) -> Result<(), ForgeError> {
        let mut keys = self.keys.lock().expect("lock");
        if !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
            self.change(number, |issue| issue.comments.push(body.to_owned()))?;
        }
        Ok(())
    }

    async fn close(&self, number: u64) -> Result<(), ForgeError> {
        self.change(number, |issue| issue.state = "closed".to_owned())
    }

    async fn activity(&self, _limit: usize) -> Result<(Vec<PullRequest>, Vec<Issue>), ForgeError> {
        Ok((vec![], self.all()))
    }
}

impl Drawer {
    fn all(&self) -> Vec<Issue> {
        self.tickets.lock().expect("lock").iter().map(|(_, issue)| issue.clone()).collect()
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Issue)) -> Result<(), ForgeError> {
        let mut tickets = self.tickets.lock().expect("lock");
        let found = tickets.iter_mut().find(|(_, issue)| issue.number == number);
        let (_, issue) = found.ok_or_else(|| ForgeError::Missing(format!("ticket #{number}")))?;
        change(issue);
        Ok(())
    }
}

fn incident(service: &str) -> Incident {
    let signal = Signal {
        service: service.to_owned(),
        operation: STRANGER.to_owned(),
        kind: SignalKind::ErrorRate,
        certainty: Certainty::Confirmed,
        observed: 0.4521,
        baseline: 0.004,
        threshold: 13.0,
        window_s: 60.0,
        samples: 118,
        statistic: 21.5,
        posterior: 0.99991,
        sources: vec!["quote-engine".to_owned(), "probe".to_owned()],
        onset_ms: 0,
        coherence: None,
    };
    Incident::open(IncidentId::new(Ulid::from_parts(1, 1)), signal, Timestamp::UNIX_EPOCH)
}

fn remedy() -> Remedy {
    Remedy::turn("quote-engine", "db-pool-size", KnobValue::Int(100))
}

/// An incident in its second attempt that needs a person for `reason`.
fn needy(reason: EscalationReason, detail: &str) -> Incident {
    let change = |pr| Change { pr: Some(pr), ..Change::default() };
    let mut incident = incident("quote-engine");
    incident.diagnosis = Some(Diagnosis {
        service: "quote-engine".to_owned(),
        operation: STRANGER.to_owned(),
        kind: FaultKind::PoolExhausted,
        summary: STRANGER.to_owned(),
        confidence: Confidence::try_from(0.87).expect("a confidence"),
        terms: ["detector", "coverage"]
            .map(|name| Term { name: name.to_owned(), value: 0.933, why: STRANGER.to_owned() })
            .to_vec(),
        evidence: vec![],
        candidates: vec![],
        measured: Measured::default(),
        affected: Vec::new(),
    });
    incident.proposal = Some(Proposal {
        remedy: remedy(),
        trust: 0.047,
        base: Sha("ba5e".to_owned()),
        files: vec![],
        changes: vec![],
        reproduces: None,
        diff: String::new(),
        lines: 2,
        digest: Digest::of([b"plan".as_slice()]),
        title: STRANGER.to_owned(),
        rationale: STRANGER.to_owned(),
    });
    incident.change = Some(change(9));
    let ended = STRANGER.to_owned();
    let revert = Some(change(8));
    incident.attempts = vec![Attempt { number: 1, remedy: remedy(), change: change(7), recovery: None, revert, ended }];
    incident.escalation = Some(Escalation { reason, detail: detail.to_owned() });
    incident
}

#[tokio::test]
async fn a_ticket_is_opened_once_and_says_what_was_measured() {
    let drawer = Drawer::default();
    assert_eq!(open_ticket(&drawer, &incident("quote-engine")).await.expect("opened"), 1);
    assert_eq!(open_ticket(&drawer, &incident("quote-engine")).await.expect("found"), 1);
    let expected = Issue {
        number: 1,
        url: String::new(),
        title: "quote-engine: 45.2 % of 118 requests failing (inc_00000000010000000000000001)".to_owned(),
        state: "open".to_owned(),
        body: "SRE-Space opened incident `inc_00000000010000000000000001` at 1970-01-01T00:00:00Z.\n\n\
            - service: `quote-engine`\n\
            - bad requests: 45.2 % of 118 in 60 s (0.4 % before)\n\
            - independent sources: 2\n\
            - posterior 0.9999, statistic 21.50, threshold 13.00\n\n\
            The steps are in the incident's journal; this ticket closes when recovery is proven."
            .to_owned(),
        comments: vec![],
    };
    assert_eq!(drawer.all(), [expected]);
}

#[tokio::test]
async fn a_person_is_called_once_for_each_reason() {
    let drawer = Drawer::default();
    let approval =
        Incident { ticket: Some(1), ..needy(EscalationReason::ApprovalRequired, "trust 0.047 is not above 0.90") };
    open_ticket(&drawer, &approval).await.expect("opened");
    for _ in 0..3 {
        assert_eq!(page(&drawer, &approval).await.expect("called"), 1);
    }
    let expected = format!(
        "**A person is needed** for `inc_00000000010000000000000001`.\n\n\
         The change is ready and waits for a person's approval: `trust 0.047 is not above 0.90`\n\n\
         Diagnosis: `pool-exhausted` in `quote-engine`, confidence 0.870 = `detector` 0.933 × `coverage` 0.933.\n\n\
         Tried before:\n\n1. `db-pool-size` with pull request #7, reverted by #8\n\n\
         Pull request #9; what would be approved has the digest `{}`.",
        Digest::of([b"plan".as_slice()])
    );
    assert_eq!(drawer.all().first().expect("a ticket").comments, [expected]);
    let doubt = Incident { ticket: Some(1), ..needy(EscalationReason::Inconclusive, "no traffic") };
    page(&drawer, &doubt).await.expect("called");
    let keys = drawer.keys.lock().expect("lock").clone();
    let id = "inc_00000000010000000000000001";
    assert_eq!(keys, [format!("escalation-{id}-2-approval-required"), format!("escalation-{id}-2-inconclusive")]);
}

#[tokio::test]
async fn a_call_without_a_ticket_opens_it() {
    let drawer = Drawer::default();
    let early = needy(EscalationReason::EffectFailed, "the forge did not answer");
    assert_eq!(page(&drawer, &early).await.expect("called"), 1);
    assert_eq!(page(&drawer, &early).await.expect("called"), 1);
    let tickets = drawer.all();
    assert_eq!(tickets.iter().map(|ticket| ticket.comments.len()).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_ticket_is_closed_with_one_post_mortem() {
    let drawer = Drawer::default();
    let number = open_ticket(&drawer, &incident("quote-engine")).await.expect("opened");
    let done = Incident { ticket: Some(number), ..incident("quote-engine") };
    for _ in 0..2 {
        close_ticket(&drawer, &done, "# Post-mortem").await.expect("closed");
    }
    let ticket = drawer.all().remove(0);
    assert_eq!((ticket.state.as_str(), ticket.comments), ("closed", vec!["# Post-mortem".to_owned()]));
}

#[tokio::test]
async fn an_incident_without_a_ticket_has_none_to_close() {
    let refused = close_ticket(&Drawer::default(), &incident("quote-engine"), "x").await.expect_err("no ticket");
    assert!(matches!(refused, ForgeError::Missing(_)));
}

#[tokio::test]
async fn strangers_cannot_write_on_a_ticket() {
    let drawer = Drawer::default();
    let mut marked = needy(EscalationReason::EffectFailed, STRANGER);
    marked.signal.service = STRANGER.to_owned() + &"x".repeat(1_000);
    page(&drawer, &marked).await.expect("called");
    let ticket = drawer.all().remove(0);
    assert!(ticket.title.starts_with("IGNORErules"), "{}", ticket.title);
    assert!(ticket.title.chars().count() < 150, "{}", ticket.title);
    let body = ticket.body.lines().find(|line| line.starts_with("- service: ")).expect("a service");
    assert_eq!(body.matches('`').count(), 2, "{body}");
    let comment = ticket.comments.concat();
    let detail = "A step failed for good: `**IGNORE** [rules](https://evil.example) @everyone # now`";
    assert!(comment.lines().any(|line| line == detail), "{comment}");
    assert_eq!(comment.matches("IGNORE").count(), 1, "only our own detail is quoted, and only inside a code span");
}

/// Rows of an incident's journal, one after the other.
fn rows(incident: &Incident, steps: &[(State, Agent, Phase, Value)]) -> Vec<Entry> {
    let row = |(seq, (state, agent, phase, data)): (u64, &(State, Agent, Phase, Value))| Entry {
        seq,
        row: Draft {
            at: Timestamp::UNIX_EPOCH,
            incident: Some(incident.id.clone()),
            agent: *agent,
            phase: *phase,
            state: Some(*state),
            text: format!("{STRANGER} {state:?}"),
            data: data.clone(),
        },
    };
    (1..).zip(steps).map(row).collect()
}

fn went(state: State) -> (State, Agent, Phase, Value) {
    (state, Agent::System, Phase::Act, json!({}))
}

fn called(state: State, reason: EscalationReason) -> (State, Agent, Phase, Value) {
    (state, Agent::Human, Phase::Escalate, json!({"reason": reason, "detail": STRANGER}))
}

fn paged(state: State) -> (State, Agent, Phase, Value) {
    (state, Agent::Human, Phase::Escalate, json!({}))
}

fn what(steps: &[(State, Agent, Phase, Value)]) -> Vec<(u64, What)> {
    let incident = incident("quote-engine");
    let drawn = notices(&incident, &rows(&incident, steps), "http://monitor");
    drawn.into_iter().map(|notice| (notice.step, notice.what)).collect()
}

#[test]
fn each_step_is_told_once_and_a_suspicion_not_at_all() {
    use EscalationReason::{Inconclusive, Kept, NoRemedy};
    let calmed = (State::Escalated, Agent::Scout, Phase::Verify, json!({}));
    let table = [
        (vec![went(State::Detected), went(State::Suppressed)], vec![]),
        (
            vec![went(State::Detected), went(State::Matching), went(State::Suppressed)],
            vec![(2, What::Opened), (3, What::Over)],
        ),
        (
            vec![
                went(State::Matching),
                went(State::Matching),
                went(State::Acting),
                went(State::Resolved),
                went(State::Resolved),
            ],
            vec![(1, What::Opened), (3, What::Moved), (4, What::Over)],
        ),
        (
            vec![went(State::Matching), called(State::Escalated, NoRemedy), paged(State::Escalated), calmed],
            vec![(1, What::Opened), (2, What::Call(NoRemedy)), (4, What::Over)],
        ),
        (
            vec![
                went(State::Verifying),
                (State::AwaitingHuman, Agent::Scout, Phase::Verify, json!({})),
                called(State::AwaitingHuman, Inconclusive),
                paged(State::AwaitingHuman),
                called(State::Escalated, Kept),
            ],
            vec![(1, What::Opened), (3, What::Call(Inconclusive)), (5, What::Call(Kept))],
        ),
        (
            vec![went(State::Verifying), called(State::AwaitingHuman, Inconclusive), went(State::Reverting)],
            vec![(1, What::Opened), (2, What::Call(Inconclusive)), (3, What::Decided)],
        ),
    ];
    for (steps, expected) in table {
        assert_eq!(what(&steps), expected, "{steps:?}");
    }
}

#[test]
fn a_notice_asks_what_is_open_and_says_no_stranger_s_words_in_mark_up() {
    let reason = EscalationReason::ApprovalRequired;
    let needy = Incident { state: State::AwaitingHuman, ticket: Some(3), ..needy(reason, STRANGER) };
    let steps = [went(State::Matching), called(State::AwaitingHuman, reason)];
    let page = "http://monitor/monitor?incident=inc_00000000010000000000000001".to_owned();
    let expected = Notice {
        subject: needy.id.as_str().to_owned(),
        step: 2,
        at: Timestamp::UNIX_EPOCH,
        what: What::Call(reason),
        severity: Severity::Error,
        state: "awaiting_human".to_owned(),
        service: "quote-engine".to_owned(),
        title: "quote-engine: 45.2 % of 118 requests failing (inc_00000000010000000000000001)".to_owned(),
        text: "A person is needed. The change is ready and waits for a person's approval: \
            **IGNORE** [rules](https://evil.example) @everyone # now"
            .to_owned(),
        facts: vec![
            ("service", "quote-engine".to_owned()),
            ("cause", "pool-exhausted in quote-engine".to_owned()),
            ("confidence", "0.870".to_owned()),
            ("pull request", "#9".to_owned()),
            ("attempt", "2".to_owned()),
            ("ticket", "#3".to_owned()),
        ],
        question: Some(Question {
            digest: Digest::of([b"plan".as_slice()]),
            approve: format!("{page}#approve"),
            reject: format!("{page}#reject"),
        }),
        page,
    };
    assert_eq!(notices(&needy, &rows(&needy, &steps), "http://monitor/").pop(), Some(expected));
    let decided = Incident { state: State::Acting, ..needy };
    let asked = notices(&decided, &rows(&decided, &steps), "http://monitor").pop().and_then(|notice| notice.question);
    assert_eq!(asked, None, "nobody is asked what was answered");
}
