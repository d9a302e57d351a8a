//! The built-in lexical embedder: feature hashing of words, word pairs and character trigrams (Weinberger et al., "Feature Hashing
//! for Large Scale Multitask Learning", 2009).
//!
//! Deterministic, no weights, microseconds. Its name is stored with the vectors: vectors of another embedder are refused.

use super::words::words;

/// Name and dimension, stored with the vectors.
pub const NAME: &str = "lexical-384-v2";
/// Dimension of the vectors.
pub const DIMENSION: usize = 384;

/// What a word, a trigram of it, and a pair of words weigh.
const WEIGHTS: (f32, f32, f32) = (1.0, 0.3, 0.7);

/// Embeds a text as a unit vector; an empty text gives the zero vector.
pub fn embed(text: &str) -> Vec<f32> {
    let words = words(text);
    let mut vector = vec![0.0_f32; DIMENSION];
    for word in &words {
        add(&mut vector, word.bytes(), WEIGHTS.0);
        let padded: Vec<char> = std::iter::once('^').chain(word.chars()).chain(['$']).collect();
        for three in padded.windows(3) {
            let mut bytes = [0; 12];
            let mut length = 0;
            for letter in three {
                length += letter.encode_utf8(&mut bytes[length..]).len();
            }
            add(&mut vector, bytes[..length].iter().copied(), WEIGHTS.1);
        }
    }
    for two in words.windows(2) {
        add(&mut vector, two[0].bytes().chain([b' ']).chain(two[1].bytes()), WEIGHTS.2);
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

/// FNV-1a chooses the slot and the sign; its low bits are mixed first, since similar texts differ least there.
fn add(vector: &mut [f32], feature: impl Iterator<Item = u8>, weight: f32) {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = feature.fold(0xcbf2_9ce4_8422_2325, fnv);
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let slot = (mixed >> 33) as usize % vector.len();
    vector[slot] += if mixed >> 32 & 1 == 0 { weight } else { -weight };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_texts_are_nearer_than_unlike_ones() {
        let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let asked = embed("pool exhausted in quote-engine, requests wait");
        let near = cosine(&asked, &embed("quote-engine: requests wait, the pool is exhausted"));
        let far = cosine(&asked, &embed("pricing rule fails since a new revision"));
        assert!(near > far + 0.2, "{near} {far}");
        assert!((cosine(&asked, &asked) - 1.0).abs() < 1e-5);
        assert_eq!(embed(""), vec![0.0; DIMENSION]);
    }
}
