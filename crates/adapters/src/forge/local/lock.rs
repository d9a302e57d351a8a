//! Git's lock files: waiting for a writer who is alive, clearing up after one who was killed.
//!
//! Git and libgit2 lock a reference by making `<reference>.lock` and let go of it by renaming or removing that file
//! (Git, `Documentation/technical/api-lockfile`). Nothing removes the file of a process that dies in between, and every later
//! writer is refused for ever. A reference is written in far less than a millisecond, so a lock that has stood still for
//! [`ABANDONED`] belongs to nobody.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use sre_space_ports::forge::ForgeError;

use super::git::{Trouble, now};

/// For how long a lock may stand before its writer counts as dead.
pub(super) const ABANDONED: Duration = Duration::from_secs(10);
/// For how long one write waits for another's lock before the caller is told when to come back.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at a lock. The thread may block.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// The file whose advisory lock is held while an abandoned lock is removed. The kernel lets go of it when its holder dies.
const SWEEPER: &str = "sre-space-sweeper";

/// One write's patience with the lock of one reference.
pub(super) struct Waiting {
    repository: PathBuf,
    lock: PathBuf,
    until: Instant,
}

impl Waiting {
    /// For the lock of `reference` in the bare repository at `repository`.
    pub(super) fn of(repository: &Path, reference: &str) -> Self {
        let lock = repository.join(format!("{reference}.lock"));
        Self { repository: repository.to_owned(), lock, until: Instant::now() + PATIENCE }
    }

    /// Returns when it is worth trying again: a moment later, or at once where the lock was abandoned and is gone now.
    ///
    /// # Errors
    /// The lock stands, and how long it is until it counts as abandoned.
    pub(super) fn step(&self) -> Result<(), Trouble> {
        let left = self.left()?;
        if left.is_some_and(|left| left.is_zero()) {
            return self.sweep();
        }
        if Instant::now() >= self.until {
            return Err(self.standing(left).into());
        }
        std::thread::sleep(LOOK_AGAIN);
        Ok(())
    }

    /// How long it is until the lock counts as abandoned; `None` when there is none. A clock that went back makes it fresh.
    fn left(&self) -> Result<Option<Duration>, Trouble> {
        match self.lock.metadata().and_then(|lock| lock.modified()) {
            Ok(made) => {
                let age = SystemTime::from(now()).duration_since(made).unwrap_or_default();
                Ok(Some(ABANDONED.saturating_sub(age)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable(&error).into()),
        }
    }

    /// Removes the lock if it is abandoned still: of several who come to do so, the second must not take the lock of whoever
    /// wrote after the first.
    fn sweep(&self) -> Result<(), Trouble> {
        let swept = |error: io::Error| self.unreadable(&error);
        let turn = File::create(self.repository.join(SWEEPER)).map_err(swept)?;
        turn.lock().map_err(swept)?;
        if self.left()?.is_some_and(|left| left.is_zero()) {
            std::fs::remove_file(&self.lock).map_err(swept)?;
            tracing::warn!(lock = %self.lock.display(), "its writer was killed; the reference is free again");
        }
        Ok(())
    }

    fn standing(&self, left: Option<Duration>) -> ForgeError {
        let why = format!("{} stands; another writer is at work or was killed", self.lock.display());
        ForgeError::Unavailable { why, wait: left }
    }

    fn unreadable(&self, error: &io::Error) -> ForgeError {
        ForgeError::unavailable(format!("{}: {error}", self.lock.display()))
    }
}
