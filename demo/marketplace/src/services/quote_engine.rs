//! The quote engine: reads the customer, asks for a rating, applies the pricing rules, stores the quote.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use rhai::{AST, Engine, Map, Scope};
use serde::{Deserialize, Serialize};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqlitePool};

use super::quotes::{Kept, Quotes};
use super::rating::{Provider, Settings};
use super::{Database, Release, Service};
use crate::http::{Answer, Failure};
use crate::{faults, telemetry};

/// Year that ages are counted to.
const THIS_YEAR: i64 = 2026;
/// Pool size that the `stuck-pool` defect always opens.
const STUCK_AT: u32 = 20;

#[derive(Deserialize)]
struct Config {
    database: Database,
    rating: Settings,
    #[serde(default)]
    quotes: Kept,
}

struct Pricing {
    engine: Engine,
    rules: AST,
}

struct Desk {
    pool: SqlitePool,
    provider: Provider,
    pricing: Pricing,
    quotes: Quotes,
    data: PathBuf,
    holds_connection: AtomicBool,
}

/// A request for a price.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    /// Customer.
    pub user_id: String,
}

/// A priced quote.
#[derive(Debug, Serialize, Deserialize)]
pub struct Quote {
    /// Customer.
    pub user_id: String,
    /// Price in cents a month.
    pub cents: i64,
}

struct Customer {
    birth_date: String,
    years: i64,
    region: String,
}

/// Builds the service.
pub async fn start(release: Release) -> Result<Service> {
    let Config { mut database, rating, quotes } = release.config("quote-engine.yaml")?;
    if faults::active(&release.data).contains(faults::STUCK_POOL) {
        database.pool_size = STUCK_AT;
    }
    let desk = Arc::new(Desk {
        pool: super::database(&release, &database).await?,
        provider: Provider::new(
            rating,
            std::env::var("RATING_PROVIDER_URL").context("RATING_PROVIDER_URL is not set")?,
        )?,
        pricing: pricing(&release)?,
        quotes: Quotes::keeping(&quotes),
        holds_connection: AtomicBool::new(holds_connection(&release.data)),
        data: release.data,
    });
    let traced = Router::new().route("/price", post(price)).with_state(Arc::clone(&desk));
    let plain = Router::new().route("/demo/reload", post(reload)).with_state(desk);
    Ok(Service { traced, plain })
}

fn holds_connection(data: &std::path::Path) -> bool {
    let on = faults::active(data);
    on.contains(faults::HOLD_CONNECTION) || on.contains(faults::STUCK_POOL)
}

fn pricing(release: &Release) -> Result<Pricing> {
    let mut engine = Engine::new();
    engine.set_max_operations(100_000);
    let text = std::fs::read_to_string(release.release.join("rules/pricing.rhai")).context("cannot read the rules")?;
    let rules = engine.compile(text).context("the pricing rules do not compile")?;
    Ok(Pricing { engine, rules })
}

async fn reload(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.holds_connection.store(holds_connection(&desk.data), Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn price(State(desk): State<Arc<Desk>>, Json(asked): Json<Asked>) -> Answer<Quote> {
    let mut connection = desk.connection().await?;
    let customer = customer(&mut connection, &asked.user_id).await?;
    // The connection goes back before the slow call, unless the defect keeps it.
    let held = desk.holds_connection.load(Ordering::Relaxed).then_some(connection);
    let rating = desk.provider.rate(&customer.region).await?;
    let cents = desk.pricing.price(&customer, rating.factor)?;
    let mut connection = match held {
        Some(connection) => connection,
        None => desk.connection().await?,
    };
    store(&mut connection, &asked.user_id, cents).await?;
    desk.quotes.keep(&asked.user_id, cents);
    Ok(Json(Quote { user_id: asked.user_id, cents }))
}

impl Desk {
    async fn connection(&self) -> Result<PoolConnection<Sqlite>, Failure> {
        self.pool.acquire().await.map_err(|error| {
            if matches!(error, sqlx::Error::PoolTimedOut) {
                Failure::internal("sqlx::Error::PoolTimedOut", "Database connection timeout")
            } else {
                Failure::internal("sqlx::Error", error)
            }
        })
    }
}

async fn customer(connection: &mut PoolConnection<Sqlite>, id: &str) -> Result<Customer, Failure> {
    const STATEMENT: &str = "SELECT birth_date, years, region FROM customers WHERE id = ?1";
    let query = sqlx::query_as::<_, (String, i64, String)>(STATEMENT).bind(id).fetch_optional(&mut **connection);
    let found = telemetry::database(("SELECT", "customers"), STATEMENT, query).await;
    let row = found.map_err(|error| Failure::internal("sqlx::Error", error))?;
    row.map(|(birth_date, years, region)| Customer { birth_date, years, region }).ok_or_else(|| Failure {
        status: StatusCode::NOT_FOUND,
        kind: "NotFound",
        message: "no such customer".to_owned(),
    })
}

async fn store(connection: &mut PoolConnection<Sqlite>, id: &str, cents: i64) -> Result<(), Failure> {
    const STATEMENT: &str = "INSERT INTO quotes (customer, cents) VALUES (?1, ?2)";
    let query = sqlx::query(STATEMENT).bind(id).bind(cents).execute(&mut **connection);
    let stored = telemetry::database(("INSERT", "quotes"), STATEMENT, query).await;
    stored.map(drop).map_err(|error| Failure::internal("sqlx::Error", error))
}

impl Pricing {
    fn price(&self, customer: &Customer, factor: i64) -> Result<i64, Failure> {
        let year = customer.birth_date.get(..4).and_then(|year| year.parse::<i64>().ok());
        let year = year.ok_or_else(|| Failure::internal("BirthDate", "the customer's birth date does not parse"))?;
        let mut facts = Map::new();
        facts.insert("age".into(), (THIS_YEAR - year).into());
        facts.insert("years".into(), customer.years.into());
        facts.insert("region".into(), customer.region.clone().into());
        self.engine
            .call_fn::<i64>(&mut Scope::new(), &self.rules, "price", (facts, factor))
            .map_err(|error| Failure::internal("rhai::EvalAltResult", error))
    }
}
