//! Sparse retrieval: Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009), with the usual
//! constants and the inverse document frequency that is never negative.

use std::collections::HashMap;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// Among so many texts, a word that more than half of them hold tells nothing worth the time.
const MANY: usize = 10_000;

/// Which word is in which text how often.
#[derive(Debug, Default)]
pub struct Bm25 {
    /// Texts by word: index and count.
    postings: HashMap<String, Vec<(u32, u32)>>,
    /// Words of each text.
    lengths: Vec<u32>,
    all: u64,
}

impl Bm25 {
    /// Adds the next text.
    pub fn add(&mut self, words: &[String]) {
        let index = u32::try_from(self.lengths.len()).unwrap_or(u32::MAX);
        for (word, count) in counted(words) {
            self.postings.entry(word.to_owned()).or_default().push((index, count));
        }
        self.lengths.push(u32::try_from(words.len()).unwrap_or(u32::MAX));
        self.all += words.len() as u64;
    }

    /// Scores of all texts for a question, each as its share of what the question scores on itself: 1 for a text that is the
    /// question, 0 for one that shares no word with it.
    pub fn scores(&self, question: &[String]) -> Vec<f64> {
        let mut scores = vec![0.0; self.lengths.len()];
        let asked = counted(question);
        let mut itself = 0.0;
        for (word, count) in asked {
            let found = self.postings.get(word).map(Vec::as_slice).unwrap_or_default();
            if self.lengths.len() >= MANY && found.len() * 2 > self.lengths.len() {
                continue;
            }
            let rarity = self.rarity(found.len());
            itself += rarity * self.saturation(count, question.len() as f64);
            for (index, times) in found {
                let length = f64::from(self.lengths[*index as usize]);
                scores[*index as usize] += rarity * self.saturation(*times, length);
            }
        }
        if itself > 0.0 {
            scores.iter_mut().for_each(|score| *score = (*score / itself).min(1.0));
        }
        scores
    }

    fn rarity(&self, texts: usize) -> f64 {
        let (all, with) = (self.lengths.len() as f64, texts as f64);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }

    fn saturation(&self, count: u32, length: f64) -> f64 {
        let usual = (self.all as f64 / self.lengths.len().max(1) as f64).max(1.0);
        let count = f64::from(count);
        count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / usual))
    }
}

fn counted(words: &[String]) -> HashMap<&str, u32> {
    let mut counts = HashMap::new();
    words.iter().for_each(|word| *counts.entry(word.as_str()).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;

    #[test]
    fn rare_words_say_more_and_the_question_itself_scores_one() {
        let mut index = Bm25::default();
        for text in ["the pool is exhausted", "the disk is full", "the pool is small", "the pool is the pool"] {
            index.add(&words(text));
        }
        let scores = index.scores(&words("pool exhausted"));
        assert!(scores[0] > scores[2] && scores[2] > scores[1], "{scores:?}");
        assert_eq!(scores[1], 0.0);
        let same = index.scores(&words("the disk is full"));
        assert!((same[1] - 1.0).abs() < 1e-9, "{same:?}");
        assert_eq!(Bm25::default().scores(&words("anything")), Vec::<f64>::new());
    }
}
