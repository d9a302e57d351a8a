//! What the provider's contract allows: the usual number of ratings and half as many again, and for a minute twice the usual.
//! Whoever asks for more waits in line.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Ratings a second that are allowed, as a share of the usual.
const SUSTAINED: f64 = 1.5;
/// Ratings in hand, in seconds of the usual: asked for twice as much, they last a minute.
const IN_HAND_S: f64 = 30.0;
/// The usual is learned over this time, seconds.
const LEARNING_S: f64 = 10.0;

#[derive(Default)]
struct Account {
    since: Option<Instant>,
    usual: f64,
    spent: f64,
}

/// The account of one customer.
#[derive(Default)]
pub struct Allowance(Mutex<Account>);

impl Allowance {
    /// Takes one rating out, and learns what is usual if this is a usual time; answers how long it has to wait in line.
    pub fn takes(&self, is_usual: bool, now: Instant) -> Duration {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = account.since.replace(now).map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        if is_usual {
            let weight = (-passed / LEARNING_S).exp();
            account.usual = account.usual * weight + 1.0 / LEARNING_S;
            account.spent = 0.0;
            return Duration::ZERO;
        }
        let pace = account.usual * SUSTAINED;
        account.spent = (account.spent - passed * pace).max(0.0) + 1.0;
        let over = account.spent - account.usual * IN_HAND_S;
        if over <= 0.0 || pace <= 0.0 { Duration::ZERO } else { Duration::from_secs_f64((over / pace).min(60.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until somebody waits, at so many times the usual 100 ratings a second.
    fn lasts(times: u32) -> Option<u32> {
        let (allowance, began) = (Allowance::default(), Instant::now());
        let each = |second: u32, count: u32| (0..count).map(move |n| second * 1_000 + n * 1_000 / count);
        for at in (0..60).flat_map(|second| each(second, 100)) {
            assert_eq!(allowance.takes(true, began + Duration::from_millis(at.into())), Duration::ZERO);
        }
        let mut later = (60..260).flat_map(|second| each(second, 100 * times));
        later
            .find(|at| !allowance.takes(false, began + Duration::from_millis((*at).into())).is_zero())
            .map(|at| at / 1_000 - 60)
    }

    #[test]
    fn twice_the_usual_lasts_a_minute_and_the_usual_for_ever() {
        assert_eq!(lasts(1), None);
        assert!(lasts(2).is_some_and(|seconds| (55..=65).contains(&seconds)), "{:?}", lasts(2));
    }
}
