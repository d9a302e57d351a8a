//! Every boundary of the risk rules, and every input that has no answer.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::window::Window;

/// The next double above, and below.
fn around(value: f64) -> (f64, f64) {
    (value.next_down(), value.next_up())
}

#[test]
fn every_boundary_of_the_rules() {
    let (low, above_low) = (0.10, around(0.10).1);
    let (medium, above_medium) = (0.25, around(0.25).1);
    let (below_60, below_80) = (around(60.0).0, around(80.0).0);
    let table = [
        (Some(low), 80.0, Risk::Low),
        (Some(0.0), 80.0, Risk::Low),
        (Some(above_low), 80.0, Risk::Medium),
        (Some(medium), 80.0, Risk::Medium),
        (Some(above_medium), 80.0, Risk::High),
        (Some(low), below_80, Risk::Medium),
        (Some(low), 60.0, Risk::Medium),
        (Some(medium), 60.0, Risk::Medium),
        (Some(low), below_60, Risk::High),
        (Some(above_medium), 60.0, Risk::High),
        (Some(above_medium), below_60, Risk::High),
        (Some(0.14), 86.0, Risk::Medium),
        (Some(0.11), 85.9, Risk::Medium),
        (None, 0.0, Risk::High),
        (None, 80.0, Risk::Low),
        (Some(0.1), -100.0, Risk::High),
    ];
    for (volatility, mean, risk) in table {
        assert_eq!(Risk::of(volatility, mean), risk, "{volatility:?} {mean}");
    }
}

#[test]
fn a_known_sample_has_its_known_figures() {
    // Mean 86, deviations ±12.04 of an even number: sample stdev 12.04 * sqrt(n / (n - 1)).
    let scores: Vec<f64> = (0..120).map(|i| if i % 2 == 0 { 86.0 - 12.04 } else { 86.0 + 12.04 }).collect();
    let drift = Drift::of(&scores).expect("figures");
    let stdev = 12.04 * (120.0_f64 / 119.0).sqrt();
    assert!((drift.mean - 86.0).abs() < 1e-9 && (drift.stdev - stdev).abs() < 1e-9, "{drift:?}");
    assert!((drift.volatility.expect("a share") - stdev / 86.0).abs() < 1e-12);
    assert_eq!((drift.n, drift.risk), (120, Risk::Medium));
}

#[test]
fn two_scores_on_the_boundaries_are_where_the_rules_put_them() {
    // Scores a and b: mean (a + b) / 2, sample stdev |a - b| / sqrt(2).
    let risk = |scores: &[f64]| Drift::of(scores).expect("figures").risk;
    assert_eq!(risk(&[60.0; 5]), Risk::Medium);
    assert_eq!(risk(&[80.0; 5]), Risk::Low);
    assert_eq!(risk(&[around(60.0).0; 4]), Risk::High);
    assert_eq!(risk(&[around(80.0).0; 4]), Risk::Medium);
    // Three scores m - d, m, m + d: the sample stdev is d exactly.
    assert_eq!(risk(&[90.0, 100.0, 110.0]), Risk::Low, "0.10");
    assert_eq!(risk(&[75.0, 100.0, 125.0]), Risk::Medium, "0.25");
    assert_eq!(risk(&[74.0, 100.0, 126.0]), Risk::High, "0.26");
}

#[test]
fn what_has_no_answer_says_so() {
    assert_eq!(Drift::of(&[]), Err(Undefined::TooFew { has: 0, needs: 1 }));
    assert_eq!(Drift::of(&[80.0, f64::NAN]), Err(Undefined::NotFinite));
    assert_eq!(Drift::of(&[f64::INFINITY]), Err(Undefined::NotFinite));
    assert_eq!(Drift::of(&[f64::MAX, f64::MAX]), Err(Undefined::TooLarge));
    let one = Drift { n: 1, mean: 87.2, stdev: 0.0, volatility: Some(0.0), risk: Risk::Low };
    assert_eq!(Drift::of(&[87.2]), Ok(one));
    let none = Drift { n: 1, mean: 0.0, stdev: 0.0, volatility: None, risk: Risk::High };
    assert_eq!(Drift::of(&[0.0]), Ok(none));
    let balanced = Drift::of(&[-50.0, 50.0]).expect("figures");
    assert_eq!((balanced.mean, balanced.volatility, balanced.risk), (0.0, None, Risk::High));
}

#[test]
fn a_report_carries_every_number_with_its_inputs() {
    let drift = Drift::of(&[75.0, 100.0, 125.0]).expect("figures");
    let meta = Meta {
        method: METHOD.to_owned(),
        engine_version: "0.1.0".to_owned(),
        latency_ms: 38,
        request_id: "r-1".to_owned(),
    };
    let context = ReportContext {
        signal: None,
        window: Window::HOUR,
        end_ts: "2025-10-29T17:43:00Z".parse().expect("a moment"),
        source: "darshan_api".to_owned(),
        refused_rows: 0,
        meta,
    };
    let expected = json!({
        "coherenceMean": 100.0, "stdev": 25.0, "volatilityIndex": 0.25, "predictedDriftRisk": "medium",
        "timestamp": "2025-10-29T17:43:00Z", "windowSec": 3600, "n": 3, "signal": null,
        "inputs": {
            "start_ts": "2025-10-29T16:43:00Z", "end_ts": "2025-10-29T17:43:00Z", "source": "darshan_api",
            "refused_rows": 0,
        },
        "meta": {
            "method": "mean/stdev rule-based", "engine_version": "0.1.0", "latency_ms": 38, "request_id": "r-1",
        },
    });
    assert_eq!(serde_json::to_value(Report::of(&drift, context)).expect("JSON"), expected);
}

/// Two passes as the formulas are written.
fn reference(scores: &[f64]) -> (f64, f64) {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    (mean, if scores.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 })
}

proptest! {
    #[test]
    fn mean_and_stdev_match_the_formulas(scores in prop::collection::vec(-1e4..1e4_f64, 1..400)) {
        let drift = Drift::of(&scores).expect("figures");
        let (mean, stdev) = reference(&scores);
        prop_assert!((drift.mean - mean).abs() <= 1e-9 * (1.0 + mean.abs()), "{} {}", drift.mean, mean);
        prop_assert!((drift.stdev - stdev).abs() <= 1e-9 * (1.0 + stdev), "{} {}", drift.stdev, stdev);
    }

    #[test]
    fn any_order_of_arrival_tells_the_same(scores in prop::collection::vec(0.0..100.0_f64, 1..300), seed in any::<u64>()) {
        let mut shuffled = scores.clone();
        let mut state = seed | 1;
        for at in (1..shuffled.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            shuffled.swap(at, usize::try_from(state % (at as u64 + 1)).expect("small"));
        }
        let (one, other) = (Drift::of(&scores).expect("figures"), Drift::of(&shuffled).expect("figures"));
        prop_assert!((one.mean - other.mean).abs() <= 1e-9 && (one.stdev - other.stdev).abs() <= 1e-9);
    }

    #[test]
    fn any_input_has_figures_that_are_numbers_or_a_reason(scores in prop::collection::vec(any::<f64>(), 0..20)) {
        match Drift::of(&scores) {
            Ok(drift) => {
                prop_assert!(drift.mean.is_finite() && drift.stdev.is_finite() && drift.stdev >= 0.0);
                prop_assert!(drift.volatility.is_none_or(f64::is_finite));
                prop_assert_eq!(drift.risk, Risk::of(drift.volatility, drift.mean));
                prop_assert!(scores.iter().all(|score| score.is_finite()) && !scores.is_empty());
            }
            Err(Undefined::TooFew { has, needs }) => prop_assert_eq!((has, needs, scores.len()), (0, 1, 0)),
            Err(Undefined::NotFinite) => prop_assert!(scores.iter().any(|score| !score.is_finite())),
            Err(why) => prop_assert_eq!(why, Undefined::TooLarge),
        }
    }

    #[test]
    fn exactly_one_band_holds_any_figures(volatility in prop::option::of(0.0..1.0_f64), mean in -10.0..120.0_f64) {
        let index = volatility.unwrap_or(0.0);
        let high = index > 0.25 || mean < 60.0;
        let low = index <= 0.10 && mean >= 80.0;
        let expected = if high { Risk::High } else if low { Risk::Low } else { Risk::Medium };
        prop_assert_eq!(Risk::of(volatility, mean), expected);
    }
}
