//! The same call again within one request: what tells retries from requests that simply need more calls.
//!
//! Two calls are the same when one part of a request makes both and the same operation of the same service takes them in. A
//! client's own name says nothing, many are plainly `GET`; a call of which the callee's side is not seen is no repeat. What was
//! usual for each of the service's own operations before the onset is none either: traffic may shift to one that makes many.

use std::collections::{HashMap, HashSet};

use super::coherence::end_ms;
use super::walk::How;
use crate::evidence::Evidence;
use crate::telemetry::{Span, SpanId, TraceId};

/// Spans shown as evidence.
const EXHIBITS: usize = 5;
/// The onset is when the first bad count was closed, and what it counted came before, milliseconds.
const DOUBTFUL_MS: i64 = 3_000;
/// Requests of an operation that say what is usual for it; of an operation with fewer no repeat can be told.
const LEAST_USUAL: f64 = 5.0;

/// Calls since the onset, by the requests that made them.
#[derive(Default)]
pub(super) struct Repeats {
    pub requests: f64,
    pub calls: f64,
    /// Calls that were the same again, beyond what is usual.
    pub again: f64,
    pub exhibits: Vec<(String, String, How)>,
}

/// Of one of the service's own operations.
#[derive(Default)]
struct Of {
    calm_requests: f64,
    calm_again: f64,
    requests: f64,
    again: f64,
}

impl Of {
    fn unusual(&self) -> f64 {
        let usual = self.requests * self.calm_again / self.calm_requests.max(1.0);
        if self.calm_requests >= LEAST_USUAL { (self.again - usual).max(0.0) } else { 0.0 }
    }
}

impl Repeats {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let (service, onset) = (&evidence.signal.service, evidence.signal.onset_ms);
        let ours = || evidence.spans.iter().filter(|span| span.service == *service);
        let entries: HashMap<TraceId, &str> =
            ours().filter(|span| span.kind.is_entry()).map(|span| (span.trace_id, span.name.as_str())).collect();
        let taken = taken(evidence);
        // Callees tell in batches of their own: what they have not told of yet is no single call.
        let until = taken.values().map(|span| end_ms(span)).max().unwrap_or(onset);
        let mut seen: HashSet<(TraceId, Option<SpanId>, &str, &str)> = HashSet::new();
        let mut by: HashMap<&str, Of> = HashMap::new();
        let mut found = Self::default();
        for span in ours().filter(|span| end_ms(span) <= until) {
            let (is_calm, is_since) = (end_ms(span) < onset - DOUBTFUL_MS, end_ms(span) >= onset);
            let (calm, since) = (f64::from(u8::from(is_calm)), f64::from(u8::from(is_since)));
            if span.kind.is_entry() {
                let of = by.entry(&span.name).or_default();
                (of.calm_requests, of.requests) = (of.calm_requests + calm, of.requests + since);
                found.requests += since;
            } else if span.kind.is_exit() && span.db_system.is_empty() {
                found.calls += since;
                let Some((callee, entry)) = taken.get(&span.span_id).zip(entries.get(&span.trace_id)) else { continue };
                if !seen.insert((span.trace_id, span.parent_id, &callee.service, &callee.name)) {
                    let of = by.entry(entry).or_default();
                    (of.calm_again, of.again) = (of.calm_again + calm, of.again + since);
                    found.show(span, is_since);
                }
            }
        }
        found.again = by.values().map(Of::unusual).sum();
        found
    }

    fn show(&mut self, span: &Span, is_since: bool) {
        if is_since && self.exhibits.len() < EXHIBITS {
            self.exhibits.push((span.trace_id.to_string(), span.span_id.to_string(), How::Repeated));
        }
    }
}

/// The callees' side of calls, by the caller's.
fn taken(evidence: &Evidence) -> HashMap<SpanId, &Span> {
    let of_service = |span: &&Span| span.service == evidence.signal.service && span.kind.is_exit();
    let made: HashSet<SpanId> = evidence.spans.iter().filter(of_service).map(|span| span.span_id).collect();
    let entries = evidence.spans.iter().filter(|span| span.kind.is_entry());
    entries.filter_map(|span| Some((span.parent_id.filter(|parent| made.contains(parent))?, span))).collect()
}
