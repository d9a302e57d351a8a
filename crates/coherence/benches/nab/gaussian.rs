//! NAB's baseline, the windowed Gaussian: how far in the tail of the normal of the last 6,400 samples, moved on by 100.

use std::collections::VecDeque;

use crate::recordings::Recording;
use crate::scoring::{Tally, tally};
use sre_space_coherence::moments::Moments;

const WINDOW: usize = 6_400;
const STEP: usize = 100;
/// A deviation of 0 is taken as this, as NAB does.
const STILL: f64 = 1e-6;

/// Its tallies at the threshold that suits it best on these very files, and that threshold in standard deviations.
pub fn best(recordings: &[Recording], rest: usize) -> (Vec<Tally>, f64) {
    let scores: Vec<Vec<f64>> = recordings.iter().map(scores).collect();
    let at = |z: f64| -> Vec<Tally> {
        let flags = |scores: &Vec<f64>| alarms(scores, z, rest);
        recordings.iter().zip(&scores).map(|(recording, scores)| tally(recording, &flags(scores))).collect()
    };
    let thresholds = (0..800).map(|step| f64::from(step) * 0.0125);
    let scored = thresholds.map(|z| (z, Tally::sum(&at(z)).score()));
    let (z, _) = scored.max_by(|one, other| one.1.total_cmp(&other.1)).expect("thresholds");
    (at(z), z)
}

/// How many deviations each sample lies from the window's mean: rising with NAB's tail probability, so that thresholds on either
/// are the same.
fn scores(recording: &Recording) -> Vec<f64> {
    let (mut window, mut waiting, mut normal) = (VecDeque::new(), Vec::new(), None::<(f64, f64)>);
    let mut scores = Vec::with_capacity(recording.samples.len());
    for sample in &recording.samples {
        scores.push(normal.map_or(0.0, |(mean, stdev)| (sample.value - mean).abs() / stdev));
        if window.len() < WINDOW {
            window.push_back(sample.value);
        } else {
            waiting.push(sample.value);
            if waiting.len() < STEP {
                continue;
            }
            window.drain(..STEP);
            window.extend(waiting.drain(..));
        }
        let moments = Moments::of(window.make_contiguous()).expect("finite values");
        normal = moments.mean().ok().zip(moments.population_stdev().ok()).map(|(mean, stdev)| (mean, stdev.max(STILL)));
    }
    scores
}

/// Samples at or beyond the threshold, silent for `rest` samples after each.
fn alarms(scores: &[f64], threshold: f64, rest: usize) -> Vec<bool> {
    let mut until = 0;
    let alarm = |(row, score): (usize, &f64)| {
        let is_alarm = *score >= threshold && row >= until;
        if is_alarm {
            until = row + rest;
        }
        is_alarm
    };
    scores.iter().enumerate().map(alarm).collect()
}
