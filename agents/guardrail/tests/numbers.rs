//! Numbers that are none.

use super::*;

#[test]
fn no_number_that_is_none_becomes_a_share() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE, 1.000_000_1, 95.0, f64::MAX] {
        assert_eq!(billionths(bad), 0, "{bad}");
        assert!(Confidence::try_from(bad).is_err(), "{bad}");
    }
    let table = [(0.0, 0), (-0.0, 0), (0.90, 900_000_000), (0.047, 47_000_000), (1.0, 1_000_000_000)];
    for (share, expected) in table {
        assert_eq!(billionths(share), expected, "{share}");
    }
    assert!(billionths(0.900_000_1) > billionths(0.90));
}

#[test]
fn a_threshold_that_is_none_lets_nothing_pass() {
    let catalogue = owners();
    let sure = incident(proposal(turn("db-pool-size", KnobValue::Int(100)), &["config/quote-engine.yaml"]));
    for threshold in [f64::NAN, -0.1, 90.0, f64::INFINITY] {
        let case = Case { threshold, ..case(&sure, &catalogue) };
        let asked = Question { confidence_e9: 1_000_000_000, ..question(&case).expect("a question") };
        assert_eq!(rule(&Strict::default(), &asked, &digest()).decision, Decision::Deny);
    }
}
