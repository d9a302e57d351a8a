//! Counts per revision: what recovery is judged on.

use std::collections::{BTreeMap, VecDeque};

use sre_space_domain::evidence::RevisionSeen;
use sre_space_domain::recovery::Tally;

use super::Key;
use super::names::{Name, Names};

/// Seconds of counts kept per (operation, revision).
const KEPT_S: usize = 900;
/// Revisions kept per service; the oldest goes first.
const MOST_PER_SERVICE: usize = 16;

struct Seen {
    revision: Name,
    first_ms: i64,
    total: Tally,
    operations: BTreeMap<Name, VecDeque<(i64, Tally)>>,
}

/// Revisions by service, in order of appearance.
#[derive(Default)]
pub struct Revisions {
    services: BTreeMap<Name, VecDeque<Seen>>,
}

impl Revisions {
    /// Counts one entry span.
    pub fn take(&mut self, key: Key, revision: Name, bad: bool, now_ms: i64) {
        let seen = self.services.entry(key.0).or_default();
        let at = seen.iter().position(|seen| seen.revision == revision).unwrap_or_else(|| {
            if seen.len() >= MOST_PER_SERVICE {
                seen.pop_front();
            }
            seen.push_back(Seen { revision, first_ms: now_ms, total: Tally::default(), operations: BTreeMap::new() });
            seen.len() - 1
        });
        if let Some(seen) = seen.get_mut(at) {
            seen.take(key.1, bad, now_ms.div_euclid(1_000));
        }
    }

    /// When the first entry span of a revision arrived.
    pub fn first_seen(&self, service: Name, revision: Name) -> Option<i64> {
        self.find(service, revision).map(|seen| seen.first_ms)
    }

    /// The newest revision of a service.
    pub fn newest(&self, service: Name) -> Option<Name> {
        self.services.get(&service)?.back().map(|seen| seen.revision)
    }

    /// Counts since a time, of the operations that count.
    pub fn tally(&self, service: Name, revision: Name, counts: &dyn Fn(Name) -> bool, since_ms: i64) -> Tally {
        let from = since_ms.div_euclid(1_000) + i64::from(since_ms.rem_euclid(1_000) > 0);
        let Some(seen) = self.find(service, revision) else { return Tally::default() };
        let operations = seen.operations.iter().filter(|(name, _)| counts(**name));
        let seconds = operations.flat_map(|(_, seconds)| seconds).filter(|(second, _)| *second >= from);
        seconds.fold(Tally::default(), |sum, (_, tally)| Tally { all: sum.all + tally.all, bad: sum.bad + tally.bad })
    }

    /// Counts of all other revisions since a time, of the operations that count: what it was like before a change.
    pub fn tally_of_others(&self, key: Key, counts: &dyn Fn(Name) -> bool, since_ms: i64) -> Tally {
        let (service, revision) = key;
        let all = self.services.get(&service).into_iter().flatten().filter(|seen| seen.revision != revision);
        let tallies = all.map(|seen| self.tally(service, seen.revision, counts, since_ms));
        tallies.fold(Tally::default(), |sum, tally| Tally { all: sum.all + tally.all, bad: sum.bad + tally.bad })
    }

    /// All revisions, as evidence.
    pub fn seen(&self, names: &Names) -> Vec<RevisionSeen> {
        let of = |service: &Name, seen: &Seen| RevisionSeen {
            service: names.text(*service).to_owned(),
            revision: names.text(seen.revision).to_owned(),
            first_seen_ms: seen.first_ms,
            entries: seen.total.all,
            bad: seen.total.bad,
        };
        self.services.iter().flat_map(|(service, seen)| seen.iter().map(move |seen| of(service, seen))).collect()
    }

    fn find(&self, service: Name, revision: Name) -> Option<&Seen> {
        self.services.get(&service)?.iter().find(|seen| seen.revision == revision)
    }
}

impl Seen {
    fn take(&mut self, operation: Name, bad: bool, second: i64) {
        self.total.all += 1;
        self.total.bad += u64::from(bad);
        let seconds = self.operations.entry(operation).or_default();
        if seconds.back().is_none_or(|(last, _)| *last < second) {
            seconds.push_back((second, Tally::default()));
        }
        if let Some((_, tally)) = seconds.back_mut() {
            tally.all += 1;
            tally.bad += u64::from(bad);
        }
        if seconds.len() > KEPT_S {
            seconds.pop_front();
        }
    }
}
