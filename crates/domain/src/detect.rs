//! When a count of bad events is worth a word: Bernoulli CUSUM to suspect, Beta posterior to confirm.
//!
//! CUSUM after Page (1954); for Bernoulli events Reynolds and Stoumbos (1999). Delay is counted in requests, so it adapts to
//! traffic; false alarms are rare per request (h = 13 is about one in ten million clean requests at a 1 % baseline).

use crate::beta;

/// Threshold of the CUSUM statistic.
pub const THRESHOLD: f64 = 13.0;
/// The statistic is capped here, so that a long outage can be forgotten as fast as a short one.
const CAP: f64 = 2.0 * THRESHOLD;
/// The least rate that is called broken.
const LEAST_BROKEN: f64 = 0.10;
/// Prior of the baseline: one bad event in a hundred, before anything is known.
const PRIOR_BAD: f64 = 1.0;
const PRIOR_ALL: f64 = 100.0;
/// Baseline counts are halved when they reach this, so that the baseline follows slow change.
const BASELINE_MEMORY: f64 = 20_000.0;

/// The share of bad events while all is calm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    bad: f64,
    all: f64,
}

impl Default for Baseline {
    fn default() -> Self {
        Self { bad: PRIOR_BAD, all: PRIOR_ALL }
    }
}

impl Baseline {
    /// Learns from one event of calm times.
    pub fn learn(&mut self, bad: bool) {
        self.all += 1.0;
        if bad {
            self.bad += 1.0;
        }
        if self.all > BASELINE_MEMORY {
            self.all /= 2.0;
            self.bad /= 2.0;
        }
    }

    /// The smoothed share of bad events; at most 30 %, so that something broken can still be told from it.
    pub fn rate(self) -> f64 {
        (self.bad / self.all).clamp(0.001, 0.3)
    }
}

/// Evidence, in nats, that the rate has risen from the baseline to ten times it (at least 10 %).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cusum {
    statistic: f64,
}

impl Cusum {
    /// Takes one event.
    pub fn take(&mut self, bad: bool, baseline: f64) {
        self.take_against(bad, baseline, (10.0 * baseline).clamp(LEAST_BROKEN, 0.9));
    }

    /// Takes one event where broken is known to look otherwise: a share of bad events above the baseline.
    pub fn take_against(&mut self, bad: bool, baseline: f64, broken: f64) {
        let gain = if bad { (broken / baseline).ln() } else { ((1.0 - broken) / (1.0 - baseline)).ln() };
        self.statistic = (self.statistic + gain).clamp(0.0, CAP);
    }

    /// The statistic.
    pub fn statistic(self) -> f64 {
        self.statistic
    }

    /// Whether the statistic has crossed the threshold.
    pub fn suspects(self) -> bool {
        self.statistic >= THRESHOLD
    }
}

/// P(rate > 5 %) after `bad` of `all` events, under a Beta(1, 99) prior.
pub fn posterior_above_5_percent(bad: u64, all: u64) -> f64 {
    let good = all.saturating_sub(bad);
    1.0 - beta::cdf(0.05, 1.0 + bad as f64, 99.0 + good as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small linear congruential generator (Knuth's MMIX constants): equal seeds, equal runs.
    struct Dice(u64);

    impl Dice {
        fn bad(&mut self, rate: f64) -> bool {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64) / ((1_u64 << 53) as f64) < rate
        }
    }

    fn requests_until_suspicion(rate: f64, seed: u64) -> u32 {
        let (mut dice, mut cusum) = (Dice(seed), Cusum::default());
        for request in 1..100_000 {
            cusum.take(dice.bad(rate), 0.01);
            if cusum.suspects() {
                return request;
            }
        }
        u32::MAX
    }

    #[test]
    fn failures_are_found_within_few_requests() {
        for (rate, most) in [(1.0, 8), (0.3, 30), (0.1, 110)] {
            let mut delays: Vec<u32> = (1..=201).map(|seed| requests_until_suspicion(rate, seed)).collect();
            delays.sort_unstable();
            assert!(delays[100] <= most, "median {} at rate {rate}", delays[100]);
        }
    }

    #[test]
    fn a_million_clean_requests_raise_at_most_one_suspicion() {
        for seed in 1..=10 {
            let (mut dice, mut cusum, mut suspicions) = (Dice(seed), Cusum::default(), 0);
            for _ in 0..1_000_000 {
                cusum.take(dice.bad(0.01), 0.01);
                if cusum.suspects() {
                    suspicions += 1;
                    cusum = Cusum::default();
                }
            }
            assert!(suspicions <= 1, "{suspicions} with seed {seed}");
        }
    }

    #[test]
    fn three_bad_events_in_few_are_no_proof_yet_and_many_are() {
        assert!(posterior_above_5_percent(3, 10) < 0.99);
        assert!(posterior_above_5_percent(30, 100) > 0.99);
        assert!(posterior_above_5_percent(1, 100) < 0.5);
    }

    #[test]
    fn after_a_long_outage_health_is_seen_within_three_hundred_requests() {
        let mut cusum = Cusum::default();
        (0..10_000).for_each(|_| cusum.take(true, 0.01));
        (0..300).for_each(|_| cusum.take(false, 0.01));
        assert!(!cusum.suspects());
    }
}
