//! Shifts that are there, noise that has none, and hostile input.

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

fn noise(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>()).collect()
}

#[test]
fn shifts_are_found_where_they_are() {
    let level = |at: usize| {
        if at < 300 {
            10.0
        } else if at < 500 {
            13.0
        } else {
            9.0
        }
    };
    let values: Vec<f64> = noise(900, 4).into_iter().enumerate().map(|(at, noise)| level(at) + noise).collect();
    let found = changes(&values).expect("samples");
    let near = |change: &Change, at: usize, (before, after): (f64, f64)| {
        change.at.abs_diff(at) <= 3
            && (change.before - before).abs() < 0.3
            && (change.after - after).abs() < 0.3
            && change.z > 10.0
    };
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(near(&found[0], 300, (10.0, 13.0)) && near(&found[1], 500, (13.0, 9.0)), "{found:?}");
}

#[test]
fn a_step_without_noise_is_found_and_a_constant_has_none() {
    let values: Vec<f64> = (0..200).map(|at| if at < 120 { 2.0 } else { 7.0 }).collect();
    let found = changes(&values).expect("samples");
    assert_eq!(
        found.iter().map(|change| (change.at, change.before, change.after)).collect::<Vec<_>>(),
        [(120, 2.0, 7.0)]
    );
    assert_eq!(changes(&[3.0; 100]), Ok(Vec::new()));
}

#[test]
fn white_noise_hardly_has_a_change() {
    let with = (0..50).filter(|seed| !changes(&noise(1_000, *seed)).expect("samples").is_empty()).count();
    assert!(with <= 2, "{with} of 50");
}

#[test]
fn no_more_are_told_than_may_be() {
    let values: Vec<f64> = (0..4_000).map(|at| if at / 50 % 2 == 0 { 0.0 } else { 100.0 }).collect();
    assert_eq!(changes(&values).expect("samples").len(), MOST);
}

#[test]
fn what_cannot_be_known_is_named() {
    assert_eq!(changes(&[]), Err(Undefined::TooFew { has: 0, needs: 10 }));
    assert_eq!(changes(&[1.0]), Err(Undefined::TooFew { has: 1, needs: 10 }));
    assert_eq!(changes(&[f64::MIN, f64::MAX].repeat(10)), Err(Undefined::TooLarge));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(changes(&[bad; 20]), Err(Undefined::NotFinite));
        assert_eq!(
            (Cusum::around(bad, 1.0), Cusum::around(0.0, bad)),
            (Err(Undefined::BadArgument), Err(Undefined::BadArgument))
        );
        let mut watch = Cusum::around(0.0, 1.0).expect("a reference");
        assert_eq!((watch.add(bad), watch), (Err(Undefined::NotFinite), Cusum::around(0.0, 1.0).expect("a reference")));
    }
    assert_eq!(Cusum::around(0.0, 0.0), Err(Undefined::BadArgument));
}

#[test]
fn a_watch_tells_a_shift_within_ten_samples_or_so() {
    let mut watch = Cusum::around(10.0, 2.0).expect("a reference");
    let mut told =
        |value: f64| (1..50).find_map(|count| watch.add(value).expect("finite").map(|direction| (count, direction)));
    assert_eq!((told(12.0), told(6.0)), (Some((11, Direction::Up)), Some((4, Direction::Down))));
    assert_eq!((told(10.9), told(f64::MAX)), (None, Some((1, Direction::Up))));
}

proptest! {
    #[test]
    fn changes_are_in_order_and_no_stretch_is_too_short(values in prop::collection::vec(-100.0_f64..100.0, 10..400)) {
        let found = changes(&values).expect("samples");
        let cuts: Vec<usize> =
            std::iter::once(0).chain(found.iter().map(|change| change.at)).chain([values.len()]).collect();
        prop_assert!(cuts.windows(2).all(|pair| pair[1] >= pair[0] + SHORTEST), "{cuts:?}");
    }
}
