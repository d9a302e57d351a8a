//! The benchmark's files: series and the windows around their labelled anomalies.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sre_space_coherence::series::Sample;

/// One file.
pub struct Recording {
    /// Folder and name.
    pub name: String,
    /// In the file's order.
    pub samples: Vec<Sample>,
    /// First and last row of each labelled window.
    pub windows: Vec<(usize, usize)>,
    /// Rows at the start that are not scored: 15 %, at most 750.
    pub unscored: usize,
}

/// Every file of a folder, `None` when there is none.
pub fn read(folder: &Path) -> Option<Vec<Recording>> {
    let labels = fs::read(folder.join("labels.json")).ok()?;
    let labels: BTreeMap<String, Vec<(String, String)>> = serde_json::from_slice(&labels).expect("labels");
    Some(labels.into_iter().map(|(name, windows)| recording(folder, name, &windows)).collect())
}

fn recording(folder: &Path, name: String, windows: &[(String, String)]) -> Recording {
    let text = fs::read_to_string(folder.join("data").join(&name)).expect("a readable file");
    let samples: Vec<Sample> = text.lines().skip(1).map(sample).collect();
    let row = |(from, until): &(String, String)| {
        let (from, until) = (at_ms(from), at_ms(until));
        let first = samples.iter().position(|sample| sample.at_ms >= from).expect("a window within the file");
        (first, samples.iter().rposition(|sample| sample.at_ms <= until).expect("a window within the file"))
    };
    let windows = windows.iter().map(row).collect();
    let unscored = (samples.len() * 15 / 100).min(750);
    Recording { name, samples, windows, unscored }
}

fn sample(line: &str) -> Sample {
    let (at, value) = line.split_once(',').expect("two columns");
    Sample { at_ms: at_ms(at), value: value.parse().expect("a number") }
}

fn at_ms(text: &str) -> i64 {
    let civil: jiff::civil::DateTime = text.parse().expect("a moment");
    civil.to_zoned(jiff::tz::TimeZone::UTC).expect("a moment of UTC").timestamp().as_millisecond()
}
