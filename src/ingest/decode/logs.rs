//! `ExportLogsServiceRequest` bytes → borrowed log records. What they say is not read: only how severe it is.

use sre_space_domain::telemetry::LogView;

use super::super::wire::Fields;
use super::value::{any_value, key_value};
use super::{Counted, DecodeError, MOST_ATTRIBUTES, Origin, Rejected, each_item};

/// Visits every usable log record of a request, in order; the others are counted.
pub fn records<'a>(body: &'a [u8], visit: &mut dyn FnMut(LogView<'a>)) -> Result<Counted, DecodeError> {
    let mut counted = Counted::default();
    each_item(body, &mut |item, origin| {
        let draft = Draft::read(item)?;
        counted.count(origin.and_then(|origin| draft.finish(origin)), visit);
        Ok(())
    })?;
    Ok(counted)
}

/// A log record as its bytes have it.
#[derive(Default)]
struct Draft {
    attributes: usize,
    at_ns: u64,
    observed_ns: u64,
    severity: u64,
}

impl Draft {
    fn read(message: &[u8]) -> Result<Self, DecodeError> {
        let mut draft = Self::default();
        for field in Fields::of(message) {
            match field? {
                (1, value) => draft.at_ns = value.fixed64()?,
                (2, value) => draft.severity = value.varint()?,
                (5, value) => any_value(value.bytes()?)?,
                (6, value) => {
                    draft.attributes += 1;
                    key_value(value.bytes()?)?;
                }
                (11, value) => draft.observed_ns = value.fixed64()?,
                _ => {}
            }
        }
        Ok(draft)
    }

    fn finish<'a>(&self, origin: Origin<'a>) -> Result<LogView<'a>, Rejected> {
        if self.attributes > MOST_ATTRIBUTES {
            return Err(Rejected("a log record has more than 128 attributes"));
        }
        // The specification: where the event's own time is not known, the time it was observed stands in.
        let at_ns = if self.at_ns == 0 { self.observed_ns } else { self.at_ns };
        Ok(LogView { service: origin.service, at_ns, severity: u8::try_from(self.severity).unwrap_or_default() })
    }
}
