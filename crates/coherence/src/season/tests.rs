//! Cycles that are there, that are not, leaks that must not pass for one, and hostile input.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::spike::{Method, Spikes};
use crate::trend::Trend;

const STEP_MS: i64 = 300_000;

fn moments(days: i64) -> Vec<i64> {
    (0..days * DAY_MS / STEP_MS).map(|at| 1_765_003_210_000 + at * STEP_MS).collect()
}

fn noise(count: usize, seed: u64, spread: f64) -> impl Iterator<Item = f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(move |_| rng.random_range(-spread..spread))
}

fn cycle(at_ms: i64) -> f64 {
    let phase = at_ms.rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
    50.0 + if (0.4..0.5).contains(&phase) { 35.0 } else { 10.0 * (std::f64::consts::TAU * phase).sin() }
}

#[test]
fn a_daily_peak_is_no_spike_and_a_real_one_is() {
    let at_ms = moments(5);
    let mut values: Vec<f64> =
        at_ms.iter().zip(noise(at_ms.len(), 1, 2.0)).map(|(at, noise)| cycle(*at) + noise).collect();
    let spikes = |values: &[f64]| Spikes::of(values, Method::RobustZ).expect("a spread").share;
    let season = Season::of(&at_ms, &values, DAY_MS).expect("five days");
    assert!(season.is_there() && season.strength() > 0.8, "{}", season.strength());
    let without = season.without(&at_ms, &values).expect("columns of one length");
    assert!(spikes(&values) > 0.04 && spikes(&without) < 0.02, "{} {}", spikes(&values), spikes(&without));
    values[1_000] += 40.0;
    let without = season.without(&at_ms, &values).expect("columns of one length");
    assert!((without[1_000] - 90.0).abs() < 6.0, "{}", without[1_000]);
}

#[test]
fn a_leak_is_no_cycle_and_stays_when_the_cycle_goes() {
    let at_ms = moments(2);
    let leak: Vec<f64> =
        noise(at_ms.len(), 2, 2.0).zip(0_u32..).map(|(noise, at)| 40.0 + 0.08 * f64::from(at) + noise).collect();
    let season = Season::of(&at_ms, &leak, DAY_MS).expect("two days");
    assert!(!season.is_there(), "{}", season.strength());
    let both: Vec<f64> = leak.iter().zip(&at_ms).map(|(leak, at)| leak + cycle(*at)).collect();
    let season = Season::of(&at_ms, &both, DAY_MS).expect("two days");
    let without = season.without(&at_ms, &both).expect("columns of one length");
    assert!(season.is_there() && Trend::of(&at_ms, &without).expect("a trend").rises(0.3), "{season:?}");
}

#[test]
fn noise_and_a_constant_have_no_cycle() {
    let at_ms = moments(3);
    for seed in 0..20 {
        let values: Vec<f64> = noise(at_ms.len(), seed, 5.0).collect();
        let season = Season::of(&at_ms, &values, DAY_MS).expect("three days");
        assert!(season.strength() < 0.05, "seed {seed}: {}", season.strength());
    }
    let still = Season::of(&at_ms, &vec![4.0; at_ms.len()], DAY_MS).expect("three days");
    assert!((still.strength(), still.adds(at_ms[0])) == (0.0, 0.0) && !still.is_there());
}

#[test]
fn what_cannot_be_known_is_named() {
    let (at_ms, few) = (moments(1), moments(2));
    assert_eq!(Season::of(&[], &[], DAY_MS), Err(Undefined::TooFew { has: 0, needs: 8 }));
    assert_eq!(Season::of(&at_ms, &vec![1.0; at_ms.len()], DAY_MS), Err(Undefined::TooFew { has: 1, needs: 2 }));
    assert_eq!(Season::of(&few, &vec![1.0; few.len()], 600_000), Err(Undefined::TooFew { has: 2, needs: 4 }));
    assert_eq!(Season::of(&few, &[1.0], DAY_MS), Err(Undefined::BadArgument));
    assert_eq!(Season::of(&few, &vec![1.0; few.len()], 0), Err(Undefined::BadArgument));
    assert_eq!(Season::of(&few, &vec![f64::NAN; few.len()], DAY_MS), Err(Undefined::NotFinite));
    let huge: Vec<f64> = (0..few.len()).map(|at| if at % 2 == 0 { f64::MAX } else { f64::MIN }).collect();
    assert_eq!(Season::of(&few, &huge, DAY_MS), Err(Undefined::TooLarge));
    // A hole at the same hour of every day.
    let holed: Vec<i64> =
        few.into_iter().filter(|at| !(0.6..0.8).contains(&(at.rem_euclid(DAY_MS) as f64 / DAY_MS as f64))).collect();
    assert!(matches!(Season::of(&holed, &vec![1.0; holed.len()], DAY_MS), Err(Undefined::TooFew { needs: 96, .. })));
}
