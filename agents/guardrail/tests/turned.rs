//! A knob is turned as what it is: a setting is no replica count, and neither restarts anything.

use super::*;

#[test]
fn only_the_remedy_that_a_knobs_type_amounts_to_is_declared() {
    let types = [KnobType::Int, KnobType::Replicas, KnobType::Restart];
    for declared in types {
        let mut owners = owners();
        let rules = owners.services.get_mut("quote-engine").expect("a service");
        rules.knobs.iter_mut().filter(|knob| knob.name == "db-pool-size").for_each(|knob| knob.kind = declared);
        for asked in types {
            let remedy = Remedy::turn_as(asked, "quote-engine", "db-pool-size", KnobValue::Int(100));
            let question = ask(&incident(proposal(remedy, &["config/quote-engine.yaml"])), &owners);
            assert_eq!(question.declared, asked == declared, "{asked:?} for {declared:?}");
            assert!(question.bounded, "{asked:?} for {declared:?}");
        }
    }
}
