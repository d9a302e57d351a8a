//! How far back is looked: a length of time as people write it.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

/// The longest window, seconds: 31 days.
const LONGEST_S: u32 = 31 * 86_400;

/// A length of time, whole seconds, from one second to 31 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window(u32);

/// A text that is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a window is a whole number of seconds, or one with s, m or h behind it (30s, 5m, 1h, 24h), from 1s to 744h")]
pub struct NotAWindow;

impl Window {
    /// One hour.
    pub const HOUR: Self = Self(3_600);

    /// So many seconds.
    pub fn of_seconds(seconds: u32) -> Result<Self, NotAWindow> {
        if (1..=LONGEST_S).contains(&seconds) { Ok(Self(seconds)) } else { Err(NotAWindow) }
    }

    /// Its length in seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// Where it begins, when it ends at `until`; with the calendar, should it have begun before that.
    pub fn before(self, until: Timestamp) -> Timestamp {
        until.checked_sub(SignedDuration::from_secs(i64::from(self.0))).unwrap_or(Timestamp::MIN)
    }
}

impl FromStr for Window {
    type Err = NotAWindow;

    fn from_str(text: &str) -> Result<Self, NotAWindow> {
        let (digits, seconds_each) = match text.as_bytes().last() {
            Some(b's') => (&text[..text.len() - 1], 1),
            Some(b'm') => (&text[..text.len() - 1], 60),
            Some(b'h') => (&text[..text.len() - 1], 3_600),
            _ => (text, 1),
        };
        // `parse` would take a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAWindow);
        }
        let count: u32 = digits.parse().map_err(|_| NotAWindow)?;
        Self::of_seconds(count.checked_mul(seconds_each).ok_or(NotAWindow)?)
    }
}

impl fmt::Display for Window {
    /// In the largest unit that leaves no rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds % 3_600 == 0 => write!(f, "{}h", seconds / 3_600),
            seconds if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            seconds => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_write_windows_in_seconds_minutes_and_hours() {
        let table =
            [("30s", 30), ("5m", 300), ("1h", 3_600), ("24h", 86_400), ("3600", 3_600), ("1", 1), ("744h", LONGEST_S)];
        for (text, seconds) in table {
            assert_eq!(text.parse(), Ok(Window(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let wrong = [
            "",
            "0",
            "0h",
            "h",
            "-5m",
            "+5m",
            "5 m",
            " 5m",
            "5M",
            "1d",
            "1.5h",
            "1e3",
            "745h",
            "4294967296",
            "9999999h",
            "1h30m",
            "٣",
            "5µ",
            "NaN",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Window>(), Err(NotAWindow), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_window_or_refused_and_never_a_panic(text in any::<String>()) {
            if let Ok(window) = text.parse::<Window>() {
                prop_assert!((1..=LONGEST_S).contains(&window.seconds()));
            }
        }

        #[test]
        fn a_window_is_read_back_as_it_is_shown(seconds in 1..=LONGEST_S) {
            prop_assert_eq!(Window(seconds).to_string().parse(), Ok(Window(seconds)));
            prop_assert_eq!(seconds.to_string().parse(), Ok(Window(seconds)));
        }
    }
}
