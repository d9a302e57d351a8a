//! Risks: findings that are grave enough to wake somebody, each told once to each channel until it is over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sre_space_coherence::event::{Fingerprint, SignalEvent, moment};
use sre_space_coherence::modal::{Detector, PAGES};
use sre_space_coherence::report::{Alert, Report};
use sre_space_coherence::undefined::Undefined;
use sre_space_domain::ids::Digest;
use sre_space_domain::plain;
use sre_space_ports::notify::{Before, Notice, Severity, Told, What};
use sre_space_ports::signals::{PastIncident, RISK_PREFIX as PREFIX};

/// PagerDuty takes 255 bytes, and the moment comes behind.
const LONGEST_ID: usize = 200;
/// Characters of what is said of one.
const LONGEST_TEXT: usize = 300;

/// A risk that was seen, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// Its name: detector and series.
    pub id: String,
    /// Whose.
    pub host: String,
    /// Of what.
    pub metric: String,
    /// When it was first seen, Unix ms.
    pub since_ms: i64,
    /// The newest sample of its series that it was seen in, Unix ms.
    pub seen_ms: i64,
    /// In a person's words.
    pub details: String,
    /// How grave, 0.0..=1.0.
    pub risk_score: f64,
    /// Which detector saw it.
    pub detector: String,
    /// What it hints at.
    pub class: String,
    /// When it will be full, hours from the look that told it; `None` where nobody knows.
    pub hours_left: Option<f64>,
    /// Channels that were told.
    pub told: Vec<String>,
    /// Whether it has passed.
    pub is_over: bool,
}

impl Risk {
    /// One that was kept; `None` for an incident.
    pub fn read(past: &PastIncident) -> Option<Self> {
        past.id.strip_prefix(PREFIX)?;
        serde_json::from_value(past.report.clone()).ok()
    }

    /// As it is kept, at the moment of a look.
    pub fn kept(&self, at_ms: i64) -> Result<PastIncident, serde_json::Error> {
        let report = serde_json::to_value(self)?;
        Ok(PastIncident { id: self.id.clone(), host: self.host.clone(), at_ms, report })
    }

    /// What a channel is told; of the end, where it has passed.
    pub fn notice(&self, page: &str) -> Notice {
        let series = format!("{} {}", plain::bare_name(&self.host), plain::bare_name(&self.metric));
        let (what, severity, state) = match self.is_over {
            true => (What::Over, Severity::Info, "passed"),
            false => (What::Risk, Severity::Warning, "risk"),
        };
        let mut facts = vec![
            ("risk", format!("{:.2}", self.risk_score)),
            ("detector", self.detector.clone()),
            ("hints at", self.class.clone()),
        ];
        facts.extend(self.hours_left.map(|hours| ("full in", format!("{hours:.1} h"))));
        Notice {
            subject: self.subject(),
            step: u64::from(self.is_over),
            at: moment(self.since_ms),
            what,
            severity,
            state: state.to_owned(),
            service: plain::bare_name(&self.host),
            title: if self.is_over { format!("{series}: passed") } else { format!("{series}: {}", self.details) },
            text: plain::prose(&self.details, LONGEST_TEXT),
            facts,
            page: page.to_owned(),
            question: None,
        }
    }

    /// Its name, with when it began; a digest of a name that is too long for a channel.
    fn subject(&self) -> String {
        let id = match self.id.len() > LONGEST_ID {
            true => format!("{PREFIX}{}", Digest::of([self.id.as_bytes()]).as_str()),
            false => self.id.clone(),
        };
        format!("{id}@{}", self.since_ms)
    }

    /// What a channel was told of it before.
    pub fn before(&self, channel: &str) -> Before {
        let was_told = self.told.iter().any(|told| told == channel);
        let told = was_told.then_some(Told { step: 0, what: What::Risk, receipt: None });
        Before { told: told.into_iter().collect(), in_doubt: false }
    }
}

/// What a look can say of a risk that it did not find again.
pub struct Sight {
    newest_ms: BTreeMap<Fingerprint, i64>,
    undecided: BTreeSet<(Fingerprint, Detector)>,
}

impl Sight {
    /// Of the events that a report is of.
    pub fn of(events: &[SignalEvent], report: &Report) -> Self {
        let mut newest_ms = BTreeMap::new();
        for event in events {
            let newest_ms = newest_ms.entry(event.fingerprint()).or_insert(event.at_ms);
            *newest_ms = event.at_ms.max(*newest_ms);
        }
        let has_too_few = report.untold.iter().filter(|untold| matches!(untold.why, Undefined::TooFew { .. }));
        let undecided = has_too_few.map(|untold| (untold.fingerprint.clone(), untold.detector)).collect();
        Self { newest_ms, undecided }
    }

    /// Whether such a risk has passed: there are newer samples and enough of them, and they show nothing. Of a host that fell
    /// silent nobody knows.
    pub fn is_over(&self, risk: &Risk) -> bool {
        let of = Fingerprint { host: risk.host.clone(), metric: risk.metric.clone() };
        let is_of = |(series, detector): &(Fingerprint, Detector)| *series == of && detector.as_str() == risk.detector;
        let is_undecided = self.undecided.iter().any(is_of);
        !is_undecided && self.newest_ms.get(&of).is_some_and(|newest_ms| *newest_ms > risk.seen_ms)
    }
}

/// The risks of a report, the gravest first; with the moment of the look.
pub fn risks(report: &Report, sight: &Sight, at_ms: i64) -> Vec<Risk> {
    let mut grave: Vec<&Alert> = report.alerts.iter().filter(|alert| alert.risk_score > PAGES).collect();
    grave.sort_by(|one, other| other.risk_score.total_cmp(&one.risk_score));
    let seen_ms = |alert: &Alert| sight.newest_ms.get(&alert.fingerprint).copied().unwrap_or(at_ms);
    grave.into_iter().map(|alert| Risk { seen_ms: seen_ms(alert), ..risk(alert, at_ms) }).collect()
}

fn risk(alert: &Alert, at_ms: i64) -> Risk {
    Risk {
        id: format!("{PREFIX}{}/{}", alert.fingerprint, Detector::as_str(alert.detector)),
        host: alert.host.clone(),
        metric: alert.metric.clone(),
        since_ms: at_ms,
        seen_ms: at_ms,
        details: alert.details.clone(),
        risk_score: alert.risk_score,
        detector: alert.detector.as_str().to_owned(),
        class: alert.class.as_str().to_owned(),
        hours_left: alert.forecast.as_ref().map(|forecast| forecast.hours_left),
        told: Vec::new(),
        is_over: false,
    }
}
