//! A model that answers from a script and remembers what it was asked.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::llm::{Answer, Llm, LlmError, Question, Usage};

/// What a question leads to.
type Script = dyn Fn(&Question) -> Result<Answer, LlmError> + Send + Sync;

/// A scripted model.
pub struct ScriptedLlm {
    script: Box<Script>,
    asked: Mutex<Vec<Question>>,
}

impl ScriptedLlm {
    /// One that answers as the script says.
    pub fn new(script: impl Fn(&Question) -> Result<Answer, LlmError> + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), asked: Mutex::default() }
    }

    /// One that always says this, for a hundred tokens and ten.
    pub fn saying(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(move |_| Ok(Answer { text: text.clone(), usage: Some(Usage { input: 100, output: 10 }) }))
    }

    /// Everything it was asked so far.
    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Llm for ScriptedLlm {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn ask(&self, question: &Question) -> Result<Answer, LlmError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(question.clone());
        (self.script)(question)
    }
}
