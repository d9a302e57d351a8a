//! Escalation over full buckets, chaos from the start, and shifts in time that change nothing.

use proptest::prelude::*;

use super::*;

const STEP_MS: i64 = 300_000;
const BEGAN_MS: i64 = 1_765_000_000_000;

fn moments(count: usize, offset_ms: i64) -> Vec<i64> {
    (0..count as i64).map(|at| BEGAN_MS + offset_ms + at * STEP_MS).collect()
}

/// 50 and, by turns, `spread` above and below.
fn shaking(count: usize, spread: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..count).map(|at| 50.0 + if at % 2 == 0 { spread(at) } else { -spread(at) }).collect()
}

fn judged(values: &[f64]) -> Escalation {
    Escalation::of(&moments(values.len(), 0), values, &Limits::of_percentages()).expect("full buckets")
}

#[test]
fn a_latest_bucket_above_the_limit_escalates_and_one_below_does_not() {
    let last_bucket = 48 * 4;
    for (factor, escalates, risk) in [(1.4_f64, false, 0.2), (1.6, true, 0.3), (4.0, true, 1.0)] {
        let found = judged(&shaking(240, |at| if at < last_bucket { 3.0 } else { 3.0 * factor.sqrt() }));
        let Ratio::Times(times) = found.ratio else { panic!("{found:?}") };
        assert!((times - factor).abs() < 1e-9 && found.escalates == escalates && !found.is_chaotic, "{found:?}");
        assert_eq!((found.buckets, found.latest.samples), (5, 48));
        assert!((found.risk() - risk).abs() < 1e-9, "{found:?}");
    }
}

#[test]
fn from_stillness_there_is_no_number_of_times() {
    let found = judged(&shaking(240, |at| if at < 192 { 0.0 } else { 5.0 }));
    assert_eq!((found.ratio, found.escalates, found.risk()), (Ratio::FromStillness, true, 1.0));
    let still = judged(&shaking(240, |_| 0.05));
    assert_eq!((still.ratio, still.escalates, still.risk()), (Ratio::Still, false, 0.0));
}

#[test]
fn what_was_chaotic_from_the_start_is_flagged_by_the_absolute_limit() {
    let found = judged(&shaking(240, |_| 40.0));
    assert_eq!((found.escalates, found.is_chaotic, found.risk()), (false, true, 1.0));
    let alone = judged(&shaking(48, |_| 40.0));
    assert_eq!((alone.ratio, alone.baseline, alone.is_chaotic), (Ratio::NoBaseline, None, true));
    // The latest of five is calm, most are not: still chaotic.
    assert!(judged(&shaking(240, |at| if at < 192 { 40.0 } else { 1.0 })).is_chaotic);
    let of_any_unit = Limits { absolute: Some(Absolute::Volatility(0.5)), ..Limits::of_percentages() };
    let judged =
        |spread| Escalation::of(&moments(96, 0), &shaking(96, |_| spread), &of_any_unit).expect("full buckets");
    assert_eq!((judged(20.0).is_chaotic, judged(30.0).is_chaotic), (false, true));
}

#[test]
fn a_bucket_with_a_gap_is_left_out() {
    let (at_ms, values) = (moments(240, 0), shaking(240, |at| if at < 48 { 30.0 } else { 3.0 }));
    // Of the oldest bucket 3 in 4 are missing; without it the baseline is calm and all is quiet.
    let (at_ms, values): (Vec<i64>, Vec<f64>) = at_ms
        .into_iter()
        .zip(values)
        .enumerate()
        .filter(|(at, _)| *at >= 48 || at % 4 == 0)
        .map(|(_, both)| both)
        .unzip();
    let found = Escalation::of(&at_ms, &values, &Limits::of_percentages()).expect("full buckets");
    assert_eq!((found.buckets, found.ratio), (4, Ratio::Times(1.0)));
}

#[test]
fn what_cannot_be_known_is_named() {
    let limits = Limits::of_percentages();
    assert_eq!(Escalation::of(&[], &[], &limits), Err(Undefined::TooFew { has: 0, needs: FEWEST_SAMPLES }));
    assert_eq!(Escalation::of(&[1], &[1.0], &limits), Err(Undefined::TooFew { has: 1, needs: FEWEST_SAMPLES }));
    assert_eq!(Escalation::of(&moments(20, 0), &[1.0; 20], &limits), Err(Undefined::TooFew { has: 0, needs: 1 }));
    assert_eq!(Escalation::of(&moments(20, 0), &[1.0; 19], &limits), Err(Undefined::BadArgument));
    assert_eq!(Escalation::of(&[7; 60], &[1.0; 60], &limits), Err(Undefined::BadArgument));
    for bad in
        [Limits { bucket_ms: 0, ..limits }, Limits { ratio: f64::NAN, ..limits }, Limits { full_share: 2.0, ..limits }]
    {
        assert_eq!(Escalation::of(&moments(60, 0), &[1.0; 60], &bad), Err(Undefined::BadArgument));
    }
    let mut values = shaking(60, |_| 1.0);
    values[30] = f64::NAN;
    assert_eq!(Escalation::of(&moments(60, 0), &values, &limits), Err(Undefined::NotFinite));
    values[30] = f64::MAX;
    assert_eq!(Escalation::of(&moments(60, 0), &values, &limits), Err(Undefined::TooLarge));
}

proptest! {
    #[test]
    fn moving_a_series_in_time_changes_nothing(
        values in prop::collection::vec(0.0_f64..100.0, 60..300), offset_ms in -20_000_000_i64..20_000_000
    ) {
        let limits = Limits::of_percentages();
        let here = Escalation::of(&moments(values.len(), 0), &values, &limits).expect("a full bucket");
        let there = Escalation::of(&moments(values.len(), offset_ms), &values, &limits).expect("a full bucket");
        prop_assert_eq!((here.ratio, here.escalates, here.is_chaotic), (there.ratio, there.escalates, there.is_chaotic));
        prop_assert!((0.0..=1.0).contains(&here.risk()));
    }
}
