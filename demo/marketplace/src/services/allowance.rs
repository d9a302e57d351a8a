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
    /// Ratings of usual times and the seconds they came in, both fading.
    ratings: f64,
    over_s: f64,
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
            account.ratings = account.ratings * weight + 1.0;
            account.over_s = account.over_s * weight + LEARNING_S * (1.0 - weight);
            account.spent = 0.0;
            return Duration::ZERO;
        }
        let usual = if account.over_s > 0.0 { account.ratings / account.over_s } else { 0.0 };
        let pace = usual * SUSTAINED;
        account.spent = (account.spent - passed * pace).max(0.0) + 1.0;
        let over = account.spent - usual * IN_HAND_S;
        if over <= 0.0 || pace <= 0.0 { Duration::ZERO } else { Duration::from_secs_f64((over / pace).min(60.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until somebody waits, at so many times the usual 100 ratings a second, seen for so many seconds.
    fn lasts(times: u32, seen_s: u32) -> Option<u32> {
        let (allowance, began) = (Allowance::default(), Instant::now());
        let each = |second: u32, count: u32| (0..count).map(move |n| second * 1_000 + n * 1_000 / count);
        for at in (0..seen_s).flat_map(|second| each(second, 100)) {
            assert_eq!(allowance.takes(true, began + Duration::from_millis(at.into())), Duration::ZERO);
        }
        let mut later = (seen_s..seen_s + 200).flat_map(|second| each(second, 100 * times));
        later
            .find(|at| !allowance.takes(false, began + Duration::from_millis((*at).into())).is_zero())
            .map(|at| at / 1_000 - seen_s)
    }

    #[test]
    fn twice_the_usual_lasts_a_minute_and_the_usual_for_ever() {
        for seen_s in [4, 10, 60] {
            assert_eq!(lasts(1, seen_s), None);
            let lasted = lasts(2, seen_s);
            assert!(lasted.is_some_and(|seconds| (55..=65).contains(&seconds)), "{lasted:?} after {seen_s} s");
        }
    }
}
