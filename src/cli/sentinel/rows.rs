//! `sentinel --source csv`: a line for each row of a file, judged on that row and earlier ones only.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use sre_space_coherence::anomaly::{Detector, Side, THRESHOLD};
use sre_space_coherence::series::Sample;
use tracing::warn;

use crate::app::csv_rows;
use crate::cli::GOOD;
use crate::cli::client::Output;

/// Rows that cannot be used and are named; all are counted.
const NAMED: usize = 100;

/// A row, judged.
#[derive(Debug, PartialEq, Serialize)]
struct Judged {
    /// As the file has it.
    timestamp: String,
    value: f64,
    /// 0.0..=1.0; an anomaly from 0.5 on.
    anomaly_score: f64,
    flags: Vec<Flag>,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Flag {
    /// Its score reaches the threshold.
    Anomaly,
    /// And this is what is rare about it.
    Value,
    Step,
    ShortMean,
    LongMean,
    TimeOfDay,
}

impl Flag {
    fn of(side: Side) -> Self {
        match side {
            Side::Value => Self::Value,
            Side::Step => Self::Step,
            Side::ShortMean => Self::ShortMean,
            Side::LongMean => Self::LongMean,
            Side::TimeOfDay => Self::TimeOfDay,
        }
    }
}

/// Prints a line for each row of a file, at most so many.
pub fn run(input: &Path, most: Option<u64>, output: Output) -> Result<u8> {
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let rows = csv_rows(input)?.take(most);
    let out = BufWriter::new(std::io::stdout().lock());
    match print(rows, out, output) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(GOOD),
    }
}

fn print(
    rows: impl Iterator<Item = Result<(String, Sample), String>>,
    mut out: impl Write,
    output: Output,
) -> std::io::Result<()> {
    let (mut detector, mut bad) = (Detector::default(), 0_usize);
    for row in rows {
        match row.and_then(|(timestamp, sample)| judge(&mut detector, timestamp, sample)) {
            Ok(judged) => match output {
                Output::Json => writeln!(out, "{}", serde_json::to_string(&judged)?)?,
                Output::Text => writeln!(out, "{}", line(&judged))?,
            },
            Err(why) => {
                bad += 1;
                if bad <= NAMED {
                    warn!(why, "a row is left out");
                }
            }
        }
    }
    if bad > 0 {
        warn!(rows = bad, "rows were left out");
    }
    out.flush()
}

fn judge(detector: &mut Detector, timestamp: String, sample: Sample) -> Result<Judged, String> {
    let found = detector.judge(sample).map_err(|undefined| undefined.to_string())?;
    let is_anomaly = found.score >= THRESHOLD;
    let flags = [Some(Flag::Anomaly), found.side.map(Flag::of)].into_iter().flatten().filter(|_| is_anomaly).collect();
    Ok(Judged { timestamp, value: sample.value, anomaly_score: found.score, flags })
}

fn line(judged: &Judged) -> String {
    let Judged { timestamp, value, anomaly_score, flags } = judged;
    let stamp: String = timestamp.chars().filter(|c| !c.is_control()).collect();
    format!("{stamp}  {value:>14}  score {anomaly_score:.3}{}", if flags.is_empty() { "" } else { "  ANOMALY" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f64]) -> impl Iterator<Item = Result<(String, Sample), String>> + '_ {
        let row = |(at, value): (usize, &f64)| {
            let at_ms = i64::try_from(at).expect("small") * 300_000;
            Ok((format!("t{at}"), Sample { at_ms, value: *value }))
        };
        values.iter().enumerate().map(row)
    }

    fn printed(rows: impl Iterator<Item = Result<(String, Sample), String>>, output: Output) -> Vec<String> {
        let mut out = Vec::new();
        print(rows, &mut out, output).expect("printed");
        String::from_utf8(out).expect("text").lines().map(str::to_owned).collect()
    }

    /// A saw-tooth, and one value far outside of it.
    fn values() -> Vec<f64> {
        let mut values: Vec<f64> = (0..2_000_u32).map(|at| f64::from(at % 7) + f64::from(at % 11) / 10.0).collect();
        values[1_500] = 500.0;
        values
    }

    #[test]
    fn each_row_is_judged_on_itself_and_earlier_ones_only() {
        let values = values();
        let all = printed(rows(&values), Output::Json);
        assert_eq!(
            (all.len(), &all[0]),
            (2_000, &r#"{"timestamp":"t0","value":0.0,"anomaly_score":0.0,"flags":[]}"#.to_owned())
        );
        for cut in [1, 700, 1_501] {
            assert_eq!(printed(rows(&values[..cut]), Output::Json), all[..cut]);
        }
        let anomalies: Vec<&String> = all.iter().filter(|line| line.contains("ANOMALY")).collect();
        assert!(
            anomalies.iter().any(|line| line.starts_with(r#"{"timestamp":"t1500","value":500.0,"#)),
            "{anomalies:?}"
        );
    }

    #[test]
    fn a_row_that_cannot_be_used_is_left_out() {
        let bad = || std::iter::once(Err("line 3: no number".to_owned()));
        let odd = Ok(("tN".to_owned(), Sample { at_ms: 1, value: f64::NAN }));
        let lines = printed(rows(&[1.0, 2.0]).chain(bad()).chain([odd]).chain(rows(&[3.0])), Output::Text);
        assert_eq!(lines.len(), 3, "{lines:?}");
    }
}
