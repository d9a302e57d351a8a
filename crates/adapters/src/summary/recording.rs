//! A recording of Darshan's API in a file, for work without it. The file is used exactly as it is, and time stands still in it:
//! its newest record is now.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use sre_space_ports::source::SourceError;
use sre_space_ports::summary::{Asking, Effort, Latest, Summaries};

use super::page::{Gathered, Rows};
use super::retry::Tally;

/// Bytes of a file.
const MOST_BYTES: u64 = 128 * 1024 * 1024;

/// What tells one state of a file from another.
type Stamp = (Option<SystemTime>, u64);

/// The file, and what it held when it was last looked at.
pub struct Recording {
    path: PathBuf,
    held: Arc<Mutex<Option<(Stamp, Latest)>>>,
    tally: Tally,
}

impl Recording {
    /// The recording at a path; it is read when it is asked for, and again once it has changed.
    pub fn new(path: PathBuf) -> Self {
        Self { path, held: Arc::default(), tally: Tally::default() }
    }

    /// The same, read already in the background, so that whoever asks first need not wait for that. A file that cannot be read is
    /// told of in the log.
    #[must_use]
    pub fn read_ahead(self) -> Self {
        let (path, held) = (self.path.clone(), Arc::clone(&self.held));
        std::thread::spawn(move || {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = look(&path, &mut held) {
                tracing::warn!(%error, "the recording cannot be used as it is; it is looked at again when it is asked for");
            }
        });
        self
    }

    #[cfg(test)]
    pub(super) fn is_read(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[async_trait]
impl Summaries for Recording {
    fn name(&self) -> &'static str {
        "mock"
    }

    async fn latest(&self, asking: Asking<'_>) -> Result<Latest, SourceError> {
        let (path, held) = (self.path.clone(), Arc::clone(&self.held));
        let read = tokio::task::spawn_blocking(move || {
            // Held while it is read, so that many who ask at once read it once.
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            look(&path, &mut held)
        });
        let mut told = read.await.unwrap_or_else(|_| Err(unreadable("its reader failed")));
        // Without a record there is nothing that time could stand still at.
        if let Ok(latest) = &mut told
            && latest.records.is_empty()
        {
            latest.until = asking.now;
        }
        self.tally.add(Effort { pages: u64::from(told.is_ok()), attempts: 1, retries: 0 });
        told
    }

    fn effort(&self) -> Effort {
        self.tally.effort()
    }
}

fn look(path: &Path, held: &mut Option<(Stamp, Latest)>) -> Result<Latest, SourceError> {
    let refused = |error: std::io::Error| SourceError::Refused {
        name: "mock",
        why: format!("the file that MOCK_PATH names cannot be read: {error}"),
    };
    let file = std::fs::File::open(path).map_err(refused)?;
    let about = file.metadata().map_err(refused)?;
    let stamp = (about.modified().ok(), about.len());
    if let Some((known, latest)) = held
        && *known == stamp
    {
        return Ok(latest.clone());
    }
    let mut body = Vec::with_capacity(usize::try_from(about.len().min(MOST_BYTES) + 1).unwrap_or_default());
    file.take(MOST_BYTES + 1).read_to_end(&mut body).map_err(refused)?;
    if body.len() as u64 > MOST_BYTES {
        return Err(unreadable(format!("it has more than {MOST_BYTES} bytes")));
    }
    let mut rows = Rows::default();
    if rows.read(&body).map_err(unreadable)?.is_some() {
        return Err(unreadable("next_page names a page that a file does not have"));
    }
    let Gathered { records, refused, refused_rows } = rows.gathered();
    let until = records.last().map(|record| record.at).unwrap_or_default();
    let effort = Effort { pages: 1, attempts: 1, retries: 0 };
    let latest = Latest { until, records, refused, refused_rows, effort };
    *held = Some((stamp, latest.clone()));
    Ok(latest)
}

fn unreadable(why: impl Into<String>) -> SourceError {
    SourceError::Unreadable { name: "mock", why: why.into() }
}
