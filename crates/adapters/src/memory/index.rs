//! What a memory is asked with: texts by their words and by their vectors at once.
//!
//! Both see what the other does not: words tell rare names, vectors tell likeness. The two are joined as the mean of two numbers
//! on one scale (a convex combination; Bruch et al., "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).

use super::bm25::Bm25;
use super::scan::Scan;
use super::words::words;

/// Candidates whose vectors are compared exactly.
const RESCORED: usize = 32;

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

    /// The `k` nearest texts, best first, with their scores: 1 for the question itself. `exact` gives a text's vector again.
    pub fn nearest(
        &self,
        (text, vector): (&str, &[f32]),
        k: usize,
        exact: impl Fn(usize) -> Vec<f32>,
    ) -> Vec<(usize, f64)> {
        let shared = self.sparse.scores(&words(text));
        let cosines = self.dense.cosines(vector);
        let joined = |(sparse, dense): (&f64, f64)| (sparse + dense) / 2.0;
        let mut found: Vec<(usize, f64)> =
            shared.iter().zip(cosines.iter().map(|cosine| f64::from(*cosine))).map(joined).enumerate().collect();
        let most = RESCORED.max(k).min(found.len());
        if most < found.len() {
            found.select_nth_unstable_by(most, |a, b| b.1.total_cmp(&a.1));
            found.truncate(most);
        }
        for (index, score) in &mut found {
            *score = joined((&shared[*index], cosine(vector, &exact(*index))));
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(k);
        found
    }
}

/// Cosine of two unit vectors.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
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
        for (at, text) in texts.iter().enumerate() {
            let found = index.nearest((text, &embed(text)), 2, |index| embed(texts[index]));
            assert_eq!((found[0].0, found.len()), (at, 2));
            assert!((found[0].1 - 1.0).abs() < 1e-6, "{found:?}");
        }
        let asked = "the alertmanager cluster is down";
        assert_eq!(index.nearest((asked, &embed(asked)), 1, |index| embed(texts[index]))[0].0, 2);
        assert_eq!(Index::new(DIMENSION).nearest((asked, &embed(asked)), 3, |_| Vec::new()), []);
    }
}
