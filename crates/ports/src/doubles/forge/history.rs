//! Commits in memory: whole files, merged and reverted file by file.

use std::collections::{BTreeMap, BTreeSet};

use sre_space_domain::ids::{Digest, Sha};
use sre_space_domain::proposal::FileChange;

use crate::forge::ForgeError;

/// Every file of a commit.
pub(super) type Files = BTreeMap<String, String>;

/// One commit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) parents: Vec<Sha>,
    pub(super) files: Files,
    pub(super) message: String,
    pub(super) at_ms: i64,
}

impl Node {
    /// A name as git would make it: equal for equal commits.
    pub(super) fn sha(&self) -> Sha {
        let at = self.at_ms.to_string();
        let mut parts: Vec<&[u8]> = vec![self.message.as_bytes(), at.as_bytes()];
        parts.extend(self.parents.iter().map(|parent| parent.0.as_bytes()));
        for (path, text) in &self.files {
            parts.extend([path.as_bytes(), text.as_bytes()]);
        }
        Sha(Digest::of(parts).as_str().chars().take(40).collect())
    }
}

/// All commits by name.
#[derive(Debug, Default)]
pub(super) struct History {
    nodes: BTreeMap<Sha, Node>,
}

impl History {
    pub(super) fn add(&mut self, node: Node) -> Sha {
        let sha = node.sha();
        self.nodes.insert(sha.clone(), node);
        sha
    }

    pub(super) fn node(&self, sha: &Sha) -> Result<&Node, ForgeError> {
        self.nodes.get(sha).ok_or_else(|| ForgeError::Missing(format!("commit {sha}")))
    }

    /// Whether `ancestor` is `commit` or in its past.
    pub(super) fn contains(&self, commit: &Sha, ancestor: &Sha) -> bool {
        let mut open = vec![commit];
        let mut seen = BTreeSet::new();
        while let Some(sha) = open.pop() {
            if sha == ancestor {
                return true;
            }
            if seen.insert(sha) {
                open.extend(self.nodes.get(sha).into_iter().flat_map(|node| &node.parents));
            }
        }
        false
    }

    /// Files of the first parent.
    pub(super) fn before(&self, node: &Node) -> Files {
        node.parents
            .first()
            .and_then(|parent| self.nodes.get(parent))
            .map(|node| node.files.clone())
            .unwrap_or_default()
    }

    /// The files that undo exactly `commit` on top of `onto`.
    pub(super) fn reverted(&self, commit: &Sha, onto: &Sha) -> Result<Files, ForgeError> {
        if !self.contains(onto, commit) {
            return Err(ForgeError::Conflict(format!("{commit} is not part of the branch")));
        }
        let undone = self.node(commit)?;
        merged(&undone.files, &self.node(onto)?.files, &self.before(undone))
    }
}

/// Three-way merge, file by file: what `theirs` did to `base`, done to `ours`.
pub(super) fn merged(base: &Files, ours: &Files, theirs: &Files) -> Result<Files, ForgeError> {
    let mut result = ours.clone();
    for change in between(base, theirs) {
        let (mine, wanted) = (ours.get(&change.path), change.contents);
        if mine != base.get(&change.path) && mine != wanted.as_ref() {
            return Err(ForgeError::Conflict(format!("{} was changed by others", change.path)));
        }
        write(&mut result, &change.path, wanted);
    }
    Ok(result)
}

/// The files after changes.
pub(super) fn changed(files: &Files, changes: &[FileChange]) -> Files {
    let mut result = files.clone();
    for change in changes {
        write(&mut result, &change.path, change.contents.clone());
    }
    result
}

/// What changed, in order of paths.
pub(super) fn between(before: &Files, after: &Files) -> Vec<FileChange> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
    differs.map(|path| FileChange { path: path.clone(), contents: after.get(path).cloned() }).collect()
}

fn write(files: &mut Files, path: &str, contents: Option<String>) {
    match contents {
        Some(text) => files.insert(path.to_owned(), text),
        None => files.remove(path),
    };
}
