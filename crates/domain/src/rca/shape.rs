//! What shape the failure has at its origin: does it wait, is its concurrency capped, is a callee slow, did it begin with a
//! change.

use super::forest::Forest;
use super::origin::Origin;
use crate::diagnosis::{FaultKind, Measured, Term};

const MS: u64 = 1_000_000;
/// A wait shorter than this is no queue, nanoseconds.
const LEAST_WAIT_NS: u64 = 50 * MS;
/// A wait is grown when it is this many times the wait of calm times.
const GROWN: u64 = 5;
/// Concurrency is capped when it stays within 15 % of its level for this share of the time.
const FLAT_SHARE: f64 = 0.6;
const FLAT_BAND: f64 = 0.85;
/// Demand exceeds a cap when it is above it by this factor.
const EXCESS: f64 = 1.1;
/// Requests that must have got to work to measure how long they hold on.
const LEAST_WORKING: usize = 10;
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

/// One request at the origin.
struct Request {
    start: u64,
    end: u64,
    /// Start of its first call; `None` when it made none.
    works_from: Option<u64>,
    bad: bool,
    failed: bool,
    in_database: u64,
}

/// Names the shape.
pub fn recognise(forest: &Forest<'_>, origin: &Origin, began_with_change: bool) -> Shape {
    let requests = requests(forest, origin);
    let calm_wait = median(requests.iter().filter(|r| r.end < forest.onset_ns && !r.bad).map(Request::wait).collect());
    let during: Vec<&Request> =
        requests.iter().filter(|r| r.end >= forest.onset_ns && r.start < forest.settled_ns).collect();
    let bad: Vec<&&Request> = during.iter().filter(|request| request.bad).collect();
    let least = LEAST_WAIT_NS.max(calm_wait.saturating_mul(GROWN));
    let waiting = share(&bad, |request| request.wait() >= least);
    let measured = measure(forest, &during);
    if waiting >= 0.5 && is_capped(&measured, flatness(forest, &during, measured.plateau)) {
        let why = format!("{:.1} % of bad requests waited before their first call", waiting * 100.0);
        return shape(FaultKind::PoolExhausted, &["fails-alone", "plateau", "waits"], measured, waiting, why);
    }
    if origin.unanswered > 0.5 {
        let why = format!("{:.1} % of bad requests called somebody who left no span", origin.unanswered * 100.0);
        return shape(FaultKind::DependencyTimeout, &["unanswered"], Measured::default(), UNEXPLAINED, why);
    }
    let swift = 1.0 - waiting;
    if began_with_change && swift > 0.5 {
        let why = format!("{:.1} % of bad requests failed without waiting", swift * 100.0);
        return shape(FaultKind::BadChange, &["begins-with-revision", "fails-alone"], Measured::default(), swift, why);
    }
    unexplained(&bad)
}

fn unexplained(bad: &[&&Request]) -> Shape {
    let in_database = share(bad, |request| request.in_database * 2 > request.end - request.start);
    if in_database > 0.5 {
        let why = format!("{:.1} % of bad requests spent most of their time in the database", in_database * 100.0);
        return shape(FaultKind::SlowQuery, &["slow-database"], Measured::default(), in_database, why);
    }
    let failed = share(bad, |request| request.failed);
    let why = "no known structure explains it".to_owned();
    if failed > 0.5 {
        shape(FaultKind::ErrorBurst, &["fails-alone"], Measured::default(), UNEXPLAINED, why)
    } else {
        shape(FaultKind::DependencyTimeout, &["slow-alone"], Measured::default(), UNEXPLAINED, why)
    }
}

fn shape(kind: FaultKind, facts: &[&str], measured: Measured, value: f64, why: String) -> Shape {
    let facts = facts.iter().map(|fact| (*fact).to_owned()).collect();
    Shape { kind, facts, measured, fit: Term { name: "shape".into(), value, why } }
}

impl Request {
    /// Time before the first call; the whole request when it made none.
    fn wait(&self) -> u64 {
        self.works_from.unwrap_or(self.end).saturating_sub(self.start)
    }
}

fn requests(forest: &Forest<'_>, origin: &Origin) -> Vec<Request> {
    let of = |index: usize| {
        let span = forest.spans[index];
        let calls = || forest.children[index].iter().map(|child| forest.spans[*child]);
        Request {
            start: span.start_ns,
            end: span.end_ns,
            works_from: calls().map(|call| call.start_ns).min(),
            bad: forest.bad[index],
            failed: span.failed,
            in_database: calls().filter(|call| !call.db_system.is_empty()).map(|call| call.duration_ns()).sum(),
        }
    };
    forest.entries_of(&origin.service, &origin.operation).into_iter().map(of).collect()
}

/// Rate, hold and the demand they make (Little's law), over the settled time since the onset.
fn measure(forest: &Forest<'_>, during: &[&Request]) -> Measured {
    let seconds = forest.settled_ns.saturating_sub(forest.onset_ns) as f64 / 1e9;
    let arrived = during.iter().filter(|request| request.start >= forest.onset_ns).count();
    let holds: Vec<f64> = working(during).map(|(from, to)| (to - from) as f64 / 1e9).collect();
    if seconds < 1.0 || holds.len() < LEAST_WORKING {
        return Measured::default();
    }
    let rate = arrived as f64 / seconds;
    let hold = holds.iter().sum::<f64>() / holds.len() as f64;
    Measured {
        arrival_rate: Some(rate),
        hold_s: Some(hold),
        demand: Some(rate * hold),
        plateau: level(forest, during),
        revision: None,
    }
}

/// Intervals in which a request that was not refused did its work.
fn working<'a>(during: &'a [&Request]) -> impl Iterator<Item = (u64, u64)> + 'a {
    during.iter().filter(|request| !request.failed).filter_map(|request| Some((request.works_from?, request.end)))
}

/// Concurrency of work at a thousand moments between the onset and the settled time.
fn concurrency(forest: &Forest<'_>, during: &[&Request]) -> Vec<u64> {
    const MOMENTS: u64 = 1_000;
    let mut starts: Vec<u64> = working(during).map(|(from, _)| from).collect();
    let mut ends: Vec<u64> = working(during).map(|(_, to)| to).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let span = forest.settled_ns.saturating_sub(forest.onset_ns);
    let margin = span / 5;
    let moment = |n: u64| forest.onset_ns + margin + (span - margin) / MOMENTS * n;
    let at = |times: &[u64], moment: u64| times.partition_point(|time| *time <= moment) as u64;
    (0..MOMENTS).map(moment).map(|moment| at(&starts, moment) - at(&ends, moment)).collect()
}

/// The level concurrency reaches: its 90th percentile.
fn level(forest: &Forest<'_>, during: &[&Request]) -> Option<f64> {
    let mut counts = concurrency(forest, during);
    counts.sort_unstable();
    counts.get(counts.len() * 9 / 10).map(|count| *count as f64)
}

fn flatness(forest: &Forest<'_>, during: &[&Request], plateau: Option<f64>) -> f64 {
    let Some(plateau) = plateau else { return 0.0 };
    let counts = concurrency(forest, during);
    counts.iter().filter(|count| **count as f64 >= FLAT_BAND * plateau).count() as f64 / counts.len() as f64
}

fn is_capped(measured: &Measured, flatness: f64) -> bool {
    match (measured.demand, measured.plateau) {
        (Some(demand), Some(plateau)) => plateau >= 1.0 && demand > EXCESS * plateau && flatness >= FLAT_SHARE,
        (None, _) | (_, None) => false,
    }
}

fn share(requests: &[&&Request], fits: impl Fn(&Request) -> bool) -> f64 {
    requests.iter().filter(|request| fits(request)).count() as f64 / requests.len().max(1) as f64
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
