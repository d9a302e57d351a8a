//! Reads a source patch as a stranger's: the agreed form and nothing else, or a refusal. Nothing is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use thiserror::Error;

use super::{Assignment, SourcePatch, has_lone_return};
use crate::counsel;
use crate::ids::Digest;
use crate::path::{self, BadPath, MAX_FILES, MAX_LINES};
use crate::plain;
use crate::proposal::Rewrite;

/// As many characters of its reason are kept.
const MOST_WORDS: usize = 600;

/// Why an answer is not used. No word of the answer is in it.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Refusal {
    /// Too long, or not the agreed JSON object.
    #[error(transparent)]
    Form(#[from] counsel::Refusal),
    /// It proposes nothing.
    #[error("it rewrites no file")]
    Nothing,
    /// More files than one change may touch.
    #[error("it rewrites {0} files, and at most {MAX_FILES} may be")]
    TooManyFiles(usize),
    /// A file that was not shown.
    #[error("it names a file that it was not shown")]
    NotShown,
    /// One file, two contents.
    #[error("it names {0} twice")]
    Twice(String),
    /// A file that no machine may write was shown by mistake.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// Nothing would change.
    #[error("it leaves {0} as it is")]
    Unchanged(String),
    /// The file would be empty.
    #[error("it empties {0}")]
    Empty(String),
    /// What a person who reads it may not see, or take for something else.
    #[error("it writes characters into {0} that are neither plain ASCII nor in the file already")]
    NotPlain(String),
    /// So many more or fewer lines that the change is too large, however it is made.
    #[error("it changes more than {MAX_LINES} lines of {0}")]
    TooManyLines(String),
}

/// The agreed form. Unknown and repeated fields are mistakes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agreed {
    files: Vec<Object>,
    why: String,
}

/// One rewritten file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    content: String,
}

/// The same, and never a list of its values in order, which would be read as the object, too.
struct Object(Entry);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with path and content")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
        Entry::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Reads an answer to an assignment.
///
/// # Errors
/// [`Refusal`] says what is wrong with it.
pub fn read(answer: &str, assignment: &Assignment, model: &str) -> Result<SourcePatch, Refusal> {
    let agreed: Agreed = counsel::object(answer)?;
    match agreed.files.len() {
        0 => return Err(Refusal::Nothing),
        many if many > MAX_FILES => return Err(Refusal::TooManyFiles(many)),
        _few => {}
    }
    let (mut edits, mut files) = (BTreeMap::new(), BTreeMap::new());
    for Object(Entry { path, content }) in agreed.files {
        let before = assignment.files.get(&path).ok_or(Refusal::NotShown)?;
        check(&path, before, &content)?;
        let sum = |text: &str| Digest::of([text.as_bytes()]);
        let rewrite = Rewrite { before: sum(before), after: sum(&content) };
        if edits.insert(path.clone(), rewrite).is_some() {
            return Err(Refusal::Twice(path));
        }
        files.insert(path, content);
    }
    Ok(SourcePatch { model: plain::bare_name(model), edits, files, words: plain::prose(&agreed.why, MOST_WORDS) })
}

fn check(name: &str, before: &str, after: &str) -> Result<(), Refusal> {
    path::check(name)?;
    let known: BTreeSet<char> = before.chars().collect();
    let is_plain = |c: char| c.is_ascii_graphic() || matches!(c, ' ' | '\n' | '\t') || known.contains(&c);
    let lines = |text: &str| text.lines().count();
    let refused = match after {
        after if after == before => Refusal::Unchanged,
        after if after.trim().is_empty() => Refusal::Empty,
        after if !after.chars().all(is_plain) || has_lone_return(after) => Refusal::NotPlain,
        after if lines(after).abs_diff(lines(before)) > MAX_LINES as usize => Refusal::TooManyLines,
        _fits => return Ok(()),
    };
    Err(refused(name.to_owned()))
}
