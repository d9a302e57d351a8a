//! Rate, hold, demand and plateau, from the requests of the origin.

use super::forest::MS;
use super::requests::Request;
use crate::diagnosis::Measured;

/// Requests that must have got to work to measure how long they hold on.
const LEAST_WORKING: usize = 10;
/// Less time than this measures no rate.
const LEAST_NS: u64 = 1_000 * MS;
/// Two rates are taken for one when they differ by less than this many standard deviations.
const SAME_RATE: f64 = 3.0;
/// Calm time used to sharpen the rate.
const CALM_NS: u64 = 30_000 * MS;
/// Moments at which concurrency is looked at.
const MOMENTS: u64 = 1_000;
/// Concurrency is at its level when it is not below it by more than this share.
const BAND: f64 = 0.85;

/// What was measured since the onset.
#[derive(Debug, Clone, Default)]
pub struct Sizes {
    /// Rate, hold, demand, plateau.
    pub measured: Measured,
    /// Share of the time in which concurrency stood at its plateau.
    pub flatness: f64,
    /// How many times longer a request works than in calm times, where these were seen.
    pub growth: Option<f64>,
}

/// Requests before and since the onset, and the stretch of time in which all are known that began in it.
struct Period<'a> {
    before: Vec<&'a Request<'a>>,
    since: Vec<&'a Request<'a>>,
    from: u64,
    until: u64,
    longest: u64,
}

impl Period<'_> {
    /// From here on, where time allows, what began before the onset has left: half of one behaviour, half of the other, it
    /// measures neither.
    fn settled_from(&self) -> u64 {
        let half = self.from + (self.until.saturating_sub(self.from)) / 2;
        half.min(self.from.saturating_add(self.longest))
    }
}

/// Measures; empty while too little is known. Requests arrive when they end, so the newest stretch knows only the quick
/// ones and does not count.
pub fn measure(requests: &[Request<'_>], onset_ns: u64) -> Sizes {
    let period = period(requests, onset_ns);
    let known = |request: &&&Request<'_>| {
        request.start < period.until && !request.failed && request.works_from >= Some(period.settled_from())
    };
    let holds: Vec<u64> = period.since.iter().filter(known).filter_map(|request| request.hold()).collect();
    if period.until.saturating_sub(period.from) < LEAST_NS || holds.len() < LEAST_WORKING {
        return Sizes::default();
    }
    let hold = mean(&holds) / 1e9;
    let calm: Vec<u64> =
        period.before.iter().filter(|request| !request.bad).filter_map(|request| request.hold()).collect();
    let rate = rate(&period);
    let counts = concurrency(&period);
    let plateau = counts.get(counts.len() / 2).map(|count| *count as f64);
    let at_level = |level: f64| counts.iter().filter(|count| **count as f64 >= BAND * level).count();
    Sizes {
        flatness: plateau.map_or(0.0, |level| at_level(level) as f64 / counts.len() as f64),
        growth: (calm.len() >= LEAST_WORKING).then(|| hold * 1e9 / mean(&calm).max(1.0)),
        measured: Measured {
            arrival_rate: Some(rate),
            hold_s: Some(hold),
            demand: Some(rate * hold),
            plateau,
            ..Measured::default()
        },
    }
}

fn period<'a>(requests: &'a [Request<'a>], onset_ns: u64) -> Period<'a> {
    let (before, since): (Vec<&Request<'_>>, Vec<&Request<'_>>) =
        requests.iter().partition(|request| request.start < onset_ns);
    let mut lasted: Vec<u64> = since.iter().map(|request| request.end.saturating_sub(request.start)).collect();
    lasted.sort_unstable();
    let longest = high(&lasted);
    let mut ends: Vec<u64> = requests.iter().map(|request| request.end).collect();
    ends.sort_unstable();
    // What ended before the first end that was kept may be forgotten; what will end after the last is not known yet.
    let first = ends.first().copied().unwrap_or_default();
    Period { before, since, from: onset_ns.max(first), until: high(&ends).saturating_sub(longest), longest }
}

/// The value that one in 200 exceeds.
fn high(sorted: &[u64]) -> u64 {
    sorted.get(sorted.len().saturating_sub(1 + sorted.len() / 200)).copied().unwrap_or_default()
}

/// Arrivals per second since the onset; sharpened by calm times when the rate then was no other.
fn rate(period: &Period<'_>) -> f64 {
    let count = |requests: &[&Request<'_>], from: u64, until: u64| {
        let arrived = requests.iter().filter(|request| (from..until).contains(&request.start)).count();
        (arrived as f64, until.saturating_sub(from) as f64 / 1e9)
    };
    let (arrived, seconds) = count(&period.since, period.from, period.until);
    let first = period.before.iter().map(|request| request.end).min().unwrap_or(period.from);
    let (calm, calm_s) = count(&period.before, first.max(period.from.saturating_sub(CALM_NS)), period.from);
    let pooled = (arrived + calm) / (seconds + calm_s);
    let deviation = (pooled * (1.0 / seconds + 1.0 / calm_s)).sqrt();
    let differs = (arrived / seconds - calm / calm_s).abs() > SAME_RATE * deviation;
    if calm < LEAST_WORKING as f64 || differs { arrived / seconds } else { pooled }
}

/// Concurrency of work at many moments, sorted.
fn concurrency(period: &Period<'_>) -> Vec<u64> {
    let all = || period.before.iter().chain(&period.since);
    let mut starts: Vec<u64> = all().filter_map(|request| request.works_from).collect();
    let mut ends: Vec<u64> = all().filter(|request| request.works_from.is_some()).map(|request| request.end).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let from = period.settled_from();
    let moment = |n: u64| from + (period.until - from) / MOMENTS * n;
    let passed = |times: &[u64], moment: u64| times.partition_point(|time| *time <= moment) as u64;
    let mut counts: Vec<u64> =
        (0..MOMENTS).map(moment).map(|moment| passed(&starts, moment).saturating_sub(passed(&ends, moment))).collect();
    counts.sort_unstable();
    counts
}

fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / values.len().max(1) as f64
}
