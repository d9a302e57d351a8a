//! Medians, quantiles, robust z and fences against known figures and hostile input.

use proptest::prelude::*;

use super::*;

#[test]
fn known_figures_come_out() {
    let values = [7.0, 15.0, 36.0, 39.0, 40.0, 41.0];
    // numpy.percentile(values, [25, 50, 75]): 20.25, 37.5, 39.75.
    assert_eq!([0.25, 0.5, 0.75].map(|share| quantile(&values, share)), [Ok(20.25), Ok(37.5), Ok(39.75)]);
    assert_eq!((quantile(&values, 0.0), quantile(&values, 1.0)), (Ok(7.0), Ok(41.0)));
    let fences = Fences::of(&values, TUKEY).expect("fences");
    assert_eq!(fences, Fences { q1: 20.25, q3: 39.75, lower: -9.0, upper: 69.0 });
    assert_eq!((fences.range(), fences.leave_out(69.0), fences.leave_out(69.1)), (19.5, false, true));
    assert_eq!((fences.leave_out(-9.1), fences.leave_out(f64::NAN)), (true, false));
    let robust = Robust::of(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]).expect("a median");
    assert_eq!(robust, Robust { median: 2.0, mad: 1.0 });
    assert_eq!((robust.z(9.0), robust.z(-2.0)), (Ok(NORMAL_MAD * 7.0), Ok(NORMAL_MAD * -4.0)));
    assert!((robust.sigma() - 1.482_58).abs() < 1e-4);
}

#[test]
fn one_wild_sample_moves_no_median() {
    let mut values: Vec<f64> = (0..101).map(f64::from).collect();
    let calm = Robust::of(&values).expect("a median");
    values[100] = 1e300;
    assert_eq!(Robust::of(&values).expect("a median"), calm);
}

#[test]
fn what_cannot_be_known_is_named() {
    let few = Undefined::TooFew { has: 0, needs: 1 };
    assert_eq!((median(&[]), mad(&[]), quantile(&[], 0.3)), (Err(few), Err(few), Err(few)));
    assert_eq!((Robust::of(&[]), Fences::of(&[], TUKEY)), (Err(few), Err(few)));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!((median(&[1.0, bad]), mad(&[bad])), (Err(Undefined::NotFinite), Err(Undefined::NotFinite)));
        assert_eq!(Fences::of(&[1.0, bad], TUKEY), Err(Undefined::NotFinite));
        assert_eq!(
            (quantile(&[1.0], bad), Fences::of(&[1.0], bad)),
            (Err(Undefined::BadArgument), Err(Undefined::BadArgument))
        );
        assert_eq!(Robust { median: 0.0, mad: 1.0 }.z(bad), Err(Undefined::NotFinite));
    }
    assert_eq!((median(&[5.0]), mad(&[5.0])), (Ok(5.0), Ok(0.0)));
    assert_eq!(Robust::of(&[5.0, 5.0, 5.0, 9.0]).expect("a median").z(9.0), Err(Undefined::NoSpread));
    assert_eq!(median(&[f64::MAX, f64::MAX]), Ok(f64::MAX));
    assert_eq!(Fences::of(&[f64::MIN, f64::MAX, f64::MIN, f64::MAX], TUKEY), Err(Undefined::TooLarge));
}

proptest! {
    #[test]
    fn selection_equals_sorting_in_any_order(
        mut values in prop::collection::vec(-1e9_f64..1e9, 1..400), share in 0.0_f64..=1.0, turn in any::<prop::sample::Index>()
    ) {
        let found = quantile(&values, share).expect("a quantile");
        let robust = Robust::of(&values).expect("a median");
        let turn = turn.index(values.len());
        values.rotate_left(turn);
        prop_assert_eq!(quantile(&values, share).expect("a quantile"), found);
        prop_assert_eq!(Robust::of(&values).expect("a median"), robust);
        values.sort_by(f64::total_cmp);
        let (at, part) = place(values.len(), share);
        let low = values[at];
        prop_assert_eq!(values.get(at + 1).filter(|_| part > 0.0).map_or(low, |high| between(low, *high, part)), found);
        let below = values.iter().filter(|value| **value < found).count() as f64;
        prop_assert!(below <= share * (values.len() - 1) as f64 + 1.0);
    }
}
