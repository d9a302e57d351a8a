//! Whether a permit covers a deed. The answer is computed from the commit itself, never from what a caller says of it.

use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::path;
use sre_space_domain::permit::Covers;
use sre_space_domain::proposal::{FileChange, digest};
use sre_space_ports::forge::{CommitRequest, ForgeError};

use super::Hub;
use super::call::Trouble;
use super::read;

/// Refuses a request that the permit does not cover, before anything is written.
pub(super) async fn request(hub: &Hub, covers: &Covers, request: &CommitRequest) -> Result<(), Trouble> {
    let mut wanted = request.changes.clone();
    wanted.sort_by(|a, b| a.path.cmp(&b.path));
    may_write(&wanted)?;
    match covers {
        Covers::Proposal(judged) if digest(&request.incident, &request.base, &wanted) == *judged => Ok(()),
        Covers::Proposal(_) => Err(denied("these are not the files that were judged").into()),
        Covers::RevertOf(undone) if read::revert_of(hub, undone, &request.base).await? == wanted => Ok(()),
        Covers::RevertOf(undone) => Err(denied(&format!("this is not the exact revert of {undone}")).into()),
    }
}

/// Refuses a commit that the permit does not cover.
pub(super) async fn commit(hub: &Hub, covers: &Covers, incident: &IncidentId, made: &Sha) -> Result<(), Trouble> {
    let objects = hub.objects();
    let commit = objects.commit(made).await?;
    let [base] = commit.parents.as_slice() else {
        return Err(denied("the head is no single commit on the base").into());
    };
    // Merging the head would bring its whole past along: only what is deployed already may be in it.
    if !read::is_deployed(hub, &base.sha).await? {
        return Err(denied("the base is not part of the deployed branch").into());
    }
    let before = objects.commit(&base.sha).await?;
    let changes = objects.changes(&before.tree.sha, &commit.tree.sha).await?;
    may_write(&changes)?;
    let is_covered = match covers {
        Covers::Proposal(judged) => digest(incident, &base.sha, &changes) == *judged,
        Covers::RevertOf(undone) => read::revert_of(hub, undone, &base.sha).await? == changes,
    };
    if is_covered { Ok(()) } else { Err(denied(&format!("commit {made} is not what was judged")).into()) }
}

fn may_write(changes: &[FileChange]) -> Result<(), ForgeError> {
    changes.iter().try_for_each(|change| path::check(&change.path)).map_err(|bad| denied(&bad.to_string()))
}

pub(super) fn denied(why: &str) -> ForgeError {
    ForgeError::NotPermitted(why.to_owned())
}
