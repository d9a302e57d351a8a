//! How fast the embedded memory answers among 100,000 lessons: `cargo bench -p sre-space-adapters --bench memory`.
//!
//! An exact look-up, the scan for what is near a shape of failure (CAG's margin), and a text that shares no word with any, so that every
//! vector is looked at. Exit code 1 when a bound is missed.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::time::Instant;

use sre_space_adapters::memory::embed::{DIMENSION, embed};
use sre_space_adapters::memory::index::{Candidate, best};
use sre_space_adapters::memory::shelf::Shelf;
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::Sha;
use sre_space_domain::knowledge::{Lesson, Origin, Signature};
use sre_space_domain::proposal::Remedy;

const MANY: usize = 100_000;
const ROUNDS: usize = 400;
/// What the issue wants, milliseconds.
const LOOKUP_MS: f64 = 1.0;
const SCAN_MS: f64 = 3.0;

fn lesson(number: usize) -> Lesson {
    let kinds = [FaultKind::PoolExhausted, FaultKind::SlowQuery, FaultKind::BadChange, FaultKind::DependencyTimeout];
    let signature = Signature {
        service: format!("service-{}", number % 997),
        operation: format!("GET /path/{}", number % 31),
        kind: kinds[number % kinds.len()],
        facts: vec!["fails-alone".into(), format!("waits-{}", number / 3_000), format!("region-{}", number % 7)],
    };
    let incident = serde_json::from_value(serde_json::json!(format!("inc_{number:026}"))).expect("an id");
    let remedy = Remedy::Revert { service: "shop".into(), commit: Sha("a".repeat(40)) };
    let (origin, at_ms) = (Origin::Unknown, i64::try_from(number).expect("a number"));
    Lesson { incident, signature, remedy, at_ms, postmortem: "it broke".into(), origin, seal: None }
}

fn main() {
    let mut shelf = Shelf::new(DIMENSION);
    for lesson in (0..MANY).map(lesson) {
        let vector = embed(&lesson.signature.words());
        shelf.add(lesson, &vector);
    }
    println!("{MANY} lessons, {DIMENSION} numbers a vector, {ROUNDS} rounds");
    let looked_up = times(&shelf, |round| {
        let asked = lesson(round * 249);
        let fingerprint = asked.signature.fingerprint();
        move |shelf: &Shelf| assert_eq!(shelf.lookup(&fingerprint)[0].signature, asked.signature)
    });
    let scanned = times(&shelf, |round| {
        let asked = lesson(round * 249);
        move |shelf: &Shelf| {
            let found = nearest(shelf, &asked.signature.words());
            assert_eq!(shelf.all()[found[0].at].signature, asked.signature);
        }
    });
    let in_vain = times(&shelf, |_| |shelf: &Shelf| assert_eq!(nearest(shelf, "nothing like it").len(), 10));
    let lookup = told("exact look-up", &looked_up, Some((99, LOOKUP_MS)));
    let scan = told("margin scan", &scanned, Some((99, SCAN_MS)));
    told("a text like nothing", &in_vain, None);
    std::process::exit(i32::from(!(lookup && scan)));
}

/// The ten nearest, as the memory finds them.
fn nearest(shelf: &Shelf, text: &str) -> Vec<Candidate> {
    let vector = embed(text);
    let exact = |found: Candidate| {
        let theirs = embed(&shelf.all()[found.at].signature.words());
        let cosine = theirs.iter().zip(&vector).map(|(x, y)| x * y).sum::<f32>();
        Candidate { cosine: f64::from(cosine), ..found }
    };
    best(shelf.candidates((text, &vector), 10).into_iter().map(exact).collect(), 10)
}

/// Milliseconds of each round, sorted.
fn times<Work: FnOnce(&Shelf)>(shelf: &Shelf, prepare: impl Fn(usize) -> Work) -> Vec<f64> {
    let timed = |work: Work| {
        let began = Instant::now();
        work(shelf);
        began.elapsed().as_secs_f64() * 1e3
    };
    let mut times: Vec<f64> = (0..ROUNDS).map(|round| timed(prepare(round))).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Prints the times; answers whether the bound on one of their percentiles is kept.
fn told(what: &str, times: &[f64], bound: Option<(usize, f64)>) -> bool {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let wanted = bound.map_or(String::new(), |(which, most)| format!("; wanted: p{which} at most {most} ms"));
    println!("{what:<20} p50 {:.3} ms, p90 {:.3} ms, p99 {:.3} ms{wanted}", at(50), at(90), at(99));
    bound.is_none_or(|(which, most)| at(which) <= most)
}
