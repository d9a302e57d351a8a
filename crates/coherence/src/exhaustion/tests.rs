//! Forecasts against leaks whose end is known, noise that has none, and hostile input.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const STEP_MS: i64 = 60_000;

fn moments(count: usize) -> Vec<i64> {
    (0..count as i64).map(|at| 1_765_000_000_000 + at * STEP_MS).collect()
}

fn noise(count: usize, seed: u64, spread: f64) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-spread..spread)).collect()
}

#[test]
fn a_leak_is_carried_on_to_its_limit() {
    // 40 at the start, 12 an hour: 60 after 100 minutes, 100 after 300.
    let values: Vec<f64> = (0..101).map(|at| 40.0 + 0.2 * f64::from(at)).collect();
    let found = Exhaustion::of(&moments(101), &values, 100.0).expect("samples").expect("a leak");
    assert!((found.per_hour - 12.0).abs() < 1e-6 && (found.level - 60.0).abs() < 1e-6, "{found:?}");
    assert!((found.left_ms - 200 * STEP_MS).abs() < 10, "{found:?}");
    let past = Exhaustion::of(&moments(101), &values, 50.0).expect("samples").expect("a leak");
    assert_eq!((past.left_ms, past.soonest_ms, past.latest_ms), (0, 0, 0));
}

#[test]
fn the_interval_holds_the_truth_and_wild_samples_do_not_move_it() {
    let held = (0..50).filter(|seed| {
        let mut values: Vec<f64> = noise(600, *seed, 6.0);
        values.iter_mut().zip(0_u32..).for_each(|(value, at)| *value += 40.0 + 0.02 * f64::from(at));
        values[100] = 1e6;
        values[500] = -1e6;
        let found = Exhaustion::of(&moments(600), &values, 100.0).expect("samples").expect("a leak");
        assert!((found.per_hour - 1.2).abs() < 0.4, "{found:?}");
        let truth = ((100.0 - (40.0 + 0.02 * 599.0)) / 1.2 * HOUR_MS) as i64;
        (found.soonest_ms..=found.latest_ms).contains(&truth)
    });
    let held = held.count();
    assert!(held >= 44, "the 95 % interval holds the truth in {held} of 50");
}

#[test]
fn noise_and_what_empties_have_no_forecast() {
    let alarms = (0..100).filter(|seed| {
        let found = Exhaustion::of(&moments(300), &noise(300, *seed, 5.0), 100.0).expect("samples");
        found.is_some()
    });
    // One side of a 95 % interval: 2.5 % expected.
    let alarms = alarms.count();
    assert!(alarms <= 8, "{alarms} of 100");
    let falling: Vec<f64> = (0..100).map(|at| 90.0 - f64::from(at)).collect();
    assert_eq!(Exhaustion::of(&moments(100), &falling, 100.0), Ok(None));
    assert_eq!(Exhaustion::of(&moments(100), &[5.0; 100], 100.0), Ok(None));
}

#[test]
fn what_cannot_be_known_is_named() {
    assert_eq!(Exhaustion::of(&[], &[], 1.0), Err(Undefined::TooFew { has: 0, needs: FEWEST }));
    assert_eq!(Exhaustion::of(&[1], &[1.0], 1.0), Err(Undefined::TooFew { has: 1, needs: FEWEST }));
    assert_eq!(Exhaustion::of(&[1; 20], &[1.0; 20], 2.0), Err(Undefined::NoSpread));
    for bad in [f64::NAN, f64::INFINITY] {
        assert_eq!(Exhaustion::of(&moments(20), &[bad; 20], 1.0), Err(Undefined::NotFinite));
        assert_eq!(Exhaustion::of(&moments(20), &[1.0; 20], bad), Err(Undefined::BadArgument));
    }
    assert_eq!(Exhaustion::of(&moments(20), &[1.0; 19], 2.0), Err(Undefined::BadArgument));
    let huge: Vec<f64> = (0..20).map(|at| if at % 2 == 0 { f64::MIN } else { f64::MAX }).collect();
    assert_eq!(Exhaustion::of(&moments(20), &huge, 2.0), Err(Undefined::TooLarge));
}

proptest! {
    #[test]
    fn a_forecast_lies_within_its_own_interval(values in prop::collection::vec(0.0_f64..100.0, 10..400), limit in -10.0_f64..1e4) {
        if let Some(found) = Exhaustion::of(&moments(values.len()), &values, limit).expect("samples") {
            prop_assert!(found.per_hour_range.0 <= found.per_hour && found.per_hour <= found.per_hour_range.1, "{found:?}");
            prop_assert!(found.soonest_ms <= found.left_ms && found.left_ms <= found.latest_ms, "{found:?}");
        }
    }
}
