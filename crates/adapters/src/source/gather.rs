//! What a source is asked, cut into questions it answers; and what it told, put into the order the port promises.

use sre_space_ports::source::{Reading, SourceError, Told, Wanted};

use super::wire::Bounds;

/// Metrics of one reading.
const MOST_METRICS: usize = 100;
/// Reasons that are named.
const MOST_REASONS: usize = 100;
/// Characters of a host's or a metric's name, as the `metrics` table holds them.
const LONGEST_NAME: usize = 255;
/// No source has anything after this moment, Unix ms: the end of the year 9999.
const END_OF_TIME_MS: i64 = 253_402_300_800_000;

/// Part of what is wanted: from here on up to there, Unix ms.
pub(super) type Window = (i64, i64);

/// The metrics that are wanted; the usual ones where none is named.
pub(super) fn metrics<'a>(
    name: &'static str,
    wanted: &'a Wanted,
    usual: &[&'a str],
) -> Result<Vec<&'a str>, SourceError> {
    let mut all: Vec<&str> = match wanted.metrics.is_empty() {
        true => usual.to_vec(),
        false => wanted.metrics.iter().map(String::as_str).collect(),
    };
    all.sort_unstable();
    all.dedup();
    if all.len() > MOST_METRICS {
        let why = format!("{} metrics are asked for at once, and {MOST_METRICS} may be", all.len());
        return Err(SourceError::Refused { name, why });
    }
    Ok(all)
}

/// What was told so far.
pub(super) struct Gathering<'a> {
    name: &'static str,
    wanted: &'a Wanted,
    bounds: Bounds,
    questions: usize,
    told: Told,
}

impl<'a> Gathering<'a> {
    /// Nothing yet, of what is wanted.
    pub(super) fn new(name: &'static str, wanted: &'a Wanted, bounds: Bounds) -> Self {
        Self { name, wanted, bounds, questions: 0, told: Told::default() }
    }

    /// What is wanted in windows of at most so many ms that begin at multiples of a step, oldest first; nothing before 1970. An
    /// error if they are too many, each taking so many questions.
    pub(super) fn windows(&self, (span_ms, step_ms): (i64, i64), each: usize) -> Result<Vec<Window>, SourceError> {
        let until_ms = self.wanted.until_ms.min(END_OF_TIME_MS);
        let first_ms = self.wanted.since_ms.clamp(0, END_OF_TIME_MS).div_euclid(step_ms) * step_ms;
        let is_empty = self.wanted.since_ms.max(0) >= until_ms;
        let count = if is_empty { 0 } else { (until_ms - first_ms + span_ms - 1).div_euclid(span_ms) };
        if usize::try_from(count).is_ok_and(|count| count.saturating_mul(each) > self.bounds.questions) {
            return Err(self.too_many_questions());
        }
        let from = (0..count).map(|index| first_ms + index * span_ms);
        Ok(from.map(|from_ms| (from_ms, until_ms.min(from_ms + span_ms))).collect())
    }

    /// One more question; an error once there were too many.
    pub(super) fn question(&mut self) -> Result<(), SourceError> {
        self.questions += 1;
        if self.questions <= self.bounds.questions { Ok(()) } else { Err(self.too_many_questions()) }
    }

    fn too_many_questions(&self) -> SourceError {
        let most = self.bounds.questions;
        let why = format!("this takes more than {most} questions; ask for a shorter time or fewer metrics");
        SourceError::Refused { name: self.name, why }
    }

    /// One value, in any order; what lies outside of what is wanted is left out. An error once there were too many.
    pub(super) fn take(&mut self, (host, metric): (&str, &str), at_ms: i64, value: f64) -> Result<(), SourceError> {
        if !(self.wanted.since_ms..self.wanted.until_ms).contains(&at_ms) {
            return Ok(());
        }
        if !is_name(host) || !is_name(metric) || !value.is_finite() {
            self.refuse(|| {
                let what = if value.is_finite() { "a name that cannot be kept".to_owned() } else { value.to_string() };
                format!("{} of {} at {at_ms}: {what}", shown(metric), shown(host))
            });
            return Ok(());
        }
        let most = self.bounds.readings;
        if self.told.readings.len() >= most {
            let why = format!("more than {most} readings; ask for a shorter time or fewer metrics");
            return Err(SourceError::Unreadable { name: self.name, why });
        }
        self.told.readings.push(Reading { host: host.to_owned(), metric: metric.to_owned(), at_ms, value });
        Ok(())
    }

    /// A row that cannot be used.
    pub(super) fn refuse(&mut self, why: impl FnOnce() -> String) {
        self.refuse_all(1, why);
    }

    /// So many rows that cannot be used, for one reason.
    pub(super) fn refuse_all(&mut self, rows: usize, why: impl FnOnce() -> String) {
        self.told.refused_rows += rows;
        if rows > 0 && self.told.refused.len() < MOST_REASONS {
            self.told.refused.push(why());
        }
    }

    /// All of it, ordered; of several for one moment the last.
    pub(super) fn told(self) -> Told {
        let mut told = self.told;
        told.readings.reverse();
        let is_before = |a: &Reading, b: &Reading| {
            a.at_ms.cmp(&b.at_ms).then_with(|| a.host.cmp(&b.host)).then_with(|| a.metric.cmp(&b.metric))
        };
        // Stable, so that of equals the last one told comes first and is the one that is kept.
        told.readings.sort_by(is_before);
        told.readings.dedup_by(|a, b| is_before(a, b).is_eq());
        told
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// A name from outside, fit to be shown.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(since_ms: i64, until_ms: i64) -> Wanted {
        Wanted { since_ms, until_ms, metrics: vec![] }
    }

    #[test]
    fn what_is_wanted_is_cut_into_windows_that_begin_on_the_step() {
        let cut = |since_ms, until_ms, each| {
            let wanted = wanted(since_ms, until_ms);
            let gathering = Gathering::new("csv", &wanted, Bounds { questions: 6, ..Bounds::default() });
            gathering.windows((100, 10), each).ok()
        };
        assert_eq!(cut(15, 230, 1), Some(vec![(10, 110), (110, 210), (210, 230)]));
        assert_eq!(cut(10, 110, 1), Some(vec![(10, 110)]));
        assert_eq!(cut(-500, 20, 1), Some(vec![(0, 20)]));
        for (since_ms, until_ms) in [(20, 20), (30, 20), (i64::MAX, i64::MAX), (i64::MIN, i64::MIN), (-9, -5)] {
            assert_eq!(cut(since_ms, until_ms, 1), Some(vec![]), "{since_ms}..{until_ms}");
        }
        assert_eq!(cut(15, 230, 2).map(|windows| windows.len()), Some(3));
        assert_eq!((cut(15, 230, 3), cut(i64::MIN, i64::MAX, 1)), (None, None), "too many questions");
    }

    #[test]
    fn what_is_told_is_ordered_within_bounds_once_and_finite() {
        let wanted = wanted(10, 30);
        let mut gathering = Gathering::new("csv", &wanted, Bounds::default());
        let rows = [("b", 20, 1.0), ("a", 20, 2.0), ("b", 30, 3.0), ("a", 10, f64::NAN), ("b", 20, 4.0), ("", 10, 5.0)];
        for (host, at_ms, value) in rows {
            gathering.take((host, "cpu"), at_ms, value).expect("few");
        }
        let reading = |host: &str, value| Reading { host: host.to_owned(), metric: "cpu".to_owned(), at_ms: 20, value };
        let refused = vec!["cpu of a at 10: NaN".to_owned(), "cpu of  at 10: a name that cannot be kept".to_owned()];
        let expected = Told { readings: vec![reading("a", 2.0), reading("b", 4.0)], refused, refused_rows: 2 };
        assert_eq!(gathering.told(), expected);
    }

    #[test]
    fn there_is_an_end_to_readings_questions_and_reasons() {
        let (wanted, bounds) = (wanted(0, 9), Bounds { readings: 1, questions: 1, ..Bounds::default() });
        let mut gathering = Gathering::new("csv", &wanted, bounds);
        gathering.take(("a", "cpu"), 1, 1.0).expect("one");
        gathering.take(("a", "cpu"), 2, 1.0).expect_err("two");
        gathering.question().expect("one");
        gathering.question().expect_err("two");
        for _ in 0..500 {
            gathering.refuse(|| "no".to_owned());
        }
        let told = gathering.told();
        assert_eq!((told.refused.len(), told.refused_rows), (100, 500));
    }
}
