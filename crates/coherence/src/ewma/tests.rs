//! Weighted mean and variance against the weights written out, and hostile input.

use proptest::prelude::*;

use super::*;
use crate::moments::Moments;

/// Weights of each sample, oldest first, as the doc says them: equal shares while cold, then fading by `1 - alpha`.
fn weights(count: usize, alpha: f64) -> Vec<f64> {
    let mut weights: Vec<f64> = Vec::new();
    for at in 1..=count {
        let newest = alpha.max(1.0 / at as f64);
        weights.iter_mut().for_each(|weight| *weight *= 1.0 - newest);
        weights.push(newest);
    }
    weights
}

#[test]
fn half_of_the_weight_lies_in_the_last_half_life() {
    let step: Vec<f64> = std::iter::repeat_n(0.0, 1_000).chain(std::iter::repeat_n(10.0, 8)).collect();
    let ewma = Ewma::of(&step, 8.0).expect("a mean");
    assert!((ewma.mean().expect("a mean") - 5.0).abs() < 1e-9);
    assert!((ewma.stdev().expect("a deviation") - 5.0).abs() < 1e-9);
    assert_eq!((ewma.count(), ewma.z(15.0).map(f64::round)), (1_008, Ok(2.0)));
}

#[test]
fn while_cold_it_is_the_plain_mean() {
    let values = [3.0, 9.0, 1.0, 7.0];
    let (ewma, plain) = (Ewma::of(&values, 100.0).expect("a mean"), Moments::of(&values).expect("moments"));
    assert!((ewma.mean().expect("a mean") - plain.mean().expect("a mean")).abs() < 1e-12);
    assert!((ewma.stdev().expect("a deviation") - plain.population_stdev().expect("a deviation")).abs() < 1e-12);
}

#[test]
fn what_cannot_be_known_is_named() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Ewma::with_half_life(bad), Err(Undefined::BadArgument));
    }
    let mut ewma = Ewma::with_half_life(3.0).expect("a half-life");
    assert_eq!(
        (ewma.mean(), ewma.stdev()),
        (Err(Undefined::TooFew { has: 0, needs: 1 }), Err(Undefined::TooFew { has: 0, needs: 2 }))
    );
    assert_eq!((ewma.add(f64::NAN), ewma.count()), (Err(Undefined::NotFinite), 0));
    ewma.add(5.0).and_then(|()| ewma.add(5.0)).expect("finite values");
    assert_eq!((ewma.z(6.0), ewma.z(f64::NAN)), (Err(Undefined::NoSpread), Err(Undefined::NotFinite)));
    let huge = Ewma::of(&[f64::MAX, f64::MIN], 1.0).expect("finite values");
    assert_eq!((huge.mean(), huge.stdev()), (Err(Undefined::TooLarge), Err(Undefined::TooLarge)));
}

proptest! {
    #[test]
    fn streaming_equals_the_weights_written_out(values in prop::collection::vec(-1e3_f64..1e3, 2..200), half_life in 0.5_f64..50.0) {
        let ewma = Ewma::of(&values, half_life).expect("a mean");
        let weights = weights(values.len(), ewma.alpha);
        let mean: f64 = weights.iter().zip(&values).map(|(weight, value)| weight * value).sum();
        let variance: f64 = weights.iter().zip(&values).map(|(weight, value)| weight * (value - mean).powi(2)).sum();
        prop_assert!((ewma.mean - mean).abs() < 1e-9, "{} {mean}", ewma.mean);
        prop_assert!((ewma.variance - variance).abs() < 1e-9 * variance.max(1.0), "{} {variance}", ewma.variance);
    }
}
