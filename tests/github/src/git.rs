//! The bare repository behind it.

use git2::{Commit, FileMode, Oid, Repository, Signature, Time};

use crate::Desk;

pub const MAIN: &str = "refs/heads/main";

impl Desk {
    pub fn git(&self) -> Repository {
        Repository::open_bare(&self.path).expect("the repository")
    }
}

/// A commit by its full name.
pub fn commit<'git>(git: &'git Repository, name: &str) -> Option<Commit<'git>> {
    git.find_commit(Oid::from_str(name).ok()?).ok().filter(|_| name.len() == 40)
}

/// What a branch, `main`'s included, or a full name stands for.
pub fn named<'git>(git: &'git Repository, name: &str) -> Option<Commit<'git>> {
    commit(git, name).or_else(|| git.find_commit(tip(git, name)?).ok())
}

pub fn tip(git: &Repository, branch: &str) -> Option<Oid> {
    git.refname_to_id(&format!("refs/heads/{branch}")).ok()
}

pub fn main(git: &Repository) -> Commit<'_> {
    git.find_reference(MAIN).and_then(|found| found.peel_to_commit()).expect("main")
}

/// `seconds` since 1970 as GitHub writes it.
pub fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).expect("a time").to_string()
}

/// Somebody else's commit on a branch.
pub fn push(git: &Repository, branch: &str, path: &str, text: &str) -> Oid {
    let parent = named(git, branch).expect("the branch");
    let tree = parent.tree().expect("a tree");
    let mut edits = git2::build::TreeUpdateBuilder::new();
    edits.upsert(path, git.blob(text.as_bytes()).expect("a blob"), FileMode::Blob);
    let tree = edits.create_updated(git, &tree).and_then(|tree| git.find_tree(tree)).expect("a tree");
    let owner = Signature::new("owner", "owner@example.org", &Time::new(1_700_000_000, 0)).expect("a name");
    git.commit(Some(&format!("refs/heads/{branch}")), &owner, &owner, "By an owner", &tree, &[&parent])
        .expect("a commit")
}

/// The squashed commit of a head on `main`, and `main` moved to it; `None` where it does not apply.
pub fn squash(git: &Repository, head: Oid, message: &str) -> Option<Oid> {
    for _ in 0..16 {
        let (main, tree) = (main(git), merged(git, head)?);
        let tree = git.find_tree(tree).expect("a tree");
        let us = Signature::now("GitHub", "noreply@github.com").expect("a name");
        let made = git.commit(None, &us, &us, message, &tree, &[&main]).expect("a commit");
        if git.reference_matching(MAIN, made, true, main.id(), "squash").is_ok() {
            return Some(made);
        }
    }
    None
}

/// The tree of `main` with a head merged into it; `None` where they conflict.
pub fn merged(git: &Repository, head: Oid) -> Option<Oid> {
    let mut index = git.merge_commits(&main(git), &git.find_commit(head).ok()?, None).ok()?;
    let clear = !index.has_conflicts();
    clear.then(|| index.write_tree_to(git).expect("a tree"))
}

/// Paths that a commit changed.
pub fn files(git: &Repository, commit: &Commit<'_>) -> Vec<String> {
    let before = commit.parent(0).ok().map(|parent| parent.tree().expect("a tree"));
    let after = commit.tree().expect("a tree");
    let diff = git.diff_tree_to_tree(before.as_ref(), Some(&after), None).expect("a diff");
    let path = |delta: git2::DiffDelta<'_>| {
        let file =
            delta.new_file().path().or_else(|| delta.old_file().path()).map(|path| path.to_string_lossy().into_owned());
        file.unwrap_or_default()
    };
    diff.deltas().map(path).collect()
}
