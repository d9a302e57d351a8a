//! What changed: whether the failure began with a revision, and which commit that revision brought.

use super::Owns;
use super::forest::Forest;
use super::origin::Origin;
use crate::evidence::{CommitInfo, Evidence};
use crate::ids::Sha;

/// A revision is bad when at least this share of its requests is.
const BAD_SHARE: f64 = 0.05;
/// A revision was good when at most this share of its requests was bad.
const GOOD_SHARE: f64 = 0.03;
/// Requests a revision needs to be judged by.
const LEAST_REQUESTS: u64 = 20;
/// Good requests that may precede the first bad one of a guilty revision: at 10 % bad, more are seen in 1 of 50 cases.
const MOST_GOOD_BEFORE: usize = 40;

/// The revision a failure began with, and the commits that could be the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guilty {
    /// Revision.
    pub revision: String,
    /// Commits of the deployed branch that came with it and touch the service's files, newest first.
    pub commits: Vec<Sha>,
}

/// The first bad revision of the origin after a good one, when the failure began with it.
pub fn guilty(evidence: &Evidence, forest: &Forest<'_>, origin: &Origin, owns: Owns<'_>) -> Option<Guilty> {
    let of_service: Vec<_> = evidence.revisions.iter().filter(|seen| seen.service == origin.service).collect();
    let share = |at: usize| of_service[at].bad as f64 / of_service[at].entries.max(1) as f64;
    let last = of_service.len().checked_sub(1)?;
    let mut first_bad = last;
    while first_bad > 0
        && share(first_bad - 1) >= BAD_SHARE
        && began_with(forest, origin, &of_service[first_bad - 1].revision)
    {
        first_bad -= 1;
    }
    let before = of_service[..first_bad].iter().rev().find(|seen| seen.entries >= LEAST_REQUESTS)?;
    let was_good =
        (before.bad as f64) <= GOOD_SHARE * before.entries as f64 || !is_bad_lately(forest, origin, &before.revision);
    let revision = &of_service[first_bad].revision;
    if !was_good || share(first_bad) < BAD_SHARE || !began_with(forest, origin, revision) {
        return None;
    }
    let brought = brought(&evidence.changes, &before.revision, revision);
    let touches = |commit: &&CommitInfo| commit.files.iter().any(|file| owns(&origin.service, file));
    let commits = brought.iter().filter(touches).map(|commit| commit.sha.clone()).collect();
    Some(Guilty { revision: revision.clone(), commits })
}

/// Whether the revision failed from its first requests on.
fn began_with(forest: &Forest<'_>, origin: &Origin, revision: &str) -> bool {
    let mut entries = forest.entries_of(&origin.service, &origin.operation);
    entries.retain(|index| forest.spans[*index].revision == revision);
    entries.sort_by_key(|index| forest.spans[*index].end_ns);
    let good_before = entries.iter().position(|index| forest.bad[*index]);
    good_before.is_some_and(|count| count <= MOST_GOOD_BEFORE)
}

/// Whether the newest requests of a revision were bad: an old incident of it, long over, does not count.
fn is_bad_lately(forest: &Forest<'_>, origin: &Origin, revision: &str) -> bool {
    let mut entries = forest.entries_of(&origin.service, &origin.operation);
    entries.retain(|index| forest.spans[*index].revision == revision);
    entries.sort_by_key(|index| std::cmp::Reverse(forest.spans[*index].end_ns));
    entries.truncate(LEAST_REQUESTS as usize);
    let bad = entries.iter().filter(|index| forest.bad[**index]).count();
    bad as f64 > GOOD_SHARE * entries.len() as f64
}

/// Commits after the good revision up to the bad one; only the bad one when the good one is not on the branch.
fn brought<'a>(changes: &'a [CommitInfo], good: &str, bad: &str) -> &'a [CommitInfo] {
    let at = |revision: &str| changes.iter().position(|commit| commit.sha.0 == revision);
    match (at(bad), at(good)) {
        (Some(newest), Some(oldest)) if newest < oldest => &changes[newest..oldest],
        (Some(newest), _) => &changes[newest..=newest],
        (None, _) => &[],
    }
}
