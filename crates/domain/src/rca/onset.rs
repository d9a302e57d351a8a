//! When it began, by the senders' clocks.

use super::forest::{Forest, MS};
use crate::evidence::Evidence;

/// Scout dates a failure by its end and its arrival; it began at most this much earlier.
const EARLIER_NS: u64 = 8_000 * MS;
const LATER_NS: u64 = 2_000 * MS;
/// Where no span of the signal is left, this is how much earlier it is taken to have begun.
const USUAL_NS: u64 = 1_500 * MS;
/// Senders' clocks and ours agree when they differ by no more than this; export delays are within it.
const SKEW_MS: i64 = 10_000;

/// The moment that divides the signal's traces best into good before and bad after (maximum likelihood), near the moment
/// Scout named. `newest` is the edge of what is known, by the senders' clocks.
pub fn find(forest: &Forest<'_>, evidence: &Evidence, newest: u64) -> u64 {
    let seen = seen_ns(evidence, newest);
    let place = forest.place(&evidence.signal.service, &evidence.signal.operation);
    let near = forest.traces.iter().filter(|trace| trace.start_ns.saturating_add(EARLIER_NS) >= seen);
    let at_signal = near.filter_map(|trace| Some((trace.start_ns, forest.bad[forest.entry_at(trace, place?)?])));
    let events: Vec<(u64, bool)> = at_signal.collect();
    divide(&events, seen.saturating_add(LATER_NS)).unwrap_or(seen.saturating_sub(USUAL_NS))
}

/// Scout's onset, moved to the senders' clocks where these are plainly others than ours.
fn seen_ns(evidence: &Evidence, newest: u64) -> u64 {
    let newest_ms = i64::try_from(newest / MS).unwrap_or(i64::MAX);
    let ahead = evidence.taken_ms.saturating_sub(newest_ms);
    let skew = if ahead.abs() > SKEW_MS { ahead } else { 0 };
    u64::try_from(evidence.signal.onset_ms.saturating_sub(skew)).unwrap_or_default().saturating_mul(MS)
}

fn divide(events: &[(u64, bool)], latest: u64) -> Option<u64> {
    let all_bad = events.iter().filter(|(_, bad)| *bad).count();
    let mut best: Option<(f64, u64)> = None;
    let mut bad_before = 0;
    for (before, (start, bad)) in events.iter().enumerate() {
        let (after, bad_after) = (events.len() - before, all_bad - bad_before);
        let worse = bad_after * before > bad_before * after || before == 0;
        let score = likelihood(bad_before, before) + likelihood(bad_after, after);
        if *bad && worse && *start <= latest && best.is_none_or(|(top, _)| score > top) {
            best = Some((score, *start));
        }
        bad_before += usize::from(*bad);
    }
    best.map(|(_, start)| start)
}

/// Log-likelihood of `bad` among `all` at its own rate.
fn likelihood(bad: usize, all: usize) -> f64 {
    let part = |count: usize| if count == 0 { 0.0 } else { count as f64 * (count as f64 / all as f64).ln() };
    part(bad) + part(all - bad)
}
