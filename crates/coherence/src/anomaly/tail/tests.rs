//! Tails whose truth is known, forgetting, and bounded memory.

use super::*;

/// Exponential distances of mean 1 by the inverse of their distribution, in an order that mixes large and small.
fn exponential(count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |at| -(1.0 - ((at * 7_919) % count) as f64 / count as f64).ln())
}

fn tail(half_life: f64, distances: impl IntoIterator<Item = f64>) -> Tail {
    let mut tail = Tail::with_half_life(half_life);
    distances.into_iter().for_each(|distance| tail.add(distance));
    tail
}

#[test]
fn an_exponential_tail_is_told_as_rare_as_it_is() {
    let tail = tail(1e6, exponential(20_000));
    for distance in [6.0, 9.0, 14.0_f64] {
        let truth = distance / std::f64::consts::LN_10;
        let told = tail.rarity(distance);
        assert!((told - truth).abs() < 0.1 * truth, "{distance}: {told} for {truth}");
    }
    assert_eq!((tail.rarity(1.0), tail.rarity(0.0), tail.count()), (0.0, 0.0, 20_000));
}

#[test]
fn the_unit_does_not_matter() {
    let one = tail(1e6, exponential(5_000));
    for unit in [1e-12, 1e12] {
        let other = tail(1e6, exponential(5_000).map(|distance| distance * unit));
        assert!((one.rarity(10.0) - other.rarity(10.0 * unit)).abs() < 0.2, "{unit}");
    }
}

#[test]
fn what_was_far_long_ago_is_forgotten() {
    let then = || std::iter::repeat_n(100.0, 500);
    let now = || exponential(10_000);
    assert_eq!(tail(1e6, then().chain(now())).rarity(50.0), 0.0);
    // So many half-lives that the weights were scaled back on the way.
    let forgetful = tail(100.0, then().chain(now()));
    assert!(forgetful.weight < RESCALE && forgetful.rarity(50.0) > 5.0, "{}", forgetful.rarity(50.0));
}

#[test]
fn after_nothing_but_zeros_any_distance_is_rare() {
    for distance in [1e-6, 0.5, 3.0] {
        let tail = tail(1e3, std::iter::repeat_n(0.0, 320));
        assert_eq!((tail.rarity(distance), tail.rarity(0.0)), (RAREST, 0.0));
    }
}

#[test]
fn memory_is_bounded_whatever_the_range() {
    let rising = tail(1e6, (-300..300).map(|power| 10_f64.powi(power)));
    let falling = tail(1e6, (-300..300).rev().map(|power| 10_f64.powi(power)));
    assert!(rising.is_bounded() && falling.is_bounded());
    assert!((rising.total - 600.0).abs() < 1.0 && rising.beneath > 500.0 && falling.beneath > 500.0);
}
