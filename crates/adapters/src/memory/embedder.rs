//! What makes vectors of texts. Vectors of two kinds have nothing to do with each other: the kind is stored with them, and a memory
//! of another kind is refused with the way to mend it.

use std::fmt;

use async_trait::async_trait;
use sre_space_ports::memory::MemoryError;

use super::embed::{DIMENSION, NAME, embed};

/// Which embedder, and how long its vectors are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Its name; another version of an embedder is another name.
    pub name: String,
    /// Numbers in a vector.
    pub dimension: usize,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.dimension)
    }
}

impl Kind {
    /// Whether stored vectors are of this kind.
    ///
    /// # Errors
    /// [`MemoryError::OtherKind`] names both.
    pub fn must_be(&self, stored: &str) -> Result<(), MemoryError> {
        let ours = self.to_string();
        let same = stored == ours;
        if same { Ok(()) } else { Err(MemoryError::OtherKind { theirs: stored.to_owned(), ours }) }
    }
}

/// Makes unit vectors of texts.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Its kind.
    fn kind(&self) -> &Kind;
    /// One unit vector a text, in order; the zero vector for a text without words.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError>;
    /// The same at once, where it costs next to nothing: such vectors need not be kept.
    fn at_once(&self, _text: &str) -> Option<Vec<f32>> {
        None
    }
}

/// The vector of one text.
pub(super) async fn one(embedder: &dyn Embedder, text: &str) -> Result<Vec<f32>, MemoryError> {
    if let Some(vector) = embedder.at_once(text) {
        return Ok(vector);
    }
    let vectors = embedder.embed(&[text.to_owned()]).await?;
    vectors.into_iter().next().ok_or_else(|| MemoryError::Refused("the embedder made no vector".into()))
}

/// The built-in embedder.
pub struct Lexical(Kind);

impl Default for Lexical {
    fn default() -> Self {
        Self(Kind { name: NAME.to_owned(), dimension: DIMENSION })
    }
}

#[async_trait]
impl Embedder for Lexical {
    fn kind(&self) -> &Kind {
        &self.0
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        Ok(texts.iter().map(|text| embed(text)).collect())
    }

    fn at_once(&self, text: &str) -> Option<Vec<f32>> {
        Some(embed(text))
    }
}

/// Makes a vector one long; `None` when it holds what is no number.
pub(super) fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if !length.is_finite() {
        return None;
    }
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kind_is_a_name_and_a_length() {
        let lexical = Lexical::default();
        let kind = lexical.kind().to_string();
        assert_eq!(kind, format!("{NAME}/{DIMENSION}"));
        assert!(lexical.kind().must_be(&kind).is_ok());
        let refused = lexical.kind().must_be("other/3").expect_err("another kind").to_string();
        assert!(refused.contains("other/3") && refused.contains("sre-space memory reembed"), "{refused}");
        let vector = one(&lexical, "pool exhausted").await.expect("a vector");
        assert_eq!(lexical.embed(&["pool exhausted".to_owned()]).await.expect("vectors"), [vector]);
    }

    #[test]
    fn what_is_no_number_is_no_vector() {
        assert_eq!(unit(vec![3.0, 4.0]), Some(vec![0.6, 0.8]));
        assert_eq!(unit(vec![0.0, 0.0]), Some(vec![0.0, 0.0]));
        assert_eq!(unit(vec![f32::NAN, 1.0]), None);
        assert_eq!(unit(vec![f32::INFINITY, 1.0]), None);
        assert_eq!(unit(vec![f32::MAX, f32::MAX]), None);
    }
}
