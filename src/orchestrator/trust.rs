//! A remedy's record, and the trust it earned.

use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::Digest;
use sre_space_domain::incident::Incident;
use sre_space_domain::knowledge::{self, RemedyKey, Standing};
use sre_space_domain::patch::Authored;
use sre_space_domain::proposal::{FileChange, Remedy};
use sre_space_ports::store::{Filter, Store, StoreError};

/// Pages of the journal's incidents that are looked through for texts of a model.
const MOST_PAGES: usize = 20;

/// What a remedy's record is kept under.
pub fn key(remedy: &Remedy, kind: FaultKind) -> RemedyKey {
    RemedyKey { remedy: remedy.id(), kind, service: remedy.service().to_owned() }
}

/// Trust in a remedy: the owners' credit and its record here.
pub async fn earned(
    store: &dyn Store,
    catalogue: &Catalogue,
    remedy: &Remedy,
    kind: FaultKind,
) -> Result<f64, StoreError> {
    Ok(standing(store, catalogue, (remedy, kind), 1.0).await?.trust)
}

/// How a remedy stands: its record, and its trust against a threshold.
pub async fn standing(
    store: &dyn Store,
    catalogue: &Catalogue,
    (remedy, kind): (&Remedy, FaultKind),
    threshold: f64,
) -> Result<Standing, StoreError> {
    let vouched = catalogue.services.get(remedy.service()).map(|service| &service.vouched);
    let credit = |part: &&str| vouched.and_then(|vouched| vouched.get(*part)).copied().unwrap_or_default();
    // Together they are vouched for as far as the least of them is.
    let vouched = remedy.parts().iter().map(credit).min().unwrap_or_default();
    let record = store.track_record(&key(remedy, kind)).await?;
    // One text says nothing of the next one.
    let trust = if remedy.needs_person() { 0.0 } else { knowledge::trust(vouched, record) };
    Ok(Standing { record, trust, threshold })
}

/// Whether undoing a commit by these changes would bring back a text that a model wrote and that was taken away since: no record
/// speaks for that. Where there are more incidents than can be looked through it is taken to.
pub async fn revives_a_models_text(store: &dyn Store, undo: &[FileChange]) -> Result<bool, StoreError> {
    if undo.is_empty() {
        return Ok(false);
    }
    let contents = undo.iter().filter_map(|change| change.contents.as_deref());
    let written: Vec<Digest> = contents.map(|text| Digest::of([text.as_bytes()])).collect();
    let mut after = None;
    for _page in 0..MOST_PAGES {
        let records = store.incidents(Filter { after, ..Filter::default() }).await?;
        if records.iter().any(|record| wrote(&record.incident, &written)) {
            return Ok(true);
        }
        let Some(oldest) = records.last() else { return Ok(false) };
        after = Some(oldest.incident.id.clone());
    }
    Ok(true)
}

/// Whether one of these texts was a model's answer to this incident.
fn wrote(incident: &Incident, written: &[Digest]) -> bool {
    match &incident.authored {
        Some(Authored::Written(patch)) => patch.edits.values().any(|edit| written.contains(&edit.after)),
        Some(Authored::Lacking { .. }) | None => false,
    }
}
