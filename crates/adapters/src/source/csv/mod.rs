//! A CSV file: `timestamp,value`, or `host,metric,timestamp,value`.

mod rows;

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sre_space_ports::source::{Source, SourceError, Told, Wanted};

pub use self::rows::{BadRow, Row, Rows, rows};
use super::gather::Gathering;
use super::wire::Bounds;

const NAME: &str = "csv";
/// What a file of two columns has values of.
const METRIC: &str = "value";

/// A file. One of two columns is of one host, named as the file is.
#[derive(Debug, Clone)]
pub struct CsvFile {
    path: PathBuf,
    bounds: Bounds,
}

impl CsvFile {
    /// The file at a path; it is read anew each time.
    pub fn new(path: impl Into<PathBuf>, bounds: Bounds) -> Self {
        Self { path: path.into(), bounds }
    }

    fn told(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let host = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut gathering = Gathering::new(NAME, wanted, self.bounds);
        for row in open(&self.path, self.bounds.bytes)? {
            match row {
                Ok(row) => {
                    let metric = row.metric.as_deref().unwrap_or(METRIC);
                    if wanted.metrics.is_empty() || wanted.metrics.iter().any(|wish| wish == metric) {
                        gathering.take((row.host.as_deref().unwrap_or(&host), metric), row.at_ms, row.value)?;
                    }
                }
                Err(bad) => gathering.refuse(|| bad.to_string()),
            }
        }
        Ok(gathering.told())
    }
}

/// The rows of a file in its own order, unless it has more than so many bytes.
pub fn open(path: &Path, most: usize) -> Result<Rows<impl BufRead + use<>>, SourceError> {
    let shown = path.display();
    let refused = |error: std::io::Error| SourceError::Refused { name: NAME, why: format!("{shown}: {error}") };
    let file = File::open(path).map_err(refused)?;
    let about = file.metadata().map_err(refused)?;
    if !about.is_file() {
        return Err(SourceError::Refused { name: NAME, why: format!("{shown} is no file") });
    }
    if usize::try_from(about.len()).is_ok_and(|bytes| bytes <= most) {
        // It may grow while it is read.
        return rows(BufReader::new(file.take(most as u64)));
    }
    Err(SourceError::Unreadable { name: NAME, why: format!("{shown}: more than {most} bytes") })
}

#[async_trait]
impl Source for CsvFile {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn read(&self, wanted: &Wanted) -> Result<Told, SourceError> {
        let (this, wanted) = (self.clone(), wanted.clone());
        let read = tokio::task::spawn_blocking(move || this.told(&wanted)).await;
        read.unwrap_or_else(|error| Err(SourceError::Unreadable { name: NAME, why: error.to_string() }))
    }
}
