//! The simulated host, from its first tick.

use super::*;
use crate::sentinel::sim::{CYCLE, SimHost};

fn played(seed: u64, ticks: u64) -> Vec<Report> {
    let mut host = SimHost::new(seed);
    let mut sentinel = Sentinel::new("sim", Limits::default(), Some(advanced::judge));
    let mut tick = || {
        let (now_ms, vitals) = host.tick();
        sentinel.observe(now_ms, &[vitals])
    };
    (0..ticks).map(|_| tick()).collect()
}

/// The spans of ticks at which a report is so.
fn spans(reports: &[Report], is_so: impl Fn(&Report) -> bool) -> Vec<(u64, u64)> {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for report in reports.iter().filter(|report| is_so(report)) {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == report.tick => *last = report.tick,
            _ => spans.push((report.tick, report.tick)),
        }
    }
    spans
}

#[test]
fn it_shows_a_fever_a_stale_clock_a_retry_storm_and_a_seizure_at_fixed_ticks() {
    for seed in 0..100 {
        let reports = played(seed, CYCLE);
        let vetoed = |sensor: usize| spans(&reports, |report| report.sensors[sensor].condition == Condition::Veto);
        let statuses = |status: Status| spans(&reports, |report| report.status == status);
        assert_eq!(statuses(Status::Warmup), [(1, 4)]);
        assert_eq!(statuses(Status::Stale), [(24, 27)]);
        assert_eq!(vetoed(1), [(10, 19)], "seed {seed}");
        // One doubled second in ten is a ratio of 1.1 give or take noise, so each end may lie a tick off.
        let storms = vetoed(2);
        let expected = [(33, 50), (55, 69)];
        assert_eq!(storms.len(), expected.len(), "seed {seed}: {storms:?}");
        for (storm, (first, last)) in storms.iter().zip(expected) {
            assert!(storm.0.abs_diff(first) <= 1 && storm.1.abs_diff(last) <= 1, "seed {seed}: {storms:?}");
        }
        // Within two ticks, and withdrawn a window later.
        assert!([[(46, 105)], [(47, 106)]].iter().any(|span| vetoed(0) == *span), "seed {seed}: {:?}", vetoed(0));
        assert_eq!(spans(&reports, |report| report.flags.contains(&Flag::Cascade)).len(), 1);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_does_not() {
    let lines = |seed| {
        let line = |report: &Report| serde_json::to_string(report).expect("JSON");
        played(seed, 200).iter().map(line).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(lines(7), lines(7));
    assert_ne!(lines(7), lines(8));
}

#[test]
fn what_it_says_reads_well() {
    let reports = played(7, 80);
    let said = |tick: usize| format!("{tick}: {}", reports[tick - 1].narrative);
    let told: Vec<String> = [1, 6, 12, 25, 36, 47, 56, 66, 80].map(said).into();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_report_is_one_line_of_json() {
    let report = played(7, 56).pop().expect("a report");
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).expect("JSON"));
}

#[test]
fn signals_within_five_minutes_are_one_chain_with_a_risk() {
    let reports = played(7, 600);
    let chain = reports[79].chain.clone().expect("a chain");
    let vetoes: Vec<Kind> = chain.kinds.iter().copied().filter(|kind| *kind != Kind::Spike).collect();
    assert_eq!(vetoes, [Kind::Fever, Kind::AutoImmune, Kind::Seizure]);
    assert!(chain.risk > 0.9 && chain.risk <= 1.0 && chain.signals >= 3, "{chain:?}");
    let mut host = Host::basic();
    host.calm_for(60, 20.0);
    (0..10).for_each(|_| _ = host.second(20.0, 0.0, 2_000.0));
    let one = host.second(20.0, 0.0, 2_000.0);
    assert_eq!(one.chain, None, "one signal is no chain");
    host.calm_for(330, 20.0);
    (0..10).for_each(|_| _ = host.second(20.0, 5e8, 1_000.0));
    assert_eq!(host.load(20.0).chain, None, "the first is more than five minutes past");
}
