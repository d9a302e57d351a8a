//! A remedy's record, and the trust it earned.

use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::knowledge::{self, RemedyKey, Standing};
use sre_space_domain::proposal::Remedy;
use sre_space_ports::store::{Store, StoreError};

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
