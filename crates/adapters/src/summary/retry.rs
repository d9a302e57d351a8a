//! Asking again: exponentially later each time, and only where it may help.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sre_space_ports::summary::Effort;

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often, and how much later each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first.
    pub most: u32,
    /// Before the second try; doubled before each one after it, up to half a minute.
    pub first_wait: Duration,
}

impl Retries {
    /// What is waited before the try after `tried` failures.
    fn wait(self, tried: u32) -> Duration {
        let factor = 2_u32.saturating_pow(tried.saturating_sub(1));
        self.first_wait.saturating_mul(factor).min(LONGEST_WAIT)
    }
}

/// Why a try brought nothing.
#[derive(Debug)]
pub(super) enum Failure<E> {
    /// Asked again it may bring something, though not before so long.
    Passing(E, Duration),
    /// Asked again it would bring the same.
    Lasting(E),
    /// Nobody was asked.
    Unasked(E),
}

/// What was sent and what came, since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pages: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
}

impl Tally {
    /// So far.
    pub(super) fn effort(&self) -> Effort {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Effort { pages: read(&self.pages), attempts: read(&self.attempts), retries: read(&self.retries) }
    }

    /// Adds what one reading took.
    pub(super) fn add(&self, effort: Effort) {
        self.pages.fetch_add(effort.pages, Ordering::Relaxed);
        self.attempts.fetch_add(effort.attempts, Ordering::Relaxed);
        self.retries.fetch_add(effort.retries, Ordering::Relaxed);
    }
}

/// Asks until something comes, or asking again would not help, or it was asked often enough. Counts what was sent.
pub(super) async fn persistently<T, E, F>(
    retries: Retries,
    effort: &mut Effort,
    mut ask: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, Failure<E>>>,
{
    let mut tried = 0;
    loop {
        let answer = ask().await;
        if !matches!(answer, Err(Failure::Unasked(_))) {
            effort.attempts += 1;
            effort.retries += u64::from(tried > 0);
        }
        tried += 1;
        match answer {
            Ok(told) => return Ok(told),
            Err(Failure::Passing(error, at_least)) if tried <= retries.most && at_least <= LONGEST_WAIT => {
                tokio::time::sleep(retries.wait(tried).max(at_least)).await;
                drop(error);
            }
            Err(Failure::Passing(error, _) | Failure::Lasting(error) | Failure::Unasked(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    const RETRIES: Retries = Retries { most: 3, first_wait: Duration::from_millis(500) };

    fn passing(error: u8) -> Result<&'static str, Failure<u8>> {
        Err(Failure::Passing(error, Duration::ZERO))
    }

    /// Answers in order; what came of it, what it took, and when each try was made, milliseconds after the first.
    async fn play(answers: Vec<Result<&'static str, Failure<u8>>>) -> (Result<&'static str, u8>, Effort, Vec<u128>) {
        let (began, mut effort) = (Instant::now(), Effort::default());
        let (answers, tries) = (RefCell::new(answers.into_iter()), RefCell::new(Vec::new()));
        let told = persistently(RETRIES, &mut effort, || async {
            tries.borrow_mut().push(began.elapsed().as_millis());
            answers.borrow_mut().next().expect("no try too many")
        })
        .await;
        (told, effort, tries.into_inner())
    }

    fn effort(attempts: u64, retries: u64) -> Effort {
        Effort { pages: 0, attempts, retries }
    }

    #[tokio::test(start_paused = true)]
    async fn each_wait_is_twice_the_one_before() {
        let answers = vec![passing(1), passing(2), passing(3), Ok("told")];
        assert_eq!(play(answers).await, (Ok("told"), effort(4, 3), vec![0, 500, 1_500, 3_500]));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_last_try_the_last_failure_is_told() {
        let answers = vec![passing(1), passing(2), passing(3), passing(4)];
        assert_eq!(play(answers).await, (Err(4), effort(4, 3), vec![0, 500, 1_500, 3_500]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_asking_again_would_not_change_is_not_asked_again() {
        assert_eq!(play(vec![Err(Failure::Lasting(1))]).await, (Err(1), effort(1, 0), vec![0]));
        assert_eq!(play(vec![passing(1), Err(Failure::Lasting(2))]).await, (Err(2), effort(2, 1), vec![0, 500]));
        assert_eq!(play(vec![Err(Failure::Unasked(1))]).await, (Err(1), effort(0, 0), vec![0]));
        assert_eq!(play(vec![passing(1), Err(Failure::Unasked(2))]).await, (Err(2), effort(1, 0), vec![0, 500]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_asked_for_is_kept_and_a_long_one_is_not_waited_for() {
        let later = |seconds| Err(Failure::Passing(1, Duration::from_secs(seconds)));
        assert_eq!(play(vec![later(7), Ok("told")]).await, (Ok("told"), effort(2, 1), vec![0, 7_000]));
        assert_eq!(play(vec![later(31)]).await, (Err(1), effort(1, 0), vec![0]));
    }

    #[test]
    fn no_wait_is_longer_than_half_a_minute() {
        assert_eq!(RETRIES.wait(40), LONGEST_WAIT);
    }
}
