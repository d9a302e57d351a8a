//! Root causes of generated traffic: what is named, how sure, what is done about it.

mod coherence;
mod restart;
mod town;

use self::town::{Fault, Town};
use super::*;
use crate as domain;
use crate::catalogue::{Knob, KnobType, ServiceRules};
use crate::ids::Sha;
use crate::proposal::Remedy;

fn knob(name: &str, kinds: &[FaultKind]) -> Knob {
    Knob {
        name: name.into(),
        file: "config.yaml".into(),
        path: name.into(),
        kind: KnobType::Int,
        min: Some(20),
        max: Some(200),
        step: Some(10),
        values: Vec::new(),
        remedies: kinds.to_vec(),
    }
}

/// The pool at 20 between decoys: one that claims the same cure, one that stands at the same value.
fn rules(service: &str) -> (Catalogue, Current) {
    let mut rules: ServiceRules = serde_json::from_str(r#"{"autonomy":"auto"}"#).expect("rules");
    rules.knobs = vec![
        knob("decoy", &[FaultKind::PoolExhausted]),
        knob("pool", &[FaultKind::PoolExhausted]),
        knob("other", &[FaultKind::SlowQuery]),
    ];
    let services = [(service.to_owned(), rules)].into_iter().collect();
    let values = [("decoy", 64), ("pool", 20), ("other", 20)];
    let current = values.map(|(name, value)| ((service.to_owned(), name.to_owned()), KnobValue::Int(value)));
    (Catalogue { version: 1, limits: Default::default(), services }, Current(current.into_iter().collect()))
}

fn owns(_service: &str, path: &str) -> bool {
    path.starts_with("rules/")
}

fn solve(town: &Town, seed: u64) -> (Diagnosis, Option<Remedy>) {
    let reading = read(&town.play(seed), &owns).expect("a reading");
    let (rules, current) = rules(&town.name(seed, "engine"));
    let (remedy, choice) = bind(&reading, &rules, &current, &[]).unzip();
    (reading.diagnosis(choice), remedy)
}

fn pool(remedy: Option<Remedy>) -> Option<i64> {
    let Remedy::TurnKnob { parameters, .. } = remedy? else { return None };
    match parameters.get("pool") {
        Some(KnobValue::Int(value)) => Some(*value),
        Some(_) | None => None,
    }
}

fn commit(remedy: Option<Remedy>) -> Option<String> {
    match remedy? {
        Remedy::Revert { commit, .. } => Some(commit.0),
        Remedy::TurnKnob { .. }
        | Remedy::Scale { .. }
        | Remedy::Restart { .. }
        | Remedy::ApplyPatch { .. }
        | Remedy::SourcePatch { .. } => None,
    }
}

fn bad_deploy() -> Town {
    Town {
        fault: Fault::Rule(0.3),
        deploys: vec![(0, "aaaaaaaaaa"), (6_000, "bbbbbbbbbb")],
        commits: vec![
            ("bbbbbbbbbb", "rules/pricing.rhai"),
            ("1111111111", "README.md"),
            ("aaaaaaaaaa", "rules/pricing.rhai"),
        ],
        ..Town::default()
    }
}

fn lowest(diagnosis: &Diagnosis) -> &str {
    let lowest = diagnosis.terms.iter().min_by(|a, b| a.value.total_cmp(&b.value)).expect("terms");
    &lowest.name
}

fn place(diagnosis: &Diagnosis) -> (&str, FaultKind) {
    (&diagnosis.service, diagnosis.kind)
}

#[test]
fn an_exhausted_pool_is_found_and_sized_by_the_demand_seen() {
    for seed in 1..=200 {
        let (diagnosis, remedy) = solve(&Town { seen_at: (seed % 2) as usize, ..Town::default() }, seed);
        assert_eq!(place(&diagnosis), ("engine", FaultKind::PoolExhausted), "seed {seed} {:#?}", diagnosis);
        assert!(diagnosis.confidence.get() > 0.90, "seed {seed}: {:#?}", diagnosis.terms);
        assert_eq!(pool(remedy), Some(100), "seed {seed}: {:?}", diagnosis.measured);
    }
}

#[test]
fn another_load_gives_another_size() {
    for (load, least, most) in [(60.0, 50, 50), (75.0, 50, 60), (100.0, 70, 70), (200.0, 120, 130)] {
        for seed in 1..=8 {
            let (diagnosis, remedy) = solve(&Town { load, ..Town::default() }, seed);
            let value = pool(remedy).expect("a larger pool");
            assert!((least..=most).contains(&value), "{load}/s, seed {seed}: {value} {:?}", diagnosis.measured);
            assert!(diagnosis.confidence.get() > 0.90, "{load}/s, seed {seed}: {:#?}", diagnosis.terms);
        }
    }
}

#[test]
fn arrivals_by_chance_give_nearly_the_same_size() {
    for seed in 1..=30 {
        let (diagnosis, remedy) = solve(&Town { is_poisson: true, ..Town::default() }, seed);
        let value = pool(remedy).expect("a larger pool");
        assert!((90..=110).contains(&value), "seed {seed}: {value} {:?}", diagnosis.measured);
    }
}

#[test]
fn a_bad_change_is_found_and_exactly_it_is_reverted() {
    for seed in 1..=200 {
        let (diagnosis, remedy) = solve(&Town { seen_at: (seed % 2) as usize, ..bad_deploy() }, seed);
        assert_eq!(place(&diagnosis), ("engine", FaultKind::BadChange), "seed {seed} {:#?}", diagnosis);
        assert!(diagnosis.confidence.get() > 0.90, "seed {seed}: {:#?}", diagnosis.terms);
        assert_eq!(commit(remedy).as_deref(), Some("bbbbbbbbbb"), "seed {seed}");
    }
}

#[test]
fn later_harmless_changes_do_not_hide_the_bad_one() {
    let mut town = bad_deploy();
    town.deploys.extend([(8_000, "cccccccccc"), (8_100, "dddddddddd"), (10_000, "eeeeeeeeee")]);
    let later = ["eeeeeeeeee", "dddddddddd", "cccccccccc"].map(|sha| (sha, "rules/pricing.rhai"));
    town.commits = later.into_iter().chain(town.commits).collect();
    for seed in 1..=20 {
        let (diagnosis, remedy) = solve(&town, seed);
        assert!(diagnosis.confidence.get() > 0.90, "seed {seed}: {:#?}", diagnosis.terms);
        assert_eq!(commit(remedy).as_deref(), Some("bbbbbbbbbb"), "seed {seed}");
    }
}

#[test]
fn of_two_commits_that_came_together_neither_is_named_for_sure() {
    let mut town = bad_deploy();
    town.commits[1].1 = "rules/pricing.rhai";
    let (diagnosis, _) = solve(&town, 4);
    assert_eq!(place(&diagnosis), ("engine", FaultKind::BadChange));
    assert!(diagnosis.confidence.get() <= 0.90);
    assert_eq!(lowest(&diagnosis), "change");
}

#[test]
fn a_pool_that_runs_out_after_an_unrelated_deploy_is_no_bad_change() {
    for gap in [0, 100, 2_000] {
        let town = Town {
            deploys: vec![(0, "aaaaaaaaaa"), (6_000 - gap, "bbbbbbbbbb")],
            commits: bad_deploy().commits,
            ..Town::default()
        };
        for seed in 1..=10 {
            let (diagnosis, remedy) = solve(&town, seed);
            assert_eq!(place(&diagnosis), ("engine", FaultKind::PoolExhausted), "seed {seed}");
            assert_eq!(pool(remedy), Some(100));
        }
    }
}

#[test]
fn failures_that_begin_later_than_the_revision_are_not_its_own() {
    let town = Town { deploys: vec![(0, "aaaaaaaaaa"), (4_000, "bbbbbbbbbb")], ..bad_deploy() };
    for seed in 1..=10 {
        let (diagnosis, remedy) = solve(&town, seed);
        assert_eq!((place(&diagnosis), remedy), (("engine", FaultKind::ErrorBurst), None), "seed {seed}");
        assert!(diagnosis.confidence.get() <= 0.90);
    }
}

#[test]
fn names_do_not_matter() {
    for seed in 1..=10 {
        let town = Town { is_masked: true, ..Town::default() };
        let (diagnosis, remedy) = solve(&town, seed);
        assert_eq!(place(&diagnosis), (town.name(seed, "engine").as_str(), FaultKind::PoolExhausted));
        assert_eq!(pool(remedy), Some(100));
        let town = Town { is_masked: true, ..bad_deploy() };
        let (diagnosis, remedy) = solve(&town, seed);
        assert_eq!(place(&diagnosis), (town.name(seed, "engine").as_str(), FaultKind::BadChange));
        assert_eq!(commit(remedy).as_deref(), Some("bbbbbbbbbb"));
    }
}

#[test]
fn unrelated_errors_and_wrong_clocks_do_not_matter() {
    for seed in 1..=10 {
        for ahead_ms in [0, 3_600_000] {
            let (diagnosis, remedy) = solve(&Town { noise: 0.01, ahead_ms, ..Town::default() }, seed);
            assert!(diagnosis.confidence.get() > 0.90, "seed {seed}: {:#?}", diagnosis.terms);
            assert_eq!(pool(remedy), Some(100));
            let (diagnosis, remedy) = solve(&Town { noise: 0.01, ahead_ms, ..bad_deploy() }, seed);
            assert!(diagnosis.confidence.get() > 0.90, "seed {seed}: {:#?}", diagnosis.terms);
            assert_eq!(commit(remedy).as_deref(), Some("bbbbbbbbbb"));
        }
    }
}

#[test]
fn the_youngest_evidence_that_is_read_is_read_right() {
    for seed in 1..=20 {
        let (diagnosis, remedy) = solve(&Town { end_ms: 12_300, ..Town::default() }, seed);
        assert!(diagnosis.confidence.get() > 0.90, "seed {seed}: {:#?}", diagnosis.terms);
        assert_eq!(pool(remedy), Some(100), "seed {seed}: {:?}", diagnosis.measured);
        let (diagnosis, remedy) = solve(&Town { end_ms: 12_000, ..bad_deploy() }, seed);
        assert!(diagnosis.confidence.get() > 0.90, "seed {seed}: {:#?}", diagnosis.terms);
        assert_eq!(commit(remedy).as_deref(), Some("bbbbbbbbbb"));
    }
}

#[test]
fn a_slow_callee_is_named_and_nothing_is_done_about_it() {
    let blamed = |fault| {
        let (diagnosis, remedy) = solve(&Town { fault, ..Town::default() }, 3);
        assert_eq!(remedy, None, "{fault:?}");
        (diagnosis.service.clone(), diagnosis.kind)
    };
    assert_eq!(blamed(Fault::SlowRating(700)), ("rating".into(), FaultKind::DependencyTimeout));
    assert_eq!(blamed(Fault::SilentRating), ("rating".into(), FaultKind::DependencyTimeout));
    assert_eq!(blamed(Fault::SlowQuery(900)).0, "engine");
}

#[test]
fn a_pool_that_runs_out_since_a_callee_is_slow_is_not_made_larger() {
    for seed in 1..=10 {
        let (diagnosis, remedy) = solve(&Town { fault: Fault::SlowRatingWhileHolding(1_500), ..Town::default() }, seed);
        assert_eq!(remedy, None, "seed {seed}: {}", diagnosis.summary);
        assert_ne!(diagnosis.kind, FaultKind::PoolExhausted);
    }
}

#[test]
fn with_lost_spans_confidence_falls_and_coverage_is_why() {
    for seed in 1..=20 {
        for town in [Town::default(), bad_deploy()] {
            let (diagnosis, _) = solve(&Town { lost: 0.3, ..town }, seed);
            assert!(diagnosis.confidence.get() <= 0.90);
            assert_eq!(lowest(&diagnosis), "coverage", "{:#?}", diagnosis.terms);
        }
    }
}

#[test]
fn with_two_equal_suspects_confidence_falls_and_localisation_is_why() {
    for seed in 1..=20 {
        for seen_at in [0, 1] {
            let (diagnosis, _) = solve(&Town { fault: Fault::TwoSuspects(0.3), seen_at, ..Town::default() }, seed);
            assert!(diagnosis.confidence.get() <= 0.90);
            assert_eq!(lowest(&diagnosis), "localisation", "{:#?}", diagnosis.terms);
        }
    }
}

#[test]
fn the_same_fault_again_has_the_same_fingerprint() {
    let fingerprint = |town: &Town, seed| read(&town.play(seed), &owns).expect("a reading").signature().fingerprint();
    let first = [fingerprint(&Town::default(), 1), fingerprint(&bad_deploy(), 1)];
    for seed in 2..=10 {
        let quieter = Town { load: 90.0, ..Town::default() };
        assert_eq!([fingerprint(&quieter, seed), fingerprint(&bad_deploy(), seed)], first);
    }
    assert_ne!(first[0], first[1]);
}

#[test]
fn what_was_tried_is_not_chosen_again() {
    let reading = read(&Town::default().play(1), &owns).expect("a reading");
    let (rules, current) = rules("engine");
    let tried = Remedy::turn("engine", "pool", KnobValue::Int(90));
    assert_eq!(bind(&reading, &rules, &current, &[tried]), None);
    let reading = read(&bad_deploy().play(1), &owns).expect("a reading");
    let tried = Remedy::Revert { service: "engine".into(), commit: Sha("bbbbbbbbbb".into()) };
    assert_eq!(bind(&reading, &rules, &current, &[tried]), None);
}

#[test]
fn a_knob_that_cannot_cover_the_demand_is_not_turned() {
    let reading = read(&Town::default().play(1), &owns).expect("a reading");
    let (mut rules, current) = rules("engine");
    rules.services.values_mut().flat_map(|rules| &mut rules.knobs).for_each(|knob| knob.max = Some(60));
    assert_eq!(bind(&reading, &rules, &current, &[]), None);
}

#[test]
fn where_no_setting_helps_replicas_are_added_and_then_the_service_is_restarted() {
    let reading = read(&Town::default().play(1), &owns).expect("a reading");
    let (mut rules, mut current) = rules("engine");
    let kinds = [("replicas", KnobType::Replicas, 2), ("restarts", KnobType::Restart, 41)];
    for (name, kind, value) in kinds {
        let bounds = (kind == KnobType::Replicas).then_some((1, 12)).unzip();
        let knob = Knob { kind, min: bounds.0, max: bounds.1, step: None, ..knob(name, &[FaultKind::PoolExhausted]) };
        rules.services.values_mut().for_each(|rules| rules.knobs.push(knob.clone()));
        current.0.insert(("engine".into(), name.into()), KnobValue::Int(value));
    }
    rules.services.values_mut().for_each(|rules| rules.knobs.retain(|knob| knob.kind != KnobType::Int));
    let mut tried = Vec::new();
    let mut next = || {
        let remedy = bind(&reading, &rules, &current, &tried).map(|(remedy, _)| remedy)?;
        tried.push(remedy.clone());
        Some((remedy.kind(), remedy.parameters()?.values().next().cloned()?))
    };
    // 75 connections are wanted and two replicas let 20 through: staffing(75) / 10 a replica.
    assert_eq!(next(), Some(("scale", KnobValue::Int(10))), "{:?}", reading.measured);
    assert_eq!(next(), Some(("restart", KnobValue::Int(42))));
    assert_eq!(next(), None);
}

#[test]
fn young_or_calm_evidence_is_too_early() {
    for town in [Town { end_ms: 9_000, ..Town::default() }, Town { fault: Fault::Calm, noise: 0.01, ..Town::default() }]
    {
        let gap = read(&town.play(1), &owns).expect_err("too early");
        assert!(gap.is_early(), "{gap}");
    }
}

#[test]
fn parents_that_go_round_and_one_trace_of_everything_are_survived() {
    let mut evidence = Town::default().play(1);
    let trace = evidence.spans[0].trace_id;
    let ids: Vec<_> = evidence.spans.iter().map(|span| span.span_id).collect();
    for (at, span) in evidence.spans.iter_mut().enumerate() {
        span.trace_id = trace;
        span.parent_id = Some(ids[(at + 1) % ids.len()]);
        span.failed = true;
    }
    let confident = read(&evidence, &owns).map(|reading| reading.diagnosis(None).confidence.get() > 0.90);
    assert_ne!(confident, Ok(true));
}
