//! The books of what models cost.

use async_trait::async_trait;
use sre_space_domain::budget::{Exceeded, Limits, Spend};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::Cost;

use crate::store::StoreError;

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its name, unique.
    pub call: String,
    /// For which incident.
    pub incident: IncidentId,
    /// On which day, counted from the Unix epoch (UTC).
    pub day: i64,
    /// What it costs at most.
    pub worst: Spend,
}

/// Counts what models cost.
///
/// Promise: what was claimed is counted before [`Ledger::claim`] returns, survives kill -9, and stays counted until it is
/// settled; claims made at the same time never exceed a bound together.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Counts a call at its worst, unless that could exceed a budget.
    async fn claim(&self, claim: &Claim, limits: &Limits) -> Result<Result<(), Exceeded>, StoreError>;
    /// Counts it as it was; `None` takes it back, because nothing was asked after all.
    async fn settle(&self, call: &str, spent: Option<Spend>) -> Result<(), StoreError>;
    /// What an incident has cost so far.
    async fn cost(&self, incident: &IncidentId) -> Result<Cost, StoreError>;
}
