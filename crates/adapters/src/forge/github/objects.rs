//! Commits, trees and texts by their names. What a name stands for never changes, so it is asked for once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use git2::{ObjectType, Oid};
use sre_space_domain::ids::Sha;
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::ForgeError;

use super::call::{Trouble, found};
use super::line::Line;
use super::names::object;
use super::wire::{Blob, Commit, Entry, Tree};

/// Objects that are held; when there are more, all are let go.
const MAX_HELD: usize = 4_000;
/// Files a change may touch for us to look at it at all.
const MAX_FILES: usize = 100;
/// Folders that are opened to compare two trees.
const MAX_FOLDERS: usize = 400;

/// Modes as trees write them.
pub(super) const PLAIN: &str = "100644";
const EXECUTABLE: &str = "100755";
const FOLDER: &str = "040000";

#[derive(Clone)]
enum Held {
    Commit(Arc<Commit>),
    Tree(Arc<Vec<Entry>>),
    Text(Arc<str>),
}

/// What was read already.
#[derive(Default)]
pub(super) struct Shelf(Mutex<HashMap<Sha, Held>>);

impl Shelf {
    fn held(&self) -> MutexGuard<'_, HashMap<Sha, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &Sha) -> Option<Held> {
        self.held().get(name).cloned()
    }

    fn keep(&self, name: &Sha, object: Held) {
        let mut held = self.held();
        if held.len() >= MAX_HELD {
            held.clear();
        }
        held.insert(name.clone(), object);
    }
}

/// What became of one file between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delta {
    pub path: String,
    pub before: Option<Entry>,
    pub after: Option<Entry>,
}

/// Reads objects of one repository.
pub(super) struct Objects<'a> {
    pub line: &'a Line,
    pub shelf: &'a Shelf,
}

impl Objects<'_> {
    pub(super) async fn commit(&self, name: &Sha) -> Result<Arc<Commit>, Trouble> {
        let sha = object(name)?;
        if let Some(Held::Commit(commit)) = self.shelf.get(name) {
            return Ok(commit);
        }
        let missing = || ForgeError::Missing(format!("commit {name}"));
        let commit: Commit = found(self.line.get(&format!("git/commits/{sha}")).await)?.ok_or_else(missing)?;
        if commit.sha != *name {
            return Err(Trouble::Away(format!("GitHub answers commit {} for {name}", commit.sha)));
        }
        let commit = Arc::new(commit);
        self.shelf.keep(name, Held::Commit(Arc::clone(&commit)));
        Ok(commit)
    }

    pub(super) async fn tree(&self, name: &Sha) -> Result<Arc<Vec<Entry>>, Trouble> {
        let sha = object(name)?;
        if let Some(Held::Tree(tree)) = self.shelf.get(name) {
            return Ok(tree);
        }
        let tree: Tree = self.line.get(&format!("git/trees/{sha}")).await?;
        if tree.truncated {
            return Err(ForgeError::Conflict(format!("folder {name} is too large to be read as a whole")).into());
        }
        let entries = Arc::new(tree.tree);
        self.shelf.keep(name, Held::Tree(Arc::clone(&entries)));
        Ok(entries)
    }

    /// A file's text. Its bytes are hashed again: what was judged is what its name stands for.
    pub(super) async fn text(&self, name: &Sha, path: &str) -> Result<Arc<str>, Trouble> {
        let sha = object(name)?;
        if let Some(Held::Text(text)) = self.shelf.get(name) {
            return Ok(text);
        }
        let blob: Blob = self.line.get(&format!("git/blobs/{sha}")).await?;
        let bytes = bytes(&blob).ok_or_else(|| Trouble::Away(format!("blob {name} cannot be read")))?;
        if Oid::hash_object(ObjectType::Blob, &bytes).is_ok_and(|oid| oid.to_string() != sha) {
            return Err(Trouble::Away(format!("the bytes of blob {name} are not what it names")));
        }
        let text = String::from_utf8(bytes).map_err(|_| ForgeError::Conflict(format!("{path} is not text")))?;
        let text: Arc<str> = text.into();
        self.shelf.keep(name, Held::Text(Arc::clone(&text)));
        Ok(text)
    }

    /// What is at a path; `None` when there is nothing.
    pub(super) async fn entry(&self, root: &Sha, path: &str) -> Result<Option<Entry>, Trouble> {
        let (mut folder, mut parts) = (root.clone(), path.split('/').peekable());
        while let Some(part) = parts.next() {
            let entries = self.tree(&folder).await?;
            let Some(entry) = entries.iter().find(|entry| entry.path == part) else { return Ok(None) };
            if parts.peek().is_none() {
                return Ok(Some(Entry { path: path.to_owned(), ..entry.clone() }));
            }
            if !is_folder(entry) {
                return Ok(None);
            }
            folder = entry.sha.clone();
        }
        Ok(None)
    }

    /// What differs between two trees, file by file, in order of paths. Folders that are the same are not opened.
    pub(super) async fn deltas(&self, before: &Sha, after: &Sha) -> Result<Vec<Delta>, Trouble> {
        let mut pairs = vec![(String::new(), Some(before.clone()), Some(after.clone()))];
        let (mut deltas, mut opened) = (Vec::new(), 0);
        while let Some((prefix, before, after)) = pairs.pop() {
            opened += 1;
            if opened > MAX_FOLDERS || deltas.len() > MAX_FILES {
                return Err(ForgeError::Conflict("the change touches too many files to be looked at".to_owned()).into());
            }
            let (before, after) = (self.folder(before).await?, self.folder(after).await?);
            for (name, before, after) in differing(&before, &after) {
                let path = format!("{prefix}{name}");
                let inside =
                    |entry: &Option<Entry>| entry.as_ref().filter(|entry| is_folder(entry)).map(|e| e.sha.clone());
                let (left, right) = (inside(&before), inside(&after));
                if left.is_some() || right.is_some() {
                    pairs.push((format!("{path}/"), left, right));
                }
                let (before, after) = (before.filter(|e| !is_folder(e)), after.filter(|e| !is_folder(e)));
                if before.is_some() || after.is_some() {
                    deltas.push(Delta { path, before, after });
                }
            }
        }
        deltas.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(deltas)
    }

    async fn folder(&self, name: Option<Sha>) -> Result<Arc<Vec<Entry>>, Trouble> {
        match name {
            Some(name) => self.tree(&name).await,
            None => Ok(Arc::default()),
        }
    }

    /// What changed between two trees, as texts. A digest covers texts only, so a change of mode must not pass unseen.
    pub(super) async fn changes(&self, before: &Sha, after: &Sha) -> Result<Vec<FileChange>, Trouble> {
        let mut changes = Vec::new();
        for delta in self.deltas(before, after).await? {
            if !is_text_only(&delta) {
                return Err(ForgeError::Conflict(format!("{} changes as more than plain text", delta.path)).into());
            }
            let contents = match &delta.after {
                Some(entry) => Some(self.text(&entry.sha, &delta.path).await?.as_ref().to_owned()),
                None => None,
            };
            changes.push(FileChange { path: delta.path, contents });
        }
        Ok(changes)
    }
}

fn bytes(blob: &Blob) -> Option<Vec<u8>> {
    match blob.encoding.as_str() {
        "base64" => STANDARD.decode(blob.content.split_whitespace().collect::<String>()).ok(),
        "utf-8" => Some(blob.content.clone().into_bytes()),
        _ => None,
    }
}

pub(super) fn is_folder(entry: &Entry) -> bool {
    entry.mode == FOLDER
}

pub(super) fn is_file(entry: &Entry) -> bool {
    entry.mode == PLAIN || entry.mode == EXECUTABLE
}

fn is_text_only(delta: &Delta) -> bool {
    match (&delta.before, &delta.after) {
        (Some(before), Some(after)) => is_file(before) && before.mode == after.mode,
        (Some(before), None) => is_file(before),
        (None, Some(after)) => after.mode == PLAIN,
        (None, None) => true,
    }
}

type Pair = (String, Option<Entry>, Option<Entry>);

/// Entries that are not the same on both sides.
fn differing(before: &[Entry], after: &[Entry]) -> Vec<Pair> {
    let left: HashMap<&str, &Entry> = before.iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let right: HashMap<&str, &Entry> = after.iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let changed = before.iter().filter(|entry| right.get(entry.path.as_str()) != Some(entry));
    let new = after.iter().filter(|entry| !left.contains_key(entry.path.as_str()));
    let pair = |entry: &Entry| {
        let side = |held: &HashMap<&str, &Entry>| held.get(entry.path.as_str()).map(|entry| (*entry).clone());
        (entry.path.clone(), side(&left), side(&right))
    };
    changed.chain(new).map(pair).collect()
}
