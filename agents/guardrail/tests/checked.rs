//! The owners' check that a change may carry.

use super::*;

#[test]
fn the_check_of_this_incident_goes_along_and_no_other_does() {
    let knob = || turn("db-pool-size", KnobValue::Int(100));
    let own = format!("checks/{}.yaml", incident(proposal(knob(), &[])).id);
    let config = "config/quote-engine.yaml";
    let table: [(Remedy, Vec<&str>, bool); 6] = [
        (knob(), vec![&own, config], true),
        (knob(), vec![&own], false),
        (knob(), vec!["checks/inc_other.yaml", config], false),
        (knob(), vec!["checks/templates/pool.yaml", config], false),
        (knob(), vec![&own, config, "rules/pricing.rhai"], false),
        (revert("c0ffee"), vec![&own, "rules/pricing.rhai"], true),
    ];
    for (remedy, files, expected) in table {
        let asked = ask(&incident(proposal(remedy, &files)), &owners());
        assert_eq!((&files, asked.declared), (&files, expected));
    }
}

#[test]
fn a_check_that_does_not_state_this_fault_does_not_go_along() {
    let mut owners = owners();
    let rules = owners.services.get_mut("quote-engine").expect("a service");
    rules.checks.iter_mut().for_each(|check| check.reproduces = vec![FaultKind::DependencyTimeout]);
    let own = format!("checks/{}.yaml", incident(proposal(turn("x", KnobValue::Int(1)), &[])).id);
    let proposed = proposal(turn("db-pool-size", KnobValue::Int(100)), &[&own, "config/quote-engine.yaml"]);
    assert!(!ask(&incident(proposed), &owners).declared);
}
