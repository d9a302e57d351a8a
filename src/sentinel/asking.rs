//! What a source is asked next: from where its last answer ended.

use sre_space_ports::source::Wanted;

/// A source may answer this much later than it is asked, and what it measured until then is wanted too.
const SLACK_MS: i64 = 60_000;
/// So many windows are asked for at first: those that the present one is compared with.
const WINDOWS: i64 = 10;

/// From where on a source is asked.
pub struct Asking {
    /// Unix ms; `None` before the first answer.
    since_ms: Option<i64>,
    /// How far back is asked at first.
    first_ms: i64,
}

impl Asking {
    /// Of a source that has told nothing yet, for windows of this length.
    pub fn of_windows(window_ms: i64) -> Self {
        Self { since_ms: None, first_ms: window_ms.saturating_mul(WINDOWS) }
    }

    /// What is asked now.
    pub fn wanted(&self, now_ms: i64) -> Wanted {
        let since_ms = self.since_ms.unwrap_or(now_ms.saturating_sub(self.first_ms));
        Wanted { since_ms, until_ms: now_ms.saturating_add(SLACK_MS), metrics: Vec::new() }
    }

    /// Whether the source has told nothing yet.
    pub fn is_first(&self) -> bool {
        self.since_ms.is_none()
    }

    /// It told; from here on it is asked next, Unix ms.
    pub fn goes_on_from(&mut self, since_ms: i64) {
        self.since_ms = Some(since_ms);
    }
}
