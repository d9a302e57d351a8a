//! Whether what a model wrote may be shown to anybody: what holds before policy is asked.
//!
//! Pure, and asked twice: by Brain of the files it showed, and by Fixer of those at the base, whatever Brain said.

use std::collections::BTreeMap;

use sre_space_domain::catalogue::ServiceRules;
use sre_space_domain::ids::Digest;
use sre_space_domain::path::{self, BadPath, MAX_FILES, MAX_LINES};
use sre_space_domain::proposal::{FileChange, Rewrite};
use thiserror::Error;

use crate::catalogue::is_source;
use crate::config_file;
use crate::fixer::diff::{Pair, unified};

/// Why it may not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Nothing would change.
    #[error("nothing would change")]
    Nothing,
    /// More files than one change may touch.
    #[error("{0} files are more than {MAX_FILES}")]
    TooManyFiles(usize),
    /// A path that no machine may write.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// A file that the owners did not declare.
    #[error("{0} is not among the service's sources")]
    NotASource(String),
    /// No such file: a patch rewrites what is there, and adds nothing.
    #[error("{0} is not in the repository")]
    Missing(String),
    /// It is not what the model read any more.
    #[error("{0} changed since it was read")]
    Moved(String),
    /// The text is not the one that was decided about.
    #[error("the text for {0} is not what was agreed on")]
    Other(String),
    /// A file that could be read could not be any more.
    #[error("{0} would not parse any more")]
    Broken(String),
    /// More lines than one change may touch.
    #[error("{0} lines are more than {MAX_LINES}")]
    TooManyLines(u32),
}

/// The changes that a patch makes of the files that are present.
///
/// # Errors
/// [`Unfit`] says why there are none.
pub fn changes(
    rules: &ServiceRules,
    edits: &BTreeMap<String, Rewrite>,
    written: &BTreeMap<String, String>,
    present: &BTreeMap<String, String>,
) -> Result<Vec<FileChange>, Unfit> {
    if edits.len() > MAX_FILES {
        return Err(Unfit::TooManyFiles(edits.len()));
    }
    if let Some(stray) = written.keys().find(|path| !edits.contains_key(*path)) {
        return Err(Unfit::Other(stray.clone()));
    }
    let change = |(path, edit): (&String, &Rewrite)| -> Result<FileChange, Unfit> {
        path::check(path)?;
        if !is_source(rules, path) {
            return Err(Unfit::NotASource(path.clone()));
        }
        let before = present.get(path).ok_or_else(|| Unfit::Missing(path.clone()))?;
        let after = written.get(path).ok_or_else(|| Unfit::Other(path.clone()))?;
        fits(path, edit, (before, after))?;
        Ok(FileChange { path: path.clone(), contents: Some(after.clone()) })
    };
    let changes: Vec<FileChange> = edits.iter().map(change).collect::<Result<_, _>>()?;
    let pairs: Vec<Pair<'_>> =
        changes.iter().map(|change| Pair::new(change, present.get(&change.path).map(String::as_str))).collect();
    match unified(&pairs).1 {
        0 => Err(Unfit::Nothing),
        lines if lines > MAX_LINES => Err(Unfit::TooManyLines(lines)),
        _few_enough => Ok(changes),
    }
}

fn fits(path: &str, edit: &Rewrite, (before, after): (&str, &str)) -> Result<(), Unfit> {
    let is = |digest: &Digest, text: &str| *digest == Digest::of([text.as_bytes()]);
    if !is(&edit.before, before) {
        return Err(Unfit::Moved(path.to_owned()));
    }
    if !is(&edit.after, after) {
        return Err(Unfit::Other(path.to_owned()));
    }
    if config_file::breaks(path, before, after) { Err(Unfit::Broken(path.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
