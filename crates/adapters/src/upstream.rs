//! An upstream: somebody else's server, with the breaker in front of it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use sre_space_domain::breaker::{Breaker, Condition, Limits};
use thiserror::Error;
use tokio::time::Instant;
use tracing::warn;

/// Why a call brought nothing.
#[derive(Debug, Error)]
pub enum CallError<E> {
    /// Nobody was asked: it failed too often lately, or wants to be left alone.
    #[error("{name} is left alone for {} s more: {why}", wait.as_secs().max(1))]
    Open {
        /// The upstream.
        name: &'static str,
        /// When it is worth asking again.
        wait: Duration,
        /// Its last failure.
        why: String,
    },
    /// It was asked, and this came of it.
    #[error(transparent)]
    Failed(E),
}

/// What is known of an upstream without asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: &'static str,
    /// What its breaker lets through.
    pub state: Condition,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure, in one sentence; `None` while all is well.
    pub trouble: Option<String>,
}

struct Line {
    breaker: Breaker,
    why: String,
}

/// One upstream; shared by everybody who calls it.
pub struct Upstream {
    name: &'static str,
    began: Instant,
    line: Mutex<Line>,
}

impl Upstream {
    /// One with the usual limits: five failures in a row open it for 30 s.
    pub fn new(name: &'static str) -> Arc<Self> {
        Self::with(name, Limits::default())
    }

    /// One with limits of its own.
    pub fn with(name: &'static str, limits: Limits) -> Arc<Self> {
        let line = Mutex::new(Line { breaker: Breaker::new(limits), why: String::new() });
        Arc::new(Self { name, began: Instant::now(), line })
    }

    /// Calls it unless its breaker is open. `is_fault` tells failures of the upstream from answers that only say no. A call
    /// that is dropped before it ended counts as failed.
    pub async fn call<T, E: std::fmt::Display>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        is_fault: impl FnOnce(&E) -> bool,
    ) -> Result<T, CallError<E>> {
        self.admit().map_err(|(wait, why)| CallError::Open { name: self.name, wait, why })?;
        let mut out = Out { upstream: self, why: Some("it did not answer in time".to_owned()) };
        let done = work.await;
        out.why = done.as_ref().err().filter(|error| is_fault(error)).map(ToString::to_string);
        drop(out);
        done.map_err(CallError::Failed)
    }

    /// Leaves it alone for so long, at its own wish.
    pub fn pause(&self, wait: Duration, why: &str) {
        warn!(upstream = self.name, ?wait, why, "an upstream wants to be left alone");
        let now_ms = self.now_ms();
        let mut line = self.line();
        line.breaker.pause(now_ms, i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        line.why = why.to_owned();
    }

    /// How long it is left alone from now; `None` when it may be asked.
    pub fn rest(&self) -> Option<Duration> {
        let left_ms = self.line().breaker.rest(self.now_ms());
        left_ms.map(|left_ms| Duration::from_millis(left_ms.unsigned_abs()))
    }

    /// What is known of it.
    pub fn status(&self) -> UpstreamStatus {
        let now_ms = self.now_ms();
        let line = self.line();
        let state = line.breaker.condition(now_ms);
        let failures = line.breaker.failures();
        let is_well = failures == 0 && state == Condition::Closed;
        UpstreamStatus { name: self.name, state, failures, trouble: (!is_well).then(|| line.why.clone()) }
    }

    fn admit(&self) -> Result<(), (Duration, String)> {
        let now_ms = self.now_ms();
        let mut line = self.line();
        let refused = line.breaker.admit(now_ms).err();
        refused.map_or(Ok(()), |wait| Err((Duration::from_millis(wait.unsigned_abs()), line.why.clone())))
    }

    fn ended(&self, why: Option<String>) {
        let now_ms = self.now_ms();
        let mut line = self.line();
        let before = line.breaker.condition(now_ms);
        match why {
            Some(why) => {
                line.breaker.failed(now_ms);
                line.why = why;
            }
            None => line.breaker.succeeded(),
        }
        if line.breaker.condition(now_ms) == Condition::Open && before != Condition::Open {
            warn!(upstream = self.name, why = line.why, "an upstream fails; it is left alone for a while");
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A call that is out.
struct Out<'a> {
    upstream: &'a Upstream,
    why: Option<String>,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.upstream.ended(self.why.take());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    async fn ask(upstream: &Upstream, answer: Result<u8, &'static str>) -> Result<u8, CallError<&'static str>> {
        upstream.call(async { answer }, |error| *error != "no").await
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_tries_once_and_closes() {
        let upstream = Upstream::new("github");
        for _ in 0..5 {
            assert!(matches!(ask(&upstream, Err("down")).await, Err(CallError::Failed("down"))));
        }
        assert_eq!((upstream.status().state, upstream.rest()), (Condition::Open, Some(Duration::from_secs(30))));
        let refused = ask(&upstream, Ok(1)).await.expect_err("open");
        assert_eq!(refused.to_string(), "github is left alone for 30 s more: down");
        advance(Duration::from_secs(31)).await;
        assert_eq!((upstream.status().state, upstream.rest()), (Condition::HalfOpen, None));
        assert!(matches!(ask(&upstream, Ok(1)).await, Ok(1)));
        let well = UpstreamStatus { name: "github", state: Condition::Closed, failures: 0, trouble: None };
        assert_eq!(upstream.status(), well);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_says_no_is_no_failure_and_a_call_that_is_given_up_is_one() {
        let upstream = Upstream::new("slack");
        for _ in 0..9 {
            assert!(matches!(ask(&upstream, Err("no")).await, Err(CallError::Failed("no"))));
        }
        assert_eq!(upstream.status().state, Condition::Closed);
        for _ in 0..5 {
            let never = upstream.call(std::future::pending::<Result<(), &str>>(), |_| true);
            timeout(Duration::from_secs(1), never).await.expect_err("given up");
        }
        assert_eq!(upstream.status().state, Condition::Open);
    }
}
