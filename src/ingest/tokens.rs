//! Who may send telemetry. A source is the name of an ingest token.

use std::collections::BTreeMap;

use sre_space_domain::secret::Secret;

/// Ingest tokens by the name of their source.
#[derive(Default)]
pub struct IngestTokens {
    tokens: BTreeMap<String, Secret>,
}

impl IngestTokens {
    /// Tokens by name; none at all lets everybody send, as one nameless source.
    pub fn new(tokens: BTreeMap<String, Secret>) -> Self {
        Self { tokens }
    }

    /// The source an `Authorization` header belongs to; `None` when it belongs to nobody.
    pub fn source(&self, authorization: Option<&str>) -> Option<String> {
        if self.tokens.is_empty() {
            return Some(String::new());
        }
        let (scheme, sent) = authorization?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut found = None;
        for (name, token) in &self.tokens {
            // Every token is compared, each in time that does not depend on where it differs.
            if same(token.bare().as_bytes(), sent.as_bytes()) {
                found = Some(name.clone());
            }
        }
        found
    }
}

/// Equality in time that depends on lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    // The black box keeps the compiler from leaving the loop at the first difference.
    let difference = |so_far, (x, y): (&u8, &u8)| std::hint::black_box(so_far | (x ^ y));
    a.len() == b.len() && a.iter().zip(b).fold(0, difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_source() {
        let tokens = [("shop", "s3cret"), ("rating", "0ther")].map(|(name, token)| (name.into(), Secret::new(token)));
        let tokens = IngestTokens::new(tokens.into());
        let source = |header| tokens.source(header);
        assert_eq!(source(Some("Bearer s3cret")).as_deref(), Some("shop"));
        assert_eq!(source(Some("bEARER 0ther")).as_deref(), Some("rating"));
        for nobody in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("s3cret"), Some("Basic s3cret")] {
            assert_eq!(source(nobody), None, "{nobody:?}");
        }
        for close in ["Bearer s3cre", "Bearer s3crets", "Bearer S3cret", "Bearer  s3cret", "Bearer s3cret "] {
            assert_eq!(source(Some(close)), None, "{close:?}");
        }
    }

    #[test]
    fn without_tokens_everybody_is_one_nameless_source() {
        assert_eq!(IngestTokens::default().source(None).as_deref(), Some(""));
        assert_eq!(IngestTokens::default().source(Some("Bearer any")).as_deref(), Some(""));
    }

    #[test]
    fn sameness_is_equality() {
        for (a, b) in [("", ""), ("a", ""), ("abc", "abc"), ("abc", "abd"), ("abc", "xbc"), ("ab", "abc")] {
            assert_eq!(same(a.as_bytes(), b.as_bytes()), a == b, "{a:?} {b:?}");
        }
    }
}
