//! The newest spans, compact, kept as possible evidence.

use std::collections::{HashSet, VecDeque};

use sre_space_domain::telemetry::{Span, SpanId, SpanKind, SpanView, TraceId};

use super::Key;
use super::names::{Name, Names};

/// One span with its names interned.
pub struct Kept {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: Option<SpanId>,
    key: Key,
    revision: Name,
    error: Name,
    database: Name,
    start_ns: u64,
    end_ns: u64,
    received_ms: i64,
    http_status: Option<u16>,
    kind: SpanKind,
    failed: bool,
}

impl Kept {
    /// Keeps what evidence needs of a span.
    #[expect(clippy::too_many_arguments, reason = "one interned name each; a struct of them would be this one")]
    pub fn of(span: &SpanView<'_>, key: Key, revision: Name, error: Name, database: Name, received_ms: i64) -> Self {
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            key,
            revision,
            error,
            database,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            received_ms,
            http_status: span.http_status,
            kind: span.kind,
            failed: span.failed(),
        }
    }

    fn span(&self, names: &Names) -> Span {
        Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_id: self.parent_id,
            service: names.text(self.key.0).to_owned(),
            revision: names.text(self.revision).to_owned(),
            name: names.text(self.key.1).to_owned(),
            kind: self.kind,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            failed: self.failed,
            http_status: self.http_status,
            error_type: names.text(self.error).to_owned(),
            db_system: names.text(self.database).to_owned(),
        }
    }
}

/// A ring of spans, bounded in number and age.
pub struct Buffer {
    spans: VecDeque<Kept>,
    most: usize,
    longest_ms: i64,
}

impl Buffer {
    /// An empty ring.
    pub fn new(most: usize, longest_ms: i64) -> Self {
        Self { spans: VecDeque::new(), most, longest_ms }
    }

    /// Keeps a span; the oldest makes room.
    pub fn keep(&mut self, span: Kept) {
        if self.spans.len() >= self.most {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
    }

    /// Forgets what is too old.
    pub fn forget(&mut self, now_ms: i64) {
        while self.spans.front().is_some_and(|span| span.received_ms < now_ms - self.longest_ms) {
            self.spans.pop_front();
        }
    }

    /// Whether requests of an operation pass through a service: spans of both are in one trace.
    pub fn pass_through(&self, operation: Key, service: Name) -> bool {
        let of = |wanted: &dyn Fn(&Kept) -> bool| {
            self.spans.iter().filter(|kept| wanted(kept)).map(|kept| kept.trace_id).collect::<HashSet<_>>()
        };
        operation.0 == service || !of(&|kept| kept.key == operation).is_disjoint(&of(&|kept| kept.key.0 == service))
    }

    /// The newest `most` spans, oldest first.
    pub fn newest(&self, most: usize, names: &Names) -> Vec<Span> {
        self.spans.iter().skip(self.spans.len().saturating_sub(most)).map(|kept| kept.span(names)).collect()
    }
}
