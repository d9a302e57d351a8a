//! Risks: findings that are grave enough to wake somebody, each told once to each channel until it is over.

use serde::{Deserialize, Serialize};
use sre_space_coherence::event::moment;
use sre_space_coherence::modal::{Detector, PAGES};
use sre_space_coherence::report::{Alert, Report};
use sre_space_domain::ids::Digest;
use sre_space_domain::plain;
use sre_space_ports::notify::{Before, Notice, Severity, Told, What};
use sre_space_ports::signals::PastIncident;

/// What the names of risks begin with, beside those of incidents.
const PREFIX: &str = "risk:";
/// PagerDuty takes 255 bytes, and the moment comes behind.
const LONGEST_ID: usize = 200;
/// Characters of what is said of one.
const LONGEST_TEXT: usize = 300;
/// Risks that one look tells of at most; the gravest.
const MOST: usize = 20;

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

    /// As it is kept.
    pub fn kept(&self) -> Result<PastIncident, serde_json::Error> {
        let report = serde_json::to_value(self)?;
        Ok(PastIncident { id: self.id.clone(), host: self.host.clone(), at_ms: self.since_ms, report })
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

/// The risks of a report, the gravest first; with the moment they were seen.
pub fn risks(report: &Report, at_ms: i64) -> Vec<Risk> {
    let mut grave: Vec<&Alert> = report.alerts.iter().filter(|alert| alert.risk_score > PAGES).collect();
    grave.sort_by(|one, other| other.risk_score.total_cmp(&one.risk_score));
    grave.into_iter().take(MOST).map(|alert| risk(alert, at_ms)).collect()
}

fn risk(alert: &Alert, at_ms: i64) -> Risk {
    Risk {
        id: format!("{PREFIX}{}/{}", alert.fingerprint, Detector::as_str(alert.detector)),
        host: alert.host.clone(),
        metric: alert.metric.clone(),
        since_ms: at_ms,
        details: alert.details.clone(),
        risk_score: alert.risk_score,
        detector: alert.detector.as_str().to_owned(),
        class: alert.class.as_str().to_owned(),
        hours_left: alert.forecast.as_ref().map(|forecast| forecast.hours_left),
        told: Vec::new(),
        is_over: false,
    }
}
