//! Control planes that were not there when it began.

use super::*;

#[test]
fn evidence_that_begins_after_the_onset_still_shows_the_pool() {
    for seed in 1..=10 {
        let mut evidence = Town { end_ms: 16_000, ..Town::default() }.play(seed);
        let from = u64::try_from(evidence.signal.onset_ms).expect("a time") * 1_000_000 + 1_500_000_000;
        evidence.spans.retain(|span| span.end_ns >= from);
        let reading = read(&evidence, &owns).expect("a reading");
        let (rules, current) = rules("engine");
        let (remedy, choice) = bind(&reading, &rules, &current, &[]).unzip();
        assert_eq!(pool(remedy), Some(100), "seed {seed}: {:?}", reading.measured);
        assert!(reading.diagnosis(choice).confidence.get() > 0.90, "seed {seed}");
    }
}

/// What a control plane sees that was down when the failure began: nothing of what is usual.
#[test]
fn without_calm_times_the_place_is_not_named_before_it_is_clear() {
    let mut too_early = 0;
    for seed in 1..=20 {
        for end_ms in [11_500, 12_500, 14_000, 18_000, 22_000] {
            let town = Town { load: 60.0, end_ms, ..Town::default() };
            let mut evidence = town.play(seed);
            let from = evidence.spans[0].start_ns + (town.fault_ms + 600) * 1_000_000;
            evidence.spans.retain(|span| span.start_ns >= from);
            match read(&evidence, &owns) {
                Ok(reading) => {
                    let (rules, current) = rules("engine");
                    let (remedy, choice) = bind(&reading, &rules, &current, &[]).unzip();
                    let diagnosis = reading.diagnosis(choice);
                    assert!(diagnosis.confidence.get() > 0.90, "seed {seed}, {end_ms}: {:#?}", diagnosis.terms);
                    assert_eq!(pool(remedy), Some(50), "seed {seed}: {:?}", diagnosis.measured);
                }
                Err(gap) => {
                    assert!(gap.is_early() && end_ms < 21_000, "seed {seed}, {end_ms}: {gap}");
                    too_early += 1;
                }
            }
        }
    }
    assert!(too_early > 0, "the case is met");
}

/// Killed when the failure was detected, and back a second later: its beginning was lost, and every exporter comes back in its
/// own time.
#[test]
fn the_hole_of_a_restart_is_not_held_against_what_is_seen_behind_it() {
    let wall = |ms: u64| (1_700_000_000_000 + ms) * 1_000_000;
    let (mut too_early, mut read_at) = (0, Vec::new());
    for seed in 1..=5 {
        for end_ms in (9_500..18_000).step_by(500) {
            let deploys = vec![(0, "bbbbbbbbbb"), (6_000, "aaaaaaaaaa")];
            let fault = Fault::Rule(0.28);
            let mut evidence = Town { load: 60.0, fault, deploys, end_ms, ..Town::default() }.play(seed);
            evidence.heard_since_ms = 1_700_000_008_900;
            evidence.spans.retain(|span| {
                let back = if span.service == "shop" { wall(8_400) } else { wall(8_900) };
                span.end_ns < wall(4_400) || span.end_ns >= back
            });
            match read(&evidence, &owns) {
                Ok(reading) => {
                    let found = reading.diagnosis(None);
                    assert!(found.confidence.get() > 0.90, "seed {seed}, {end_ms} ms: {:?}", found.terms);
                    read_at.push(end_ms);
                }
                Err(gap) if gap.is_early() => too_early += 1,
                Err(gap) => panic!("seed {seed}, {end_ms} ms: {gap}"),
            }
        }
    }
    assert!(too_early > 0 && read_at.iter().filter(|at| **at < 17_000).count() >= 10, "{too_early} {read_at:?}");
}
