//! What the Sentinel is fed with: the simulated host, or a source that is asked again and again.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use sre_space_coherence::sentinel::Vitals;
use sre_space_coherence::sentinel::sim::SimHost;
use sre_space_domain::plain;
use sre_space_ports::source::{Reading, Source, SourceError, Wanted, names};

/// A source may answer this much later than it is asked, and what it measured until then is wanted too.
const SLACK_MS: i64 = 60_000;

/// So many windows are asked for at first.
const WINDOWS: i64 = 10;

/// What one look is told.
pub struct Tick {
    /// As of when, Unix ms.
    pub now_ms: i64,
    /// What was told.
    pub told: Vec<Vitals>,
    /// Why nothing was, where the source failed.
    pub trouble: Option<String>,
}

/// The simulated host, or a source.
pub enum Feed {
    /// Simulated; its time is its own.
    Simulated(SimHost),
    /// Asked again and again.
    Polled(Polled),
}

/// A source, and what it has told so far.
pub struct Polled {
    source: Arc<dyn Source>,
    /// The host that is watched, once it is known.
    host: Option<String>,
    /// From here on is asked, Unix ms; `None` before the first answer.
    since_ms: Option<i64>,
    /// How far back is asked at first.
    first_ms: i64,
    packets: Packets,
}

/// Packets counted up from rates, for sources that keep no count; and up to when, Unix ms.
#[derive(Default)]
struct Packets {
    at_ms: Option<i64>,
    received: f64,
    sent: f64,
}

/// One moment, as it was told.
#[derive(Default)]
struct Moment {
    vitals: Vitals,
    received_rate: Option<f64>,
    sent_rate: Option<f64>,
}

impl Feed {
    /// The simulated host.
    pub fn simulated(seed: u64) -> Self {
        Self::Simulated(SimHost::new(seed))
    }

    /// A source, asked first for the windows that are compared with the present one.
    pub fn polled(source: Arc<dyn Source>, host: Option<String>, window_ms: i64) -> Self {
        let first_ms = window_ms.saturating_mul(WINDOWS);
        Self::Polled(Polled { source, host, since_ms: None, first_ms, packets: Packets::default() })
    }

    /// Whether its time is its own.
    pub fn is_simulated(&self) -> bool {
        match self {
            Self::Simulated(_) => true,
            Self::Polled(_) => false,
        }
    }

    /// The source's name.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Simulated(_) => "sim",
            Self::Polled(polled) => polled.source.name(),
        }
    }

    /// The host that is watched, made safe to print.
    pub fn host(&self) -> &str {
        match self {
            Self::Simulated(_) => "sim",
            Self::Polled(polled) => polled.host.as_deref().unwrap_or("unknown"),
        }
    }

    /// What the next look is told.
    pub async fn next(&mut self) -> Result<Tick, SourceError> {
        match self {
            Self::Simulated(host) => {
                let (now_ms, vitals) = host.tick();
                Ok(Tick { now_ms, told: vec![vitals], trouble: None })
            }
            Self::Polled(polled) => polled.next().await,
        }
    }
}

impl Polled {
    async fn next(&mut self) -> Result<Tick, SourceError> {
        let asked_ms = Timestamp::now().as_millisecond();
        let wanted = Wanted {
            since_ms: self.since_ms.unwrap_or(asked_ms.saturating_sub(self.first_ms)),
            until_ms: asked_ms.saturating_add(SLACK_MS),
            metrics: Vec::new(),
        };
        let answer = self.source.read(&wanted).await;
        let now_ms = Timestamp::now().as_millisecond();
        match answer {
            Ok(told) => {
                let told = self.take_in(told.readings);
                self.since_ms = Some(told.last().map_or(wanted.since_ms, |look| look.at_ms.saturating_add(1)));
                Ok(Tick { now_ms, told, trouble: None })
            }
            Err(error) if self.since_ms.is_none() && !error.is_transient() => Err(error),
            Err(error) => Ok(Tick { now_ms, told: Vec::new(), trouble: Some(plain::prose(&error.to_string(), 300)) }),
        }
    }

    fn take_in(&mut self, readings: Vec<Reading>) -> Vec<Vitals> {
        let named: Vec<Reading> =
            readings.into_iter().map(|reading| Reading { host: plain::bare_name(&reading.host), ..reading }).collect();
        if self.host.is_none() {
            self.host = most_told(&named);
        }
        let moments = moments(named.iter().filter(|reading| Some(&reading.host) == self.host.as_ref()));
        moments.into_values().map(|moment| self.packets.count(moment)).collect()
    }
}

/// The host with the most readings; of equals the first by name.
fn most_told(readings: &[Reading]) -> Option<String> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    readings.iter().for_each(|reading| *counts.entry(&reading.host).or_default() += 1);
    counts.into_iter().min_by_key(|(_, count)| -count).map(|(host, _)| host.to_owned())
}

/// What was told of each moment, in order of time.
fn moments<'a>(readings: impl Iterator<Item = &'a Reading>) -> BTreeMap<i64, Moment> {
    let mut moments: BTreeMap<i64, Moment> = BTreeMap::new();
    for Reading { metric, at_ms, value, .. } in readings {
        let moment = moments.entry(*at_ms).or_default();
        moment.vitals.at_ms = *at_ms;
        let place = match metric.as_str() {
            names::CPU => &mut moment.vitals.cpu,
            names::MEMORY => &mut moment.vitals.memory,
            names::RECEIVED => &mut moment.vitals.received,
            names::SENT => &mut moment.vitals.sent,
            names::RECEIVED_RATE => &mut moment.received_rate,
            names::SENT_RATE => &mut moment.sent_rate,
            _ => continue,
        };
        *place = Some(if metric == names::CPU { value * 100.0 } else { *value });
    }
    moments
}

impl Packets {
    /// The vitals of a moment; where it has rates and no counts, a rate stands for the time since the moment before.
    fn count(&mut self, moment: Moment) -> Vitals {
        let mut vitals = moment.vitals;
        let (Some(received), Some(sent)) = (moment.received_rate, moment.sent_rate) else { return vitals };
        let passed_ms = vitals.at_ms.saturating_sub(self.at_ms.unwrap_or(vitals.at_ms)).max(0);
        let passed_s = passed_ms as f64 / 1_000.0;
        self.at_ms = Some(vitals.at_ms);
        self.received += received.max(0.0) * passed_s;
        self.sent += sent.max(0.0) * passed_s;
        vitals.received = vitals.received.or(Some(self.received));
        vitals.sent = vitals.sent.or(Some(self.sent));
        vitals
    }
}
