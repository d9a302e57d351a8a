//! What a Sentinel vetoes is a fact of the question, and stops what the shipped policies do not exempt.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a_live_veto_is_a_fact_of_the_question_and_none_is_none() {
    let pool = proposal(turn("db-pool-size", KnobValue::Int(100)), &["config/quote-engine.yaml"]);
    let (incident, catalogue) = (incident(pool), owners());
    for vetoes in [BTreeSet::new(), BTreeSet::from(["COMPUTE".to_owned(), "INTENT".to_owned()])] {
        let case = Case { vetoes: vetoes.clone(), ..case(&incident, &catalogue) };
        assert_eq!(question(&case).expect("a question").vetoes, vetoes);
    }
}
