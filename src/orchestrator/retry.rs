//! Trying again: the one place that does, and how long each part is waited for.

use std::fmt::Display;
use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use sre_space_agents::{curator, fixer};
use sre_space_domain::incident::Effect;
use sre_space_ports::forge::ForgeError;
use sre_space_ports::memory::MemoryError;
use sre_space_ports::store::StoreError;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::context::{Context, Patience};

/// Between two tries while our own database or memory is away.
const AWAY: Duration = Duration::from_secs(1);
/// Before the second try of what failed and does not say when to come back, and before the three after it.
const WAITS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

/// Failures in the words of whoever failed; the incident shows them.
pub(super) type Fallible<T> = Result<T, String>;

/// A failure that says whether trying again can help.
pub(super) trait Retryable: Display {
    /// Whether it can.
    fn is_transient(&self) -> bool;

    /// After how long, where that is known.
    fn wait(&self) -> Option<Duration>;
}

macro_rules! retryable {
    ($($error:ty => $wait:expr),* $(,)?) => {$(
        impl Retryable for $error {
            fn is_transient(&self) -> bool {
                Self::is_transient(self)
            }

            fn wait(&self) -> Option<Duration> {
                let wait: fn(&Self) -> Option<Duration> = $wait;
                wait(self)
            }
        }
    )*};
}

retryable!(
    ForgeError => ForgeError::wait,
    fixer::FixerError => fixer::FixerError::wait,
    StoreError => |_| None,
    curator::CuratorError => |_| None,
    MemoryError => |_| None,
);

impl Patience {
    /// Our own database or memory may be away for a while, and nobody has to be called for that.
    pub(super) async fn outlasted<T, E: Retryable, F: Future<Output = Result<T, E>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Fallible<T> {
        let deadline = Instant::now() + self.outage;
        tried_again(|_| (Instant::now() < deadline).then_some(AWAY), work).await
    }
}

/// One effect's turn: what it works with, and until when a forge that rests is waited for, by all its calls together.
pub(super) struct Turn<'a> {
    context: &'a Context,
    until: Instant,
    writes: bool,
}

impl Deref for Turn<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        self.context
    }
}

impl<'a> Turn<'a> {
    /// An effect's. What tells a person is waited for as long as a forge may ask for, since nobody else would tell them.
    pub(super) fn of(context: &'a Context, effect: &Effect) -> Self {
        let rest = if effect.tells_people() { context.patience.notice } else { context.patience.rest };
        Self { context, until: Instant::now() + rest, writes: effect.writes_repository() }
    }

    /// The same, of something that can do without the forge after this time.
    pub(super) fn brief(&self, rest: Duration) -> Self {
        Self { until: self.until.min(Instant::now() + rest), ..*self }
    }

    /// Whether the effect may go on: what writes asks before every try, however long it waited.
    pub(super) fn is_allowed(&self) -> bool {
        !self.writes || self.context.autonomy.may_write()
    }

    /// Up to five times, waiting twice as long each time. Somebody else's server that says when it may be asked again is waited
    /// for, and tried anew after that. What wants more than is left of the turn is not waited for at all.
    pub(super) async fn retried<T, E: Retryable, F: Future<Output = Result<T, E>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Fallible<T> {
        tried_again(rests(self.until), || async {
            if self.is_allowed() { work().await.map_err(Stopped::Failed) } else { Err(Stopped::Off) }
        })
        .await
    }
}

/// Why a try brought nothing.
#[derive(Debug, thiserror::Error)]
enum Stopped<E> {
    #[error("autonomy is switched off")]
    Off,
    #[error(transparent)]
    Failed(E),
}

impl<E: Retryable> Retryable for Stopped<E> {
    fn is_transient(&self) -> bool {
        match self {
            Self::Off => false,
            Self::Failed(error) => error.is_transient(),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Failed(error) => error.wait(),
        }
    }
}

/// The waits between tries, until this time: as told, or our own.
fn rests(until: Instant) -> impl FnMut(Option<Duration>) -> Option<Duration> {
    let mut waits = WAITS.into_iter();
    move |told| match told {
        Some(told) => {
            waits = WAITS.into_iter();
            let left = until.saturating_duration_since(Instant::now());
            Some(told.max(WAITS[0])).filter(|wait| *wait <= left)
        }
        None => waits.next(),
    }
}

/// Once more after each of these waits, as long as that can help. `next` is told the wait that the failure knows.
async fn tried_again<T, E: Retryable, F: Future<Output = Result<T, E>>>(
    mut next: impl FnMut(Option<Duration>) -> Option<Duration>,
    work: impl Fn() -> F,
) -> Fallible<T> {
    loop {
        let error = match work().await {
            Err(error) if error.is_transient() => error,
            done => return done.map_err(|error| error.to_string()),
        };
        let Some(wait) = next(error.wait()) else { return Err(error.to_string()) };
        if error.wait().is_some() {
            warn!(%error, ?wait, "an effect waits until it may ask again");
        }
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    fn away(wait: Option<u64>) -> ForgeError {
        ForgeError::Unavailable { why: "it rests".to_owned(), wait: wait.map(Duration::from_secs) }
    }

    /// What comes of a forge that fails in these ways one after the other and then answers; when, and after how many calls.
    async fn asked(failures: impl IntoIterator<Item = ForgeError>) -> (Fallible<()>, Duration, usize) {
        let (failures, calls) = (RefCell::new(failures.into_iter().collect::<VecDeque<_>>()), RefCell::new(0));
        let began = Instant::now();
        let asked = || async {
            *calls.borrow_mut() += 1;
            failures.borrow_mut().pop_front().map_or(Ok(()), Err)
        };
        let done = tried_again(rests(began + PATIENCE), asked).await;
        (done, began.elapsed(), calls.into_inner())
    }

    fn refused() -> Fallible<()> {
        Err("the forge did not answer: it rests".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_say_when_is_tried_five_times() {
        let brief = Duration::from_millis(1_500);
        assert_eq!(asked((0..4).map(|_| away(None))).await, (Ok(()), brief, 5));
        assert_eq!(asked((0..5).map(|_| away(None))).await, (refused(), brief, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_says_when_is_asked_then_and_tried_anew() {
        assert_eq!(asked([away(Some(60))]).await, (Ok(()), Duration::from_secs(60), 2));
        let rests_between = [None, None, None, None, Some(30), None, None, None, None, Some(30)];
        let waited = Duration::from_secs(60) + 2 * Duration::from_millis(1_500);
        assert_eq!(asked(rests_between.map(away)).await, (Ok(()), waited, 11));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_beyond_our_patience() {
        assert_eq!(asked([away(Some(600))]).await, (Ok(()), PATIENCE, 2));
        assert_eq!(asked([away(Some(601))]).await, (refused(), Duration::ZERO, 1), "a person hears of it at once");
        assert_eq!(asked((0..99).map(|_| away(Some(60)))).await, (refused(), PATIENCE, 11));
        let (done, took, calls) = asked((0..100_000).map(|_| away(Some(0)))).await;
        assert_eq!((done, took, calls), (refused(), PATIENCE, 6_001), "a wait of nothing is not a busy loop");
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_be_refused_again_is_asked_once() {
        let missing = || ForgeError::Missing("x".to_owned());
        assert_eq!(asked([missing()]).await, (Err(missing().to_string()), Duration::ZERO, 1));
    }
}
