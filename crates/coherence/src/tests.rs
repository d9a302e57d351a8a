//! What holds for every batch statistic of a series: the order in which samples arrive changes nothing, columns out of order are
//! refused, and no input makes a number that is not finite.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::change::changes;
use crate::escalation::{Escalation, Limits};
use crate::exhaustion::Exhaustion;
use crate::season::{DAY_MS, Season};
use crate::series::{Sample, Series};
use crate::spike::{Method, Spikes};
use crate::trend::Trend;
use crate::undefined::Undefined;

/// Every statistic of a series' columns, as JSON: a number that is not finite would be null.
fn told(at_ms: &[i64], values: &[f64]) -> Vec<Value> {
    let spikes = [Method::Sigma, Method::RobustZ, Method::Fences].map(|method| json!(Spikes::of(values, method)));
    let mut told = spikes.to_vec();
    told.extend([
        json!(Escalation::of(at_ms, values, &Limits::of_percentages())),
        json!(Trend::of(at_ms, values)),
        json!(Exhaustion::of(at_ms, values, 1e3)),
        json!(Season::of(at_ms, values, DAY_MS)),
        json!(changes(values)),
    ]);
    told
}

#[test]
fn columns_out_of_order_are_refused() {
    let at_ms: Vec<i64> = (0..400).rev().map(|at| at * 3_600_000).collect();
    let values: Vec<f64> = (0..400).map(|at| f64::from(at % 24)).collect();
    let refused = Undefined::BadArgument;
    assert_eq!(Escalation::of(&at_ms, &values, &Limits::of_percentages()), Err(refused));
    assert_eq!((Trend::of(&at_ms, &values), Exhaustion::of(&at_ms, &values, 1.0)), (Err(refused), Err(refused)));
    assert_eq!(Season::of(&at_ms, &values, DAY_MS), Err(refused));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_order_of_arrival_changes_nothing(
        mut samples in prop::collection::btree_map(0_i64..100, -1e3_f64..1e3, 1..100).prop_map(Vec::from_iter), seed in any::<u64>()
    ) {
        let series = |samples: &[(i64, f64)]| {
            Series::of(samples.iter().map(|(at, value)| Sample { at_ms: at * 1_800_000, value: *value })).0
        };
        let before = series(&samples);
        samples.sort_by_key(|(at, _)| (*at as u64).wrapping_mul(seed | 1));
        let after = series(&samples);
        prop_assert_eq!((before.len(), before.is_empty()), (samples.len(), false));
        prop_assert_eq!(before.iter().collect::<Vec<_>>(), after.iter().collect::<Vec<_>>());
        prop_assert_eq!(told(before.at_ms(), before.values()), told(after.at_ms(), after.values()));
    }

    #[test]
    fn whatever_comes_no_number_is_invented(values in prop::collection::vec(any::<f64>(), 0..120)) {
        let at_ms: Vec<i64> = (0..values.len() as i64).map(|at| at * 1_800_000).collect();
        let finite = values.iter().all(|value| value.is_finite());
        for told in told(&at_ms, &values) {
            let refusal = told.get("Err").is_some();
            prop_assert!(finite || refusal, "{told}");
            prop_assert!(refusal || !has_null(&told), "{told}");
        }
    }
}

/// Whether a number is missing where one should be; fields that may be absent are named.
fn has_null(told: &Value) -> bool {
    match told {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        Value::Array(all) => all.iter().any(has_null),
        Value::Object(fields) => {
            fields
                .iter()
                .any(|(name, value)| !["Ok", "baseline", "highest"].contains(&name.as_str()) && has_null(value))
                || fields.get("Ok").is_some_and(|told| !told.is_null() && has_null(told))
        }
    }
}
