//! What every source of metrics must do, and what one that is asked over a network must do besides.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::time::Duration;

use async_trait::async_trait;

use crate::source::{Reading, Source, SourceError, Told, Wanted};

/// When the rows of this contract begin, Unix ms; a multiple of five minutes.
pub const BEGAN_MS: i64 = 1_700_000_100_000;
/// Time between two rows, ms: a minute, which every source can tell.
pub const STEP_MS: i64 = 60_000;
/// How long any reading may take on a bench, whose source has little patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// A source, and a hand on what stands behind it.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The source.
    fn source(&self) -> &dyn Source;
    /// A metric by the source's own name, one value a minute.
    fn metric(&self) -> &str;
    /// Puts rows of that metric there in this order, in place of all that was there.
    async fn hold(&self, rows: &[Reading]);
    /// Whether it can hold a value that is no number, and has to refuse it then.
    fn holds_what_is_no_number(&self) -> bool;
}

/// What becomes of the next answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 500.
    Broken,
    /// It is busy and wants to be left alone for a minute.
    Busy,
    /// What it says to a key that may not.
    NoRight,
    /// A refusal that repeats what it was sent, keys included.
    Echo,
    /// 200, and no JSON.
    Garbage,
    /// 200, and JSON of something else.
    Stranger,
    /// 200, and more than anybody should read.
    Long,
    /// No answer.
    Silent,
    /// A redirect.
    Elsewhere,
}

/// A question as it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Path, without what was asked.
    pub path: String,
    /// What a POST does, in its protocol's own word; empty for a GET.
    pub operation: String,
}

/// A source that is asked over a network, on a stand-in.
pub trait Remote: Bench {
    /// Lets this become of so many answers.
    fn fail(&self, fault: Fault, times: usize);
    /// Every question that came.
    fn asked(&self) -> Vec<Asked>;
    /// The only questions there may be.
    fn reads(&self) -> Vec<Asked>;
    /// What nobody may be shown.
    fn secrets(&self) -> Vec<String>;
    /// Questions of one reading at most.
    fn most_questions(&self) -> usize;
}

/// A row of a bench's metric, so many steps after the beginning.
pub fn row(bench: &dyn Bench, host: &str, step: i64, value: f64) -> Reading {
    Reading { host: host.to_owned(), metric: bench.metric().to_owned(), at_ms: BEGAN_MS + step * STEP_MS, value }
}

fn wanted(bench: &dyn Bench, since_ms: i64, until_ms: i64) -> Wanted {
    Wanted { since_ms, until_ms, metrics: vec![bench.metric().to_owned()] }
}

/// What is wanted of the steps from one on up to another.
pub fn steps(bench: &dyn Bench, from: i64, until: i64) -> Wanted {
    wanted(bench, BEGAN_MS + from * STEP_MS, BEGAN_MS + until * STEP_MS)
}

async fn read(bench: &dyn Bench, wanted: &Wanted) -> Result<Told, SourceError> {
    tokio::time::timeout(PATIENCE, bench.source().read(wanted)).await.expect("an end")
}

async fn told(bench: &dyn Bench, from: i64, until: i64) -> Told {
    read(bench, &steps(bench, from, until)).await.expect("told")
}

/// What is told is ordered by time, then host; the beginning of the time is within it, and its end is not.
pub async fn tells_in_order_and_within_bounds(bench: &dyn Bench) {
    let row = |host, step, value| row(bench, host, step, value);
    let rows = [
        row("web-2", 3, 8.0),
        row("web-1", 3, 7.0),
        row("web-2", 1, 4.0),
        row("web-1", 0, 1.0),
        row("web-1", -1, 0.5),
        row("web-2", 0, 2.0),
        row("web-1", 2, 5.0),
        row("web-1", 1, 3.0),
        row("web-2", 2, 6.0),
    ];
    bench.hold(&rows).await;
    let readings = vec![
        row("web-1", 0, 1.0),
        row("web-2", 0, 2.0),
        row("web-1", 1, 3.0),
        row("web-2", 1, 4.0),
        row("web-1", 2, 5.0),
        row("web-2", 2, 6.0),
    ];
    assert_eq!(told(bench, 0, 3).await, Told { readings, ..Told::default() });
}

/// A moment that was told twice is told once, as it was told last.
pub async fn tells_a_moment_once(bench: &dyn Bench) {
    let rows = [row(bench, "web-1", 0, 1.0), row(bench, "web-1", 1, 2.0), row(bench, "web-1", 0, 3.0)];
    bench.hold(&rows).await;
    let readings = vec![row(bench, "web-1", 0, 3.0), row(bench, "web-1", 1, 2.0)];
    assert_eq!(told(bench, 0, 2).await, Told { readings, ..Told::default() });
}

/// Two halves of a time hold what the whole does, each row once; and what is asked for twice is told twice.
pub async fn halves_are_the_whole(bench: &dyn Bench) {
    let rows: Vec<Reading> = (0..10).map(|step| row(bench, "web-1", step, step as f64 / 8.0)).collect();
    bench.hold(&rows).await;
    let whole = told(bench, 0, 10).await;
    assert_eq!(whole.readings, rows);
    assert_eq!(told(bench, 0, 10).await, whole);
    let mut halves = told(bench, 0, 5).await.readings;
    halves.extend(told(bench, 5, 10).await.readings);
    assert_eq!(halves, whole.readings);
}

/// That nothing was measured is no error; nor is a time without length.
pub async fn nothing_measured_is_no_error(bench: &dyn Bench) {
    bench.hold(&[]).await;
    assert_eq!(told(bench, 0, 3).await, Told::default());
    bench.hold(&[row(bench, "web-1", 0, 1.0)]).await;
    for (from, until) in [(1, 3), (0, 0), (3, 0)] {
        assert_eq!(told(bench, from, until).await, Told::default(), "{from}..{until}");
    }
}

/// A value that is no number is not told; where it was there it is counted, with its reason.
pub async fn what_is_no_number_is_refused(bench: &dyn Bench) {
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let mut rows: Vec<Reading> = (0..).zip(bad).map(|(step, value)| row(bench, "web-1", step, value)).collect();
    rows.push(row(bench, "web-1", 3, 4.0));
    bench.hold(&rows).await;
    let told = told(bench, 0, 4).await;
    assert_eq!(told.readings, [row(bench, "web-1", 3, 4.0)]);
    let refused = if bench.holds_what_is_no_number() { bad.len() } else { 0 };
    assert_eq!((told.refused_rows, told.refused.len()), (refused, refused), "{:?}", told.refused);
}

/// A metric that has no such name there is refused or not there; it never becomes another question.
pub async fn a_strange_metric_is_no_other_question(bench: &dyn Bench) {
    bench.hold(&[row(bench, "web-1", 0, 1.0)]).await;
    let metrics = ["", "x} or {", "'; SELECT * FROM Log", "a\r\nb", "` FROM Log", "\u{0}"];
    for metric in metrics {
        let wanted = Wanted { metrics: vec![metric.to_owned()], ..steps(bench, 0, 3) };
        let told = read(bench, &wanted).await;
        let is_nothing = match &told {
            Ok(told) => told.readings.is_empty(),
            Err(error) => !error.is_transient(),
        };
        assert!(is_nothing, "{metric:?}: {told:?}");
    }
}

/// All of time is asked for: it ends, after few questions.
pub async fn all_of_time_has_an_end(bench: &dyn Bench) {
    bench.hold(&[row(bench, "web-1", 0, 1.0)]).await;
    match read(bench, &wanted(bench, i64::MIN, i64::MAX)).await {
        Ok(told) => assert_eq!(told.readings, [row(bench, "web-1", 0, 1.0)]),
        Err(error) => assert!(matches!(error, SourceError::Refused { .. }), "{error:?}"),
    }
}

async fn fault(bench: &dyn Remote, fault: Fault) -> SourceError {
    bench.fail(fault, 1);
    read(bench, &steps(bench, 0, 3)).await.expect_err("a fault")
}

/// What may pass is told from what will not.
pub async fn a_failure_may_pass_and_a_refusal_does_not(bench: &dyn Remote) {
    let row = row(bench, "web-1", 0, 1.0);
    bench.hold(std::slice::from_ref(&row)).await;
    for (given, expected) in [
        (Fault::Broken, "unreachable"),
        (Fault::Silent, "unreachable"),
        (Fault::NoRight, "refused"),
        (Fault::Elsewhere, "refused"),
        (Fault::Garbage, "unreadable"),
        (Fault::Stranger, "unreadable"),
        (Fault::Long, "unreadable"),
    ] {
        let error = fault(bench, given).await;
        let kind = match &error {
            SourceError::Unreachable { .. } => "unreachable",
            SourceError::Refused { .. } => "refused",
            SourceError::Unreadable { .. } => "unreadable",
        };
        assert_eq!((kind, error.is_transient()), (expected, expected == "unreachable"), "{given:?}: {error}");
        let readings = vec![row.clone()];
        assert_eq!(told(bench, 0, 3).await, Told { readings, ..Told::default() }, "after {given:?}");
    }
}

/// One that wants to be left alone is left alone.
pub async fn a_pause_is_kept(bench: &dyn Remote) {
    bench.hold(&[]).await;
    assert!(fault(bench, Fault::Busy).await.is_transient());
    let asked = bench.asked().len();
    let error = read(bench, &steps(bench, 0, 3)).await.expect_err("a pause");
    assert!(error.is_transient() && error.to_string().contains("left alone"), "{error}");
    assert_eq!(bench.asked().len(), asked, "not asked");
}

/// After five failures in a row it is left alone.
pub async fn a_breaker_opens(bench: &dyn Remote) {
    bench.hold(&[]).await;
    bench.fail(Fault::Broken, 9);
    for _ in 0..9 {
        assert!(read(bench, &steps(bench, 0, 3)).await.expect_err("a fault").is_transient());
    }
    assert_eq!(bench.asked().len(), 5);
}

/// However much there is to ask, there is a last question.
pub async fn questions_have_an_end(bench: &dyn Remote) {
    all_of_time_has_an_end(bench).await;
    let asked = bench.asked().len();
    assert!(asked <= bench.most_questions(), "{asked} questions");
}

/// Whatever is asked for, nothing but reads is sent.
pub async fn only_reads_are_sent(bench: &dyn Remote) {
    tells_in_order_and_within_bounds(bench).await;
    halves_are_the_whole(bench).await;
    a_strange_metric_is_no_other_question(bench).await;
    let usual = Wanted { metrics: vec![], ..steps(bench, 0, 3) };
    read(bench, &usual).await.expect("told");
    bench.source().look(BEGAN_MS).await.expect("a look");
    let (mut asked, reads) = (bench.asked(), bench.reads());
    asked.sort();
    asked.dedup();
    assert!(!asked.is_empty() && asked.iter().all(|one| reads.contains(one)), "{asked:#?}");
}

/// No error shows a key, not even where the other side repeats it.
pub async fn no_error_shows_a_secret(bench: &dyn Remote) {
    bench.hold(&[]).await;
    for given in [Fault::Echo, Fault::NoRight, Fault::Broken, Fault::Garbage] {
        let error = fault(bench, given).await;
        let shown = format!("{error} {error:?}");
        for secret in bench.secrets() {
            assert!(!shown.contains(&secret), "{given:?}: {shown}");
        }
    }
}
