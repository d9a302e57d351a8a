//! The circuit breaker in front of an upstream: after enough failures in a row nobody calls it for a while, then one call
//! tries whether it is back (Nygard, *Release It!*, "Circuit Breaker").

use serde::Serialize;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one call may try, milliseconds.
    pub rest_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { failures: 5, rest_ms: 30_000 }
    }
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One call, which tries whether the upstream is back.
    HalfOpen,
}

/// The breaker of one upstream. Time is milliseconds since any fixed moment, the same for all calls.
#[derive(Debug, Clone)]
pub struct Breaker {
    limits: Limits,
    failures: u32,
    /// Open until then; `None` when closed.
    until_ms: Option<i64>,
    /// A call is out that tries whether the upstream is back.
    is_trying: bool,
}

impl Breaker {
    /// A closed one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, failures: 0, until_ms: None, is_trying: false }
    }

    /// Asks for one call. Whoever got it says afterwards whether it [`succeeded`](Self::succeeded) or
    /// [`failed`](Self::failed); who did not is told after how many milliseconds it is worth asking again.
    pub fn admit(&mut self, now_ms: i64) -> Result<(), i64> {
        match self.until_ms {
            None => Ok(()),
            Some(until_ms) if now_ms < until_ms => Err(until_ms - now_ms),
            Some(_) if self.is_trying => Err(self.limits.rest_ms),
            Some(_) => {
                self.is_trying = true;
                Ok(())
            }
        }
    }

    /// The upstream answered; that it said no to what was asked is an answer too.
    pub fn succeeded(&mut self) {
        *self = Self::new(self.limits);
    }

    /// It did not answer, or said that it cannot.
    pub fn failed(&mut self, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.limits.failures || self.is_trying {
            self.pause(now_ms, self.limits.rest_ms);
        }
        self.is_trying = false;
    }

    /// Opens it for `pause_ms`, at the upstream's own wish (`Retry-After`); a longer pause that is already agreed stays.
    pub fn pause(&mut self, now_ms: i64, pause_ms: i64) {
        let until_ms = now_ms.saturating_add(pause_ms);
        self.until_ms = Some(self.until_ms.map_or(until_ms, |agreed| agreed.max(until_ms)));
    }

    /// For how many milliseconds more it lets nothing through; `None` when it may be asked.
    pub fn rest(&self, now_ms: i64) -> Option<i64> {
        self.until_ms.map(|until_ms| until_ms - now_ms).filter(|left_ms| *left_ms > 0)
    }

    /// What it lets through now.
    pub fn condition(&self, now_ms: i64) -> Condition {
        match self.until_ms {
            None => Condition::Closed,
            Some(until_ms) if now_ms < until_ms => Condition::Open,
            Some(_) => Condition::HalfOpen,
        }
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Breaker {
        let mut breaker = Breaker::new(Limits { failures: 3, rest_ms: 100 });
        for now_ms in 0..3 {
            assert_eq!(breaker.admit(now_ms), Ok(()));
            breaker.failed(now_ms);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(Limits { failures: 3, rest_ms: 100 });
        for now_ms in 0..20 {
            assert_eq!(breaker.admit(now_ms), Ok(()));
            if now_ms % 3 == 2 { breaker.succeeded() } else { breaker.failed(now_ms) }
        }
        assert_eq!(breaker.condition(20), Condition::Closed);
        assert_eq!(broken().condition(20), Condition::Open);
        assert_eq!((broken().admit(20), broken().rest(20), broken().rest(102)), (Err(82), Some(82), None));
    }

    #[test]
    fn one_call_tries_and_its_answer_decides() {
        let mut breaker = broken();
        assert_eq!(breaker.condition(102), Condition::HalfOpen);
        assert_eq!(breaker.admit(102), Ok(()));
        assert_eq!(breaker.admit(103), Err(100), "a second one while the first is out");
        breaker.failed(104);
        assert_eq!((breaker.condition(105), breaker.admit(105)), (Condition::Open, Err(99)));
        assert_eq!(breaker.admit(204), Ok(()));
        breaker.succeeded();
        assert_eq!((breaker.condition(205), breaker.failures()), (Condition::Closed, 0));
    }

    #[test]
    fn a_pause_the_upstream_asked_for_is_kept_though_a_call_fails_meanwhile() {
        let mut breaker = broken();
        breaker.pause(10, 60_000);
        breaker.failed(20);
        assert_eq!(breaker.admit(200), Err(59_810));
    }
}
