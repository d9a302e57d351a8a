//! What the tables of signals have in common, wherever they are: names, moments, and what makes two rows the same.

use std::collections::HashSet;
use std::hash::Hash;

use sha2::{Digest as _, Sha256};
use sre_space_coherence::event::{SignalEvent, moment};

/// The beginning of the year 1, Unix ms: Postgres reads no ISO 8601 of a year before it.
const YEAR_1_MS: i64 = -62_135_596_800_000;

/// A moment as the tables have it: UTC with three digits of a second, so that texts sort as times do; none before the year 1.
pub(crate) fn written(at_ms: i64) -> String {
    moment(at_ms.max(YEAR_1_MS)).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// An event's id: a UUID of version 8 (RFC 9562, section 5.8) from what makes an event the same.
pub(crate) fn id(event: &SignalEvent) -> String {
    let mut hash = Sha256::new();
    for part in [&event.host, &event.metric, &event.service] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(event.at_ms.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Of several rows that are the same the last, since one statement cannot write a row twice.
pub(crate) fn last_of_each<'a, T, K: Hash + Eq>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    let mut seen = HashSet::new();
    let mut kept: Vec<&T> = rows.iter().rev().filter(|row| seen.insert(key(row))).collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use sre_space_coherence::event::Severity;

    use super::*;

    #[test]
    fn an_id_is_that_of_host_metric_service_and_moment() {
        let event = |host: &str, metric: &str, value| SignalEvent {
            at_ms: 0,
            host: host.into(),
            service: "system".into(),
            severity: Severity::Info,
            metric: metric.into(),
            value,
            synthetic: false,
        };
        assert_eq!(id(&event("a", "cpu", 1.0)), id(&event("a", "cpu", 2.0)));
        assert_ne!(id(&event("a", "bc", 1.0)), id(&event("ab", "c", 1.0)));
        let id = id(&event("a", "cpu", 1.0));
        assert_eq!((id.len(), &id[14..15]), (36, "8"));
    }

    #[test]
    fn a_moment_is_text_that_sorts() {
        assert_eq!(written(1_765_599_000_005), "2025-12-13T04:10:00.005Z");
        assert_eq!(written(i64::MIN), "0001-01-01T00:00:00.000Z");
        assert!(written(0) < written(1) && written(i64::MIN) < written(0) && written(0) < written(i64::MAX));
    }
}
