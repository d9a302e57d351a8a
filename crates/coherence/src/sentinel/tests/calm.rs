//! What must not alarm, and what always must.

use super::*;
use crate::sentinel::sim::SplitMix64;

#[test]
fn a_calm_host_is_never_vetoed_and_rarely_spikes() {
    let (mut looks, mut spikes, mut outliers, mut vetoes, mut chains) = (0_u32, 0_u32, 0_u32, 0, 0);
    for seed in 0..20 {
        let mut random = SplitMix64::new(seed);
        let mut host = Host::new(Limits::default(), Some(advanced::judge));
        for _ in 0..600 {
            let report = host.second(40.0 + 3.0 * random.normal(), 5e6 * random.normal(), 1_000.0);
            vetoes += report.vetoes.len();
            chains += usize::from(report.chain.is_some());
            let Some(found) = report.advanced else { continue };
            looks += 1;
            spikes += u32::from(found.robust_z.is_some_and(|found| found.spike));
            outliers += u32::from(found.iqr_fences.outlier);
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(looks);
    println!(
        "calm Gaussian: {looks} looks, robust z > 3 {:.4}, beyond the fences {:.4}",
        share(spikes),
        share(outliers)
    );
    assert_eq!((vetoes, chains), (0, 0));
    assert!(share(spikes) <= 0.01 && looks > 10_000, "{spikes} of {looks}");
}

#[test]
fn bursts_on_a_tenth_of_the_ticks_are_no_lasting_seizure() {
    let (mut vetoed, mut looks) = (0, 0);
    for seed in 0..20 {
        let mut random = SplitMix64::new(seed);
        let mut host = Host::basic();
        for second in 0..1_800 {
            // Even seeds burst every tenth second, odd ones at random on a tenth of them.
            let is_burst = if seed % 2 == 0 { second % 10 == 9 } else { random.even() < 0.1 };
            let report = host.load(if is_burst { 90.0 } else { 20.0 } + random.normal());
            vetoed += usize::from(!report.vetoes.is_empty());
            looks += 1;
        }
        let last = host.load(20.0);
        assert_eq!((last.sensors[0].condition, advice(&last)), (Condition::Bursts, vec![]), "seed {seed}");
    }
    println!("bursts on a tenth of the ticks: vetoed at {vetoed} of {looks} looks");
    assert!(vetoed * 10 < looks, "{vetoed} of {looks}");
}

#[test]
fn what_was_always_chaotic_is_flagged_from_the_end_of_the_warm_up() {
    let mut random = SplitMix64::new(7);
    let mut host = Host::basic();
    let reports: Vec<Report> = (0..1_800).map(|_| host.load(100.0 * random.even())).collect();
    let calm = reports.iter().skip(4).filter(|report| advice(report) != [SHED]).count();
    assert_eq!(calm, 0);
}

#[test]
fn variance_that_doubles_has_escalated() {
    let mut random = SplitMix64::new(3);
    let mut host = Host::new(Limits::default(), Some(advanced::judge));
    for _ in 0..300 {
        host.load(50.0 + 2.0 * random.normal());
    }
    let report = (0..60).map(|_| host.load(50.0 + 6.0 * random.normal())).last().expect("a report");
    let found = report.advanced.and_then(|found| found.variance_escalation).expect("an escalation");
    assert!(found.escalated && found.ratio.is_some_and(|ratio| ratio > 5.0), "{found:?}");
    assert_eq!(report.status, Status::Nominal, "sigma is 6, below its own limit of 10");
}
