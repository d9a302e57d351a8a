//! NAB's score, standard profile: Lavin and Ahmad, *Evaluating real-time anomaly detection algorithms - the Numenta Anomaly
//! Benchmark*, ICMLA 2015, section III.

use crate::recordings::Recording;

/// Weight of a false alarm in the standard profile; a missed window weighs 1.
const FALSE_ALARM: f64 = 0.11;

/// The tally of one file or of many.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    /// Labelled windows.
    pub windows: usize,
    /// Of which were found.
    pub found: usize,
    /// Alarms outside of them.
    pub false_alarms: usize,
    /// The sum of rewards and penalties.
    pub raw: f64,
}

impl Tally {
    /// Of many.
    pub fn sum<'a>(tallies: impl IntoIterator<Item = &'a Self>) -> Self {
        tallies.into_iter().fold(Self::default(), |sum, one| Self {
            windows: sum.windows + one.windows,
            found: sum.found + one.found,
            false_alarms: sum.false_alarms + one.false_alarms,
            raw: sum.raw + one.raw,
        })
    }

    /// 100 for every window found at its start without a false alarm, 0 for no alarm at all.
    pub fn score(&self) -> f64 {
        let all = self.windows as f64;
        100.0 * (self.raw + all) / (2.0 * all)
    }
}

/// 1 well before 0, -1 well after it.
fn sigmoid(place: f64) -> f64 {
    2.0 / (1.0 + (5.0 * place).exp()) - 1.0
}

/// What an alarm at `row` within a window is worth: 1 at its start, falling to 0 at its end.
fn worth((first, last): (usize, usize), row: usize) -> f64 {
    let place = -((last - row) as f64 + 1.0) / ((last - first) as f64 + 1.0);
    sigmoid(place) / sigmoid(-1.0)
}

/// What an alarm outside of every window costs: all before the first, less shortly after one.
fn cost(windows: &[(usize, usize)], row: usize) -> f64 {
    let before = windows.iter().rev().find(|(_, last)| *last < row);
    FALSE_ALARM * before.map_or(1.0, |(first, last)| -sigmoid((row - last) as f64 / (last - first).max(1) as f64))
}

/// The tally of a recording's alarms, one flag a row.
pub fn tally(recording: &Recording, alarms: &[bool]) -> Tally {
    let windows = &recording.windows;
    let mut best = vec![None; windows.len()];
    let mut tally = Tally { windows: windows.len(), ..Tally::default() };
    for row in (recording.unscored..alarms.len()).filter(|row| alarms[*row]) {
        match windows.iter().position(|(first, last)| (*first..=*last).contains(&row)) {
            Some(window) => best[window] = best[window].or(Some(worth(windows[window], row))),
            None => {
                tally.false_alarms += 1;
                tally.raw -= cost(windows, row);
            }
        }
    }
    tally.found = best.iter().flatten().count();
    tally.raw += best.iter().map(|worth| worth.unwrap_or(-1.0)).sum::<f64>();
    tally
}

/// That the perfect detector has 100, the silent one 0, and a false alarm costs what it should.
pub fn check() {
    let recording = Recording { name: String::new(), samples: Vec::new(), windows: vec![(50, 59)], unscored: 15 };
    let score =
        |rows: &[usize]| tally(&recording, &(0..100).map(|row| rows.contains(&row)).collect::<Vec<_>>()).score();
    let same = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} is not {other}");
    same(score(&[50, 55]), 100.0);
    same(score(&[3]), 0.0);
    same(score(&[20]), -FALSE_ALARM * 50.0);
    assert!(score(&[59]) > 50.0 && score(&[60]) > score(&[90]));
}
