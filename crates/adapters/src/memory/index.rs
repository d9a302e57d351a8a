//! What a memory is asked with: texts by their words and by their vectors at once.
//!
//! Both see what the other does not: words tell rare names, vectors tell likeness. The two are joined as the mean of two numbers
//! on one scale (a convex combination; Bruch et al., "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).

use super::bm25::Bm25;
use super::scan::Scan;
use super::words::words;

/// Candidates whose vectors are compared exactly.
pub(super) const RESCORED: usize = 32;

/// How far a score of bytes may be from that of exact vectors, twice.
const ROUNDING: f64 = 0.01;

/// A text that may be near a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The text, by the order in which it was added.
    pub at: usize,
    /// Share of the question's words that it has, weighed by how rare they are.
    pub shared: f64,
    /// Cosine of the vectors.
    pub cosine: f64,
}

impl Candidate {
    /// How near it is: 1 for the question itself.
    pub fn score(&self) -> f64 {
        f64::midpoint(self.shared, self.cosine)
    }
}

/// The `k` best, best first; of two that are as good, the older. Every memory ranks by this.
pub fn best(mut candidates: Vec<Candidate>, k: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score().total_cmp(&a.score()).then(a.at.cmp(&b.at)));
    candidates.truncate(k);
    candidates
}

/// Texts, by the order they were added.
#[derive(Debug)]
pub struct Index {
    sparse: Bm25,
    dense: Scan,
}

impl Index {
    /// Nothing yet, for vectors of this dimension.
    pub fn new(dimension: usize) -> Self {
        Self { sparse: Bm25::default(), dense: Scan::new(dimension) }
    }

    /// Adds the next text with its vector.
    pub fn add(&mut self, text: &str, vector: &[f32]) {
        self.sparse.add(&words(text));
        self.dense.add(vector);
    }

    /// What the `k` nearest are certainly among; their cosines are still those of bytes.
    ///
    /// The texts that share most words with the question set a mark; a text whose words and the best of cosines would not reach
    /// it is left out unseen. Where no words are shared, every vector is looked at.
    pub fn candidates(&self, (text, vector): (&str, &[f32]), k: usize) -> Vec<Candidate> {
        let shared = self.sparse.scores(&words(text));
        let asked = self.dense.question(vector);
        let seen =
            |at: usize, shared: f64| Some(Candidate { at, shared, cosine: f64::from(self.dense.cosine(at, &asked)?) });
        let mark = mark(&shared, k, &seen);
        let hopeful = |(at, shared): (usize, &f64)| {
            let found = (f64::midpoint(*shared, 1.0) >= mark).then(|| seen(at, *shared)).flatten()?;
            (found.score() >= mark).then_some(found)
        };
        let mut found: Vec<Candidate> = shared.iter().enumerate().filter_map(hopeful).collect();
        let most = RESCORED.max(k.saturating_mul(2));
        if most < found.len() {
            found.select_nth_unstable_by(most, |a, b| b.score().total_cmp(&a.score()));
            found.truncate(most);
        }
        found
    }

    /// The `k` nearest texts, best first. `exact` gives a text's vector again.
    pub fn nearest(&self, question: (&str, &[f32]), k: usize, exact: impl Fn(usize) -> Vec<f32>) -> Vec<Candidate> {
        let rescored = |found: Candidate| Candidate { cosine: cosine(question.1, &exact(found.at)), ..found };
        best(self.candidates(question, k).into_iter().map(rescored).collect(), k)
    }
}

/// A score that the `k` best certainly reach: what the `k`-th of those that share most words has, less the error of bytes.
fn mark(shared: &[f64], k: usize, seen: &dyn Fn(usize, f64) -> Option<Candidate>) -> f64 {
    let mut leading: Vec<(usize, f64)> =
        shared.iter().copied().enumerate().filter(|(_, shared)| *shared > 0.0).collect();
    let most = RESCORED.max(k.saturating_mul(2));
    if most < leading.len() {
        leading.select_nth_unstable_by(most, |a, b| b.1.total_cmp(&a.1));
        leading.truncate(most);
    }
    let mut scores: Vec<f64> =
        leading.into_iter().filter_map(|(at, shared)| seen(at, shared)).map(|found| found.score()).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    k.checked_sub(1).and_then(|last| scores.get(last)).map_or(f64::NEG_INFINITY, |score| score - ROUNDING)
}

/// Cosine of two unit vectors.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    f64::from(a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>())
}

#[cfg(test)]
mod tests {
    use super::super::embed::{DIMENSION, embed};
    use super::*;

    #[test]
    fn the_text_itself_comes_first_with_one() {
        let texts = ["pool exhausted in quote-engine", "disk full on db", "AlertmanagerClusterDown", "pool of boats"];
        let mut index = Index::new(DIMENSION);
        texts.iter().for_each(|text| index.add(text, &embed(text)));
        let ask = |text: &str, k| index.nearest((text, &embed(text)), k, |index| embed(texts[index]));
        for (at, text) in texts.iter().enumerate() {
            let found = ask(text, 2);
            assert_eq!((found[0].at, found.len()), (at, 2));
            assert!((found[0].score() - 1.0).abs() < 1e-6, "{found:?}");
        }
        assert_eq!(ask("the alertmanager cluster is down", 1)[0].at, 2);
        assert_eq!(Index::new(DIMENSION).nearest(("x", &embed("x")), 3, |_| Vec::new()), []);
    }

    #[test]
    fn bytes_find_what_exact_vectors_find() {
        let text = |number: usize| {
            let (service, fault) = (number * 31 % 97, number * 7 % 13);
            format!("service-{service} waits-{fault} region {} GET /path/{}", number % 5, number * 17 % 211)
        };
        let mut index = Index::new(DIMENSION);
        (0..2_000).for_each(|number| index.add(&text(number), &embed(&text(number))));
        let (mut found, mut wanted) = (0, 0);
        for asked in (0..2_000).step_by(40).map(text) {
            let vector = embed(&asked);
            let shared = index.sparse.scores(&words(&asked));
            let exactly = |at: usize| cosine(&vector, &embed(&text(at)));
            let all =
                shared.iter().enumerate().map(|(at, shared)| Candidate { at, shared: *shared, cosine: exactly(at) });
            let exact = best(all.collect(), 10);
            let ours = index.nearest((&asked, &vector), 10, |at| embed(&text(at)));
            wanted += exact.len();
            found += exact.iter().filter(|one| ours.iter().any(|ours| ours.at == one.at)).count();
        }
        assert!(found * 100 >= wanted * 99, "recall@10: {found} of {wanted}");
    }
}
