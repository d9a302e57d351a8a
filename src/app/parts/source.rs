//! What the Sentinel may watch.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use sre_space_adapters::source::host::HostSource;
use sre_space_adapters::source::{Bounds, csv};
use sre_space_adapters::summary::DarshanSource;
use sre_space_coherence::series::Sample;
use sre_space_ports::source::Source;

use super::sources::metric_source;
use crate::config::{Settings, SourceName};

/// The source of a name, as the settings describe it; what is sent over OTLP has to be heard first.
pub fn source(name: SourceName, settings: &Settings) -> Result<Arc<dyn Source>> {
    match name {
        SourceName::Live => Ok(Arc::new(HostSource::new()?)),
        SourceName::Datadog | SourceName::Prometheus | SourceName::Cloudwatch | SourceName::Newrelic => {
            Ok(metric_source(&name.to_string(), settings, None)?.0)
        }
        SourceName::Darshan => match super::coherence::summaries(&settings.coherence)?.0 {
            Some(summaries) => Ok(Arc::new(DarshanSource(summaries))),
            None => bail!("the source darshan needs DARSHAN_BASE_URL and DARSHAN_API_KEY, or MOCK_PATH"),
        },
        SourceName::Otlp => bail!("what is sent over OTLP is heard, and not asked for"),
    }
}

/// The rows of a CSV file in its own order, each with its timestamp as it is written; of one that cannot be used, why.
pub fn csv_rows(path: &Path) -> Result<impl Iterator<Item = Result<(String, Sample), String>> + use<>> {
    let rows = csv::open(path, Bounds::default().bytes)?;
    let sample = |row: csv::Row| (row.stamp, Sample { at_ms: row.at_ms, value: row.value });
    Ok(rows.map(move |row| row.map(sample).map_err(|bad| bad.to_string())))
}
