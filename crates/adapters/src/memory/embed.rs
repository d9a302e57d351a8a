//! The built-in lexical embedder: feature hashing of words, word pairs and character trigrams (Weinberger et al. 2009).
//!
//! Deterministic, no weights, microseconds. Its name is stored with the vectors: vectors of another embedder are refused.

use sre_space_domain::ids::Digest;

/// Name and dimension, stored with the vectors.
pub const NAME: &str = "lexical-384-v1";
/// Dimension of the vectors.
pub const DIMENSION: usize = 384;

/// Embeds a text as a unit vector; an empty text gives the zero vector.
pub fn embed(text: &str) -> Vec<f32> {
    let words: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let mut vector = vec![0.0_f32; DIMENSION];
    for word in &words {
        add(&mut vector, word, 1.0);
        let padded: Vec<char> = format!("^{word}$").chars().collect();
        padded.windows(3).for_each(|three| add(&mut vector, &three.iter().collect::<String>(), 0.3));
    }
    words.windows(2).for_each(|two| add(&mut vector, &two.join(" "), 0.7));
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let digest = Digest::of([feature.as_bytes()]);
    let bits = digest.as_str().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or_default();
    let sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
    if let Some(slot) = vector.get_mut((bits >> 1) as usize % DIMENSION) {
        *slot += sign * weight;
    }
}

/// Cosine of two unit vectors.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    f64::from(a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_texts_are_nearer_than_unlike_ones() {
        let asked = embed("pool exhausted in quote-engine, requests wait");
        let near = cosine(&asked, &embed("quote-engine: requests wait, the pool is exhausted"));
        let far = cosine(&asked, &embed("pricing rule fails since a new revision"));
        assert!(near > far + 0.2, "{near} {far}");
        assert!((cosine(&asked, &asked) - 1.0).abs() < 1e-5);
    }
}
