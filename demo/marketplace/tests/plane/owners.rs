//! The owners at their repository, with plain git.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, Signature};
use serde_json::Value;

/// Whoever may push.
pub struct Owners {
    repo: Repository,
}

impl Owners {
    /// At a bare repository.
    pub fn at(path: &PathBuf) -> Self {
        Self { repo: Repository::open_bare(path).expect("the repository") }
    }

    /// A file of main.
    pub fn file(&self, path: &str) -> String {
        let object = self.repo.revparse_single(&format!("main:{path}")).expect("the file");
        String::from_utf8(object.as_blob().expect("a blob").content().to_vec()).expect("text")
    }

    /// Pushes an edit of a file to main.
    pub fn push(&self, path: &str, change: impl Fn(&str) -> String) -> Oid {
        self.commit(Some("refs/heads/main"), path, change)
    }

    /// Opens a pull request with an edit of a file; answers its head.
    pub fn propose(&self, number: u64, path: &str, change: impl Fn(&str) -> String) -> Oid {
        let head = self.commit(None, path, change);
        self.repo.reference(&format!("refs/pull/{number}/head"), head, false, "proposed").expect("a new pull request");
        head
    }

    /// What the check runner wrote about a commit.
    pub fn check_of(&self, head: Oid) -> Option<Value> {
        let check = self.repo.revparse_single(&format!("refs/checks/{head}:check.json")).ok()?;
        serde_json::from_slice(check.as_blob()?.content()).ok()
    }

    fn commit(&self, onto: Option<&str>, path: &str, change: impl Fn(&str) -> String) -> Oid {
        let (old, parent) = (self.file(path), self.main());
        let new = change(&old);
        assert_ne!(new, old, "the edit changes {path}");
        let blob = self.repo.blob(new.as_bytes()).expect("a blob");
        let mut update = TreeUpdateBuilder::new();
        update.upsert(Path::new(path), blob, FileMode::Blob);
        let tree = parent.tree().and_then(|tree| update.create_updated(&self.repo, &tree)).expect("a tree");
        let tree = self.repo.find_tree(tree).expect("the tree");
        let owner = Signature::now("owners", "owners@example.com").expect("a signature");
        self.repo.commit(onto, &owner, &owner, &format!("Edit {path}"), &tree, &[&parent]).expect("a commit")
    }

    fn main(&self) -> Commit<'_> {
        self.repo.revparse_single("main").and_then(|object| object.peel_to_commit()).expect("main")
    }
}
