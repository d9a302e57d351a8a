//! What shape the failure has at its origin: does it wait, is its concurrency capped, is a callee slow, did it begin with a
//! change.

use super::change::Guilty;
use super::forest::{Forest, MS};
use super::measure::{Sizes, measure};
use super::origin::Origin;
use super::requests::{Request, calm_ms};
use super::walk::How;
use crate::diagnosis::{FaultKind, Measured, Term};

/// A wait shorter than this is no queue, nanoseconds.
const LEAST_WAIT_NS: u64 = 50 * MS;
/// A wait is grown when it is this many times the wait of calm times.
const GROWN: u64 = 5;
/// Most bad requests do the same.
const MOST: f64 = 0.5;
/// Concurrency is capped when it stays at its level for this share of the time.
const FLAT_SHARE: f64 = 0.8;
/// Demand exceeds a cap when it is above it by this factor, and plainly so by the other one.
const EXCESS: f64 = 1.1;
const PLAIN_EXCESS: f64 = 1.25;
/// A request that works this many times longer than before is held up by something else.
const HELD_UP: f64 = 1.5;
/// Bad requests that say enough without those of the transition.
const ENOUGH_SETTLED: usize = 30;
/// Confidence in a fault that no structure explains: to a person.
const UNEXPLAINED: f64 = 0.5;

/// The shape, with its numbers.
pub struct Shape {
    /// Kind of fault.
    pub kind: FaultKind,
    /// Structural facts, sorted.
    pub facts: Vec<String>,
    /// Sizes.
    pub measured: Measured,
    /// How well it fits.
    pub fit: Term,
}

/// What the shape is read from.
pub struct Seen<'a, 'b> {
    /// All traces.
    pub forest: &'b Forest<'a>,
    /// The place.
    pub origin: &'b Origin,
    /// What it took in.
    pub requests: &'b [Request<'a>],
    /// The change it began with.
    pub guilty: Option<&'b Guilty>,
}

/// Names the shape.
pub fn recognise(seen: &Seen<'_, '_>) -> Shape {
    let bad = bad(seen);
    let sampled = bad.len() as f64 / (bad.len() as f64 + 1.0);
    let mut shape = named(seen, &bad);
    shape.fit.value *= sampled;
    shape.fit.why = format!("{}; {} bad requests", shape.fit.why, bad.len());
    shape
}

/// The bad requests since the onset. The onset is the first bad one's start; the cause came while that was under way, so
/// what began within a usual request's time of it is half of the old behaviour, and counts only where there is little else.
fn bad<'r>(seen: &Seen<'_, 'r>) -> Vec<&'r Request<'r>> {
    let onset = seen.forest.onset_ns;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration of the past, in range")]
    let usual = calm_ms(seen.requests, onset).map_or(0, |ms| (ms * MS as f64) as u64);
    let from = |start: u64| seen.requests.iter().filter(move |request| request.bad && request.start >= start).collect();
    let settled: Vec<&Request<'_>> = from(onset.saturating_add(usual));
    if settled.len() >= ENOUGH_SETTLED { settled } else { from(onset) }
}

fn named(seen: &Seen<'_, '_>, bad: &[&Request<'_>]) -> Shape {
    let by_itself = seen.origin.share(&[How::Alone, How::Slow]);
    let waiting = waiting(seen, bad);
    if by_itself > MOST && waiting > MOST {
        return crowded(seen, waiting);
    }
    let inside = by_itself + seen.origin.share(&[How::Query, How::SlowQuery]);
    match seen.guilty {
        Some(guilty) if inside > MOST => changed(seen, guilty, inside * (1.0 - waiting)),
        Some(_) | None => plain(seen, by_itself),
    }
}

/// Share of the bad requests that waited before their first call far longer than requests do in calm times. Where requests
/// make no calls, nothing can be seen of a wait.
fn waiting(seen: &Seen<'_, '_>, bad: &[&Request<'_>]) -> f64 {
    let served = || seen.requests.iter().filter(|request| !request.failed);
    let working = served().filter(|request| request.works_from.is_some()).count();
    if (working as f64) < MOST * served().count() as f64 || working == 0 {
        return 0.0;
    }
    let calm = seen.requests.iter().filter(|request| request.end < seen.forest.onset_ns && !request.bad);
    let mut waits: Vec<u64> = calm.filter(|request| request.works_from.is_some()).map(Request::wait).collect();
    waits.sort_unstable();
    let usual = waits.get(waits.len() / 2).copied().unwrap_or_default();
    let least = LEAST_WAIT_NS.max(usual.saturating_mul(GROWN));
    bad.iter().filter(|request| request.wait() >= least).count() as f64 / bad.len().max(1) as f64
}

/// Requests wait for something: for a connection when work is capped below the demand, and each works as long as ever.
fn crowded(seen: &Seen<'_, '_>, waiting: f64) -> Shape {
    let Sizes { measured, flatness, growth } = measure(seen.requests, seen.forest.onset_ns);
    let excess = match (measured.demand, measured.plateau) {
        (Some(demand), Some(plateau)) if plateau >= 1.0 => demand / plateau,
        (Some(_) | None, Some(_) | None) => 0.0,
    };
    let held_up = growth.is_some_and(|growth| growth > HELD_UP);
    let why = format!(
        "{:.1} % of bad requests waited before their first call; concurrency stood at its cap for {:.0} % of the time, \
         demand is {excess:.2} of it; a request works {} as long as before",
        waiting * 100.0,
        flatness * 100.0,
        growth.map_or("?".to_owned(), |growth| format!("{growth:.2} times")),
    );
    if held_up {
        return shape(FaultKind::DependencyTimeout, &["held-up", "waits"], UNEXPLAINED, why);
    }
    if excess < EXCESS || flatness < FLAT_SHARE {
        return shape(FaultKind::Unknown, &["waits"], UNEXPLAINED, why);
    }
    let value = waiting * (excess / PLAIN_EXCESS).min(1.0);
    Shape { measured, ..shape(FaultKind::PoolExhausted, &["fails-alone", "plateau", "waits"], value, why) }
}

fn changed(seen: &Seen<'_, '_>, guilty: &Guilty, value: f64) -> Shape {
    let way = if seen.origin.share(&[How::Query]) > MOST {
        "query-fails"
    } else if seen.origin.share(&[How::Slow, How::SlowQuery]) > MOST {
        "slow-alone"
    } else {
        "fails-alone"
    };
    let why = format!(
        "{:.1} % of the bad requests are bad by themselves and without waiting; {:.1} % of the new revision's requests \
         are bad from the first on, {:.1} % of the one before",
        value * 100.0,
        guilty.bad_share * 100.0,
        guilty.good_share * 100.0,
    );
    shape(FaultKind::BadChange, &["begins-with-revision", way], value, why)
}

/// Neither a queue nor a change: the way in which it is bad is all there is to say.
fn plain(seen: &Seen<'_, '_>, by_itself: f64) -> Shape {
    let share = |how: How| seen.origin.share(&[how]);
    let say = |kind: FaultKind, fact: &str, value: f64, what: &str| {
        shape(kind, &[fact], value, format!("{:.1} % of the bad requests {what}", value * 100.0))
    };
    if share(How::Unanswered) > MOST {
        say(FaultKind::DependencyTimeout, "unanswered", share(How::Unanswered), "called somebody who left no span")
    } else if share(How::Between) > MOST {
        say(FaultKind::NetworkDelay, "slow-between", share(How::Between), "lost it between caller and callee")
    } else if share(How::SlowQuery) > MOST {
        say(FaultKind::SlowQuery, "slow-database", share(How::SlowQuery), "lost it in the database")
    } else if share(How::Query) > MOST {
        say(FaultKind::ErrorBurst, "query-fails", share(How::Query), "failed in the database")
    } else if share(How::Slow) > MOST && seen.origin.is_called {
        say(FaultKind::DependencyTimeout, "slow-alone", share(How::Slow), "were slow in their own time")
    } else if share(How::Alone) > MOST {
        shape(FaultKind::ErrorBurst, &["fails-alone"], UNEXPLAINED, "nothing explains why it fails".to_owned())
    } else {
        let fact = if by_itself > MOST { "by-itself" } else { "mixed" };
        shape(FaultKind::Unknown, &[fact], UNEXPLAINED, "no known structure explains it".to_owned())
    }
}

fn shape(kind: FaultKind, facts: &[&str], value: f64, why: String) -> Shape {
    let facts = facts.iter().map(|fact| (*fact).to_owned()).collect();
    Shape { kind, facts, measured: Measured::default(), fit: Term { name: "shape".into(), value, why } }
}
