//! What an analysis found: alerts by detector, hosts, incidents with hypotheses and evidence, the causal graph.

mod narrative;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::correlate::chain::{Chain, chains};
use crate::correlate::graph::Graph;
use crate::correlate::{AllSeries, Evidence, Hypothesis, Incident, as_moment, evidence, hypotheses, incidents};
use crate::correlate::{precursors, series};
use crate::event::{Fingerprint, SignalEvent, limit, moment};
use crate::exhaustion::Exhaustion;
use crate::modal::{Band, Class, Detector, Finding, Judgement, Seen};
use crate::undefined::Undefined;

/// Incidents that are explained, the newest; more are counted.
pub const MOST_INCIDENTS: usize = 100;
/// Chains that are told of one incident.
const MOST_CHAINS: usize = 20;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Analysed {
    /// The first event.
    pub from: Option<jiff::Timestamp>,
    /// The last.
    pub until: Option<jiff::Timestamp>,
    /// How many.
    pub events: usize,
    /// How many rows were no events.
    pub refused: usize,
    /// How many series they make.
    pub series: usize,
}

/// A finding of a detector over the whole time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// Which detector.
    pub detector: Detector,
    /// Whose.
    pub host: String,
    /// Of what.
    pub metric: String,
    /// `host:metric`.
    pub fingerprint: Fingerprint,
    /// How grave, 0.0..=1.0.
    pub risk_score: f64,
    /// The same in three steps.
    pub band: Band,
    /// What it hints at.
    pub class: Class,
    /// In a person's words.
    pub details: String,
    /// When it will be full, of a trend towards a known limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// The figures.
    pub figures: Seen,
}

/// When a resource will be full.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Where it is full, in the metric's unit.
    pub limit: f64,
    /// From the last sample to there, hours.
    pub hours_left: f64,
    /// The same by the 95 % interval of the slope.
    pub hours_left_range: (f64, f64),
    /// How fast it fills, the metric's unit an hour.
    pub per_hour: f64,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostSummary {
    /// Its name.
    pub host: String,
    /// Its events.
    pub events: usize,
    /// Its metrics, errors among them.
    pub metrics: usize,
    /// Its alerts.
    pub alerts: usize,
    /// Mean risk of its alerts; `None` where there is none.
    pub average_risk: Option<f64>,
    /// Their gravest.
    pub maximum_risk: Option<f64>,
}

/// A detector that could not judge a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Untold {
    /// Which series.
    pub fingerprint: Fingerprint,
    /// Which detector.
    pub detector: Detector,
    /// Why.
    #[serde(flatten)]
    pub why: Undefined,
}

/// An incident, explained as far as it can be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Its name: the same whenever it is found.
    pub incident_id: String,
    /// Whose.
    pub host: String,
    /// Its first error, Unix ms.
    #[serde(serialize_with = "as_moment")]
    pub timestamp: i64,
    /// Its errors.
    pub error_count: usize,
    /// From the first to the last.
    pub duration_minutes: f64,
    /// The most relevant first.
    pub hypotheses: Vec<Hypothesis>,
    /// What the host's metrics showed near the errors.
    pub evidence: Vec<Evidence>,
    /// Signals before it that follow each other closely.
    pub chains: Vec<Chain>,
    /// All of that in a few sentences, Markdown.
    pub narrative: String,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was looked at.
    pub analysed: Analysed,
    /// By detector, the gravest first.
    pub alerts: Vec<Alert>,
    /// By name.
    pub hosts: Vec<HostSummary>,
    /// What could not be judged.
    pub untold: Vec<Untold>,
    /// By host and time.
    pub incidents: Vec<Explained>,
    /// How many incidents there are; more than are explained if there are very many.
    pub incident_count: usize,
    /// Signals and incidents.
    pub graph: Graph,
}

impl Report {
    /// Of events in any order; `refused` rows beside them were no events.
    pub fn of(events: &[SignalEvent], refused: usize) -> Self {
        let all = series(events);
        let (alerts, untold) = judged(&all);
        let found = incidents(events);
        let mut graph = Graph::default();
        let explained = newest(&found).into_iter().map(|one| explained(one, &all, &mut graph)).collect();
        Self {
            analysed: Analysed {
                from: events.iter().map(|event| event.at_ms).min().map(moment),
                until: events.iter().map(|event| event.at_ms).max().map(moment),
                events: events.len(),
                refused,
                series: all.len(),
            },
            hosts: hosts(events, &alerts),
            alerts,
            untold,
            incidents: explained,
            incident_count: found.len(),
            graph,
        }
    }
}

/// The newest of the incidents, in the order of all.
fn newest(all: &[Incident]) -> Vec<&Incident> {
    let mut newest: Vec<&Incident> = all.iter().collect();
    newest.sort_by_key(|one| std::cmp::Reverse(one.last_ms));
    newest.truncate(MOST_INCIDENTS);
    newest.sort_by(|one, other| (&one.host, one.first_ms).cmp(&(&other.host, other.first_ms)));
    newest
}

fn judged(all: &AllSeries) -> (Vec<Alert>, Vec<Untold>) {
    let (mut alerts, mut untold) = (Vec::new(), Vec::new());
    for (of, series) in all {
        let judgement = Judgement::of(of, series.at_ms(), series.values());
        alerts.extend(judgement.findings.into_iter().map(|finding| alert(finding, judgement.exhaustion)));
        untold.extend(judgement.untold.into_iter().map(|(detector, why)| Untold {
            fingerprint: of.clone(),
            detector,
            why,
        }));
    }
    alerts.sort_by(|one: &Alert, other| {
        let by_risk = other.risk_score.total_cmp(&one.risk_score);
        one.detector.cmp(&other.detector).then(by_risk).then(one.fingerprint.cmp(&other.fingerprint))
    });
    (alerts, untold)
}

fn alert(finding: Finding, exhaustion: Option<Exhaustion>) -> Alert {
    let forecast = exhaustion.filter(|_| finding.detector == Detector::Trend);
    Alert {
        detector: finding.detector,
        host: finding.of.host.clone(),
        metric: finding.of.metric.clone(),
        risk_score: finding.risk,
        band: Band::of(finding.risk),
        class: finding.class,
        details: finding.details(),
        forecast: forecast.and_then(|forecast| Forecast::of(&finding.of.metric, forecast)),
        fingerprint: finding.of,
        figures: finding.seen,
    }
}

impl Forecast {
    fn of(metric: &str, told: Exhaustion) -> Option<Self> {
        let hours = |ms: i64| ms as f64 / 3_600_000.0;
        Some(Self {
            limit: limit(metric)?,
            hours_left: hours(told.left_ms),
            hours_left_range: (hours(told.soonest_ms), hours(told.latest_ms)),
            per_hour: told.per_hour,
        })
    }
}

fn hosts(events: &[SignalEvent], alerts: &[Alert]) -> Vec<HostSummary> {
    let mut seen: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for event in events {
        let (count, metrics) = seen.entry(&event.host).or_default();
        *count += 1;
        metrics.insert(&event.metric);
    }
    let summary = |(host, (events, metrics)): (&str, (usize, BTreeSet<&str>))| {
        let risks: Vec<f64> = alerts.iter().filter(|alert| alert.host == host).map(|alert| alert.risk_score).collect();
        HostSummary {
            host: host.to_owned(),
            events,
            metrics: metrics.len(),
            alerts: risks.len(),
            average_risk: crate::moments::mean(&risks).ok(),
            maximum_risk: risks.iter().copied().max_by(f64::total_cmp),
        }
    };
    seen.into_iter().map(summary).collect()
}

fn explained(incident: &Incident, all: &AllSeries, graph: &mut Graph) -> Explained {
    let before = precursors(incident, all);
    let hypotheses = hypotheses(incident, &before);
    let mut chains = chains(incident, &before);
    // The last ones are the nearest.
    chains.drain(..chains.len().saturating_sub(MOST_CHAINS));
    let evidence = evidence(incident, all, &before);
    let label = format!("{}: {} error event(s), {:.0} min", incident.host, incident.errors, incident.minutes());
    graph.add((&incident.id(), label), &incident.host, &hypotheses, &chains);
    Explained {
        incident_id: incident.id(),
        host: incident.host.clone(),
        timestamp: incident.first_ms,
        error_count: incident.errors,
        duration_minutes: incident.minutes(),
        narrative: narrative::of(incident, &evidence, &hypotheses),
        hypotheses,
        evidence,
        chains,
    }
}

#[cfg(test)]
mod tests;
