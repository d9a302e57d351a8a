//! Whether a service multiplies what it is asked: calls to other services for each request served, against its own usual.
//!
//! The callees count the same calls from their side, which is the second source.

use std::collections::BTreeMap;

use sre_space_domain::signal::Amplification;

use super::super::names::Name;
use super::{Passing, Second};

/// A count is judged when it covers this long, milliseconds, and at least so many requests.
const LENGTH_MS: i64 = 1_000;
const LEAST_REQUESTS: u64 = 20;
/// Counts of calm times before anything is judged.
const LEARNED: u32 = 8;
/// Weight of a new count in what is usual.
const NEW: f64 = 0.1;
/// Less than half of the usual is learned this many times slower: a service that stopped calling for a while is not amplified
/// once it calls again.
const SLOWER: f64 = 20.0;
const HALF: f64 = 0.5;
/// Amplified is this many times the usual, and more than so many calls above it.
const AMPLIFIED: f64 = 1.4;
const LEAST_EXCESS: f64 = 0.2;
/// Who makes hardly more than one call for a request multiplies nothing, whatever was usual (founding document 000: 1.1).
const LEAST_RATIO: f64 = 1.1;
const MOST_REVISIONS: usize = 4;

/// What was counted of one revision since a moment.
#[derive(Default)]
struct Count {
    began_ms: i64,
    served: u64,
    called: u64,
    received: u64,
    source: Option<Name>,
    callee: Option<Name>,
}

/// A ratio's usual value: an exponentially weighted mean of calm times.
#[derive(Default, Clone, Copy)]
struct Usual {
    mean: f64,
    learned: u32,
}

impl Usual {
    fn learn(&mut self, ratio: f64) {
        let slower = if ratio < HALF * self.mean { SLOWER } else { 1.0 };
        let weight = if self.learned < LEARNED { 1.0 / f64::from(self.learned + 1) } else { NEW / slower };
        self.mean += weight * (ratio - self.mean);
        self.learned = self.learned.saturating_add(1).min(LEARNED);
    }

    fn is_exceeded(self, ratio: f64) -> bool {
        let least = (self.mean * AMPLIFIED).max(self.mean + LEAST_EXCESS).max(LEAST_RATIO);
        self.learned >= LEARNED && ratio > least
    }
}

/// Calls and requests of one service.
#[derive(Default)]
pub struct Calls {
    counts: BTreeMap<Name, Count>,
    /// In the order they were first heard.
    revisions: Vec<Name>,
    called: Usual,
    received: Usual,
    last: Option<Amplification>,
}

impl Calls {
    /// Whether a revision is heard for the first time after another.
    pub fn begins(&mut self, revision: Name) -> bool {
        if self.revisions.contains(&revision) {
            return false;
        }
        if self.revisions.len() >= MOST_REVISIONS {
            let old = self.revisions.remove(0);
            self.counts.remove(&old);
        }
        self.revisions.push(revision);
        self.revisions.len() > 1
    }

    /// Counts a request taken in.
    pub fn served(&mut self, of: Passing) {
        let count = self.count(of.revision);
        count.served += 1;
        count.source = Some(of.source);
    }

    /// Counts a call made.
    pub fn called(&mut self, of: Passing) {
        self.count(of.revision).called += 1;
    }

    /// Counts a call that a callee took in.
    pub fn received(&mut self, of: Passing) {
        let count = self.count(of.revision);
        count.received += 1;
        count.callee = Some(of.source);
    }

    fn count(&mut self, revision: Name) -> &mut Count {
        self.counts.entry(revision).or_default()
    }

    /// Closes a count that has gone on for long enough: judged, or learned from in calm times.
    pub fn turn(&mut self, now_ms: i64, is_quiet: bool) -> Option<Second> {
        let is_due = |count: &Count| now_ms - count.began_ms >= LENGTH_MS && count.served >= LEAST_REQUESTS;
        let revision = *self.counts.iter().find(|(_, count)| is_due(count))?.0;
        let fresh = Count { began_ms: now_ms, ..Count::default() };
        let count = self.counts.insert(revision, fresh)?;
        // What came before the first moment that was noted is of an unknown length.
        (count.began_ms > 0).then_some(())?;
        self.judge(&count, revision, is_quiet)
    }

    fn judge(&mut self, count: &Count, revision: Name, is_quiet: bool) -> Option<Second> {
        let share = |calls: u64| calls as f64 / count.served as f64;
        let (ratio, received) = (share(count.called), share(count.received));
        let is_bad = self.called.is_exceeded(ratio);
        let also = count.callee.filter(|callee| self.received.is_exceeded(received) && Some(*callee) != count.source);
        let is_learned = self.called.learned >= LEARNED;
        self.last = Some(Amplification {
            ratio,
            usual: self.called.mean,
            received: count.callee.map(|_| received),
            requests: count.served,
        });
        if is_quiet && !is_bad {
            self.called.learn(ratio);
            self.received.learn(received);
        }
        is_learned.then_some(Second { is_bad, source: count.source?, revision, also })
    }

    /// The numbers of the last count.
    pub fn numbers(&self) -> Option<Amplification> {
        self.last.filter(|_| self.called.learned >= LEARNED)
    }
}
