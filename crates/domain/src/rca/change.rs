//! Whether a failure began with a revision, and which commit that revision brought.

use std::fmt;

use super::Owns;
use super::requests::Request;
use crate::evidence::{CommitInfo, Evidence, RevisionSeen};
use crate::ids::Sha;

/// A revision is bad when at least this share of its requests is.
const BAD_SHARE: f64 = 0.05;
/// A revision is as bad as the newest when its share is at least this part of the newest's, and good when at most that.
const AS_BAD: f64 = 0.5;
const GOOD: f64 = 0.2;
/// Requests a revision needs to be judged by, and the newest that judge it when there are more.
const LEAST_REQUESTS: usize = 20;
const NEWEST_REQUESTS: usize = 300;
/// The third bad request comes among the first `12 / share` in all but 1 of 2,000 cases, if they are bad from the start.
const THIRD: usize = 2;
const FIRST_EXPECTED: f64 = 12.0;
/// Where the first requests are forgotten: onset this close to the first sight of the revision, milliseconds.
const CLOSE_MS: i64 = 5_000;
/// Digits by which a shortened revision still names one commit.
const SHORTEST: usize = 7;

/// The revision a failure began with, and the commits that could be the cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Guilty {
    /// Revision.
    pub revision: String,
    /// Share of its requests that are bad.
    pub bad_share: f64,
    /// The same share on the last good revision before it.
    pub good_share: f64,
    /// Commits of the deployed branch that came with it and touch the service's files, newest first.
    pub commits: Vec<Sha>,
}

impl fmt::Display for Guilty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.commits.as_slice() {
            [only] => write!(f, "commit {}", only.short())?,
            several => write!(f, "a revision that brought {} commits of its sources", several.len())?,
        }
        write!(f, ": {:.1} % of requests, {:.1} % before", self.bad_share * 100.0, self.good_share * 100.0)
    }
}

struct Judged<'a> {
    seen: &'a RevisionSeen,
    /// `None` when too few requests were seen.
    share: Option<f64>,
}

/// The first bad revision of a service after a good one, when the failure began with it and stayed ever since.
pub fn guilty(evidence: &Evidence, requests: &[Request<'_>], service: &str, owns: Owns<'_>) -> Option<Guilty> {
    let of_service = evidence.revisions.iter().filter(|seen| seen.service == service);
    let judged: Vec<Judged<'_>> = of_service.map(|seen| Judged { share: share(requests, seen), seen }).collect();
    let now = judged.iter().rev().find_map(|judged| judged.share).filter(|share| *share >= BAD_SHARE)?;
    let mut first_bad: Option<(usize, f64)> = None;
    for (at, judged) in judged.iter().enumerate().rev() {
        match judged.share {
            Some(share) if share >= AS_BAD * now => first_bad = Some((at, share)),
            Some(_) => break,
            None => {}
        }
    }
    let (at, bad_share) = first_bad?;
    let (good, good_share) = judged[..at].iter().rev().find_map(|judged| Some((judged.seen, judged.share?)))?;
    let bad = judged[at].seen;
    if good_share > GOOD * now || !began_with(evidence, requests, bad, bad_share) {
        return None;
    }
    let touches = |commit: &&CommitInfo| commit.files.iter().any(|file| owns(service, file));
    let brought = brought(&evidence.changes, &good.revision, &bad.revision);
    let commits = brought.iter().filter(touches).map(|commit| commit.sha.clone()).collect();
    Some(Guilty { revision: bad.revision.clone(), bad_share, good_share, commits })
}

/// Share of bad requests: of the newest seen, since an old incident of the revision is over; else as Scout counted.
fn share(requests: &[Request<'_>], seen: &RevisionSeen) -> Option<f64> {
    let newest = requests.iter().rev().filter(|request| request.revision == seen.revision).take(NEWEST_REQUESTS);
    let (bad, all) = newest.fold((0_usize, 0_usize), |(bad, all), request| (bad + usize::from(request.bad), all + 1));
    if all >= LEAST_REQUESTS {
        return Some(bad as f64 / all as f64);
    }
    (seen.entries >= LEAST_REQUESTS as u64).then(|| seen.bad as f64 / seen.entries as f64)
}

/// Whether the revision failed from its first requests on.
fn began_with(evidence: &Evidence, requests: &[Request<'_>], seen: &RevisionSeen, share: f64) -> bool {
    let of_revision: Vec<&Request<'_>> = requests.iter().filter(|request| request.revision == seen.revision).collect();
    let knows_beginning = requests.first().is_some_and(|first| first.revision != seen.revision);
    if !knows_beginning || of_revision.len() < LEAST_REQUESTS {
        return (evidence.signal.onset_ms - seen.first_seen_ms).abs() <= CLOSE_MS;
    }
    let third = of_revision.iter().enumerate().filter(|(_, request)| request.bad).nth(THIRD);
    third.is_some_and(|(at, _)| at as f64 <= FIRST_EXPECTED / share)
}

/// Commits after the good revision up to the bad one; all up to the bad one when the good one is not on the branch.
fn brought<'a>(changes: &'a [CommitInfo], good: &str, bad: &str) -> &'a [CommitInfo] {
    let Some(newest) = position(changes, bad) else { return &[] };
    let oldest = position(changes, good).unwrap_or(changes.len());
    changes.get(newest..oldest).unwrap_or_default()
}

/// A revision names a commit in full, or by a beginning that no other shares.
fn position(changes: &[CommitInfo], revision: &str) -> Option<usize> {
    if let Some(at) = changes.iter().position(|commit| commit.sha.0 == revision) {
        return Some(at);
    }
    let mut short = changes.iter().enumerate().filter(|(_, commit)| commit.sha.0.starts_with(revision));
    let (at, _) = short.next().filter(|_| revision.len() >= SHORTEST)?;
    short.next().is_none().then_some(at)
}
