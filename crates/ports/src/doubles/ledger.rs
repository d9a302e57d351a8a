//! Books in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sre_space_domain::budget::{Exceeded, Limits, Spend};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::Cost;

use crate::ledger::{Claim, Ledger};
use crate::store::StoreError;

/// Books that end with the process.
#[derive(Default)]
pub struct MemoryLedger(Mutex<BTreeMap<String, Claim>>);

impl MemoryLedger {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was spent on a day.
    pub fn day(&self, day: i64) -> Spend {
        sum(&self.calls(), |call| call.day == day)
    }
}

fn sum(calls: &BTreeMap<String, Claim>, which: impl Fn(&&Claim) -> bool) -> Spend {
    calls.values().filter(which).fold(Spend::default(), |sum, call| sum.and(call.worst))
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn claim(&self, claim: &Claim, limits: &Limits) -> Result<Result<(), Exceeded>, StoreError> {
        let mut calls = self.calls();
        let day = sum(&calls, |call| call.day == claim.day);
        let incident = sum(&calls, |call| call.incident == claim.incident);
        let admitted = limits.admit(incident, day, claim.worst);
        if admitted.is_ok() {
            calls.insert(claim.call.clone(), claim.clone());
        }
        Ok(admitted)
    }

    async fn settle(&self, call: &str, spent: Option<Spend>) -> Result<(), StoreError> {
        let mut calls = self.calls();
        match (spent, calls.get_mut(call)) {
            (Some(spent), Some(claim)) => claim.worst = spent,
            (None, _) => _ = calls.remove(call),
            (Some(_), None) => {}
        }
        Ok(())
    }

    async fn cost(&self, incident: &IncidentId) -> Result<Cost, StoreError> {
        let calls = self.calls();
        let of = |call: &&Claim| call.incident == *incident;
        let spent = sum(&calls, of);
        let count = calls.values().filter(of).count() as u64;
        Ok(Cost { calls: count, tokens: spent.tokens, usd: spent.usd() })
    }
}
