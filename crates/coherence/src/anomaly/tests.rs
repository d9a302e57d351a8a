//! The detector on plain shapes; how it fares on recordings is told by `cargo bench -p sre-space-coherence --bench nab`.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const STEP_MS: i64 = 300_000;

fn judged(values: impl IntoIterator<Item = f64>) -> Vec<Anomaly> {
    let mut detector = Detector::default();
    let sample = |(at, value)| Sample { at_ms: 1_765_000_000_000 + at * STEP_MS, value };
    (0..).zip(values).map(|both| detector.judge(sample(both)).expect("a finite value")).collect()
}

fn alarms(judged: &[Anomaly]) -> Vec<usize> {
    judged.iter().enumerate().filter(|(_, anomaly)| anomaly.score >= THRESHOLD).map(|(at, _)| at).collect()
}

fn noise(count: usize, seed: u64) -> impl Iterator<Item = f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(move |_| (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>())
}

#[test]
fn a_spike_and_a_shift_are_told_once_each_and_from_their_side() {
    let values = noise(3_000, 7).enumerate().map(|(at, value)| match at {
        1_000 => value + 30.0,
        2_000.. => value + 4.0,
        _ => value,
    });
    let judged = judged(values);
    let told = alarms(&judged);
    assert!(told.contains(&1_000) && told.iter().any(|at| (2_000..2_020).contains(at)), "{told:?}");
    assert!(told.len() <= 8, "{told:?}");
    assert!(judged[1_000].rarity > 6.0 && judged[1_000].side.is_some(), "{:?}", judged[1_000]);
}

#[test]
fn a_daily_cycle_is_no_anomaly_and_a_day_without_it_is() {
    let day = 86_400_000 / STEP_MS;
    let cycle = |at: i64| 50.0 + 40.0 * (std::f64::consts::TAU * at as f64 / day as f64).sin();
    let values = (0..10 * day).zip(noise(10 * day as usize, 3)).map(|(at, noise)| {
        let quiet = 7 * day + day / 8..7 * day + day / 3;
        noise + if quiet.contains(&at) { 50.0 } else { cycle(at) }
    });
    let told = alarms(&judged(values));
    let before = told.iter().filter(|at| **at < 7 * day as usize).count();
    assert!(before <= 4, "{told:?}");
    assert!(told.iter().any(|at| (7 * day as usize..7 * day as usize + day as usize / 2).contains(at)), "{told:?}");
}

#[test]
fn calm_and_constant_series_hardly_alarm() {
    assert_eq!(alarms(&judged(std::iter::repeat_n(5.0, 2_000))), Vec::<usize>::new());
    for seed in 0..5 {
        let told = alarms(&judged(noise(5_000, seed)));
        assert!(told.len() <= 15, "{told:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let defaults = Tuning::default();
    let mut detector = Detector::new(defaults).expect("sensible figures");
    for bad in [
        Tuning { rarity: 0.0, ..defaults },
        Tuning { rarity: f64::NAN, ..defaults },
        Tuning { habit: -1.0, ..defaults },
        Tuning { habit_half_life: 0.0, ..defaults },
        Tuning { short: 0, ..defaults },
        Tuning { long: 2_000, ..defaults },
        Tuning { recent: usize::MAX, ..defaults },
        Tuning { memory_half_life: f64::INFINITY, ..defaults },
    ] {
        assert_eq!(Detector::new(bad).err(), Some(Undefined::BadArgument), "{bad:?}");
    }
    for value in [f64::NAN, f64::INFINITY] {
        assert_eq!(detector.judge(Sample { at_ms: 0, value }), Err(Undefined::NotFinite));
    }
    let first = detector.judge(Sample { at_ms: i64::MIN, value: 1.0 });
    assert_eq!(first, Ok(Anomaly { score: 0.0, rarity: 0.0, side: None }));
}

proptest! {
    #[test]
    fn whatever_comes_the_score_stays_in_its_range_and_memory_bounded(
        values in prop::collection::vec(prop_oneof![any::<f64>(), -1.0_f64..1.0, Just(0.0)], 1..600), gap in 0_i64..100_000_000
    ) {
        let mut detector = Detector::new(Tuning { warm_up: 8, ..Tuning::default() }).expect("sensible figures");
        for (at, value) in (0..).zip(values) {
            let answer = detector.judge(Sample { at_ms: at * gap, value });
            prop_assert_eq!(answer.is_ok(), value.is_finite());
            if let Ok(anomaly) = answer {
                prop_assert!((0.0..=1.0).contains(&anomaly.score) && anomaly.rarity.is_finite(), "{anomaly:?}");
            }
        }
        prop_assert!(detector.tails.iter().all(Tail::is_bounded));
    }
}
