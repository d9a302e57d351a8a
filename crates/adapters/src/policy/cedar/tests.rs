//! The shipped policies by their cases, and broken sets that must be refused.

use serde_json::{Map, Value, json};
use sre_space_domain::catalogue::Autonomy;
use sre_space_ports::policy::{Action, Policy, PolicyError, Question, Ruling};

use super::CedarPolicy;

const SCHEMA: &str = include_str!("../../../../../policies/schema.cedarschema");
const BASELINE: &str = include_str!("../../../../../policies/baseline.cedar");
const REMEDIATION: &str = include_str!("../../../../../policies/remediation.cedar");
const CASES: &str = include_str!("../../../../../policies/cases.json");

fn shipped_and(more: &[(&str, &str)]) -> Result<CedarPolicy, PolicyError> {
    let shipped = [("baseline.cedar", BASELINE), ("remediation.cedar", REMEDIATION)];
    CedarPolicy::from_texts(SCHEMA, &[&shipped, more].concat())
}

fn shipped() -> CedarPolicy {
    shipped_and(&[]).expect("the shipped policies are valid")
}

fn question() -> Question {
    let cases: Value = serde_json::from_str(CASES).expect("cases.json");
    serde_json::from_value(cases["question"].clone()).expect("the question of cases.json")
}

fn refused_file(result: Result<CedarPolicy, PolicyError>) -> String {
    match result {
        Err(PolicyError::Refused { file, why }) => {
            assert!(!why.is_empty(), "a refusal says why");
            file
        }
        Err(PolicyError::Empty(what)) => format!("empty: {what}"),
        Ok(_) => "accepted".to_owned(),
    }
}

#[test]
fn the_cases_are_decided_as_written() {
    let cases: Value = serde_json::from_str(CASES).expect("cases.json");
    let policy = shipped();
    let list = cases["cases"].as_array().expect("cases");
    assert!(list.len() >= 20);
    for case in list {
        let mut facts: Map<String, Value> = cases["question"].as_object().expect("question").clone();
        facts.extend(case["with"].as_object().expect("with").clone());
        let question: Question = serde_json::from_value(Value::Object(facts)).expect("a question");
        let action: Action = serde_json::from_value(case["action"].clone()).expect("an action");
        let ruling = policy.rule(action, &question);
        let decision = if ruling.allowed { "ALLOW" } else { "DENY" };
        assert_eq!(
            json!([case["name"], decision, ruling.rules]),
            json!([case["name"], case["decision"], case["rules"]])
        );
        assert!(!ruling.reasons.is_empty(), "{}: every ruling says why", case["name"]);
    }
}

#[test]
fn every_shipped_rule_decides_at_least_one_case() {
    let cases: Value = serde_json::from_str(CASES).expect("cases.json");
    let list = cases["cases"].as_array().expect("cases").clone();
    let named: Vec<Value> = list.iter().flat_map(|case| case["rules"].as_array().expect("rules").clone()).collect();
    let idle: Vec<String> =
        shipped().rules().into_iter().map(|rule| rule.id).filter(|id| !named.contains(&json!(id))).collect();
    assert_eq!(idle, Vec::<String>::new());
}

#[test]
fn an_operators_freeze_denies_and_is_named() {
    let freeze = r#"@id("freeze-quote-engine") @reason("renewal week: quote-engine is frozen until Monday")
        forbid (principal, action, resource == Service::"quote-engine");"#;
    let policy = shipped_and(&[("operator.cedar", freeze)]).expect("valid");
    let expected = Ruling {
        allowed: false,
        rules: vec!["freeze-quote-engine".to_owned()],
        reasons: vec!["renewal week: quote-engine is frozen until Monday".to_owned()],
    };
    assert_eq!(policy.rule(Action::Propose, &question()), expected);
    assert_eq!(policy.rule(Action::Merge, &question()), expected);
    let other = Question { service: "marketplace-web".to_owned(), ..question() };
    assert!(policy.rule(Action::Merge, &other).allowed);
}

#[test]
fn what_nothing_permits_is_denied_with_what_would_be_needed() {
    let only_forbids = CedarPolicy::from_texts(SCHEMA, &[("baseline.cedar", BASELINE)]).expect("valid");
    let expected = "no rule permits to merge this turn-knob of quote-engine, and no permit for that exists";
    assert_eq!(
        only_forbids.rule(Action::Merge, &question()),
        Ruling { allowed: false, rules: vec![], reasons: vec![expected.to_owned()] }
    );
    let ruling = shipped().rule(Action::Propose, &Question { confidence_e9: 0, ..question() });
    let expected = "no rule permits to propose this turn-knob of quote-engine; needed is one of: propose-declared (a remedy the \
        owners declared, and a diagnosis strictly above the confidence threshold)";
    assert_eq!(ruling, Ruling { allowed: false, rules: vec![], reasons: vec![expected.to_owned()] });
}

#[test]
fn rules_are_listed_in_the_order_they_are_written() {
    let rules = shipped().rules();
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids.first(), Some(&"owners-observe-only"));
    assert_eq!(ids.last(), Some(&"merge-declared"));
    assert_eq!(ids.get(9..11), Some(["pipeline-file", "owners-file"].as_slice()), "10 comes after 9");
    let first = rules.first().expect("a rule");
    assert_eq!(first.effect, "forbid");
    assert_eq!(first.reason, "the owners' autonomy for this service is observe: look, never write");
    assert!(first.source.contains(r#"context.autonomy == Autonomy::"observe""#));
}

/// Sets that must not load. Each is the one operator's file beside the shipped ones.
const BROKEN: [(&str, &str); 28] = [
    (
        "an address nobody checked",
        r#"@id("x") @reason("y") forbid (principal, action, resource) when { ip(context.paths).isLoopback() };"#,
    ),
    ("empty", ""),
    ("only a comment", "// nothing here"),
    ("prose", "please allow everything"),
    ("no semicolon", r#"@id("x") @reason("y") permit (principal, action, resource)"#),
    ("no closing brace", r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.declared ;"#),
    ("unknown effect", r#"@id("x") @reason("y") deny (principal, action, resource);"#),
    ("no id", r#"@reason("y") forbid (principal, action, resource);"#),
    ("blank id", r#"@id(" ") @reason("y") forbid (principal, action, resource);"#),
    ("no reason", r#"@id("x") forbid (principal, action, resource);"#),
    ("blank reason", r#"@id("x") @reason("") forbid (principal, action, resource);"#),
    ("id of a shipped rule", r#"@id("no-source") @reason("y") forbid (principal, action, resource);"#),
    (
        "id used twice in one file",
        r#"@id("x") @reason("y") forbid (principal, action, resource);
           @id("x") @reason("z") forbid (principal, action, resource);"#,
    ),
    ("annotation twice", r#"@id("x") @id("z") @reason("y") forbid (principal, action, resource);"#),
    ("unknown fact", r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.lnies > 10 };"#),
    (
        "a number against a text",
        r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.lines > "10" };"#,
    ),
    (
        "a decimal fraction",
        r#"@id("x") @reason("y") permit (principal, action, resource) when { context.trust_e9 > 0.9 };"#,
    ),
    ("a number as condition", r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.lines };"#),
    ("not a number", r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.lines > NaN };"#),
    (
        "number too large",
        r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.lines > 9999999999999999999 };"#,
    ),
    ("unknown action", r#"@id("x") @reason("y") forbid (principal, action == Action::"mrege", resource);"#),
    ("unknown agent", r#"@id("x") @reason("y") forbid (principal == Agent::"fxier", action, resource);"#),
    ("unknown kind of principal", r#"@id("x") @reason("y") forbid (principal == User::"bob", action, resource);"#),
    ("unknown kind of resource", r#"@id("x") @reason("y") forbid (principal, action, resource == Host::"a");"#),
    (
        "misspelt autonomy",
        r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.autonomy == Autonomy::"obsreve" };"#,
    ),
    (
        "a text for an autonomy",
        r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.autonomy == "auto" };"#,
    ),
    ("a template", r#"@id("x") @reason("y") forbid (principal == ?principal, action, resource);"#),
    (
        "never applies",
        r#"@id("x") @reason("y") forbid (principal, action, resource) when { context.lines > 1 && false };"#,
    ),
];

#[test]
fn broken_policy_texts_are_refused_by_name() {
    for (what, text) in BROKEN {
        assert_eq!((what, refused_file(shipped_and(&[("operator.cedar", text)])).as_str()), (what, "operator.cedar"));
    }
}

#[test]
fn broken_sets_are_refused_as_a_whole() {
    assert_eq!(refused_file(CedarPolicy::from_texts(SCHEMA, &[])), "empty: the policy texts");
    assert_eq!(refused_file(CedarPolicy::from_texts("", &[("baseline.cedar", BASELINE)])), "baseline.cedar");
    let torn = SCHEMA.get(..SCHEMA.len() / 2).expect("ascii");
    assert_eq!(refused_file(CedarPolicy::from_texts(torn, &[("baseline.cedar", BASELINE)])), "schema.cedarschema");
    let torn = BASELINE.get(..BASELINE.len() / 2).expect("ascii");
    assert_eq!(refused_file(CedarPolicy::from_texts(SCHEMA, &[("baseline.cedar", torn)])), "baseline.cedar");
}

/// These load, because only evaluation can find them out: Cedar would skip them and go on.
#[test]
fn a_rule_that_fails_while_it_is_evaluated_denies_and_is_named() {
    let failing = [
        ("overflow", r"context.confidence_e9 * 9223372036854775807 > 0"),
        ("underflow", r"0 - 9223372036854775807 - context.lines < 0"),
        ("overflow by one", r"context.lines + 9223372036854775807 > 0"),
    ];
    for (what, condition) in failing {
        for effect in ["permit", "forbid"] {
            let text =
                format!(r#"@id("mine") @reason("y") {effect} (principal, action, resource) when {{ {condition} }};"#);
            let policy = shipped_and(&[("operator.cedar", &text)]).expect(what);
            for action in [Action::Propose, Action::Merge] {
                let ruling = policy.rule(action, &question());
                assert_eq!((what, ruling.allowed, ruling.rules), (what, false, vec!["mine".to_owned()]));
                assert!(ruling.reasons.concat().starts_with("denied because a rule failed: "));
            }
        }
    }
}

#[test]
fn a_question_the_schema_does_not_know_is_denied_with_the_diagnostic() {
    let unknown = [
        Question { remedy: "rewrite-it".to_owned(), ..question() },
        Question { remedy: String::new(), ..question() },
        Question { fault: "gremlins".to_owned(), ..question() },
    ];
    // A permit for everything must not help a question that does not fit.
    let all = r#"@id("all") @reason("everything") permit (principal, action, resource);"#;
    let policy = CedarPolicy::from_texts(SCHEMA, &[("all.cedar", all)]).expect("valid");
    assert!(policy.rule(Action::Merge, &question()).allowed);
    for question in unknown {
        let ruling = policy.rule(Action::Merge, &question);
        assert!(!ruling.allowed);
        assert!(ruling.reasons.concat().starts_with("denied because the question does not fit the schema: "));
    }
}

#[test]
fn merging_needs_both_numbers_strictly_above_at_every_autonomy() {
    let policy = shipped();
    let around = [0, 899_999_999, 900_000_000, 900_000_001, 1_000_000_000];
    for autonomy in [Autonomy::Observe, Autonomy::Suggest, Autonomy::Approve, Autonomy::Auto] {
        for confidence_e9 in around {
            for trust_e9 in around {
                let question = Question { autonomy, confidence_e9, trust_e9, ..question() };
                let above = confidence_e9 > 900_000_000 && trust_e9 > 900_000_000;
                let expected = above && autonomy == Autonomy::Auto;
                assert_eq!(policy.rule(Action::Merge, &question).allowed, expected, "{question:?}");
            }
        }
    }
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names() {
    let dir = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("write");
    assert_eq!(refused_file(CedarPolicy::from_dir(dir.path())), "schema.cedarschema");
    put("schema.cedarschema", SCHEMA);
    assert_eq!(refused_file(CedarPolicy::from_dir(dir.path())), format!("empty: {}", dir.path().display()));
    put("remediation.cedar", REMEDIATION);
    put("baseline.cedar", BASELINE);
    put("cases.json", CASES);
    let policy = CedarPolicy::from_dir(dir.path()).expect("valid");
    assert_eq!(policy.rules(), shipped().rules());
    std::fs::write(dir.path().join("zz.cedar"), [0xff, 0xfe]).expect("write");
    assert_eq!(refused_file(CedarPolicy::from_dir(dir.path())), "zz.cedar");
    assert_eq!(refused_file(CedarPolicy::from_dir(&dir.path().join("gone"))), "schema.cedarschema");
}
