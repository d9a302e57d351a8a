//! Numbers at the threshold, and the order of the two questions.

use sre_space_ports::policy::{Rule, Ruling};

use super::*;

/// Allows by a table: propose, merge.
struct Table(bool, bool);

impl Policy for Table {
    fn rule(&self, action: Action, _question: &Question) -> Ruling {
        let allowed = match action {
            Action::Propose => self.0,
            Action::Merge => self.1,
        };
        Ruling { allowed, rules: vec![format!("{action:?}")], reasons: vec!["said so".into()] }
    }

    fn rules(&self) -> Vec<Rule> {
        vec![]
    }
}

fn asked(trust_e9: i64) -> Question {
    Question {
        service: "shop".into(),
        remedy: "turn-knob".into(),
        fault: "pool-exhausted".into(),
        autonomy: Autonomy::Auto,
        confidence_e9: 950_000_000,
        trust_e9,
        threshold_e9: 900_000_000,
        files: vec![],
        lines: 2,
        declared: true,
        bounded: true,
        sources: 2,
        incidents_last_hour: 0,
        incidents_per_hour: 3,
        cooling: false,
        active_on_service: 0,
    }
}

#[test]
fn the_two_answers_make_three_decisions() {
    let digest = Digest::of([b"change".as_slice()]);
    let decision = |table: Table| rule(&table, &asked(950_000_000), &digest).decision;
    assert_eq!(decision(Table(true, true)), Decision::Allow);
    assert_eq!(decision(Table(true, false)), Decision::RequireApproval);
    assert_eq!(decision(Table(false, true)), Decision::Deny);
    assert_eq!(decision(Table(false, false)), Decision::Deny);
}

#[test]
fn approval_says_what_is_missing() {
    let verdict = rule(&Table(true, false), &asked(50_000_000), &Digest::of([b"change".as_slice()]));
    assert_eq!(verdict.reasons, ["trust 0.050 is not above 0.90"]);
}

#[test]
fn what_is_no_share_is_nothing() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 95.0, 1.000_000_1] {
        assert_eq!(billionths(odd), 0, "{odd}");
    }
    assert!(billionths(0.90) <= 900_000_000);
    assert!(billionths(0.900_000_1) > 900_000_000);
}
