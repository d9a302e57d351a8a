//! What a Sentinel vetoes is a fact of the question, and stops what the shipped policies do not exempt.

use super::*;

#[test]
fn a_live_veto_is_a_fact_of_the_question_and_none_is_none() {
    let pool = proposal(turn("db-pool-size", KnobValue::Int(100)), &["config/quote-engine.yaml"]);
    let (incident, catalogue) = (incident(pool), owners());
    let asked = |veto: Option<&str>| {
        let case = Case { veto: veto.map(str::to_owned), ..case(&incident, &catalogue) };
        question(&case).expect("a question").veto
    };
    assert_eq!(asked(Some("COMPUTE")), Some("COMPUTE".to_owned()));
    assert_eq!(asked(None), None);
}
