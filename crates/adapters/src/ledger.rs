//! The books of what models cost, in SQL: one row a call, from before it is made.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Any, Executor};
use sre_space_domain::budget::{Exceeded, Limits, Spend};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::Cost;
use sre_space_ports::ledger::{Claim, Ledger};
use sre_space_ports::store::StoreError;

use crate::database::{Database, backend};

const OF_INCIDENT: &str = "SELECT COUNT(*), CAST(COALESCE(SUM(tokens), 0) AS BIGINT),
    CAST(COALESCE(SUM(micro_usd), 0) AS BIGINT) FROM model_calls WHERE incident = $1";
const OF_DAY: &str = "SELECT COUNT(*), CAST(COALESCE(SUM(tokens), 0) AS BIGINT),
    CAST(COALESCE(SUM(micro_usd), 0) AS BIGINT) FROM model_calls WHERE day = $1";

/// The books on a [`Database`]. Writes of one database follow each other, so that no two claims see the same sums.
pub struct SqlLedger {
    database: Arc<Database>,
}

impl SqlLedger {
    /// The books in an open database.
    pub fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

/// Calls, and what they cost.
struct Sum {
    calls: i64,
    spent: Spend,
}

impl Sum {
    fn of((calls, tokens, micro_usd): (i64, i64, i64)) -> Self {
        Self { calls, spent: Spend { tokens: tokens.unsigned_abs(), micro_usd: micro_usd.unsigned_abs() } }
    }
}

async fn of_incident<'e>(from: impl Executor<'e, Database = Any>, incident: &IncidentId) -> Result<Sum, StoreError> {
    sqlx::query_as(OF_INCIDENT).bind(incident.as_str()).fetch_one(from).await.map(Sum::of).map_err(backend)
}

async fn of_day<'e>(from: impl Executor<'e, Database = Any>, day: i64) -> Result<Sum, StoreError> {
    sqlx::query_as(OF_DAY).bind(day).fetch_one(from).await.map(Sum::of).map_err(backend)
}

/// A number as it is kept. What is greater is kept as the greatest that sums of a day do not overflow with.
fn kept(number: u64) -> i64 {
    const MOST: i64 = i64::MAX / 1_000_000;
    i64::try_from(number).map_or(MOST, |number| number.min(MOST))
}

#[async_trait]
impl Ledger for SqlLedger {
    async fn claim(&self, claim: &Claim, limits: &Limits) -> Result<Result<(), Exceeded>, StoreError> {
        let mut transaction = self.database.begin().await?;
        let incident = of_incident(&mut *transaction, &claim.incident).await?;
        let day = of_day(&mut *transaction, claim.day).await?;
        if let Err(exceeded) = limits.admit(incident.spent, day.spent, claim.worst) {
            return Ok(Err(exceeded));
        }
        sqlx::query("INSERT INTO model_calls (call, incident, day, tokens, micro_usd) VALUES ($1, $2, $3, $4, $5)")
            .bind(&claim.call)
            .bind(claim.incident.as_str())
            .bind(claim.day)
            .bind(kept(claim.worst.tokens))
            .bind(kept(claim.worst.micro_usd))
            .execute(&mut *transaction)
            .await
            .map_err(backend)?;
        transaction.commit().await.map(Ok).map_err(backend)
    }

    async fn settle(&self, call: &str, spent: Option<Spend>) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        let query = match spent {
            Some(spent) => sqlx::query("UPDATE model_calls SET tokens = $2, micro_usd = $3 WHERE call = $1")
                .bind(call)
                .bind(kept(spent.tokens))
                .bind(kept(spent.micro_usd)),
            None => sqlx::query("DELETE FROM model_calls WHERE call = $1").bind(call),
        };
        query.execute(&mut *transaction).await.map_err(backend)?;
        transaction.commit().await.map_err(backend)
    }

    async fn cost(&self, incident: &IncidentId) -> Result<Cost, StoreError> {
        let Sum { calls, spent } = of_incident(self.database.readers(), incident).await?;
        Ok(Cost { calls: calls.unsigned_abs(), tokens: spent.tokens, usd: spent.usd() })
    }
}
