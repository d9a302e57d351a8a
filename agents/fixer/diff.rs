//! The unified diff people read, and its size.

use similar::{ChangeTag, TextDiff};
use sre_space_domain::proposal::FileChange;

/// A file before and after; `None` where it is not there.
pub(crate) struct Pair<'text> {
    pub(super) path: &'text str,
    pub(super) before: Option<&'text str>,
    pub(super) after: Option<&'text str>,
}

impl<'text> Pair<'text> {
    pub(crate) fn new(change: &'text FileChange, before: Option<&'text str>) -> Self {
        Self { path: &change.path, before, after: change.contents.as_deref() }
    }
}

/// The diff and the number of lines it adds and removes.
pub(crate) fn unified(pairs: &[Pair<'_>]) -> (String, u32) {
    let (mut text, mut lines) = (String::new(), 0_u32);
    for pair in pairs {
        let diff = TextDiff::from_lines(pair.before.unwrap_or_default(), pair.after.unwrap_or_default());
        let old = pair.before.map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{}", pair.path));
        let new = pair.after.map_or_else(|| "/dev/null".to_owned(), |_| format!("b/{}", pair.path));
        text.push_str(&diff.unified_diff().header(&old, &new).to_string());
        let touched = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal).count();
        lines = lines.saturating_add(u32::try_from(touched).unwrap_or(u32::MAX));
    }
    (text, lines)
}
