//! What is read of somebody else's HTTP answer: never more than a bound, and when it wants to be asked again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// A body, as far as it was read.
pub(crate) struct Body {
    /// At most the bound.
    pub bytes: Vec<u8>,
    /// Nothing was left unread.
    pub is_whole: bool,
}

/// Reads a body up to so many bytes; the rest stays where it is.
pub(crate) async fn body(mut response: Response, most: usize) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - bytes.len();
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if chunk.len() > room {
            return Ok(Body { bytes, is_whole: false });
        }
    }
    Ok(Body { bytes, is_whole: true })
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = said.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(said).ok()?;
    Some(Duration::from_secs(u64::try_from(at.duration_since(now).as_secs()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = Timestamp::from_second(784_111_770).expect("in range");
        let said = |text: &str| {
            let headers = [(RETRY_AFTER, text.parse().expect("a header"))];
            retry_after(&headers.into_iter().collect(), now).map(|wait| wait.as_secs())
        };
        assert_eq!(said("7"), Some(7));
        assert_eq!(said("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(said("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0), "it has passed");
        assert_eq!(said("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_bound() {
        sre_space_tls::install();
        for (most, whole) in [(3, false), (4, true), (5, true)] {
            let response = Response::from(http::Response::new("four"));
            let read = body(response, most).await.expect("read");
            assert_eq!((read.bytes.len(), read.is_whole), (most.min(4), whole));
        }
    }
}
