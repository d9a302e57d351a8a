//! The repository itself: opening it, naming objects, moving references by compare-and-swap.

use std::path::Path;

use git2::{Commit, ErrorCode, Oid, Repository, Signature, Time};
use jiff::Timestamp;
use sre_space_domain::ids::Sha;
use sre_space_ports::forge::ForgeError;
use thiserror::Error;

use super::lock::Waiting;
use crate::forge::{EMAIL, NAME};

/// What went wrong inside: git's own word, or already the port's.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Git(#[from] git2::Error),
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl From<Trouble> for ForgeError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Forge(error) => error,
            Trouble::Git(error) if error.code() == ErrorCode::NotFound => Self::Missing(error.message().to_owned()),
            Trouble::Git(error) => Self::unavailable(error.message()),
        }
    }
}

/// An open repository and the branch that is deployed from it.
pub(super) struct Git {
    pub(super) repo: Repository,
    pub(super) url: String,
    /// Full name of the deployed branch.
    pub(super) deployed: String,
}

/// What became of an attempt to move a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swap {
    Done,
    /// Somebody else was faster: look again.
    Lost,
}

impl Git {
    pub(super) fn open(path: &Path, branch: &str, url: &str) -> Result<Self, Trouble> {
        let repo = Repository::open_bare(path)?;
        Ok(Self { repo, url: url.to_owned(), deployed: format!("refs/heads/{branch}") })
    }

    /// Head of the deployed branch.
    pub(super) fn main(&self) -> Result<Commit<'_>, Trouble> {
        Ok(self.repo.find_reference(&self.deployed)?.peel_to_commit()?)
    }

    /// The commit a full object name names. Short names are refused: they are for people.
    pub(super) fn commit(&self, name: &Sha) -> Result<Commit<'_>, Trouble> {
        let missing = || ForgeError::Missing(format!("commit {name}"));
        if name.0.len() != 40 {
            return Err(missing().into());
        }
        let oid = Oid::from_str(&name.0).map_err(|_| missing())?;
        Ok(self.repo.find_commit(oid).map_err(|_| missing())?)
    }

    /// Where a reference points; `None` when it is not there.
    pub(super) fn tip(&self, reference: &str) -> Result<Option<Oid>, Trouble> {
        match self.repo.refname_to_id(reference) {
            Ok(oid) => Ok(Some(oid)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves a reference from `from` (`None`: it must not exist) to `to`.
    pub(super) fn swap(&self, reference: &str, from: Option<Oid>, to: Oid, why: &str) -> Result<Swap, Trouble> {
        let waiting = Waiting::of(self.repo.path(), reference);
        loop {
            let moved = match from {
                Some(from) => self.repo.reference_matching(reference, to, true, from, why),
                None => self.repo.reference(reference, to, false, why),
            };
            match moved {
                Ok(_) => return Ok(Swap::Done),
                Err(error) if error.code() == ErrorCode::Locked => waiting.step()?,
                Err(error) if is_lost_race(error.code()) => return Ok(Swap::Lost),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether `ancestor` is `commit` or in its past.
    pub(super) fn contains(&self, commit: Oid, ancestor: Oid) -> Result<bool, Trouble> {
        Ok(commit == ancestor || self.repo.graph_descendant_of(commit, ancestor)?)
    }

    /// Whether a commit is part of what is deployed.
    pub(super) fn is_deployed(&self, commit: Oid) -> Result<bool, Trouble> {
        self.contains(self.main()?.id(), commit)
    }
}

/// Another writer moved the reference or made it.
fn is_lost_race(code: ErrorCode) -> bool {
    [ErrorCode::Modified, ErrorCode::Exists].contains(&code)
}

/// The house's name under a commit made at `at`.
pub(super) fn signature(at: Timestamp) -> Result<Signature<'static>, Trouble> {
    Ok(Signature::new(NAME, EMAIL, &Time::new(at.as_second(), 0))?)
}

/// The forge's own clock: like any forge, it stamps merges and notes itself.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

pub(super) fn sha(oid: Oid) -> Sha {
    Sha(oid.to_string())
}

/// When a commit was made.
pub(super) fn made_at(commit: &Commit<'_>) -> Timestamp {
    Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
}
