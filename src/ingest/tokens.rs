//! Who may send telemetry. A source is the name of an ingest token.

use std::collections::BTreeMap;

/// Ingest tokens by the name of their source.
#[derive(Default)]
pub struct IngestTokens {
    tokens: BTreeMap<String, String>,
}

impl IngestTokens {
    /// Tokens by name; none at all lets everybody send, as one nameless source.
    pub fn new(tokens: BTreeMap<String, String>) -> Self {
        Self { tokens }
    }

    /// The source an `Authorization` header belongs to; `None` when it belongs to nobody.
    pub fn source(&self, authorization: Option<&str>) -> Option<String> {
        if self.tokens.is_empty() {
            return Some(String::new());
        }
        let sent = authorization?.strip_prefix("Bearer ").or_else(|| authorization?.strip_prefix("bearer "))?;
        let mut found = None;
        for (name, token) in &self.tokens {
            // Every token is compared, each in time that does not depend on where it differs.
            if same(token.as_bytes(), sent.as_bytes()) {
                found = Some(name.clone());
            }
        }
        found
    }
}

/// Equality in time that depends on lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
