//! The three detectors over one series: variance that escalates, spikes, and trends, each with the risk of seed 001 and the class
//! of fault that it hints at.

use serde::Serialize;

use crate::escalation::{Absolute, Escalation, Limits, Ratio};
use crate::event::{ERROR, Fingerprint, limit};
use crate::exhaustion::Exhaustion;
use crate::season::{DAY_MS, Season};
use crate::spike::{Method, SIGMAS, Spikes};
use crate::trend::Trend;
use crate::undefined::Undefined;

/// A rise from start to end of more than this share is a trend (seed 001).
pub const RISE: f64 = 0.3;
/// The slope's t-statistic from which on it is no chance: few samples make steep lines by themselves.
const TOLD: f64 = 4.0;
/// The share of a normal distribution that lies more than 2.5 standard deviations above its mean.
const BY_CHANCE: f64 = 0.006_21;
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
    /// Samples far above the mean.
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
    /// Memory that only grows.
    MemoryLeak,
    /// A processor that is at its end, or thrashes.
    CpuSaturation,
    /// Neither can be told from this metric.
    Unknown,
}

impl Class {
    /// What a detector's finding on a metric hints at.
    pub fn of(detector: Detector, metric: &str) -> Self {
        let is_of = |what: &str| metric.split(['.', '_']).any(|part| part == what);
        match detector {
            Detector::Trend if is_of("memory") => Self::MemoryLeak,
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
    /// By [`Detector::Spike`]: seed 001's rule decides, the robust one stands beside it.
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
    /// The figures.
    pub seen: Seen,
}

/// What the detectors said of one series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// What is not as it should be.
    pub findings: Vec<Finding>,
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
        let steady = without_day(at_ms, values);
        let values = steady.as_slice();
        let seen = [
            (Detector::Variance, variance(&series.metric, at_ms, values)),
            (Detector::Spike, spike(values)),
            (Detector::Trend, trend(at_ms, values)),
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
                    seen,
                }),
                Ok(None) => {}
                Err(why) => this.untold.push((detector, why)),
            }
        }
        let rises = this.findings.iter().any(|finding| finding.detector == Detector::Trend);
        let full = limit(&series.metric).filter(|_| rises);
        this.exhaustion = full.and_then(|full| Exhaustion::of(at_ms, values, full).ok().flatten());
        this
    }
}

/// The values without what the time of day adds to them; as they are where the series shows no daily cycle, or is too short to
/// show one.
fn without_day(at_ms: &[i64], values: &[f64]) -> Vec<f64> {
    let season = Season::of(at_ms, values, DAY_MS).ok().filter(Season::is_there);
    season.and_then(|season| season.without(at_ms, values).ok()).unwrap_or_else(|| values.to_vec())
}

/// Risk and figures, where there is something to see.
type Look = Result<Option<(f64, Seen)>, Undefined>;

fn variance(metric: &str, at_ms: &[i64], values: &[f64]) -> Look {
    let usual = Limits::of_percentages();
    let limits = match limit(metric) {
        // Variances go with the square of the unit.
        Some(full) => Limits {
            still: usual.still * (full / 100.0).powi(2),
            stirred: usual.stirred * (full / 100.0).powi(2),
            absolute: Some(Absolute::Sigma(CHAOS * full)),
            ..usual
        },
        None => Limits { absolute: None, ..usual },
    };
    let seen = Escalation::of(at_ms, values, &limits)?;
    let is_finding = seen.escalates || seen.is_chaotic;
    Ok(is_finding.then(|| (seen.risk(), Seen::Variance(seen))))
}

fn spike(values: &[f64]) -> Look {
    let sigma = match Spikes::of(values, Method::Sigma) {
        Err(Undefined::NoSpread) => return Ok(None),
        told => told?,
    };
    let robust = Spikes::of(values, Method::RobustZ).ok();
    Ok((!is_chance(&sigma, values.len())).then_some((sigma.risk, Seen::Spike { sigma, robust })))
}

/// Whether calm normal noise of so many samples has such spikes by itself: not many more of them than expected, and none higher
/// than all but one such series in a hundred has. The second by `P(Z > z) <= exp(-z² / 2) / 2`.
fn is_chance(spikes: &Spikes, samples: usize) -> bool {
    let Some(highest) = spikes.highest else { return true };
    let samples = samples as f64;
    let expected = samples * BY_CHANCE;
    let z = SIGMAS * (highest - spikes.baseline) / (spikes.threshold - spikes.baseline);
    let are_few = spikes.count as f64 <= expected + 3.0 * expected.sqrt();
    are_few && z <= (2.0 * (samples / 0.02).ln()).sqrt()
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
        match &self.seen {
            Seen::Variance(seen) => {
                let sigma = seen.latest.variance.sqrt();
                match (seen.escalates, seen.ratio) {
                    (true, Ratio::Times(times)) => format!("Variance escalated {times:.2}x"),
                    (true, Ratio::FromStillness) => "Variance escalated ∞x".to_owned(),
                    (_, Ratio::Times(_) | Ratio::FromStillness | Ratio::Still | Ratio::NoBaseline) => {
                        format!("Chaotic throughout: sigma {sigma:.2}")
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
                format!("{:.0}% increase ({from:.2} → {to:.2}), leak pattern", change * 100.0)
            }
        }
    }
}

#[cfg(test)]
mod tests;
