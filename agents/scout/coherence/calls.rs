//! Whether a service multiplies what it is asked: calls to other services for each request served, against its own usual.
//!
//! The callees count the same calls from their side, which is the second source. Their spans come in batches of their own, so
//! what they took in is told of several counts together. A count waits for enough requests, and what confirms waits as many
//! counts as ever: at two requests a second a storm is confirmed after some two minutes.

use std::collections::{BTreeMap, VecDeque};

use sre_space_domain::recovery::Tally;
use sre_space_domain::signal::Amplification;

use super::super::names::Name;
use super::pace::Pace;
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
/// Counts over which the callees' side is told.
const TOGETHER: usize = 8;
/// Counts that are kept, to be judged again by what an incident knows to be usual.
const KEPT: usize = 512;

/// One side of a call, or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The service took in a request.
    Served,
    /// It called another.
    Called,
    /// The one it called took it in.
    Received,
}

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

impl Count {
    fn take(&mut self, call: Call, source: Name) {
        match call {
            Call::Served => {
                self.served += 1;
                self.source = Some(source);
            }
            Call::Called => self.called += 1,
            Call::Received => {
                self.received += 1;
                self.callee = Some(source);
            }
        }
    }
}

/// A closed count.
struct Counted {
    at_ms: i64,
    revision: Name,
    ratio: f64,
    served: u64,
    received: u64,
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

    /// What calm times before a start were like.
    fn recalled(ratio: f64) -> Self {
        Self { mean: ratio, learned: LEARNED }
    }

    fn is_exceeded(self, ratio: f64) -> bool {
        self.learned >= LEARNED && is_amplified(ratio, self.mean)
    }
}

fn is_amplified(ratio: f64, usual: f64) -> bool {
    ratio > (usual * AMPLIFIED).max(usual + LEAST_EXCESS).max(LEAST_RATIO)
}

/// Calls and requests of one service.
#[derive(Default)]
pub struct Calls {
    counts: BTreeMap<Name, Count>,
    /// In the order they were first heard.
    revisions: Vec<Name>,
    called: Usual,
    received: Usual,
    /// What was heard of calm times before the start.
    recalled: Count,
    counted: VecDeque<Counted>,
    callee: Option<Name>,
    pace: Pace,
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
        self.callee = None;
        self.revisions.len() > 1
    }

    /// Counts one side of a call, or a request.
    pub fn take(&mut self, call: Call, of: Passing) {
        self.counts.entry(of.revision).or_default().take(call, of.source);
    }

    /// The same of calm times before the start: what was usual then is usual still.
    pub fn recollect(&mut self, call: Call, of: Passing) {
        self.begins(of.revision);
        self.recalled.take(call, of.source);
        let Count { served, called, received, .. } = self.recalled;
        if served >= LEAST_REQUESTS {
            let share = |calls: u64| Usual::recalled(calls as f64 / served as f64);
            (self.called, self.received) = (share(called), share(received));
        }
    }

    /// Closes a count that has gone on for long enough: judged, or learned from in calm times.
    pub fn turn(&mut self, now_ms: i64, is_quiet: bool) -> Option<Second> {
        let is_due = |count: &Count| now_ms - count.began_ms >= LENGTH_MS && count.served >= LEAST_REQUESTS;
        let revision = *self.counts.iter().find(|(_, count)| is_due(count))?.0;
        let fresh = Count { began_ms: now_ms, ..Count::default() };
        let count = self.counts.insert(revision, fresh)?;
        self.pace.take(now_ms);
        // What came before the first moment that was noted is of an unknown length.
        (count.began_ms > 0).then_some(())?;
        self.judge(&count, (revision, now_ms), is_quiet)
    }

    fn judge(&mut self, count: &Count, (revision, now_ms): (Name, i64), is_quiet: bool) -> Option<Second> {
        let ratio = count.called as f64 / count.served as f64;
        let Count { served, received, .. } = *count;
        self.counted.push_back(Counted { at_ms: now_ms, revision, ratio, served, received });
        if self.counted.len() > KEPT {
            self.counted.pop_front();
        }
        self.callee = count.callee.or(self.callee);
        let received = self.received_lately(revision);
        let is_bad = self.called.is_exceeded(ratio);
        let also = self.callee.filter(|callee| self.received.is_exceeded(received) && Some(*callee) != count.source);
        let is_learned = self.called.learned >= LEARNED;
        self.last = Some(Amplification {
            ratio,
            usual: self.called.mean,
            received: self.callee.map(|_| received),
            requests: count.served,
        });
        if is_quiet && !is_bad {
            self.called.learn(ratio);
            self.received.learn(received);
        }
        let step_ms = self.pace.step_ms();
        is_learned.then_some(Second { is_bad, source: count.source?, revision, also, step_ms })
    }

    /// What the callees took in for each request of the last counts.
    fn received_lately(&self, revision: Name) -> f64 {
        let of_revision = self.counted.iter().rev().filter(|counted| counted.revision == revision);
        let (served, received) = of_revision
            .take(TOGETHER)
            .fold((0, 0), |(served, received), counted| (served + counted.served, received + counted.received));
        received as f64 / f64::max(served as f64, 1.0)
    }

    /// Counts since a moment, good and bad by what an incident knows to be usual; of one revision, or of all.
    pub fn against(&self, usual: f64, revision: Option<Name>, since_ms: i64) -> Tally {
        let since = self.counted.iter().filter(|counted| counted.at_ms >= since_ms);
        let of_revision = since.filter(|counted| revision.is_none_or(|revision| counted.revision == revision));
        of_revision.fold(Tally::default(), |sum, counted| Tally {
            all: sum.all + 1,
            bad: sum.bad + u64::from(is_amplified(counted.ratio, usual)),
        })
    }

    /// The numbers of the last count.
    pub fn numbers(&self) -> Option<Amplification> {
        self.last.filter(|_| self.called.learned >= LEARNED)
    }
}
