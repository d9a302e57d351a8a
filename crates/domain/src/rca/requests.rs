//! What the origin took in: one request a row, with what it waited for and when it worked.

use super::forest::{Forest, MS};
use super::origin::Origin;

/// Another operation of the origin's service shares its fault when at least this share of its requests is bad.
const SHARES_FAULT: f64 = 0.05;

/// One request at the origin.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Start.
    pub start: u64,
    /// End.
    pub end: u64,
    /// Start of its first call; `None` when it made none.
    pub works_from: Option<u64>,
    /// Failed or slow.
    pub bad: bool,
    /// Failed.
    pub failed: bool,
    /// Revision that served it.
    pub revision: &'a str,
}

impl Request<'_> {
    /// Time before the first call; the whole request when it made none.
    pub fn wait(&self) -> u64 {
        self.works_from.unwrap_or(self.end).saturating_sub(self.start)
    }

    /// Time from the first call to the end.
    pub fn hold(&self) -> Option<u64> {
        self.works_from.map(|from| self.end.saturating_sub(from))
    }
}

/// The requests of the origin, by start: those of its operation, and of the service's others that share the fault.
pub fn of_origin<'a>(forest: &Forest<'a>, origin: &Origin) -> Vec<Request<'a>> {
    let of_service = |place: &usize| forest.names[*place].0 == origin.service;
    let mut counts = vec![(0_usize, 0_usize); forest.names.len()];
    let entries: Vec<usize> = (0..forest.spans.len())
        .filter(|index| forest.spans[*index].kind.is_entry() && of_service(&forest.places[*index]))
        .collect();
    for index in entries.iter().filter(|index| forest.spans[**index].start_ns >= forest.onset_ns) {
        let (all, bad) = &mut counts[forest.places[*index]];
        *all += 1;
        *bad += usize::from(forest.bad[*index]);
    }
    let shares = |index: &usize| {
        let place = forest.places[*index];
        let (all, bad) = counts[place];
        forest.names[place].1 == origin.operation || (all > 0 && bad as f64 >= SHARES_FAULT * all as f64)
    };
    entries.into_iter().filter(shares).map(|index| request(forest, index)).collect()
}

fn request<'a>(forest: &Forest<'a>, index: usize) -> Request<'a> {
    let span = forest.spans[index];
    Request {
        start: span.start_ns,
        end: span.end_ns,
        works_from: forest.children[index].first().map(|child| forest.spans[*child].start_ns.max(span.start_ns)),
        bad: forest.bad[index],
        failed: span.failed,
        revision: &span.revision,
    }
}

/// What requests take in calm times, 99th percentile, milliseconds.
pub fn calm_ms(requests: &[Request<'_>], onset_ns: u64) -> Option<f64> {
    let calm = requests.iter().filter(|request| request.end < onset_ns && !request.bad);
    let mut lasted: Vec<u64> = calm.map(|request| request.end.saturating_sub(request.start)).collect();
    lasted.sort_unstable();
    lasted.get(lasted.len() * 99 / 100).map(|lasted| *lasted as f64 / MS as f64)
}
