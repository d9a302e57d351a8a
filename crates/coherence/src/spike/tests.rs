//! Spikes by each method, the share flagged in calm noise, and hostile input.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::rolling::Rolling;

/// Normal noise by Box and Muller.
fn calm(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut normal = || {
        let (radius, turn): (f64, f64) = (rng.random(), rng.random());
        (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
    };
    (0..count).map(|_| 50.0 + 5.0 * normal()).collect()
}

#[test]
fn spikes_are_counted_and_weighed_by_each_method() {
    let mut values: Vec<f64> = (0..100).map(|at| 20.0 + f64::from(at % 5)).collect();
    values[30] = 90.0;
    values[70] = 95.0;
    for (method, baseline) in [(Method::Sigma, 23.45), (Method::RobustZ, 22.0), (Method::Fences, 22.0)] {
        let found = Spikes::of(&values, method).expect("spikes");
        assert_eq!((found.method, found.count, found.share, found.highest), (method, 2, 0.02, Some(95.0)));
        assert!((found.baseline - baseline).abs() < 1e-9 && found.threshold < 90.0, "{found:?}");
        // A fifth of the tenth that makes frequency 1, and more than three deviations: (0.2 + 1) / 2.
        assert!((found.risk - 0.6).abs() < 1e-9, "{found:?}");
    }
    let none = Spikes::of(&values[..30], Method::Sigma).expect("no spikes");
    assert_eq!((none.count, none.share, none.highest, none.risk), (0, 0.0, None, 0.0));
}

#[test]
fn many_spikes_hide_from_the_mean_and_not_from_the_median() {
    let values: Vec<f64> = (0..100).map(|at| if at % 5 == 0 { 90.0 } else { 20.0 + f64::from(at % 4) }).collect();
    let count = |method| Spikes::of(&values, method).expect("spikes").count;
    assert_eq!((count(Method::Sigma), count(Method::RobustZ)), (0, 20));
}

#[test]
fn calm_noise_has_at_most_one_robust_spike_in_a_hundred() {
    for seed in 0..20 {
        let values = calm(10_000, seed);
        let share = Spikes::of(&values, Method::RobustZ).expect("spikes").share;
        assert!(share <= 0.01, "seed {seed}: {share}");
        // As the Sentinel does it: each sample against the 60 before it.
        let (mut rolling, mut flags) = (Rolling::new(60).expect("a window"), 0);
        for value in &values {
            let usual = rolling.robust();
            flags +=
                usize::from(rolling.is_full() && usual.is_ok_and(|usual| is_robust_spike(&usual, *value) == Ok(true)));
            rolling.add(*value).expect("a finite value");
        }
        assert!(flags <= 100, "seed {seed}: {flags} of 10000");
    }
}

#[test]
fn what_cannot_be_known_is_named() {
    for method in [Method::Sigma, Method::RobustZ, Method::Fences] {
        assert_eq!(Spikes::of(&[], method), Err(Undefined::TooFew { has: 0, needs: 1 }));
        assert_eq!(
            (Spikes::of(&[1.0], method), Spikes::of(&[0.1; 9], method)),
            (Err(Undefined::NoSpread), Err(Undefined::NoSpread))
        );
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Spikes::of(&[1.0, 2.0, bad], method), Err(Undefined::NotFinite));
        }
    }
    let usual = Robust { median: 1.0, mad: 1.0 };
    assert_eq!(
        (is_robust_spike(&usual, f64::NAN), is_robust_spike(&usual, 5.0)),
        (Err(Undefined::NotFinite), Ok(false))
    );
}

proptest! {
    #[test]
    fn order_does_not_matter_and_the_figures_keep_their_ranges(
        mut values in prop::collection::vec(-1e6_f64..1e6, 2..300), turn in any::<prop::sample::Index>()
    ) {
        let turn = turn.index(values.len());
        for method in [Method::RobustZ, Method::Fences] {
            let before = Spikes::of(&values, method);
            values.rotate_left(turn);
            prop_assert_eq!(Spikes::of(&values, method), before);
            if let Ok(found) = before {
                prop_assert!((0.0..=1.0).contains(&found.risk) && (0.0..=1.0).contains(&found.share), "{found:?}");
            }
        }
    }
}
