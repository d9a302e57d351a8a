//! The streaming detector on the Numenta Anomaly Benchmark: `cargo bench -p sre-space-coherence --bench nab -- FOLDER`, which holds
//! NAB's `data` and the windows of `combined_windows.json` as `labels.json`.
//!
//! The default settings of [`Tuning`] and one threshold for every file, beside NAB's windowed Gaussian; then the settings chosen on one
//! half of the files and told on the other. Exit code 1 when the score is below the one that is promised.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

mod clock;
mod gaussian;
mod recordings;
mod scoring;

use std::hint::black_box;
use std::path::PathBuf;

use recordings::Recording;
use scoring::{Tally, tally};
use sre_space_coherence::anomaly::{Detector, THRESHOLD, Tuning};
use sre_space_coherence::robust::median;
use sre_space_coherence::series::Sample;

/// What is promised: the score, and how far above the windowed Gaussian.
const SCORE: f64 = 50.0;
const ABOVE: f64 = 10.0;
/// Random halves for the cross-validation.
const HALVES: u64 = 10;

fn main() {
    let Some(folder) = std::env::args().skip(1).find(|given| !given.starts_with("--")).map(PathBuf::from) else {
        println!("skipped: no folder of recordings is named");
        return;
    };
    let Some(recordings) = recordings::read(&folder) else {
        eprintln!("no labels.json in {}", folder.display());
        std::process::exit(2);
    };
    scoring::check();
    let ours: Vec<Tally> = recordings.iter().map(|recording| score(recording, Tuning::default())).collect();
    let rows: usize = recordings.iter().map(|recording| recording.samples.len()).sum();
    let per_point = nanoseconds_a_point(&recordings);
    let (gaussian, at) = gaussian::best(&recordings, 0);
    let (rested, _) = gaussian::best(&recordings, Tuning::default().rest);
    println!("{:<58} {:>7} {:>5} {:>6} {:>8} | windowed Gaussian", "file", "windows", "found", "false", "score");
    for ((recording, ours), theirs) in recordings.iter().zip(&ours).zip(&gaussian) {
        let Tally { windows, found, false_alarms, raw } = ours;
        let theirs = format!("{:>5} {:>6} {:>8.2}", theirs.found, theirs.false_alarms, theirs.raw);
        println!("{:<58} {windows:>7} {found:>5} {false_alarms:>6} {raw:>8.2} | {theirs}", recording.name);
    }
    let (ours, gaussian, rested) = (Tally::sum(&ours), Tally::sum(&gaussian), Tally::sum(&rested));
    told("ours, threshold 0.5", &ours);
    told(&format!("windowed Gaussian, its best threshold {at:.3} deviations"), &gaussian);
    told("windowed Gaussian, silent after an alarm as ours", &rested);
    println!("{rows} rows, {per_point:.0} ns a point");
    crossed(&recordings);
    println!("wanted: at least {SCORE}, and {ABOVE} above the windowed Gaussian");
    std::process::exit(i32::from(!(ours.score() >= SCORE && ours.score() >= gaussian.score() + ABOVE)));
}

fn told(what: &str, tally: &Tally) {
    let Tally { windows, found, false_alarms, .. } = tally;
    println!("{:>6.2}  {what}: {found} of {windows} windows, {false_alarms} false alarms", tally.score());
}

/// One recording under one set of figures.
fn score(recording: &Recording, tuning: Tuning) -> Tally {
    let mut detector = Detector::new(tuning).expect("sensible figures");
    let is_alarm = |sample: &Sample| detector.judge(*sample).expect("a finite value").score >= THRESHOLD;
    let alarms: Vec<bool> = recording.samples.iter().map(is_alarm).collect();
    tally(recording, &alarms)
}

/// The median over stretches of a thousand points, time on the processor.
fn nanoseconds_a_point(recordings: &[Recording]) -> f64 {
    let mut stretches = Vec::new();
    for recording in recordings {
        let mut detector = Detector::default();
        for stretch in recording.samples.chunks_exact(1_000) {
            let spent = clock::milliseconds(|| stretch.iter().for_each(|sample| used(detector.judge(*sample))));
            stretches.push(spent * 1e6 / stretch.len() as f64);
        }
    }
    median(&stretches).expect("stretches")
}

/// Figures near the defaults, so that a choice can be made.
fn candidates() -> Vec<Tuning> {
    let mut candidates = Vec::new();
    for rarity in [5e-4, 1e-3, 2e-3, 4e-3] {
        for (habit, habit_half_life) in [(0.0, 1e3), (0.1, 4e3), (0.2, 1e3), (0.5, 1e3)] {
            for rest in [50, 100, 200] {
                for (short, long) in [(4, 64), (8, 64), (6, 72)] {
                    candidates.push(Tuning { rarity, habit, habit_half_life, rest, short, long, ..Tuning::default() });
                }
            }
        }
    }
    candidates
}

/// The best figures of a random half of the files, told on both halves, several times.
fn crossed(recordings: &[Recording]) {
    let tallies: Vec<Vec<Tally>> = candidates()
        .into_iter()
        .map(|tuning| recordings.iter().map(|recording| score(recording, tuning)).collect())
        .collect();
    let (mut chosen_on, mut told_on) = (0.0, 0.0);
    for seed in 0..HALVES {
        let half = half(recordings.len(), seed);
        let on = |tallies: &[Tally], side: bool| {
            Tally::sum(tallies.iter().zip(&half).filter(|(_, here)| **here == side).map(|(tally, _)| tally)).score()
        };
        let best = tallies.iter().max_by(|one, other| on(one, true).total_cmp(&on(other, true))).expect("candidates");
        println!("half {seed}: chosen at {:.2}, on the other half {:.2}", on(best, true), on(best, false));
        chosen_on += on(best, true) / HALVES as f64;
        told_on += on(best, false) / HALVES as f64;
    }
    let all: Vec<f64> = tallies.iter().map(|tallies| Tally::sum(tallies).score()).collect();
    let (lowest, highest) =
        all.iter().fold((f64::MAX, f64::MIN), |(low, high), score| (low.min(*score), high.max(*score)));
    println!("{} sets of figures on all files: {lowest:.2} to {highest:.2}", all.len());
    println!("mean of {HALVES} random halves: chosen at {chosen_on:.2}, on the other half {told_on:.2}");
}

/// Half of the files, by a shuffle of a seed (Fisher and Yates; numbers by splitmix64).
fn half(count: usize, seed: u64) -> Vec<bool> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut half: Vec<bool> = (0..count).map(|at| at * 2 < count).collect();
    for at in (1..count).rev() {
        half.swap(at, (next() % (at as u64 + 1)) as usize);
    }
    half
}

/// Keeps the compiler from leaving out what nobody reads.
fn used<What>(what: What) {
    black_box(what);
}
