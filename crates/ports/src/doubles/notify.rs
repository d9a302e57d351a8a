//! A channel that records what it was told, and fails as often as it is made to.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::notify::{Before, Notice, Notifier, NotifyError};

/// Told everything; the receipt is the notice's key.
#[derive(Debug, Default)]
pub struct RecordingNotifier {
    /// What it was told, in order, with what it was reminded of.
    pub told: Mutex<Vec<(Notice, Before)>>,
    /// What the next tellings end with, in place of being taken.
    pub failures: Mutex<VecDeque<NotifyError>>,
}

impl RecordingNotifier {
    /// The keys of what it was told.
    pub fn keys(&self) -> Vec<String> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().map(|(notice, _)| notice.key()).collect()
    }
}

#[async_trait]
impl Notifier for RecordingNotifier {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn carries(&self, _notice: &Notice, _before: &Before) -> bool {
        true
    }

    async fn tell(&self, notice: &Notice, before: &Before) -> Result<Option<String>, NotifyError> {
        if let Some(failure) = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            return Err(failure);
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push((notice.clone(), before.clone()));
        Ok(Some(notice.key()))
    }

    async fn look(&self) -> Result<String, NotifyError> {
        Ok("recording".to_owned())
    }
}
