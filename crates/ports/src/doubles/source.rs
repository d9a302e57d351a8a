//! A source that answers from a script and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::source::{Source, SourceError, Told, Wanted};

/// One answer; `None` is a question that is never answered.
pub type Answer = Option<Result<Told, SourceError>>;

/// Answers in turn. Asked once more than it has answers, it refuses.
pub struct ScriptedSource {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Wanted>>,
}

impl ScriptedSource {
    /// With these answers.
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() })
    }

    /// From where on it was asked each time, Unix ms.
    pub fn asked_since_ms(&self) -> Vec<i64> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().map(|wanted| wanted.since_ms).collect()
    }
}

#[async_trait]
impl Source for ScriptedSource {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(wanted.clone());
        let next = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let no_more = || SourceError::Refused { name: "scripted", why: "the script is over".to_owned() };
        match next.ok_or_else(no_more)? {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}
