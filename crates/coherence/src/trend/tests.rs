//! Lines and trends against known figures, one another, and hostile input.

use proptest::prelude::*;

use super::*;

const MINUTE_MS: i64 = 60_000;
const BEGAN_MS: i64 = 1_765_000_000_000;

fn moments(count: usize) -> Vec<i64> {
    (0..count as i64).map(|at| BEGAN_MS + at * MINUTE_MS).collect()
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

#[test]
fn a_known_line_comes_out() {
    // R: lm(c(1, 3, 2, 5) ~ c(0, 1, 2, 3)): slope 1.1, standard error 0.5196152, r squared 0.6914286.
    let at_ms = [0, 1, 2, 3].map(|hour| BEGAN_MS + hour * 3_600_000);
    let line = Line::of(&at_ms, &[1.0, 3.0, 2.0, 5.0]).expect("a line");
    assert!(close(line.per_hour().expect("a slope"), 1.1));
    assert!((line.per_hour_error().expect("an error") - 0.519_615_2).abs() < 1e-7);
    assert!((line.explained().expect("a share") - 0.691_428_6).abs() < 1e-7);
    assert!(close(line.at(at_ms[0]).expect("a value"), 1.1));
    assert_eq!(line.count(), 4);
}

#[test]
fn a_leak_rises_and_a_burst_does_not() {
    let at_ms = moments(1_000);
    let leak: Vec<f64> = (0..1_000).map(|at| 40.0 + f64::from(at) * 0.02 + f64::from(at % 7)).collect();
    let found = Trend::of(&at_ms, &leak).expect("a trend");
    assert!(found.rises(0.3) && !found.falls(0.3) && (found.per_hour - 1.2).abs() < 0.01, "{found:?}");
    assert!((found.risk() - found.change).abs() < 1e-12 && found.explained > 0.8, "{found:?}");
    let mut late_burst = vec![40.0; 1_000];
    late_burst[890..].fill(80.0);
    let found = Trend::of(&at_ms, &late_burst).expect("a trend");
    assert!(found.change > 0.9 && found.fitted_change < found.change, "{found:?}");
    late_burst[..950].fill(40.0);
    assert!(!Trend::of(&at_ms, &late_burst).expect("a trend").rises(0.3), "half of the last tenth and a flat line");
    let fall: Vec<f64> = leak.iter().rev().copied().collect();
    assert!(Trend::of(&at_ms, &fall).expect("a trend").falls(0.2));
    assert_eq!(Trend::of(&at_ms, &fall).expect("a trend").risk(), 0.0);
}

#[test]
fn what_cannot_be_known_is_named() {
    let at_ms = moments(20);
    assert_eq!(Trend::of(&[], &[]), Err(Undefined::TooFew { has: 0, needs: FEWEST }));
    assert_eq!(Trend::of(&at_ms[..1], &[1.0]), Err(Undefined::TooFew { has: 1, needs: FEWEST }));
    assert_eq!(Trend::of(&at_ms, &[5.0; 20]), Err(Undefined::NoSpread));
    assert_eq!(Trend::of(&at_ms, &[5.0; 19]), Err(Undefined::BadArgument));
    assert_eq!(Trend::of(&[BEGAN_MS; 20], &[5.0; 20]), Err(Undefined::NoSpread));
    let mut from_zero = [0.0; 20];
    from_zero[19] = 4.0;
    assert_eq!(Trend::of(&at_ms, &from_zero), Err(Undefined::FromNothing));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        from_zero[3] = bad;
        assert_eq!(
            (Trend::of(&at_ms, &from_zero), Line::of(&at_ms, &from_zero)),
            (Err(Undefined::NotFinite), Err(Undefined::NotFinite))
        );
        let mut line = Line::from_origin(0);
        assert_eq!((line.add(1, bad), line), (Err(Undefined::NotFinite), Line::from_origin(0)));
    }
    let mut huge = Line::from_origin(0);
    assert_eq!(huge.per_hour(), Err(Undefined::TooFew { has: 0, needs: 2 }));
    huge.add(0, f64::MIN).and_then(|()| huge.add(HOUR_MS as i64, f64::MAX)).expect("finite values");
    assert_eq!((huge.per_hour(), huge.at(0)), (Err(Undefined::TooLarge), Err(Undefined::TooLarge)));
    assert_eq!(huge.merge(Line::from_origin(1)), Err(Undefined::BadArgument));
    huge.add(i64::MIN, 1.0).and_then(|()| huge.add(i64::MAX, 1.0)).expect("finite values");
}

proptest! {
    #[test]
    fn one_at_a_time_merged_and_in_one_go_agree_in_any_order(
        samples in prop::collection::vec((0_i64..10_000_000, -1e4_f64..1e4), 3..500), cut in any::<prop::sample::Index>()
    ) {
        let (at_ms, values): (Vec<i64>, Vec<f64>) = samples.iter().map(|(at, value)| (BEGAN_MS + at, *value)).unzip();
        let batch = Line::of(&at_ms, &values).expect("a line");
        let cut = cut.index(values.len());
        let (mut one, mut other) = (Line::from_origin(at_ms[0]), Line::from_origin(at_ms[0]));
        for at in (0..values.len()).rev() {
            let line = if at < cut { &mut one } else { &mut other };
            line.add(at_ms[at], values[at]).expect("a finite value");
        }
        let merged = one.merge(other).expect("one origin");
        prop_assert_eq!(merged.count(), batch.count());
        prop_assert!(close(merged.product, batch.product) || batch.product.abs() < 1e-3, "{merged:?} {batch:?}");
        for (ours, theirs) in [
            (merged.mean_hours, batch.mean_hours), (merged.mean_value, batch.mean_value),
            (merged.hours2, batch.hours2), (merged.value2, batch.value2),
        ] {
            prop_assert!(close(ours, theirs), "{merged:?} {batch:?}");
        }
    }
}
