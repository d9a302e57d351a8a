//! Whether a permit covers a deed. The answer is computed from the commit itself, never from what a caller says of it.

use git2::{Commit, Tree};
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::path;
use sre_space_domain::permit::Covers;
use sre_space_domain::proposal::{FileChange, digest};
use sre_space_ports::forge::{CommitRequest, ForgeError};

use super::git::{Git, Trouble, sha};
use super::read;

/// Refuses a request that the permit does not cover, before anything is written.
pub(super) fn request(git: &Git, covers: &Covers, request: &CommitRequest) -> Result<(), Trouble> {
    let mut wanted = request.changes.clone();
    wanted.sort_by(|a, b| a.path.cmp(&b.path));
    may_write(&wanted)?;
    match covers {
        Covers::Proposal(judged) if digest(&request.incident, &request.base, &wanted) == *judged => Ok(()),
        Covers::Proposal(_) => Err(denied("these are not the files that were judged")),
        Covers::RevertOf(undone) if read::revert_of(git, undone, &request.base)? == wanted => Ok(()),
        Covers::RevertOf(undone) => Err(denied(&format!("this is not the exact revert of {undone}"))),
    }
}

/// Refuses a commit that the permit does not cover.
pub(super) fn commit(git: &Git, covers: &Covers, incident: &IncidentId, made: &Commit<'_>) -> Result<(), Trouble> {
    if made.parent_count() != 1 {
        return Err(denied("the head is no single commit on the base"));
    }
    let base = made.parent(0)?;
    // Merging the head would bring its whole past along: only what is deployed already may be in it.
    if !git.is_deployed(base.id())? {
        return Err(denied("the base is not part of the deployed branch"));
    }
    let changes = changes(git, &base.tree()?, made)?;
    let matches = match covers {
        Covers::Proposal(judged) => digest(incident, &sha(base.id()), &changes) == *judged,
        Covers::RevertOf(undone) => is_revert(git, undone, &base, made)?,
    };
    if matches { Ok(()) } else { Err(denied(&format!("commit {} is not what was judged", made.id()))) }
}

fn changes(git: &Git, base: &Tree<'_>, made: &Commit<'_>) -> Result<Vec<FileChange>, Trouble> {
    let changes = read::between(git, Some(base), &made.tree()?)?;
    may_write(&changes)?;
    Ok(changes)
}

fn is_revert(git: &Git, undone: &Sha, base: &Commit<'_>, made: &Commit<'_>) -> Result<bool, Trouble> {
    Ok(read::reverted(git, &git.commit(undone)?, base)? == made.tree_id())
}

fn may_write(changes: &[FileChange]) -> Result<(), Trouble> {
    changes.iter().try_for_each(|change| path::check(&change.path)).map_err(|bad| denied(&bad.to_string()))
}

pub(super) fn denied(why: &str) -> Trouble {
    ForgeError::NotPermitted(why.to_owned()).into()
}
