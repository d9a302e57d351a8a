//! What is accepted as an owners' file, and what is refused.

use super::*;

const GOOD: &str = r#"
version: 1
limits: { incidents_per_hour: 3, cooldown_s: 600, provisional_s: 600 }
services:
  quote-engine:
    autonomy: auto
    base_url: http://127.0.0.1:7102
    slo: { latency_ms: 800, error_ratio: 0.01 }
    verify: { settle_s: 2, timeout_s: 600, probe: "GET /quote?user_id=probe" }
    knobs:
      - { name: db-pool-size, file: config/quote-engine.yaml, path: database.pool_size, type: int, min: 20, max: 200, step: 10, remedies: [pool-exhausted] }
      - { name: rating-breaker, file: config/quote-engine.yaml, path: rating.breaker.enabled, type: bool, remedies: [dependency-timeout] }
    sources: ["rules/**"]
    vouched: { db-pool-size: 30, revert: 30 }
"#;

fn mistake(from: &str, to: &str) -> Mistake {
    assert!(GOOD.contains(from), "{from}");
    match parse(&GOOD.replacen(from, to, 1)) {
        Err(CatalogueError::Service { service: _, mistake }) => mistake,
        other => panic!("{from} -> {to}: {other:?}"),
    }
}

#[test]
fn the_contracts_example_is_read() {
    let catalogue = parse(GOOD).expect("good");
    let rules = &catalogue.services["quote-engine"];
    assert_eq!(rules.knobs.len(), 2);
    assert_eq!((rules.knobs[0].min, rules.knobs[0].max, rules.knobs[0].step), (Some(20), Some(200), Some(10)));
    assert_eq!(rules.vouched["revert"], 30);
}

#[test]
fn what_nobody_knows_is_refused() {
    for (from, to) in [
        ("autonomy: auto", "autonomy: full"),
        ("cooldown_s", "cooldown"),
        ("    sources:", "    source:"),
        ("type: bool", "type: text"),
        ("remedies: [pool-exhausted]", "remedies: [gremlins]"),
        ("version: 1", "version: one"),
        ("version: 1", "version: 1\nversion: 1"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let refused = parse(&GOOD.replacen(from, to, 1));
        assert!(matches!(refused, Err(CatalogueError::Unreadable(_))), "{to}: {refused:?}");
    }
    assert!(matches!(parse(&GOOD.replace("version: 1", "version: 2")), Err(CatalogueError::Version(2))));
    assert!(matches!(parse(""), Err(CatalogueError::Unreadable(_))));
}

#[test]
fn bounds_must_make_sense() {
    let broken = Mistake::Bounds("db-pool-size".to_owned());
    for (from, to) in [
        ("min: 20, max: 200", "min: 200, max: 20"),
        ("min: 20, ", ""),
        ("max: 200, ", ""),
        ("step: 10", "step: 0"),
        ("step: 10", "step: -10"),
        ("step: 10", "step: 30"),
    ] {
        assert_eq!(mistake(from, to), broken, "{to}");
    }
    assert_eq!(mistake("type: bool", "type: bool, min: 0"), Mistake::Bounds("rating-breaker".to_owned()));
}

#[test]
fn names_files_and_paths_must_be_plain() {
    assert_eq!(mistake("name: db-pool-size", "name: 'db`pool'"), Mistake::Name("db`pool".to_owned()));
    assert_eq!(mistake("  quote-engine:\n", "  'a|b':\n"), Mistake::Name("a|b".to_owned()));
    assert_eq!(mistake("name: rating-breaker", "name: db-pool-size"), Mistake::Twice("db-pool-size".to_owned()));
    assert_eq!(
        mistake("file: config/quote-engine.yaml", "file: ../x.yaml"),
        Mistake::File("db-pool-size".to_owned(), BadPath::Wanders("../x.yaml".to_owned()))
    );
    for path in ["a..b", "''", "'a[0]'", "'a b'", ".a"] {
        let found = mistake("path: database.pool_size", &format!("path: {path}"));
        assert_eq!(found, Mistake::Path("db-pool-size".to_owned(), path.trim_matches('\'').to_owned()));
    }
}

#[test]
fn the_rest_must_make_sense_too() {
    assert_eq!(mistake("rules/**", "rules/[a"), Mistake::Source("rules/[a".to_owned()));
    assert_eq!(mistake("vouched: { db-pool-size", "vouched: { db-pool"), Mistake::Vouched("db-pool".to_owned()));
    assert_eq!(mistake("latency_ms: 800", "latency_ms: 0"), Mistake::Slo);
    assert_eq!(mistake("error_ratio: 0.01", "error_ratio: 1.5"), Mistake::Slo);
    assert_eq!(mistake("error_ratio: 0.01", "error_ratio: .nan"), Mistake::Slo);
    for probe in ["POST /quote", "GET quote", "GET /a b", "GET"] {
        assert_eq!(mistake("GET /quote?user_id=probe", probe), Mistake::Probe(probe.to_owned()));
    }
    assert_eq!(mistake("http://", "file://"), Mistake::Probe("GET /quote?user_id=probe".to_owned()));
}

#[test]
fn a_check_has_a_file_of_its_own_for_each_incident() {
    let check = |name: &str, into: &str| {
        format!("      - {{ name: {name}, template: checks/t.yaml, into: \"{into}\", reproduces: [pool-exhausted] }}\n")
    };
    let with = |checks: &[String]| mistake("    sources:", &format!("    checks:\n{}    sources:", checks.concat()));
    let good = check("pool", "checks/{incident}.yaml");
    assert_eq!(with(&[check("pool", "checks/one.yaml")]), Mistake::OneForAll("pool".to_owned()));
    assert_eq!(with(&[good.clone(), good]), Mistake::CheckTwice("pool".to_owned()));
    let outside = BadPath::Wanders("../inc_0.yaml".to_owned());
    assert_eq!(with(&[check("pool", "../{incident}.yaml")]), Mistake::Check("pool".to_owned(), outside));
}

#[test]
fn sources_and_knob_files_are_declared_and_nothing_else() {
    let sources = r#"["rules/**", "pricing/*.rhai"]"#;
    let catalogue = parse(&GOOD.replace(r#"["rules/**"]"#, sources)).expect("good");
    let rules = &catalogue.services["quote-engine"];
    for path in ["rules/pricing.rhai", "rules/a/b.rhai", "pricing/a.rhai", "config/quote-engine.yaml"] {
        assert!(declares(rules, path), "{path}");
    }
    for path in ["rules", "rule/x", "pricing/a/b.rhai", "config/other.yaml", "migrations/1.sql", "x/rules/a"] {
        assert!(!declares(rules, path), "{path}");
    }
}

#[test]
fn the_readmes_example_is_good() {
    let readme = include_str!("../../README.md");
    let example = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    parse(example).expect("good");
}
