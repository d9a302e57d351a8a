//! What every model behind a server must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::llm::{Answer, Llm, LlmError, Question, Usage};

/// What the server behind the model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Says [`TEXT`], for 100 tokens and 10.
    Answers,
    /// Says [`TEXT`] and not what it took.
    AnswersWithoutUsage,
    /// Has no room for 7 s.
    Full,
    /// Does not take the key.
    RefusesTheKey,
    /// Answers without end.
    Endless,
    /// Breaks off in the middle of an answer.
    BreaksOff,
    /// Never answers.
    Silent,
}

/// A model whose server does this, with a patience of a second.
pub type Stage = dyn Fn(Scene) -> Arc<dyn Llm>;

/// What an answering server says.
pub const TEXT: &str = r#"{"word":"ü\u0000\"quoted\""}"#;

fn question() -> Question {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["word"],
        "properties": {"word": {"type": "string"}}});
    Question { task: "Answer.".to_owned(), evidence: "Nothing.".to_owned(), schema, most_tokens: 64 }
}

/// The text comes as it was said, with what it took where the server tells.
pub async fn an_answer_comes_as_it_was_said(stage: &Stage) {
    let of = async |scene| stage(scene).ask(&question()).await.expect("an answer");
    let usage = Some(Usage { input: 100, output: 10 });
    assert_eq!(of(Scene::Answers).await, Answer { text: TEXT.to_owned(), usage });
    assert_eq!(of(Scene::AnswersWithoutUsage).await, Answer { text: TEXT.to_owned(), usage: None });
}

/// Failures say whether asking again can help, and whether tokens may have been spent.
pub async fn failures_say_what_they_are(stage: &Stage) {
    let full = stage(Scene::Full).ask(&question()).await.expect_err("full");
    assert!(matches!(full, LlmError::Unavailable { status: 429, wait: Some(wait) } if wait == Duration::from_secs(7)));
    assert!(full.is_transient() && !full.may_have_cost());
    let refused = stage(Scene::RefusesTheKey).ask(&question()).await.expect_err("refused");
    assert!(matches!(refused, LlmError::Refused { status: 401, .. }), "{refused}");
    assert!(!refused.is_transient() && !refused.may_have_cost());
    let broken = stage(Scene::BreaksOff).ask(&question()).await.expect_err("broken off");
    assert!(matches!(broken, LlmError::CutOff) && broken.is_transient() && broken.may_have_cost(), "{broken}");
}

/// Neither an answer without end nor one that never comes is waited for.
pub async fn an_answer_is_bounded(stage: &Stage) {
    let endless = stage(Scene::Endless).ask(&question()).await.expect_err("endless");
    assert!(matches!(endless, LlmError::Garbled(_)) && !endless.is_transient() && endless.may_have_cost(), "{endless}");
    let silent = stage(Scene::Silent).ask(&question()).await.expect_err("silent");
    assert!(matches!(silent, LlmError::Slow(_)) && silent.is_transient() && silent.may_have_cost(), "{silent}");
}
