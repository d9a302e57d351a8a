//! A language model: one question in, one bounded text out.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use thiserror::Error;

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What the model is to do, in the words of a prompt file.
    pub task: String,
    /// What it is to do it with.
    pub evidence: String,
    /// What the answer has to look like, as JSON Schema. Servers help with it as far as they can; nobody may rely on that.
    pub schema: Value,
    /// Most tokens of an answer.
    pub most_tokens: u32,
}

impl Question {
    /// Tokens that the question can have at most: a token stands for at least a byte, and servers add marks of their own.
    pub fn most_input_tokens(&self) -> u64 {
        const MARKS: usize = 256;
        // A server that does not know the schema's place is sent it as text, too.
        let bytes = self.task.len() + self.evidence.len() + 2 * self.schema.to_string().len() + MARKS;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What a call took, as the server counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the question.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
}

/// An answer. Its text is a stranger's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// What it took; `None` when the server does not say.
    pub usage: Option<Usage>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum LlmError {
    /// All of the calls that may be out at once are.
    #[error("the model is busy with other questions")]
    Busy,
    /// Nobody was asked: its server failed too often lately, or wants to be left alone.
    #[error("{0}")]
    Resting(String),
    /// The server could not be reached.
    #[error("its server cannot be reached: {0}")]
    Unreachable(String),
    /// The server cannot answer now.
    #[error("its server answers {status}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// When it wants to be asked again.
        wait: Option<Duration>,
    },
    /// The server refuses the question, and will refuse it again.
    #[error("its server refuses the question with {status}: {mend}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What to look at.
        mend: &'static str,
    },
    /// No answer in time.
    #[error("it did not answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The answer broke off.
    #[error("its answer broke off")]
    CutOff,
    /// The answer is not in the form of this interface, or too long to be one.
    #[error("its server's answer cannot be read: {0}")]
    Garbled(&'static str),
}

impl LlmError {
    /// Whether asking again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unavailable { .. } | Self::Slow(_) | Self::CutOff => true,
            Self::Busy | Self::Resting(_) | Self::Refused { .. } | Self::Garbled(_) => false,
        }
    }

    /// Whether tokens may have been spent all the same: nobody knows how many.
    pub fn may_have_cost(&self) -> bool {
        match self {
            Self::Slow(_) | Self::CutOff | Self::Garbled(_) => true,
            Self::Busy | Self::Resting(_) | Self::Unreachable(_) | Self::Unavailable { .. } | Self::Refused { .. } => {
                false
            }
        }
    }
}

/// A model behind a server.
///
/// Promise: one question is sent once; it ends within a time of the model's own, and its text within a length; nothing of the
/// server's answer and no key is in an error.
#[async_trait]
pub trait Llm: Send + Sync {
    /// The model's name, as the operator gave it.
    fn name(&self) -> &str;
    /// Asks once.
    async fn ask(&self, question: &Question) -> Result<Answer, LlmError>;
}
