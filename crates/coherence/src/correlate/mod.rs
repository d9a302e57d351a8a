//! From errors back to what preceded them: errors become incidents, findings of the hours before become hypotheses.
//!
//! Nothing here proves a cause. A hypothesis says that a signal stood before the errors, how grave it was and how near.

pub mod chain;
pub mod graph;
mod lookback;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::lookback::{HISTORY_MS, LOOK_EVERY_MS, Precursor, precursors};
use crate::event::{ERROR, Fingerprint, SignalEvent, is_counter, moment};
use crate::modal::{Class, Detector};
use crate::series::{Sample, Series};

/// Errors of one host not further apart than this are one incident, ms.
pub const TOGETHER_MS: i64 = 10 * 60_000;
/// Causes are looked for so far back, ms.
pub const LOOKBACK_MS: i64 = 6 * 3_600_000;
/// What is so near to an incident's errors is evidence, ms.
pub const NEAR_MS: i64 = 5 * 60_000;
/// Hypotheses of one incident.
pub const MOST_HYPOTHESES: usize = 3;

/// An hour, ms.
const HOUR_MS: f64 = 3_600_000.0;

/// The series of a set of events, by fingerprint; errors are not among them.
pub type AllSeries = BTreeMap<Fingerprint, Series>;

/// Errors of one host, together in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Whose.
    pub host: String,
    /// The first, Unix ms.
    pub first_ms: i64,
    /// The last, Unix ms.
    pub last_ms: i64,
    /// How many.
    pub errors: usize,
}

impl Incident {
    /// Its name: that of its host and its first error, so that looking again finds the same.
    pub fn id(&self) -> String {
        format!("{}@{}", self.host, moment(self.first_ms))
    }

    /// How long its errors went on, minutes.
    pub fn minutes(&self) -> f64 {
        (self.last_ms - self.first_ms) as f64 / 60_000.0
    }
}

/// The incidents of a set of events, by host and then by time.
pub fn incidents(events: &[SignalEvent]) -> Vec<Incident> {
    let mut errors: Vec<(&str, i64)> =
        events.iter().filter(|event| event.is_error()).map(|event| (event.host.as_str(), event.at_ms)).collect();
    errors.sort_unstable();
    let mut incidents: Vec<Incident> = Vec::new();
    for (host, at_ms) in errors {
        match incidents.last_mut() {
            Some(last) if last.host == host && at_ms - last.last_ms <= TOGETHER_MS => {
                last.last_ms = at_ms;
                last.errors += 1;
            }
            Some(_) | None => {
                incidents.push(Incident { host: host.to_owned(), first_ms: at_ms, last_ms: at_ms, errors: 1 });
            }
        }
    }
    incidents
}

/// The series of a set of events; of several samples of one moment the last counts. Errors and counters ([`is_counter`]) are left
/// out: they have no level.
pub fn series(events: &[SignalEvent]) -> AllSeries {
    let mut samples: BTreeMap<Fingerprint, Vec<Sample>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.metric != ERROR && !is_counter(&event.metric)) {
        samples.entry(event.fingerprint()).or_default().push(Sample { at_ms: event.at_ms, value: event.value });
    }
    samples.into_iter().map(|(of, samples)| (of, Series::of(samples).0)).collect()
}

/// What may have led to an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hypothesis {
    /// Which detector saw it.
    pub detector: Detector,
    /// On which metric of the incident's host.
    pub metric: String,
    /// `risk / (hours + 0.1)` (seed 001), hours from when it was last seen to the first error.
    pub relevance: f64,
    /// Those hours.
    pub lead_time_hours: f64,
    /// How long before the first error it was first seen, hours; not more than was looked back.
    pub first_seen_hours: f64,
    /// How grave it was, 0.0..=1.0.
    pub risk_score: f64,
    /// What it hints at.
    pub class: Class,
    /// In a person's words.
    pub summary: String,
}

/// The most relevant hypotheses: one for each detector and metric, as it was nearest to the first error.
pub fn hypotheses(incident: &Incident, precursors: &[Precursor]) -> Vec<Hypothesis> {
    let mut best: BTreeMap<(Detector, &str), Hypothesis> = BTreeMap::new();
    for precursor in precursors {
        let hypothesis = hypothesis(incident, precursor);
        let known = best.entry((precursor.detector, &precursor.metric)).or_insert_with(|| hypothesis.clone());
        let first_seen_hours = known.first_seen_hours.max(hypothesis.first_seen_hours);
        if hypothesis.relevance > known.relevance {
            *known = hypothesis;
        }
        known.first_seen_hours = first_seen_hours;
    }
    let mut all: Vec<Hypothesis> = best.into_values().collect();
    // What stood longer comes first where relevance does not tell.
    all.sort_by(|one, other| {
        other.relevance.total_cmp(&one.relevance).then(other.first_seen_hours.total_cmp(&one.first_seen_hours))
    });
    all.truncate(MOST_HYPOTHESES);
    all
}

fn hypothesis(incident: &Incident, precursor: &Precursor) -> Hypothesis {
    let hours = (incident.first_ms - precursor.at_ms) as f64 / HOUR_MS;
    Hypothesis {
        detector: precursor.detector,
        metric: precursor.metric.clone(),
        relevance: precursor.risk / (hours + 0.1),
        lead_time_hours: hours,
        first_seen_hours: hours,
        risk_score: precursor.risk,
        class: precursor.class,
        summary: precursor.summary.clone(),
    }
}

/// What a metric of the host showed while the errors went on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// Which metric.
    pub metric: String,
    /// Its highest value near the errors.
    pub highest: f64,
    /// When that was, Unix ms.
    #[serde(rename = "ts", serialize_with = "as_moment")]
    pub at_ms: i64,
    /// Its last value near the errors.
    pub last: f64,
    /// How many samples are near them.
    pub samples: usize,
    /// Which detectors had seen this metric before or while the errors went on.
    pub seen_by: Vec<Detector>,
}

pub(crate) fn as_moment<S: serde::Serializer>(at_ms: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&moment(*at_ms))
}

/// What the host's metrics showed from [`NEAR_MS`] before the first error to as long after the last.
pub fn evidence(incident: &Incident, all: &AllSeries, precursors: &[Precursor]) -> Vec<Evidence> {
    let near = |(of, series): (&Fingerprint, &Series)| {
        let (at_ms, values) = series.between(incident.first_ms - NEAR_MS, incident.last_ms + NEAR_MS + 1);
        let highest = values.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1))?;
        let mut seen_by: Vec<Detector> =
            precursors.iter().filter(|seen| seen.metric == of.metric).map(|seen| seen.detector).collect();
        seen_by.sort_unstable();
        seen_by.dedup();
        Some(Evidence {
            metric: of.metric.clone(),
            highest: *highest.1,
            at_ms: at_ms[highest.0],
            last: *values.last()?,
            samples: values.len(),
            seen_by,
        })
    };
    all.iter().filter(|(of, _)| of.host == incident.host).filter_map(near).collect()
}

#[cfg(test)]
mod tests;
