//! How fast the statistics are on 100,000 samples: `cargo bench -p sre-space-coherence --bench statistics`.
//!
//! Exit code 1 when a limit is missed. Time on the processor, the best of several rounds: the machine is shared, the work is not.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

#[path = "nab/clock.rs"]
mod clock;

use std::hint::black_box;

use sre_space_coherence::anomaly::Detector;
use sre_space_coherence::change::changes;
use sre_space_coherence::escalation::{Escalation, Limits};
use sre_space_coherence::ewma::Ewma;
use sre_space_coherence::exhaustion::Exhaustion;
use sre_space_coherence::moments::Moments;
use sre_space_coherence::robust::{Fences, Robust, TUKEY};
use sre_space_coherence::rolling::Rolling;
use sre_space_coherence::season::{DAY_MS, Season};
use sre_space_coherence::series::Sample;
use sre_space_coherence::sketch::Sketch;
use sre_space_coherence::spike::{Method, Spikes};
use sre_space_coherence::trend::Trend;

const ROWS: i64 = 100_000;
const ROUNDS: usize = 10;
const STEP_MS: i64 = 30_000;
/// What each may take, milliseconds.
const MEAN_STDEV_RISK_MS: f64 = 1.0;
const DETECTORS_MS: f64 = 20.0;

fn main() {
    let at_ms: Vec<i64> = (0..ROWS).map(|at| 1_765_000_000_000 + at * STEP_MS).collect();
    let values: Vec<f64> = (0..ROWS).map(value).collect();
    let (at_ms, values) = (at_ms.as_slice(), values.as_slice());
    println!("{ROWS} rows, best of {ROUNDS} rounds, time on the processor");
    let risk = timed("mean, deviation, risk", Some(MEAN_STDEV_RISK_MS), || risk(values));
    let each: [(&str, &dyn Fn()); 7] = [
        ("escalation", &|| used(Escalation::of(at_ms, values, &Limits::of_percentages()))),
        ("spikes, sigma", &|| used(Spikes::of(values, Method::Sigma))),
        ("spikes, robust z", &|| used(Spikes::of(values, Method::RobustZ))),
        ("spikes, fences", &|| used(Spikes::of(values, Method::Fences))),
        ("trend", &|| used(Trend::of(at_ms, values))),
        ("season", &|| used(Season::of(at_ms, values, DAY_MS))),
        ("time to exhaustion", &|| used(Exhaustion::of(at_ms, values, 1e6))),
    ];
    for (what, work) in each {
        timed(what, None, work);
    }
    let changes = || used(changes(values));
    timed("change points", None, changes);
    let all = || {
        each.iter().for_each(|(_, work)| work());
        changes();
    };
    let all = timed("all detectors", Some(DETECTORS_MS), all);
    streams(at_ms, values);
    std::process::exit(i32::from(!(risk && all)));
}

/// Noise around a daily cycle, by a hash of the row.
fn value(at: i64) -> f64 {
    let mixed = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let noise = ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1_u64 << 53) as f64;
    50.0 + 20.0 * (at as f64 * STEP_MS as f64 / DAY_MS as f64 * std::f64::consts::TAU).sin() + 5.0 * noise
}

/// As the Data Coherence Engine does it: a mean, a deviation, and the rules on both.
fn risk(values: &[f64]) {
    let moments = Moments::of(black_box(values)).expect("finite values");
    let (mean, stdev) = (moments.mean().expect("a mean"), moments.stdev().expect("a deviation"));
    black_box((mean < 60.0 || stdev / mean.abs() > 0.25, mean < 80.0 || stdev / mean.abs() > 0.10));
}

/// What streams cost for each sample.
fn streams(at_ms: &[i64], values: &[f64]) {
    let mut window = Rolling::new(1_000).expect("a window");
    timed("rolling median and MAD", None, || {
        values.iter().for_each(|value| used(window.add(*value).and_then(|()| window.robust())));
    });
    timed("weighted mean", None, || used(Ewma::of(values, 100.0)));
    timed("sketch", None, || {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value).expect("a finite value"));
        used(sketch.quantile(0.99));
    });
    timed("median, MAD and fences", None, || used((Robust::of(values), Fences::of(values, TUKEY))));
    let mut detector = Detector::default();
    timed("streaming detector", None, || {
        for (at_ms, value) in at_ms.iter().zip(values) {
            used(detector.judge(Sample { at_ms: *at_ms, value: *value }));
        }
    });
}

/// Prints the best time; answers whether the limit is kept.
fn timed(what: &str, limit_ms: Option<f64>, mut work: impl FnMut()) -> bool {
    let best = (0..ROUNDS).map(|_| clock::milliseconds(&mut work)).fold(f64::MAX, f64::min);
    let limit = limit_ms.map_or(String::new(), |limit| format!("; limit {limit} ms"));
    println!("{what:<24} {best:>8.3} ms, {:>7.1} ns a row{limit}", best * 1e6 / ROWS as f64);
    limit_ms.is_none_or(|limit| best <= limit)
}

/// Keeps the compiler from leaving out what nobody reads.
fn used<What>(what: What) {
    black_box(what);
}
