//! A source patch that a model writes: what it is shown, what it may answer, and what is made of it.
//!
//! It is asked only where rules found a cause and no declared remedy is left. It can rewrite files that it was shown and nothing
//! else; what it writes ends at a pull request that a person merges, and its words are shown and never used.

mod assignment;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::assignment::Assignment;
pub use self::read::{Refusal, read};
use crate::path::MAX_FILES;
use crate::proposal::{Remedy, Rewrite};

/// Most bytes of files that are shown, all of them together, few enough to be written out again within a model's time-out.
pub const MOST_BYTES: usize = 8 * 1024;
/// Most lines of files that are shown, all of them together: comparing two texts takes time that grows with both.
pub const MOST_LINES: usize = 1_000;

/// A file of the owners' sources, as it is at the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path in the repository, `/`-separated.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// What a model wrote: a stranger's text, in the agreed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePatch {
    /// The model, as the operator named it.
    pub model: String,
    /// What becomes of each file, as digests.
    pub edits: BTreeMap<String, Rewrite>,
    /// The files' new contents.
    pub files: BTreeMap<String, String>,
    /// The model's reason: for people to read, and never used.
    pub words: String,
}

impl SourcePatch {
    /// It as a remedy: digests only, the contents stay here.
    pub fn remedy(&self, service: &str) -> Remedy {
        Remedy::SourcePatch { service: service.to_owned(), edits: self.edits.clone() }
    }
}

/// What came of asking a model for a source patch. Shown with the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "authored", rename_all = "snake_case")]
pub enum Authored {
    /// It answered, and the answer fits.
    Written(SourcePatch),
    /// It did not, was not asked, or its answer does not fit.
    Lacking {
        /// Why, in one sentence of our own.
        why: String,
    },
}

/// Whether one more file may be shown beside the others: there is room, and a person who reads it sees all that is in it.
pub fn may_show(shown: &[SourceFile], text: &str) -> bool {
    let all = || shown.iter().map(|file| file.text.as_str()).chain([text]);
    shown.len() < MAX_FILES
        && all().map(str::len).sum::<usize>() <= MOST_BYTES
        && all().map(|text| text.lines().count()).sum::<usize>() <= MOST_LINES
        && !text.is_empty()
        && text.chars().all(is_seen)
        && !has_lone_return(text)
}

/// Whether a carriage return stands alone: shown on a terminal, what follows it covers what came before.
fn has_lone_return(text: &str) -> bool {
    text.replace("\r\n", "").contains('\r')
}

/// Neither a control character nor one that shows nothing, changes its neighbour or turns the direction of what follows (Unicode
/// properties `Default_Ignorable_Code_Point` and `Bidi_Control`).
fn is_seen(c: char) -> bool {
    let hidden = matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    let fillers = matches!(c, '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{3164}');
    let others = matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}');
    let plane = matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    matches!(c, '\n' | '\r' | '\t') || !(c.is_control() || hidden || fillers || others || plane)
}
