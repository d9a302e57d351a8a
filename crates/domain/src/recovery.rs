//! Whether a change helped: RECOVERED, REGRESSED, UNCHANGED or INCONCLUSIVE, with number and threshold.
//!
//! Wald's sequential probability ratio test (1945) between "healthy" and "still faulty", on telemetry of the new revision
//! only. The same count takes failed and slow requests as bad, so 500s that became slow 200s are UNCHANGED.

use serde::{Deserialize, Serialize};

/// Error probabilities of the test, both ways.
const ALPHA: f64 = 0.001;
/// What healthy may at most look like, where the baseline is better.
const HEALTHY: f64 = 0.01;
/// What still faulty looks like at least.
const FAULTY: f64 = 0.10;
/// Bad share this much above the share before the change is worse, not the same.
const WORSE: f64 = 1.5;

/// Where seconds are judged: requests that the new revision has to have served before it is called recovered.
pub const LEAST_SERVED: u64 = 5;

/// The four answers. Missing data is never RECOVERED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// The sequential test accepted health.
    Recovered,
    /// Worse than before the change, or somebody else broke.
    Regressed,
    /// As bad as before.
    Unchanged,
    /// Not enough was seen in time.
    Inconclusive,
}

impl Outcome {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "RECOVERED",
            Self::Regressed => "REGRESSED",
            Self::Unchanged => "UNCHANGED",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }
}

/// What a judgement's statistic is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Wald's test on the new revision's requests.
    #[default]
    Sequential,
    /// The CUSUM that detected the failure, over its threshold again after a recovery.
    Relapse,
    /// None: no request of the new revision was ever seen.
    Arrival,
}

/// Judgement with its numbers. Contract: `Incident.recovery`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The answer.
    pub verdict: Outcome,
    /// What it rests on.
    #[serde(default)]
    pub test: Test,
    /// Events counted on the new revision: what the signal counts, or the requests where those failed.
    pub samples: u64,
    /// Bad ones among them.
    pub bad: u64,
    /// Probes among `samples`.
    pub probes: u64,
    /// Log-likelihood ratio of the sequential test, in nats: positive speaks for still faulty.
    pub statistic: f64,
    /// Bound the statistic had to cross (its negative for health).
    pub threshold: f64,
    /// What decided, in one sentence.
    pub reason: String,
}

impl Recovery {
    /// The judgement on a change whose revision was never seen.
    pub fn unseen(reason: String) -> Self {
        Self {
            verdict: Outcome::Inconclusive,
            test: Test::Arrival,
            samples: 0,
            bad: 0,
            probes: 0,
            statistic: 0.0,
            threshold: 0.0,
            reason,
        }
    }
}

/// Events of one scope, counted after the new revision settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All events.
    pub all: u64,
    /// Bad ones.
    pub bad: u64,
}

/// What was seen of the new revision so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// All entry spans of the service on the new revision.
    pub service: Tally,
    /// Those of the operation the incident is about.
    pub operation: Tally,
    /// Own probes.
    pub probes: Tally,
    /// The same probe failed on the old revision; only then do good probes speak for recovery.
    pub probe_failed_before: bool,
    /// The incident's own operation is under suspicion still, or again.
    pub still_suspect: bool,
    /// Services under suspicion that were not before the change.
    pub newly_suspect: Vec<String>,
    /// Where the tallies count seconds: the requests meanwhile. A cure that breaks requests, or that nobody used, is none.
    pub served: Option<Served>,
    /// The time for judging is over.
    pub timed_out: bool,
}

/// Requests beside seconds that are judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Entry spans of the service on the new revision, and bad probes.
    pub tally: Tally,
    /// Entry spans of the other revisions just before it: what was bad anyway.
    pub before: Tally,
}

impl Served {
    fn statistic(self) -> f64 {
        let before = self.before.share();
        SequentialTest::against(Before { baseline: before, observed: before }).statistic(self.tally)
    }

    fn fails(self) -> bool {
        self.statistic() >= SequentialTest::threshold()
    }

    fn is_enough(self) -> bool {
        self.tally.all >= LEAST_SERVED && self.statistic() <= 0.0
    }
}

impl Tally {
    /// Share of bad events; 0 of none.
    pub fn share(self) -> f64 {
        self.bad as f64 / self.all.max(1) as f64
    }
}

/// What the new revision is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Before {
    /// Share of bad events in calm times.
    pub baseline: f64,
    /// Share of bad events during the incident.
    pub observed: f64,
}

/// Wald's test between a healthy and a faulty rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequentialTest {
    healthy: f64,
    faulty: f64,
}

impl SequentialTest {
    /// Healthy is the baseline, at least 1 %; faulty is half of what was observed, at least 10 % and three times healthy.
    pub fn against(before: Before) -> Self {
        let healthy = before.baseline.clamp(HEALTHY, 0.3);
        let faulty = (before.observed / 2.0).clamp(FAULTY.max(3.0 * healthy), 0.95);
        Self { healthy, faulty }
    }

    /// Log-likelihood ratio: above [`SequentialTest::threshold`] still faulty, below its negative healthy.
    pub fn statistic(self, tally: Tally) -> f64 {
        let good = tally.all.saturating_sub(tally.bad) as f64;
        tally.bad as f64 * (self.faulty / self.healthy).ln() + good * ((1.0 - self.faulty) / (1.0 - self.healthy)).ln()
    }

    /// Whether it accepts health.
    pub fn finds_healthy(self, tally: Tally) -> bool {
        self.statistic(tally) <= -Self::threshold()
    }

    /// The bound, for equal error probabilities both ways.
    pub fn threshold() -> f64 {
        ((1.0 - ALPHA) / ALPHA).ln()
    }
}

/// Judges what was seen; `None` while undecided.
pub fn judge(seen: &Seen, before: Before) -> Option<Recovery> {
    let test = SequentialTest::against(before);
    let counted = counted(seen);
    let (verdict, reason) = verdict(seen, before, (test, counted))?;
    // Where requests decided, they are what is told: seconds may not have been counted yet.
    let failing = seen.served.filter(|served| served.fails()).map(|served| served.tally);
    let told = failing.unwrap_or(counted);
    Some(Recovery {
        verdict,
        test: Test::Sequential,
        samples: told.all,
        bad: told.bad,
        probes: if failing.is_some() { 0 } else { counted.all.saturating_sub(seen.service.all) },
        statistic: test.statistic(told),
        threshold: SequentialTest::threshold(),
        reason,
    })
}

fn verdict(seen: &Seen, before: Before, (test, counted): (SequentialTest, Tally)) -> Option<(Outcome, String)> {
    let (statistic, threshold, share) = (test.statistic(counted), SequentialTest::threshold(), counted.share());
    if let Some(served) = seen.served.filter(|served| served.fails()) {
        let (now, then) = (served.tally.share() * 100.0, served.before.share() * 100.0);
        let reason = format!("{now:.0} % of {} requests bad now, {then:.0} % before the change", served.tally.all);
        return Some((Outcome::Regressed, reason));
    }
    if !seen.newly_suspect.is_empty() && counted.all > 0 {
        return Some((Outcome::Regressed, format!("newly suspect: {}", seen.newly_suspect.join(", "))));
    }
    if statistic >= threshold {
        let worse = share > (before.observed * WORSE).min(0.99) && before.observed < 0.66;
        let verdict = if worse { Outcome::Regressed } else { Outcome::Unchanged };
        let reason = format!("{:.0} % bad now, {:.0} % before the change", share * 100.0, before.observed * 100.0);
        return Some((verdict, reason));
    }
    let is_served = seen.served.is_none_or(Served::is_enough);
    if statistic <= -threshold && !seen.still_suspect && operation_is_clean(seen, test) && is_served {
        let counts = if seen.served.is_some() { "seconds" } else { "requests" };
        let reason = format!("{:.2} % bad of the new revision's {counts}, and nobody suspect", share * 100.0);
        return Some((Outcome::Recovered, reason));
    }
    let beside = seen.served.map_or_else(String::new, |served| format!(", beside {} requests", served.tally.all));
    let undecided = format!("neither bound was crossed by {} samples in time{beside}", counted.all);
    seen.timed_out.then_some((Outcome::Inconclusive, undecided))
}

/// Bad probes always count; good ones only when the same probe failed on the old revision.
fn counted(seen: &Seen) -> Tally {
    let good_probes = if seen.probe_failed_before { seen.probes.all.saturating_sub(seen.probes.bad) } else { 0 };
    Tally { all: seen.service.all + seen.probes.bad + good_probes, bad: seen.service.bad + seen.probes.bad }
}

/// The operation itself must be seen clean: a service can be healthy on the whole while the one operation is not called.
fn operation_is_clean(seen: &Seen, test: SequentialTest) -> bool {
    let asked_by_probe = if seen.probe_failed_before { seen.probes } else { Tally::default() };
    let tally = Tally { all: seen.operation.all + asked_by_probe.all, bad: seen.operation.bad + asked_by_probe.bad };
    test.finds_healthy(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dice(u64);

    impl Dice {
        fn bad(&mut self, rate: f64) -> bool {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64) / ((1_u64 << 53) as f64) < rate
        }
    }

    const BEFORE: Before = Before { baseline: 0.001, observed: 0.7 };

    fn play(rate: f64, seed: u64, before: Before) -> Outcome {
        let (mut dice, mut seen) = (Dice(seed), Seen::default());
        for _ in 0..5_000 {
            let bad = u64::from(dice.bad(rate));
            seen.service.all += 1;
            seen.service.bad += bad;
            seen.operation = seen.service;
            if let Some(recovery) = judge(&seen, before) {
                return recovery.verdict;
            }
        }
        seen.timed_out = true;
        judge(&seen, before).map_or(Outcome::Inconclusive, |recovery| recovery.verdict)
    }

    fn share(rate: f64, before: Before, wanted: impl Fn(Outcome) -> bool) -> f64 {
        let runs = 1_000;
        (1..=runs).filter(|seed| wanted(play(rate, *seed, before))).count() as f64 / runs as f64
    }

    #[test]
    fn a_service_as_broken_as_before_is_hardly_ever_called_recovered() {
        for rate in [0.1, 0.3, 1.0] {
            let before = Before { baseline: 0.001, observed: rate };
            let wrong = share(rate, before, |outcome| outcome == Outcome::Recovered);
            assert!(wrong <= 0.01, "{wrong} at rate {rate}");
        }
    }

    #[test]
    fn a_healthy_service_is_hardly_ever_called_failed() {
        for rate in [0.0, 0.001, 0.01] {
            let failed = |outcome| matches!(outcome, Outcome::Regressed | Outcome::Unchanged);
            let wrong = share(rate, BEFORE, failed);
            assert!(wrong <= 0.01, "{wrong} at rate {rate}");
        }
    }

    #[test]
    fn zero_samples_never_pass() {
        assert_eq!(judge(&Seen::default(), BEFORE), None);
        let late = Seen { timed_out: true, ..Seen::default() };
        assert_eq!(judge(&late, BEFORE).map(|recovery| recovery.verdict), Some(Outcome::Inconclusive));
    }

    #[test]
    fn good_probes_count_only_if_the_same_probe_failed_before() {
        let probes = Tally { all: 100, bad: 0 };
        let before = |probe_failed_before| Seen { probes, probe_failed_before, ..Seen::default() };
        assert_eq!(judge(&before(false), BEFORE), None);
        assert_eq!(judge(&before(true), BEFORE).map(|recovery| recovery.verdict), Some(Outcome::Recovered));
    }

    #[test]
    fn a_clean_service_whose_broken_operation_is_not_called_is_not_recovered() {
        let seen = Seen { service: Tally { all: 500, bad: 0 }, timed_out: true, ..Seen::default() };
        assert_eq!(judge(&seen, BEFORE).map(|recovery| recovery.verdict), Some(Outcome::Inconclusive));
    }

    #[test]
    fn calm_seconds_recover_nothing_that_serves_nobody_and_failing_requests_are_a_regression() {
        let clean = Tally { all: 500, bad: 0 };
        let judged = |all: u64, bad: u64, before: Tally| {
            let served = Some(Served { tally: Tally { all, bad }, before });
            judge(&Seen { service: clean, operation: clean, served, timed_out: true, ..Seen::default() }, BEFORE)
        };
        let verdict = |all, bad| judged(all, bad, Tally { all: 300, bad: 1 }).map(|recovery| recovery.verdict);
        assert_eq!(verdict(LEAST_SERVED, 0), Some(Outcome::Recovered));
        assert_eq!(verdict(LEAST_SERVED - 1, 0), Some(Outcome::Inconclusive));
        assert_eq!(verdict(20, 10), Some(Outcome::Regressed));
        let served = Some(Served { tally: Tally { all: 20, bad: 10 }, ..Served::default() });
        let at_once = judge(&Seen { served, ..Seen::default() }, BEFORE).map(|it| (it.verdict, it.samples, it.bad));
        assert_eq!(at_once, Some((Outcome::Regressed, 20, 10)), "before a second was counted");
        assert_eq!(verdict(5, 1), Some(Outcome::Inconclusive), "one bad of five decides nothing");
        let anyway = judged(200, 40, Tally { all: 300, bad: 60 }).expect("a judgement");
        assert_eq!(anyway.verdict, Outcome::Recovered, "a fifth was bad before, for another reason");
        assert_eq!(anyway.reason, "0.00 % bad of the new revision's seconds, and nobody suspect");
    }

    #[test]
    fn somebody_else_broken_by_the_change_is_a_regression() {
        let clean = Tally { all: 500, bad: 0 };
        let seen = Seen { service: clean, operation: clean, newly_suspect: vec!["other".into()], ..Seen::default() };
        assert_eq!(judge(&seen, BEFORE).map(|recovery| recovery.verdict), Some(Outcome::Regressed));
    }
}
