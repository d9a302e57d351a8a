//! What the Sentinel is fed with: the simulated host, or a source that is asked again and again.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use sre_space_coherence::sentinel::Vitals;
use sre_space_coherence::sentinel::sim::SimHost;
use sre_space_domain::plain;
use sre_space_ports::source::{Reading, Source, SourceError};

use crate::app::Heard;
use crate::crew::Crew;
use crate::sentinel::{Asking, Hosts};

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
    asking: Asking,
    hosts: Hosts,
    /// Who hears for it, where it is one that is sent to.
    _ears: Option<Crew>,
}

impl Feed {
    /// The simulated host.
    pub fn simulated(seed: u64) -> Self {
        Self::Simulated(SimHost::new(seed))
    }

    /// A source, asked first for the windows that are compared with the present one.
    pub fn polled((source, ears): Heard, host: Option<String>, window_ms: i64) -> Self {
        Self::Polled(Polled {
            source,
            host,
            asking: Asking::of_windows(window_ms),
            hosts: Hosts::default(),
            _ears: ears,
        })
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
        let wanted = self.asking.wanted(Timestamp::now().as_millisecond());
        let answer = self.source.read(&wanted).await;
        let now_ms = Timestamp::now().as_millisecond();
        match answer {
            Ok(told) => {
                let told = self.take_in(now_ms, &told.readings);
                self.asking.goes_on_from(told.last().map_or(wanted.since_ms, |look| look.at_ms.saturating_add(1)));
                Ok(Tick { now_ms, told, trouble: None })
            }
            Err(error) if self.asking.is_first() && !error.is_transient() => Err(error),
            Err(error) => Ok(Tick { now_ms, told: Vec::new(), trouble: Some(plain::prose(&error.to_string(), 300)) }),
        }
    }

    fn take_in(&mut self, now_ms: i64, readings: &[Reading]) -> Vec<Vitals> {
        let mut told = self.hosts.take_in(now_ms, readings);
        if self.host.is_none() {
            self.host = most_told(&told);
        }
        self.host.as_ref().and_then(|host| told.remove(host)).unwrap_or_default()
    }
}

/// The host with the most moments; of equals the first by name.
fn most_told(told: &BTreeMap<String, Vec<Vitals>>) -> Option<String> {
    told.iter().min_by_key(|(_, vitals)| std::cmp::Reverse(vitals.len())).map(|(host, _)| host.clone())
}
