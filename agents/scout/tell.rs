//! What Scout says when it is asked, and what it says by itself.

use std::collections::BTreeSet;

use sre_space_domain::evidence::{Evidence, Suspect};
use sre_space_domain::recovery::{Before, Recovery, SequentialTest, Tally};
use sre_space_domain::signal::{Amplification, Certainty, Coherence, Signal};

use super::coherence::Watched;
use super::names::Name;
use super::series::{self, Phase, Series};
use super::{Graph, Key, Limits, Scout, Sighting, Watch, graph, recheck};

/// Most spans that are handed out as evidence.
const MOST_EVIDENCE: usize = 40_000;
/// Good requests in the window before a service counts as calm.
const CALM_REQUESTS: u64 = 20;

/// The newest numbers, beside what was usual when the incident opened: what was learned since may be the failure itself.
fn against(live: Option<Coherence>, opened: Option<Coherence>) -> Option<Coherence> {
    let newest = live.or(opened)?;
    Some(match (newest, opened) {
        (Coherence::Calls(calls), Some(Coherence::Calls(Amplification { usual, .. }))) => {
            Coherence::Calls(Amplification { usual, ..calls })
        }
        (Coherence::Calls(_) | Coherence::Memory(_), None | Some(Coherence::Memory(_) | Coherence::Calls(_))) => newest,
    })
}

impl Scout {
    /// What is to be said now, callees before their callers.
    pub fn judge(&mut self, now_ms: i64) -> Vec<Sighting> {
        self.buffer.forget(now_ms);
        let all = self.series.iter_mut().map(|(key, series)| (*key, series)).chain(self.senses.series_mut());
        let mut turned: Vec<(Key, Phase)> =
            all.filter_map(|(key, series)| series.turn(now_ms).map(|phase| (key, phase))).collect();
        let depth = |key: &Key| self.calls.depth(key.0);
        turned.sort_by_key(|(key, _)| std::cmp::Reverse(depth(key)));
        turned.into_iter().filter_map(|(key, phase)| self.sighting(key, phase, now_ms)).collect()
    }

    fn sighting(&self, key: Key, phase: Phase, now_ms: i64) -> Option<Sighting> {
        match phase {
            Phase::Calm => Some(Sighting::Faded {
                service: self.names.text(key.0).to_owned(),
                operation: self.names.text(key.1).to_owned(),
            }),
            Phase::Suspected => self.signal_of(key, now_ms).map(Sighting::Suspected),
            Phase::Confirmed => self.signal_of(key, now_ms).map(Sighting::Confirmed),
        }
    }

    /// The signal of a (service, operation) as it stands; `None` when it was never seen.
    pub fn signal(&self, service: &str, operation: &str, now_ms: i64) -> Option<Signal> {
        self.key(service, operation).and_then(|key| self.signal_of(key, now_ms))
    }

    fn signal_of(&self, key: Key, now_ms: i64) -> Option<Signal> {
        let (series, sensed) = self.judged(key)?;
        let window = series.window(now_ms);
        Some(Signal {
            service: self.names.text(key.0).to_owned(),
            operation: self.names.text(key.1).to_owned(),
            kind: sensed.map_or_else(|| series.kind(), Watched::kind),
            certainty: if series.phase() == Phase::Confirmed { Certainty::Confirmed } else { Certainty::Suspected },
            observed: window.bad as f64 / window.all.max(1) as f64,
            baseline: series.baseline(),
            threshold: sre_space_domain::detect::THRESHOLD,
            window_s: window.seconds,
            samples: window.all,
            statistic: series.statistic(),
            posterior: window.posterior(),
            sources: series.sources().map(|name| self.names.text(name).to_owned()).collect(),
            onset_ms: series.onset_ms(),
            coherence: sensed.and_then(Watched::numbers),
        })
    }

    /// The series of a key, and what the second sense knows of it where it is one of its own.
    fn judged(&self, key: Key) -> Option<(&Series, Option<&Watched>)> {
        let sensed = || self.senses.get(key).map(|watched| (&watched.series, Some(watched)));
        self.series.get(&key).map(|series| (series, None)).or_else(sensed)
    }

    /// Every series with its key.
    fn all(&self) -> impl Iterator<Item = (Key, &Series)> {
        self.series.iter().map(|(key, series)| (*key, series)).chain(self.senses.series())
    }

    /// Everything an explanation of the signal may be built from; the repository's part and the Sentinel's are left empty.
    pub fn evidence(&self, signal: &Signal, now_ms: i64) -> Evidence {
        let live = self.signal(&signal.service, &signal.operation, now_ms).unwrap_or_else(|| signal.clone());
        Evidence {
            signal: Signal { coherence: against(live.coherence, signal.coherence), ..live },
            taken_ms: now_ms,
            heard_since_ms: self.heard_since_ms.unwrap_or(now_ms),
            spans: self.buffer.newest(MOST_EVIDENCE, &self.names),
            latency_objective_ns: self.latency_ns,
            revisions: self.revisions.seen(&self.names),
            suspects: self.suspects(),
            changes: Vec::new(),
            vetoes: BTreeSet::new(),
        }
    }

    /// Every (service, operation) under suspicion now.
    pub fn suspects(&self) -> Vec<Suspect> {
        let suspect = |(key, series): (Key, &Series)| Suspect {
            service: self.names.text(key.0).to_owned(),
            operation: self.names.text(key.1).to_owned(),
            statistic: series.statistic(),
        };
        self.all().filter(|(_, series)| series.suspects()).map(suspect).collect()
    }

    /// Whether a call path leads from one service to the other, either way.
    pub fn related(&self, a: &str, b: &str) -> bool {
        if a == b {
            return true;
        }
        match (self.names.find(a), self.names.find(b)) {
            (Some(a), Some(b)) => self.calls.leads(a, b) || self.calls.leads(b, a),
            (None, _) | (_, None) => false,
        }
    }

    /// When the first span of a revision arrived, milliseconds since the Unix epoch.
    pub fn revision_seen(&self, service: &str, revision: &str) -> Option<i64> {
        self.revisions.first_seen(self.names.find(service)?, self.names.find(revision)?)
    }

    /// Whether the service is seen to be well: recent good requests, and no operation of it suspect.
    pub fn calm(&self, service: &str, now_ms: i64) -> bool {
        let Some(service) = self.names.find(service) else { return false };
        let of_service = || self.series.iter().filter(|(key, _)| key.0 == service).map(|(_, series)| series);
        let good: u64 = of_service().map(|series| series.window(now_ms)).map(|window| window.all - window.bad).sum();
        let clear = |(key, series): (Key, &Series)| key.0 != service || !series.suspects();
        good >= CALM_REQUESTS && self.all().all(clear)
    }

    /// Whether the second sense knows what is usual, of all that it has heard of.
    pub fn knows_usual(&self) -> bool {
        self.senses.knows_usual()
    }

    /// Whether a failure has passed by itself: its service is well, and Wald's test finds the very operation healthy by what it
    /// served lately. An operation that is not called tells nothing.
    pub fn passed(&self, signal: &Signal, now_ms: i64) -> bool {
        let judged = self.key(&signal.service, &signal.operation).and_then(|key| self.judged(key));
        let Some((series, sensed)) = judged else { return false };
        let known = sensed
            .zip(signal.coherence.as_ref())
            .and_then(|(watched, numbers)| watched.against(numbers, None, now_ms - series.window_ms()));
        let window = series.window(now_ms);
        let lately = known.unwrap_or(Tally { all: window.all, bad: window.bad });
        let test = SequentialTest::against(Before { baseline: signal.baseline, observed: signal.observed });
        test.finds_healthy(lately) && self.calm(&signal.service, now_ms)
    }

    /// The service graph as the spans show it.
    pub fn graph(&self, now_ms: i64) -> Graph {
        let suspect = |service: Name| self.all().any(|(key, series)| key.0 == service && series.suspects());
        self.calls.graph(&self.names, (&self.revisions, &self.vitals), suspect, now_ms)
    }

    /// Judges a deployed change; `None` while undecided.
    pub fn recheck(&self, watch: &Watch, now_ms: i64) -> Option<Recovery> {
        recheck::judge(self, watch, now_ms)
    }

    /// Names refused for want of room, counted; their spans were taken under the overflow name.
    pub fn overflowed(&self) -> u64 {
        self.names.overflowed()
    }

    /// The windows looked at, seconds: what a suspicion is confirmed in, and what rates and quantiles are of, at most.
    pub fn windows_s() -> (i64, i64) {
        (series::WINDOW_S, 2 * graph::HALF_WINDOW_MS / 1_000)
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn key(&self, service: &str, operation: &str) -> Option<Key> {
        Some((self.names.find(service)?, self.names.find(operation)?))
    }
}
