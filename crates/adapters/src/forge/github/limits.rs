//! What GitHub says about being asked too often, and how our own writing is spaced.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant;

/// A limit that names no time is over after this, as GitHub's documentation asks.
const UNNAMED: Duration = Duration::from_secs(60);
/// No answer makes us wait longer than this; a primary limit is an hour's.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long to leave GitHub alone; `None` when the answer is not about a limit.
pub(super) fn wait(
    status: StatusCode,
    headers: &HeaderMap,
    words: impl FnOnce() -> String,
    now: Timestamp,
) -> Option<Duration> {
    let may_be = status == StatusCode::FORBIDDEN || status == StatusCode::TOO_MANY_REQUESTS;
    if !may_be {
        return None;
    }
    let is_spent = number(headers, "x-ratelimit-remaining") == Some(0);
    let reset = is_spent.then(|| number(headers, "x-ratelimit-reset")).flatten();
    let until = reset.map(|at| seconds(at.saturating_sub(now.as_second()).saturating_add(1)));
    let is_limit = is_spent || status == StatusCode::TOO_MANY_REQUESTS || words().contains("rate limit");
    named(headers).or(until).or(is_limit.then_some(UNNAMED)).map(within_bounds)
}

/// How long a server that is broken asks to be left alone; it does not know for longer than a minute.
pub(super) fn told(headers: &HeaderMap) -> Option<Duration> {
    named(headers).map(|wait| within_bounds(wait).min(UNNAMED))
}

fn named(headers: &HeaderMap) -> Option<Duration> {
    number(headers, "retry-after").map(seconds)
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn within_bounds(wait: Duration) -> Duration {
    wait.clamp(Duration::from_secs(1), LONGEST)
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or_default())
}

/// The pace of what creates content.
pub(super) struct Pace {
    spacing: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(spacing: Duration) -> Self {
        Self { spacing, next: Mutex::new(None) }
    }

    /// Waits for our turn.
    pub(super) async fn turn(&self) {
        tokio::time::sleep_until(self.take()).await;
    }

    fn take(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.spacing);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn a_limit_is_told_from_a_refusal() {
        let now = Timestamp::from_second(1_000).expect("in range");
        let (forbidden, many) = (StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS);
        let told = |status, pairs: &[_], body: &str| {
            wait(status, &headers(pairs), || str::to_lowercase(body), now).map(|wait| wait.as_secs())
        };
        assert_eq!(told(forbidden, &[("retry-after", "7")], ""), Some(7));
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1029")];
        assert_eq!(told(forbidden, &spent, ""), Some(30));
        assert_eq!(told(many, &spent, ""), Some(30));
        assert_eq!(told(many, &[], ""), Some(60));
        assert_eq!(told(forbidden, &[], "You have exceeded a secondary rate limit"), Some(60));
        assert_eq!(told(forbidden, &[("retry-after", "999999999")], ""), Some(3600));
        assert_eq!(told(forbidden, &[("retry-after", "-5")], ""), Some(1));
        assert_eq!(told(forbidden, &[("x-ratelimit-remaining", "12")], "Resource not accessible"), None);
        assert_eq!(told(StatusCode::NOT_FOUND, &[("retry-after", "7")], ""), None);
    }

    #[tokio::test(start_paused = true)]
    async fn writes_are_spaced() {
        let (pace, began) = (Pace::new(Duration::from_secs(1)), Instant::now());
        for _ in 0..4 {
            pace.turn().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }
}
