//! Where metrics come from.

use std::sync::Arc;

use anyhow::{Result, bail};
use sre_space_adapters::source::host::HostSource;
use sre_space_ports::source::Source;

use crate::config::{Settings, SourceName};

/// The source of a name, as the settings describe it.
pub fn source(name: SourceName, _settings: &Settings) -> Result<Arc<dyn Source>> {
    match name {
        SourceName::Live => Ok(Arc::new(HostSource::new()?)),
        other @ (SourceName::Datadog
        | SourceName::Prometheus
        | SourceName::Otlp
        | SourceName::Csv
        | SourceName::Darshan
        | SourceName::Cloudwatch
        | SourceName::Newrelic) => bail!("the source {other} is not in this build"),
    }
}
