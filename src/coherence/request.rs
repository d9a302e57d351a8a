//! The id of a request: the one it came with when that is sane, else one of our own.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ulid::Ulid;

/// The header it comes in and goes out with.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id.
const LONGEST: usize = 64;

/// Letters, digits, `-`, `_` and `.`, at most 64 of them: fit for a header, a log line and a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id that a request came with, or a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|id| id.to_str().ok()).filter(|id| is_sane(id));
        Self(given.map_or_else(|| Ulid::generate().to_string(), str::to_owned))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, to be sent back.
    pub fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn is_sane(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_when_it_is_sane_and_made_otherwise() {
        let of = |id: &'static str| RequestId::of(&[(HEADER, HeaderValue::from_static(id))].into_iter().collect());
        assert_eq!(of("3f2a-b_C.9").as_str(), "3f2a-b_C.9");
        let longest: &'static str = "0123456789012345678901234567890123456789012345678901234567890123";
        assert_eq!(of(longest).as_str(), longest);
        for insane in
            ["", "a b", "\"},{\"", "a,b", "=1+1", "01234567890123456789012345678901234567890123456789012345678901234"]
        {
            let made = of(insane);
            assert!(made.as_str() != insane && is_sane(made.as_str()), "{insane:?}: {made:?}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
