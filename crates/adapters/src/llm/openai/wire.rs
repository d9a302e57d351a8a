//! The JSON of `/chat/completions` and what its statuses mean. Answers are read as a stranger's.

use std::time::Duration;

use async_openai::types::chat::{
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage, CompletionUsage, CreateChatCompletionRequest,
    FinishReason,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sre_space_ports::llm::{Answer, LlmError, Question, Usage};

/// An answer's text longer than this is not handed on.
const MOST_TEXT: usize = 64 * 1024;
/// Most models that are read off a list, and characters of a name.
const MOST_MODELS: usize = 200;
const MOST_NAME: usize = 100;

/// How the form of an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `json_schema`, and `max_completion_tokens`.
    Schema,
    /// `json_object` with the schema beside it and in the prompt, and `max_tokens`: what llama.cpp's servers hold an answer to.
    Bound,
    /// The same with the schema in the prompt alone: what older servers know.
    Object,
}

/// The best first.
pub(super) const LADDER: [Dialect; 3] = [Dialect::Schema, Dialect::Bound, Dialect::Object];

/// One request. Its `response_format` is written here: async-openai knows no schema beside `json_object`.
#[derive(Serialize)]
pub(super) struct Request {
    #[serde(flatten)]
    rest: CreateChatCompletionRequest,
    response_format: Value,
}

/// A question in a dialect.
pub(super) fn request(question: &Question, model: &str, dialect: Dialect) -> Request {
    let messages = |task: String| {
        let task = ChatCompletionRequestSystemMessage::from(task);
        vec![task.into(), ChatCompletionRequestUserMessage::from(question.evidence.as_str()).into()]
    };
    let plain = CreateChatCompletionRequest { model: model.to_owned(), ..Default::default() };
    let rest = match dialect {
        Dialect::Schema => CreateChatCompletionRequest {
            messages: messages(question.task.clone()),
            max_completion_tokens: Some(question.most_tokens),
            ..plain
        },
        #[expect(deprecated, reason = "the word that servers know which do not know its successor")]
        Dialect::Bound | Dialect::Object => CreateChatCompletionRequest {
            messages: messages(format!("{}\nThe JSON Schema of your answer:\n{}\n", question.task, question.schema)),
            max_tokens: Some(question.most_tokens),
            ..plain
        },
    };
    Request { rest, response_format: form(&question.schema, dialect) }
}

fn form(schema: &Value, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Schema => {
            json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}})
        }
        Dialect::Bound => json!({"type": "json_object", "schema": schema}),
        Dialect::Object => json!({"type": "json_object"}),
    }
}

/// What is needed of an answer. Fields that are not named here are the server's own business.
#[derive(Deserialize)]
struct Envelope {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<FinishReason>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Value>>,
    #[serde(default)]
    function_call: Option<Value>,
}

/// The one answer in a body.
pub(super) fn answer(body: &[u8]) -> Result<Answer, LlmError> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|_| LlmError::Garbled("it is no chat completion"))?;
    let [choice] = envelope.choices.as_slice() else { return Err(LlmError::Garbled("it is not one answer")) };
    let message = &choice.message;
    if message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty()) || message.function_call.is_some() {
        return Err(LlmError::Garbled("it calls a tool, and there is none"));
    }
    match choice.finish_reason {
        Some(FinishReason::Stop) | None => {}
        Some(FinishReason::Length) => return Err(LlmError::Garbled("it ran out of tokens")),
        Some(FinishReason::ContentFilter | FinishReason::ToolCalls | FinishReason::FunctionCall) => {
            return Err(LlmError::Garbled("it was withheld"));
        }
    }
    let text = message.content.clone().ok_or(LlmError::Garbled("it has no text"))?;
    if text.len() > MOST_TEXT {
        return Err(LlmError::Garbled("it is too long"));
    }
    Ok(Answer { text, usage: usage(envelope.usage) })
}

fn usage(told: Value) -> Option<Usage> {
    let told: CompletionUsage = serde_json::from_value(told).ok()?;
    Some(Usage { input: told.prompt_tokens.into(), output: told.completion_tokens.into() })
}

/// The names in a list of models; `None` when it is no such list.
pub(super) fn models(body: &[u8]) -> Option<Vec<String>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let name = |model: &Value| Some(model.get("id")?.as_str()?.chars().take(MOST_NAME).collect());
    Some(list.get("data")?.as_array()?.iter().filter_map(name).take(MOST_MODELS).collect())
}

/// Whether a refusal may be about the form in which the answer was asked for. Not every server calls that the client's mistake.
pub(super) fn is_about_form(status: u16, said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said).to_lowercase();
    let names_it = ["response_format", "json_schema", "json schema", "max_completion_tokens"];
    match status {
        400 | 422 => true,
        404 | 415 | 500 | 501 => names_it.iter().any(|name| said.contains(name)),
        _ => false,
    }
}

/// Whether a status says that the server cannot answer just now.
pub(super) fn is_for_later(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429) || status >= 500
}

/// What a status means for whoever asked. Nothing the server wrote beside it is kept: some servers quote the key.
pub(super) fn refused(status: u16, wait: Option<Duration>) -> LlmError {
    if is_for_later(status) {
        return LlmError::Unavailable { status, wait };
    }
    let mend = match status {
        401 | 403 => "OPENAI_API_KEY is not taken",
        404 => "look at OPENAI_BASE_URL and OPENAI_MODEL",
        300..=399 => "OPENAI_BASE_URL leads elsewhere, and nothing is followed",
        _ => "look at OPENAI_MODEL",
    };
    LlmError::Refused { status, mend }
}

/// What a request without an answer means. One that was sent may have been worked on. The error's own text is not kept: it names
/// the address, which may hold a password.
pub(super) fn unsent(error: &reqwest::Error) -> LlmError {
    if error.is_builder() {
        LlmError::Unreachable("OPENAI_BASE_URL is no address".to_owned())
    } else if error.is_connect() {
        LlmError::Unreachable("no connection".to_owned())
    } else {
        LlmError::CutOff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_know_the_form_is_told_from_one_that_is_down() {
        let llama = br#"{"error":{"message":"1 validation error: {'loc': ('body', 'response_format', 'type')}"}}"#;
        assert!(is_about_form(500, llama) && is_about_form(400, b"") && is_about_form(422, b""));
        assert!(!is_about_form(500, b"out of memory") && !is_about_form(429, llama) && !is_about_form(401, b""));
    }
}
