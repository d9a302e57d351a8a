//! `rolling_store.csv`: one row a report, appended whole, so that it can be looked at with anything.
//!
//! A file that has grown to its bound is set aside as `rolling_store.1.csv`, in place of the one before. What is read back is the
//! end of the file that is written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sre_space_coherence::drift::Report;
use sre_space_ports::rolling::{MOST_REPORTS, Rolling, RollingError, Wish};

use super::row::Row;

/// Bytes after which a file is set aside.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of its end that are read back.
const READ_BACK: u64 = 8 * 1024 * 1024;

/// The file. Writers follow each other.
#[derive(Clone)]
pub struct CsvStore {
    path: Arc<PathBuf>,
    writing: Arc<Mutex<()>>,
    most_bytes: u64,
}

impl CsvStore {
    /// The store in a folder, which is there.
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: Arc::new(folder.join("rolling_store.csv")), writing: Arc::default(), most_bytes: MOST_BYTES }
    }

    /// The same with a bound of its own.
    #[cfg(test)]
    pub(super) fn bounded(folder: &Path, most_bytes: u64) -> Self {
        Self { most_bytes, ..Self::in_folder(folder) }
    }

    /// Work on the file, away from the tasks that wait for nothing.
    async fn work<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, RollingError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await.map_err(io::Error::other);
        done.flatten().map_err(|error| RollingError { what, why: error.to_string() })
    }

    fn put(&self, report: &Report) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if std::fs::metadata(&*self.path).is_ok_and(|about| about.len() >= self.most_bytes) {
            std::fs::rename(&*self.path, self.path.with_extension("1.csv"))?;
        }
        let mut file = File::options().create(true).append(true).read(true).open(&*self.path)?;
        let length = file.metadata()?.len();
        let mut lines = csv::WriterBuilder::new().has_headers(length == 0).from_writer(Vec::new());
        lines.serialize(Row::of(report)).map_err(io::Error::other)?;
        let mut lines = lines.into_inner().map_err(|error| error.into_error())?;
        if length > 0 && !ends_a_line(&mut file)? {
            // A row that a crash cut short stays by itself.
            lines.insert(0, b'\n');
        }
        file.write_all(&lines)
    }

    fn read(&self, wish: &Wish) -> io::Result<Vec<Report>> {
        let mut file = match File::open(&*self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let from = file.metadata()?.len().saturating_sub(READ_BACK);
        file.seek(SeekFrom::Start(from))?;
        let mut end = Vec::new();
        file.take(READ_BACK).read_to_end(&mut end)?;
        // The first line is the heading, or the rest of a row that begins before what is read.
        let rows = end.iter().position(|byte| *byte == b'\n').map_or(&[][..], |at| &end[at + 1..]);
        Ok(newest(rows, wish))
    }
}

/// Whether the last byte is the end of a line.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn newest(rows: &[u8], wish: &Wish) -> Vec<Report> {
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(rows);
    let most = wish.limit.min(MOST_REPORTS);
    let mut kept = VecDeque::new();
    // What is no row of ours was cut short, or written by somebody else.
    for report in reader.into_deserialize::<Row>().filter_map(|row| row.ok()?.report()) {
        if is_wanted(&report, wish) {
            kept.push_back(report);
        }
        if kept.len() > most {
            kept.pop_front();
        }
    }
    kept.into()
}

fn is_wanted(report: &Report, wish: &Wish) -> bool {
    let is_of = wish.signal.is_none() || wish.signal == report.signal;
    is_of && wish.window.is_none_or(|window| window.seconds() == report.window_sec)
}

#[async_trait]
impl Rolling for CsvStore {
    fn name(&self) -> &'static str {
        "csv"
    }

    async fn append(&self, report: &Report) -> Result<(), RollingError> {
        let report = report.clone();
        self.work("cannot be written", move |this| this.put(&report)).await
    }

    async fn newest(&self, wish: &Wish) -> Result<Vec<Report>, RollingError> {
        let wish = wish.clone();
        self.work("cannot be read", move |this| this.read(&wish)).await
    }
}
