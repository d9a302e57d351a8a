//! Mean and deviation against known figures, one another, and hostile input.

use proptest::prelude::*;

use super::*;

fn streamed(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    for value in values {
        moments.add(*value).expect("a finite value");
    }
    moments
}

/// Equal to 1e-9 of the larger scale of the two.
fn close(one: f64, other: f64, scale: f64) -> bool {
    (one - other).abs() <= 1e-9 * scale.max(1.0)
}

#[test]
fn known_figures_come_out() {
    // numpy: mean 5, std(ddof=1) 2.138089935299395, std() 2.
    let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
    let moments = Moments::of(&values).expect("moments");
    assert_eq!((moments.count(), moments.mean(), moments.population_stdev()), (8, Ok(5.0), Ok(2.0)));
    assert!(close(moments.stdev().expect("a deviation"), 2.138_089_935_299_395, 1.0));
    assert_eq!(moments.z(9.0).map(|z| (z * 1e6).round()), Ok(1_870_829.0));
    assert_eq!((mean(&values), stdev(&values)), (moments.mean(), moments.stdev()));
}

#[test]
fn a_large_offset_does_not_drown_a_small_deviation() {
    // NIST StRD NumAcc4: 10000000.2 and then .1 and .3 by turns; mean 10000000.2, deviation 0.1.
    let values: Vec<f64> = std::iter::once(10_000_000.2)
        .chain((0..1_000).map(|at| if at % 2 == 0 { 10_000_000.1 } else { 10_000_000.3 }))
        .collect();
    for moments in [Moments::of(&values).expect("moments"), streamed(&values)] {
        assert!((moments.stdev().expect("a deviation") - 0.1).abs() < 1e-8, "{moments:?}");
        assert!((moments.mean().expect("a mean") - 10_000_000.2).abs() < 1e-8, "{moments:?}");
    }
}

#[test]
fn what_cannot_be_known_is_named() {
    let none = Moments::of(&[]).expect("no samples");
    assert_eq!(none.mean(), Err(Undefined::TooFew { has: 0, needs: 1 }));
    assert_eq!((mean(&[]), stdev(&[])), (none.mean(), Err(Undefined::TooFew { has: 0, needs: 2 })));
    let one = Moments::of(&[3.0]).expect("one sample");
    assert_eq!((one.mean(), one.stdev()), (Ok(3.0), Err(Undefined::TooFew { has: 1, needs: 2 })));
    assert_eq!((one.population_stdev(), none.population_stdev().is_err()), (Ok(0.0), true));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(
            (Moments::of(&[1.0, bad, 2.0]), mean(&[bad])),
            (Err(Undefined::NotFinite), Err(Undefined::NotFinite))
        );
        let mut stream = one;
        assert_eq!((stream.add(bad), stream), (Err(Undefined::NotFinite), one));
        assert_eq!(Moments::of(&[1.0, 2.0]).expect("two").z(bad), Err(Undefined::NotFinite));
    }
    assert_eq!(Moments::of(&[2.0, 2.0]).expect("two").z(2.0), Err(Undefined::NoSpread));
    assert_eq!(Moments::of(&[f64::MAX, f64::MAX]), Err(Undefined::TooLarge));
    assert_eq!(Moments::of(&[f64::MAX, 0.0, 0.0]), Err(Undefined::TooLarge));
    assert_eq!(streamed(&[f64::MAX, f64::MIN]).stdev(), Err(Undefined::TooLarge));
}

proptest! {
    #[test]
    fn one_at_a_time_merged_and_in_one_go_agree_in_any_order(
        mut values in prop::collection::vec(-1e6_f64..1e6, 2..3_000), cut in any::<prop::sample::Index>()
    ) {
        let batch = Moments::of(&values).expect("moments");
        let cut = cut.index(values.len());
        let merged = streamed(&values[..cut]).merge(streamed(&values[cut..]));
        values.reverse();
        values.rotate_left(cut);
        for other in [streamed(&values), merged, Moments::of(&values).expect("moments")] {
            prop_assert_eq!(batch.count(), other.count());
            prop_assert!(close(batch.mean, other.mean, batch.mean.abs()));
            prop_assert!(close(batch.m2, other.m2, batch.m2));
        }
    }
}
