//! Tables that stood in a server's database before ours: whether they can be ours.

use sqlx::AnyPool;
use sre_space_ports::store::StoreError;

use super::{EVENTS, INCIDENTS, METRICS, Table};
use crate::database::backend;

/// What to do about it.
const MEND: &str = "it is another program's: name another database in DATABASE_URL, rename the table, or mend it";

/// An error that names the table which lacks one of our columns.
pub(crate) async fn fits(pool: &AnyPool) -> Result<(), StoreError> {
    for table in [METRICS, EVENTS, INCIDENTS] {
        let asked = "SELECT CAST(column_name AS TEXT) FROM information_schema.columns
                     WHERE table_schema = current_schema() AND table_name = $1";
        let has: Vec<String> = sqlx::query_scalar(asked).bind(table.name).fetch_all(pool).await.map_err(backend)?;
        let missing: Vec<&str> = wanted(&table).filter(|column| !has.iter().any(|has| has == column)).collect();
        if !has.is_empty() && !missing.is_empty() {
            let (name, missing) = (table.name, missing.join(", "));
            return Err(StoreError::Backend(format!("the table {name} there has no {missing}; {MEND}").into()));
        }
    }
    Ok(())
}

/// The columns that are used, and the one that rows are counted out by.
fn wanted(table: &Table) -> impl Iterator<Item = &'static str> {
    ["id", "created_at"].into_iter().chain(table.columns.iter().map(|(name, _)| *name).filter(|name| *name != "id"))
}

/// Why the tables could not be made, in words that name them.
pub(crate) fn unmade(error: &sqlx::Error) -> StoreError {
    let why = match error.as_database_error().is_some_and(|error| error.is_unique_violation()) {
        true => format!("the table metrics there has several rows of one host, metric_name and timestamp; {MEND}"),
        false => {
            format!(
                "the tables metrics, signal_events and signal_incidents cannot be made or are of other types: {error}"
            )
        }
    };
    StoreError::Backend(why.into())
}
