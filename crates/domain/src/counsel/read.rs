//! Reads a model's answer as a stranger's: the agreed form and nothing else, or a refusal. Nothing is mended.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use thiserror::Error;

use super::{Advice, Brief};
use crate::plain;

/// An answer longer than this is not read.
pub const MOST_BYTES: usize = 64 * 1024;
/// As many characters of its words are kept.
const MOST_WORDS: usize = 600;

/// Why an answer is not used. No word of the answer is in it.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Refusal {
    /// Longer than anything that was asked for.
    #[error("its answer has {0} bytes, and at most {MOST_BYTES} are read")]
    TooLong(usize),
    /// Not the agreed JSON object.
    #[error("its answer is not the agreed JSON object: {what} at line {line}, column {column}")]
    NotAgreed {
        /// What kind of mistake it is.
        what: &'static str,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// A cause that was not offered.
    #[error("it names a cause that was not offered")]
    UnknownCause,
    /// A remedy that was not offered.
    #[error("it names a remedy that was not offered")]
    UnknownRemedy,
    /// A certainty outside 0..=1.
    #[error("its certainty {0} is not between 0 and 1")]
    NoCertainty(f64),
}

/// The agreed form. Unknown and repeated fields are mistakes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agreed {
    cause: String,
    remedy: String,
    certainty: f64,
    why: String,
}

/// Reads an answer to a brief.
///
/// # Errors
/// [`Refusal`] says what is wrong with it.
pub fn read(answer: &str, brief: &Brief, model: &str) -> Result<Advice, Refusal> {
    let agreed: Agreed = object(answer)?;
    if !(0.0..=1.0).contains(&agreed.certainty) {
        return Err(Refusal::NoCertainty(agreed.certainty));
    }
    let cause = number(&agreed.cause, 'S').and_then(|at| brief.causes.get(at)).ok_or(Refusal::UnknownCause)?;
    let choice = match (agreed.remedy.as_str(), brief.remedies) {
        ("none", 0) => None,
        (named, count) => Some(number(named, 'R').filter(|at| *at < count).ok_or(Refusal::UnknownRemedy)?),
    };
    Ok(Advice {
        model: plain::bare_name(model),
        cause: cause.clone(),
        choice,
        certainty: agreed.certainty,
        words: plain::prose(&agreed.why, MOST_WORDS),
    })
}

/// An answer as the agreed object.
///
/// # Errors
/// [`Refusal::TooLong`] and [`Refusal::NotAgreed`].
pub(crate) fn object<T: DeserializeOwned>(answer: &str) -> Result<T, Refusal> {
    if answer.len() > MOST_BYTES {
        return Err(Refusal::TooLong(answer.len()));
    }
    // A list of the values in order would be read as the object, too.
    if !answer.trim_ascii_start().starts_with('{') {
        return Err(Refusal::NotAgreed { what: "no object", line: 1, column: 1 });
    }
    serde_json::from_str(answer).map_err(|error| not_agreed(&error))
}

/// The place a placeholder stands for, counting from 0; written exactly as it was offered.
fn number(id: &str, letter: char) -> Option<usize> {
    let number: usize = id.strip_prefix(letter)?.parse().ok()?;
    let at = number.checked_sub(1)?;
    (id == format!("{letter}{number}")).then_some(at)
}

fn not_agreed(error: &serde_json::Error) -> Refusal {
    let what = match error.classify() {
        Category::Io | Category::Syntax => "no JSON",
        Category::Data => "a field that does not belong there, is missing, repeated or of another kind",
        Category::Eof => "it breaks off",
    };
    Refusal::NotAgreed { what, line: error.line(), column: error.column() }
}
