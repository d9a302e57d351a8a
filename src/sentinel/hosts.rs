//! What sources tell of hosts, as the Sentinel takes it: one set of vitals a moment.

use std::collections::BTreeMap;

use sre_space_coherence::sentinel::Vitals;
use sre_space_domain::plain;
use sre_space_ports::source::{Reading, names};

/// Hosts that are told apart; of further ones nothing is kept until one of these was silent for an hour.
const MOST_HOSTS: usize = 64;
const FORGOTTEN_MS: i64 = 3_600_000;
/// What is told of one host within this time is one moment: collectors read cores, memory and network one after another.
const MOMENT_MS: i64 = 500;

/// The hosts that were told of.
#[derive(Default)]
pub struct Hosts {
    known: BTreeMap<String, Known>,
}

/// What is known of one host.
#[derive(Default)]
struct Known {
    /// Its newest moment, Unix ms: what is told again is not taken in again. Never in the future.
    newest_ms: Option<i64>,
    /// When it was last told of, Unix ms.
    heard_ms: i64,
    /// Packets counted up from rates, for sources that keep no count; and up to when, Unix ms.
    counted_ms: Option<i64>,
    received: f64,
    sent: f64,
}

/// One moment, as it was told.
#[derive(Default)]
struct Moment {
    vitals: Vitals,
    received_rate: Option<f64>,
    sent_rate: Option<f64>,
}

impl Hosts {
    /// The vitals that readings tell of, by host and in order of time; what is measured later than now is taken in once it is due.
    /// Names are made safe to print.
    pub fn take_in(&mut self, now_ms: i64, readings: &[Reading]) -> BTreeMap<String, Vec<Vitals>> {
        let mut told: BTreeMap<String, BTreeMap<i64, Moment>> = BTreeMap::new();
        for reading in readings.iter().filter(|reading| reading.at_ms <= now_ms) {
            let host = plain::bare_name(&reading.host);
            if !self.has_room_for(&host, now_ms) {
                continue;
            }
            let known = self.known.entry(host.clone()).or_default();
            known.heard_ms = now_ms;
            let at_ms = reading.at_ms - reading.at_ms.rem_euclid(MOMENT_MS);
            if known.newest_ms.is_none_or(|newest_ms| at_ms > newest_ms) {
                told.entry(host).or_default().entry(at_ms).or_default().take(at_ms, reading);
            }
        }
        let counted = |(host, moments): (String, BTreeMap<i64, Moment>)| {
            let known = self.known.entry(host.clone()).or_default();
            known.newest_ms = moments.last_key_value().map(|(at_ms, _)| *at_ms).or(known.newest_ms);
            (host, moments.into_values().map(|moment| known.count(moment)).collect())
        };
        told.into_iter().map(counted).collect()
    }

    fn has_room_for(&mut self, host: &str, now_ms: i64) -> bool {
        if self.known.len() >= MOST_HOSTS && !self.known.contains_key(host) {
            self.known.retain(|_, known| now_ms - known.heard_ms <= FORGOTTEN_MS);
        }
        self.known.len() < MOST_HOSTS || self.known.contains_key(host)
    }

    /// Whether a host is still told apart.
    pub fn knows(&self, host: &str) -> bool {
        self.known.contains_key(host)
    }
}

impl Moment {
    fn take(&mut self, at_ms: i64, Reading { metric, value, .. }: &Reading) {
        self.vitals.at_ms = at_ms;
        let place = match metric.as_str() {
            names::CPU | names::COHERENCE => &mut self.vitals.cpu,
            names::MEMORY => &mut self.vitals.memory,
            names::RECEIVED => &mut self.vitals.received,
            names::SENT => &mut self.vitals.sent,
            names::RECEIVED_RATE => &mut self.received_rate,
            names::SENT_RATE => &mut self.sent_rate,
            _ => return,
        };
        *place = Some(if metric == names::CPU { value * 100.0 } else { *value });
    }
}

impl Known {
    /// The vitals of a moment; where it has rates and no counts, a rate stands for the time since the moment before.
    fn count(&mut self, moment: Moment) -> Vitals {
        let mut vitals = moment.vitals;
        let (Some(received), Some(sent)) = (moment.received_rate, moment.sent_rate) else { return vitals };
        let passed_ms = vitals.at_ms.saturating_sub(self.counted_ms.unwrap_or(vitals.at_ms)).max(0);
        let passed_s = passed_ms as f64 / 1_000.0;
        self.counted_ms = Some(vitals.at_ms);
        self.received += received.max(0.0) * passed_s;
        self.sent += sent.max(0.0) * passed_s;
        vitals.received = vitals.received.or(Some(self.received));
        vitals.sent = vitals.sent.or(Some(self.sent));
        vitals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(host: &str, metric: &str, at_ms: i64, value: f64) -> Reading {
        Reading { host: host.to_owned(), metric: metric.to_owned(), at_ms, value }
    }

    const LATER_MS: i64 = 100_000;

    #[test]
    fn hosts_are_told_apart_each_in_its_own_order() {
        let readings = [
            reading("b", names::CPU, 2_000, 0.5),
            reading("a", names::MEMORY, 1_000, 7.0),
            reading("b", names::CPU, 1_000, 0.25),
            reading("b", "nginx.connections", 1_000, 9.0),
        ];
        let told = Hosts::default().take_in(LATER_MS, &readings);
        let cpu: Vec<_> = told["b"].iter().map(|vitals| (vitals.at_ms, vitals.cpu)).collect();
        assert_eq!(cpu, [(1_000, Some(25.0)), (2_000, Some(50.0))]);
        assert_eq!(told["a"][0].memory, Some(7.0));
    }

    #[test]
    fn what_a_collector_reads_one_after_another_is_one_moment() {
        let readings = [reading("a", names::CPU, 60_010, 0.5), reading("a", names::MEMORY, 60_090, 7.0)];
        let told = Hosts::default().take_in(LATER_MS, &readings);
        let vitals = Vitals { at_ms: 60_000, cpu: Some(50.0), memory: Some(7.0), ..Vitals::default() };
        assert_eq!(told["a"], [vitals]);
    }

    #[test]
    fn rates_are_counted_up_across_looks() {
        let mut hosts = Hosts::default();
        let look =
            |at_ms| [reading("a", names::RECEIVED_RATE, at_ms, 10.0), reading("a", names::SENT_RATE, at_ms, 20.0)];
        hosts.take_in(1_000, &look(1_000));
        let told = hosts.take_in(3_000, &look(3_000));
        assert_eq!((told["a"][0].received, told["a"][0].sent), (Some(20.0), Some(40.0)));
    }

    #[test]
    fn what_is_told_again_is_taken_in_once_whatever_another_host_has_told_since() {
        let mut hosts = Hosts::default();
        let (early, late) = (reading("slow", names::CPU, 1_000, 0.5), reading("quick", names::CPU, 9_000, 0.5));
        assert_eq!(hosts.take_in(9_000, std::slice::from_ref(&late)).len(), 1);
        let told = hosts.take_in(9_500, &[early.clone(), late.clone()]);
        assert_eq!(told.keys().collect::<Vec<_>>(), ["slow"]);
        assert!(hosts.take_in(LATER_MS, &[early, late]).is_empty());
    }

    #[test]
    fn a_moment_that_is_yet_to_come_hides_none_that_is() {
        let mut hosts = Hosts::default();
        let (forged, real) = (reading("a", names::CPU, 70_000, 0.3), reading("a", names::CPU, 11_000, 0.9));
        assert!(hosts.take_in(10_000, std::slice::from_ref(&forged)).is_empty());
        assert_eq!(hosts.take_in(11_000, &[forged, real])["a"][0].cpu, Some(90.0));
    }

    #[test]
    fn a_flood_of_names_displaces_nobody_and_is_forgotten_once_it_is_over() {
        let mut hosts = Hosts::default();
        let flood: Vec<Reading> = (0..1_000).map(|n| reading(&format!("h{n}"), names::CPU, 0, 0.5)).collect();
        assert_eq!(hosts.take_in(0, &flood).len(), MOST_HOSTS);
        let fresh = |at_ms| [reading("new", names::CPU, at_ms, 0.5)];
        assert!(hosts.take_in(1_000, &fresh(1_000)).is_empty());
        assert_eq!(hosts.take_in(FORGOTTEN_MS + 1, &fresh(FORGOTTEN_MS + 1)).len(), 1);
        assert!(hosts.knows("new") && !hosts.knows("h0"));
    }
}
