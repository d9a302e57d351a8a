//! What the detectors would have said in the hours before an incident, each time with what was known by then.

use super::{AllSeries, Incident, LOOKBACK_MS};
use crate::event::Fingerprint;
use crate::modal::{Class, Detector, Finding, Judgement};
use crate::series::Series;

/// The detectors look again so often, ms: as the schedule does.
pub const LOOK_EVERY_MS: i64 = 15 * 60_000;
/// And judge by so much of the past, ms.
pub const HISTORY_MS: i64 = 48 * 3_600_000;

/// A finding at a moment before an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Precursor {
    /// Which detector saw it.
    pub detector: Detector,
    /// On which metric of the incident's host.
    pub metric: String,
    /// When it was seen, Unix ms: of a spike the sample's own moment.
    pub at_ms: i64,
    /// How grave, 0.0..=1.0.
    pub risk: f64,
    /// What it hints at.
    pub class: Class,
    /// In a person's words.
    pub summary: String,
}

/// All precursors of an incident on its own host, oldest first.
pub fn precursors(incident: &Incident, all: &AllSeries) -> Vec<Precursor> {
    let mut seen: Vec<Precursor> = all
        .iter()
        .filter(|(of, _)| of.host == incident.host)
        .flat_map(|(of, series)| ongoing(incident, of, series).chain(spikes(incident, of, series)).collect::<Vec<_>>())
        .collect();
    seen.sort_by(|one, other| {
        (one.at_ms, &one.metric, one.detector).cmp(&(other.at_ms, &other.metric, other.detector))
    });
    seen
}

fn precursor(finding: &Finding) -> Precursor {
    Precursor {
        detector: finding.detector,
        metric: finding.of.metric.clone(),
        at_ms: finding.at_ms,
        risk: finding.risk,
        class: finding.class,
        summary: finding.details(),
    }
}

/// Trends and variance, which are states, at each look.
fn ongoing<'a>(incident: &Incident, of: &'a Fingerprint, series: &'a Series) -> impl Iterator<Item = Precursor> + 'a {
    let first_ms = incident.first_ms;
    (0..=LOOKBACK_MS / LOOK_EVERY_MS).flat_map(move |look| {
        let at_ms = first_ms - look * LOOK_EVERY_MS;
        let (times, values) = series.between(at_ms - HISTORY_MS, at_ms + 1);
        let is_fresh = times.last().is_some_and(|last| *last > at_ms - LOOK_EVERY_MS);
        let judgement = if is_fresh { Judgement::of(of, times, values) } else { Judgement::default() };
        judgement.findings.into_iter().filter(|finding| finding.detector != Detector::Spike).map(|f| precursor(&f))
    })
}

/// Each spike by itself, by what was usual up to the first error.
fn spikes<'a>(incident: &Incident, of: &'a Fingerprint, series: &'a Series) -> impl Iterator<Item = Precursor> + 'a {
    let first_ms = incident.first_ms;
    let (times, values) = series.between(first_ms - HISTORY_MS, first_ms + 1);
    let Judgement { findings, spikes, .. } = Judgement::of(of, times, values);
    let found = findings.into_iter().find(|finding| finding.detector == Detector::Spike);
    let told = found.map(move |finding| {
        let near = spikes.into_iter().filter(move |spike| spike.at_ms >= first_ms - LOOKBACK_MS);
        near.map(move |spike| Precursor {
            detector: Detector::Spike,
            metric: finding.of.metric.clone(),
            at_ms: spike.at_ms,
            risk: finding.risk,
            class: finding.class,
            summary: format!("Spike to {:.2} (baseline {:.2})", spike.value, spike.usual),
        })
    });
    told.into_iter().flatten()
}
