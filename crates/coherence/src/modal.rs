//! The three detectors over one series: variance that escalates, spikes, and trends, each with the risk of seed 001 and the class
//! of fault that it hints at.

use serde::Serialize;

use crate::escalation::{Absolute, Escalation, Limits, Ratio};
use crate::event::{ERROR, Fingerprint, bare, limit};
use crate::exhaustion::Exhaustion;
use crate::robust::median;
use crate::season::{DAY_MS, Season};
use crate::spike::{Method, Spikes};
use crate::trend::Trend;
use crate::undefined::Undefined;

/// A rise from start to end of more than this share is a trend (seed 001).
pub const RISE: f64 = 0.3;
/// The slope's t-statistic from which on it is no chance: few samples make steep lines by themselves.
const TOLD: f64 = 4.0;
/// The share of a normal distribution that lies more than 2.5 standard deviations above its mean.
const BY_CHANCE: f64 = 0.006_21;
/// Of so many calm series at most one has a spike that is told: one in a hundred.
const RARELY: f64 = 0.01;
/// A risk above this is told to people (seed 001).
pub const PAGES: f64 = 0.8;
/// The spread within four hours that is chaos, as a share of a metric's limit: 10 of 100 % (seed 000).
const CHAOS: f64 = 0.1;

/// Which detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Detector {
    /// Variance of the last four hours against that of the hours before.
    #[serde(rename = "variance_escalation")]
    Variance,
    /// Samples far above the mean, unless calm noise has as many and as high ones by itself.
    #[serde(rename = "spike_detection")]
    Spike,
    /// A rise from start to end.
    #[serde(rename = "trend_detection")]
    Trend,
}

impl Detector {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Variance, Self::Spike, Self::Trend];

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Variance => "variance_escalation",
            Self::Spike => "spike_detection",
            Self::Trend => "trend_detection",
        }
    }
}

/// How grave, in three steps (seed 001).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// Below 0.5.
    Low,
    /// From 0.5 on.
    Medium,
    /// From 0.8 on.
    High,
}

impl Band {
    /// Of a risk of 0.0..=1.0.
    pub fn of(risk: f64) -> Self {
        match risk {
            _ if risk >= 0.8 => Self::High,
            _ if risk >= 0.5 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// The kind of fault that a finding hints at, in the words that remedies are declared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Memory in use that only grows.
    MemoryLeak,
    /// A processor that is at its end, or thrashes.
    CpuSaturation,
    /// Neither can be told from this metric.
    Unknown,
}

impl Class {
    /// What a detector's finding on a metric hints at.
    pub fn of(detector: Detector, metric: &str) -> Self {
        let is_of = |what: &str| bare(metric).split(['.', '_']).any(|part| part == what);
        let said = metric.to_ascii_lowercase();
        let is_left = ["available", "free"].iter().any(|left| said.contains(left));
        match detector {
            Detector::Trend if is_of("memory") && !is_left => Self::MemoryLeak,
            Detector::Variance | Detector::Spike | Detector::Trend if is_of("cpu") => Self::CpuSaturation,
            Detector::Variance | Detector::Spike | Detector::Trend => Self::Unknown,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemoryLeak => "memory-leak",
            Self::CpuSaturation => "cpu-saturation",
            Self::Unknown => "unknown",
        }
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Seen {
    /// By [`Detector::Variance`].
    Variance(Escalation),
    /// By [`Detector::Spike`]: seed 001's rule decides, the robust one stands beside it. The highest is as it was measured; baseline
    /// and threshold are those of its time of day, where there is a daily cycle.
    Spike {
        /// More than 2.5 standard deviations above the mean.
        sigma: Spikes,
        /// By the modified z-score; `None` where the series has no spread by it.
        robust: Option<Spikes>,
    },
    /// By [`Detector::Trend`].
    Trend(Trend),
}

/// One finding: a detector says that a series is not as it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Of which series.
    #[serde(skip)]
    pub of: Fingerprint,
    /// By which detector.
    pub detector: Detector,
    /// The last sample it was judged by, Unix ms.
    #[serde(skip)]
    pub at_ms: i64,
    /// How grave, 0.0..=1.0.
    #[serde(rename = "risk_score")]
    pub risk: f64,
    /// What it hints at.
    pub class: Class,
    /// Whether a daily cycle was taken out first.
    #[serde(skip)]
    pub is_daily: bool,
    /// The figures.
    pub seen: Seen,
}

/// A sample that is a spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spiked {
    /// When, Unix ms.
    pub at_ms: i64,
    /// What was measured.
    pub value: f64,
    /// What is usual: the mean, at its time of day where there is a daily cycle.
    pub usual: f64,
}

/// What the detectors said of one series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// The samples that [`Detector::Spike`] found, in order of time.
    pub spikes: Vec<Spiked>,
    /// Which detectors could not tell, and why.
    pub untold: Vec<(Detector, Undefined)>,
    /// When it will be full; `None` where there is no trend, it does not fill up for sure, or its limit is not known.
    pub exhaustion: Option<Exhaustion>,
}

impl Judgement {
    /// Of the columns of a series, in rising order of time. A daily cycle is taken out first, so that it is no anomaly; errors are
    /// what is explained and not what is judged.
    pub fn of(series: &Fingerprint, at_ms: &[i64], values: &[f64]) -> Self {
        let mut this = Self::default();
        if series.metric == ERROR {
            return this;
        }
        let without_day = without_day(at_ms, values);
        let steady = without_day.as_deref().unwrap_or(values);
        let seen = [
            (Detector::Variance, variance(&series.metric, at_ms, steady)),
            (Detector::Spike, spike(steady, values)),
            (Detector::Trend, trend(at_ms, steady)),
        ];
        let last_ms = at_ms.last().copied().unwrap_or_default();
        for (detector, seen) in seen {
            match seen {
                Ok(Some((risk, seen))) => this.findings.push(Finding {
                    of: series.clone(),
                    detector,
                    at_ms: last_ms,
                    risk,
                    class: Class::of(detector, &series.metric),
                    is_daily: without_day.is_some(),
                    seen,
                }),
                Ok(None) => {}
                Err(why) => this.untold.push((detector, why)),
            }
        }
        let found = |detector| this.findings.iter().any(|finding| finding.detector == detector);
        let full = limit(&series.metric).filter(|_| found(Detector::Trend));
        this.exhaustion = full.and_then(|full| Exhaustion::of(at_ms, steady, full).ok().flatten());
        if found(Detector::Spike) {
            this.spikes = spiked(at_ms, steady, values);
        }
        this
    }
}

/// The values without what the time of day adds to them; `None` where the series shows no daily cycle, or is too short to show one.
fn without_day(at_ms: &[i64], values: &[f64]) -> Option<Vec<f64>> {
    let season = Season::of(at_ms, values, DAY_MS).ok().filter(Season::is_there)?;
    season.without(at_ms, values).ok()
}

/// The samples that are spikes without the time of day, as they were measured.
fn spiked(at_ms: &[i64], steady: &[f64], measured: &[f64]) -> Vec<Spiked> {
    let Ok(sigma) = Spikes::of(steady, Method::Sigma) else { return Vec::new() };
    let samples = at_ms.iter().zip(steady).zip(measured).filter(|((_, steady), _)| **steady > sigma.threshold);
    samples
        .map(|((at_ms, steady), value)| Spiked { at_ms: *at_ms, value: *value, usual: sigma.baseline + value - steady })
        .collect()
}

/// Risk and figures, where there is something to see.
type Look = Result<Option<(f64, Seen)>, Undefined>;

fn variance(metric: &str, at_ms: &[i64], values: &[f64]) -> Look {
    let (usual, full) = (Limits::of_percentages(), limit(metric));
    // Variances go with the square of the unit.
    let scale = (full.unwrap_or_else(|| level(values)) / 100.0).powi(2);
    let absolute = full.map(|full| Absolute::Sigma(CHAOS * full));
    let limits = Limits { still: usual.still * scale, stirred: usual.stirred * scale, absolute, ..usual };
    let seen = Escalation::of(at_ms, values, &limits)?;
    let is_finding = seen.escalates || seen.is_chaotic;
    Ok(is_finding.then(|| (seen.risk(), Seen::Variance(seen))))
}

/// What stands for the 100 of percentages where a metric has no limit: the median of its absolute values, so that neither its unit
/// nor a burst decides what is still. A series that is 0 most of the time has no measure of its own, and keeps that of percentages.
fn level(values: &[f64]) -> f64 {
    let sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
    median(&sizes).ok().filter(|level| *level > 0.0).unwrap_or(100.0)
}

fn spike(steady: &[f64], measured: &[f64]) -> Look {
    let sigma = match Spikes::of(steady, Method::Sigma) {
        Err(Undefined::NoSpread) => return Ok(None),
        told => told?,
    };
    let robust = Spikes::of(steady, Method::RobustZ).ok();
    if is_chance(&sigma, robust.as_ref(), steady.len()) {
        return Ok(None);
    }
    let highest = steady.iter().zip(measured).max_by(|one, other| one.0.total_cmp(other.0));
    let of_day = highest.map_or(0.0, |(steady, measured)| measured - steady);
    let (risk, robust) = (sigma.risk, robust.map(|robust| robust.higher_by(of_day)));
    Ok(Some((risk, Seen::Spike { sigma: sigma.higher_by(of_day), robust })))
}

/// Whether calm normal noise of so many samples has such spikes by itself, so that they are no finding although they are above seed
/// 001's 2.5 standard deviations: of 577 samples, three or four are in any case.
///
/// There are not many more of them than expected (by three standard deviations of a Poisson count), and none is higher than in all
/// but one such series in a hundred: `n P(Z > z) <= 0.01`, with `P(Z > z) <= exp(-z² / 2) / (z √2π)` (Gordon, *Values of Mills'
/// ratio*, Annals of Mathematical Statistics 12, 1941). The highest is measured by mean and deviation, and by median and MAD, which
/// some spikes together do not raise.
fn is_chance(sigma: &Spikes, robust: Option<&Spikes>, samples: usize) -> bool {
    let Some(z) = sigma.highest_z() else { return true };
    let z = robust.and_then(Spikes::highest_z).map_or(z, |robust| z.max(robust));
    let samples = samples as f64;
    let expected = samples * BY_CHANCE;
    let are_few = sigma.count as f64 <= expected + 3.0 * expected.sqrt();
    let as_high = samples * (-z * z / 2.0).exp() / (z * std::f64::consts::TAU.sqrt());
    are_few && as_high > RARELY
}

fn trend(at_ms: &[i64], values: &[f64]) -> Look {
    let seen = match Trend::of(at_ms, values) {
        Err(Undefined::NoSpread) => return Ok(None),
        told => told?,
    };
    let left = (1.0 - seen.explained).max(f64::MIN_POSITIVE);
    let t = (seen.explained * values.len().saturating_sub(2) as f64 / left).sqrt();
    Ok((seen.rises(RISE) && t > TOLD).then(|| (seen.risk(), Seen::Trend(seen))))
}

impl Finding {
    /// In a person's words, as seed 001 has them.
    pub fn details(&self) -> String {
        let of_what = if self.is_daily { " without its daily cycle" } else { "" };
        match &self.seen {
            Seen::Variance(seen) => {
                let sigma = seen.latest.variance.sqrt();
                match (seen.escalates, seen.ratio) {
                    (true, Ratio::Times(times)) => format!("Variance escalated {times:.2}x"),
                    (true, Ratio::FromStillness) => "Variance escalated ∞x".to_owned(),
                    (_, Ratio::Times(_) | Ratio::FromStillness | Ratio::Still | Ratio::NoBaseline) => {
                        format!("Chaotic throughout: sigma {sigma:.2}{of_what}")
                    }
                }
            }
            Seen::Spike { sigma, robust } => {
                let highest = sigma.highest.unwrap_or(sigma.baseline);
                let robust = robust.map_or_else(String::new, |robust| format!("; by robust z {}", robust.count));
                let (count, share, mean) = (sigma.count, sigma.share * 100.0, sigma.baseline);
                let spikes = if count == 1 { "spike" } else { "spikes" };
                format!("{count} {spikes} ({share:.1}%), max {highest:.2} (baseline {mean:.2}){robust}")
            }
            Seen::Trend(seen) => {
                let Trend { change, from, to, .. } = seen;
                let pattern = if self.class == Class::MemoryLeak { ", leak pattern" } else { "" };
                format!("{:.0}% increase ({from:.2} → {to:.2}{of_what}){pattern}", change * 100.0)
            }
        }
    }
}

#[cfg(test)]
mod tests;
