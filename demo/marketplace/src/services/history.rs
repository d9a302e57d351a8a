//! What customers looked at: a table that can grow, and the one question that is asked of it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sqlx::sqlite::SqlitePool;

/// How often others looked at the same pages after a customer did. Without an index every row of theirs reads the table.
pub const QUESTION: &str = "SELECT count(*) FROM history mine CROSS JOIN history other ON other.page = mine.page \
                            AND other.id > mine.id WHERE mine.customer = ?1";
/// Rows of the first day.
const FIRST_ROWS: i64 = 4_004;
/// Rows a growth step adds.
const STEP: i64 = 25_000;
const MOST_ROWS: i64 = 2_000_000;
/// It has grown enough when the question takes this long, whatever the machine, and even when the machine does nothing else.
const SLOW: Duration = Duration::from_millis(1_100);
const ASKED: usize = 3;

/// Lets the table grow until the question is slow.
pub async fn grow(pool: &SqlitePool) -> Result<()> {
    loop {
        if quickest(pool).await? >= SLOW {
            return Ok(());
        }
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM history").fetch_one(pool).await?;
        if rows > MOST_ROWS {
            bail!("the history has {rows} rows and is still quick: it has an index");
        }
        sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + ?2 - 1) \
             INSERT INTO history (customer, page) \
             SELECT CASE i % 1001 WHEN 1000 THEN 'probe' ELSE 'u' || (i % 1001) END, 'p' || ((i * 7919) % 997) FROM n",
        )
        .bind(rows)
        .bind(STEP)
        .execute(pool)
        .await?;
    }
}

/// What the question takes at best; it is asked again only while it is slow.
async fn quickest(pool: &SqlitePool) -> Result<Duration> {
    let mut quickest = Duration::MAX;
    for _ in 0..ASKED {
        let began = Instant::now();
        let _: i64 = sqlx::query_scalar(QUESTION).bind("probe").fetch_one(pool).await?;
        quickest = quickest.min(began.elapsed());
        if quickest < SLOW {
            break;
        }
    }
    Ok(quickest)
}

/// Back to the first day: its rows, no index, and migrations that are gone can come again.
pub async fn shrink(pool: &SqlitePool) -> Result<()> {
    let statements = [
        "DROP INDEX IF EXISTS history_by_customer",
        "DROP INDEX IF EXISTS history_by_page",
        "DELETE FROM schema_migrations WHERE name > '0003_history.sql'",
    ];
    for statement in statements {
        sqlx::query(statement).execute(pool).await?;
    }
    sqlx::query("DELETE FROM history WHERE id > ?1").bind(FIRST_ROWS).execute(pool).await?;
    Ok(())
}
