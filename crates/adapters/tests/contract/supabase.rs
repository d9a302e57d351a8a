//! Signals over REST, on a stand-in that speaks as much PostgREST as is used and refuses the rest.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use libtest_mimic::{Failed, Trial};
use reqwest::Url;
use serde_json::{Map, Value};
use sre_space_adapters::store::supabase::SupabaseSignals;
use sre_space_adapters::upstream::Upstream;
use sre_space_domain::secret::Secret;
use sre_space_ports::contract::signals;
use sre_space_ports::signals::{Rows, SignalStore, Span};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::run;
use crate::shared::Running;

const KEY: &str = "service-role-s3cret";
const MOST_ROWS: usize = 1_000;

/// Columns of the tables; the first of them orders.
const TABLES: [(&str, &[&str]); 3] = [
    ("metrics", &["timestamp", "id", "host", "metric_name", "value"]),
    ("signal_events", &["ts", "id", "host", "service", "fingerprint", "severity", "metric", "value", "synthetic"]),
    ("signal_incidents", &["ts", "id", "host", "report"]),
];

type Table = BTreeMap<Vec<String>, Map<String, Value>>;

/// Tables by name.
#[derive(Default)]
struct Project(Mutex<BTreeMap<String, Table>>);

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(serde_json::json!({"code": "PGRST000", "message": why}))).into_response()
}

fn checked(table: &str, headers: &HeaderMap) -> Result<&'static [&'static str], Box<Response>> {
    let has = |name: &str, value: &str| headers.get(name).is_some_and(|given| given == value);
    if !has("apikey", KEY) || !has("authorization", &format!("Bearer {KEY}")) {
        return Err(Box::new(refused(StatusCode::UNAUTHORIZED, "Invalid API key")));
    }
    let found = TABLES.iter().find(|(name, _)| *name == table).map(|(_, columns)| *columns);
    found.ok_or_else(|| Box::new(refused(StatusCode::NOT_FOUND, "Could not find the table in the schema cache")))
}

fn pairs(query: Option<String>) -> Vec<(String, String)> {
    let url = Url::parse(&format!("http://stub/?{}", query.unwrap_or_default())).expect("a query");
    url.query_pairs().into_owned().collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Moments are compared as moments, as the database does.
fn moment(text: &str) -> jiff::Timestamp {
    // As Postgres, which knows no year with a sign.
    assert!(!text.starts_with(['-', '+']), "invalid input syntax for type timestamp with time zone: {text}");
    text.parse().expect("a moment")
}

async fn upsert(
    State(project): State<Arc<Project>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Json(rows): Json<Vec<Map<String, Value>>>,
) -> Response {
    let columns = match checked(&name, &headers) {
        Ok(columns) => columns,
        Err(refused) => return *refused,
    };
    let merges = headers.get("prefer").is_some_and(|value| value == "resolution=merge-duplicates,return=minimal");
    let pairs = pairs(query);
    let Some((_, key)) = pairs.iter().find(|(name, _)| name == "on_conflict").filter(|_| merges) else {
        return refused(StatusCode::CONFLICT, "duplicate key value violates unique constraint");
    };
    let mut tables = project.0.lock().expect("no panic");
    let table = tables.entry(name).or_default();
    let mut written = Table::new();
    for row in rows {
        if let Some(unknown) = row.keys().find(|column| !columns.contains(&column.as_str())) {
            return refused(StatusCode::BAD_REQUEST, &format!("Could not find the '{unknown}' column"));
        }
        let key = key.split(',').map(|column| text(&row[column])).collect();
        if written.insert(key, row).is_some() {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "ON CONFLICT cannot affect row a second time");
        }
    }
    table.extend(written);
    StatusCode::CREATED.into_response()
}

/// Whether an id is within a bound.
fn holds(bound: &str, id: &str) -> bool {
    match bound {
        "like.risk:*" => id.starts_with("risk:"),
        "not.like.risk:*" => !id.starts_with("risk:"),
        other => panic!("{other} is not spoken here"),
    }
}

async fn select(
    State(project): State<Arc<Project>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let columns = match checked(&name, &headers) {
        Ok(columns) => columns,
        Err(refused) => return *refused,
    };
    let (pairs, time) = (pairs(query), columns[0]);
    let asked = |name: &str| pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    let number = |name: &str| asked(name).and_then(|text| text.parse().ok()).unwrap_or_default();
    let tables = project.0.lock().expect("no panic");
    let at = |row: &Map<String, Value>| moment(&text(&row[time]));
    let within = |row: &&Map<String, Value>| {
        pairs.iter().filter(|(name, _)| name == time).all(|(_, bound)| {
            match bound.split_once('.').expect("an operator") {
                ("gte", bound) => at(row) >= moment(bound),
                ("lt", bound) => at(row) < moment(bound),
                (operator, _) => panic!("{operator} is not spoken here"),
            }
        })
    };
    let is_kind = |row: &&Map<String, Value>| asked("id").is_none_or(|bound| holds(bound, &text(&row["id"])));
    let mut rows: Vec<&Map<String, Value>> =
        tables.get(&name).into_iter().flat_map(Table::values).filter(within).filter(is_kind).collect();
    rows.sort_by_key(|row| at(row));
    if asked("order").is_some_and(|order| order.ends_with(".desc")) {
        rows.reverse();
    }
    let selected = |row: &Map<String, Value>| -> Map<String, Value> {
        let is_asked = |column: &str| asked("select").is_some_and(|select| select == "*" || select == column);
        row.iter()
            .filter(|(column, _)| is_asked(column))
            .map(|(column, value)| (column.clone(), value.clone()))
            .collect()
    };
    let page: Vec<_> =
        rows.into_iter().skip(number("offset")).take(number("limit").min(MOST_ROWS)).map(selected).collect();
    Json(page).into_response()
}

/// Starts a project; it ends with what is handed back beside its URL.
async fn project() -> (String, JoinSet<()>) {
    let tables = Arc::new(Project::default());
    let router = Router::new().route("/rest/v1/{table}", get(select).post(upsert)).with_state(tables);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    (url, serving)
}

fn signals_of(url: &str, key: &str) -> SupabaseSignals {
    SupabaseSignals::new(url, &Secret::new(key), Upstream::new("supabase")).expect("a client")
}

fn on_stub(promise: for<'a> fn(&'a signals::Open) -> Running<'a>) -> Result<(), Failed> {
    run(async move {
        let (url, _serving) = project().await;
        let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn SignalStore>>>> {
            let url = url.clone();
            Box::pin(async move { Arc::new(signals_of(&url, KEY)) as Arc<dyn SignalStore> })
        };
        promise(&open).await;
    })
}

/// A wrong key is refused in words that hold no key.
async fn a_wrong_key_is_told() {
    let (url, _serving) = project().await;
    let store = signals_of(&url, "another-s3cret");
    let span = Span { since_ms: 0, until_ms: 1, offset: 0 };
    let error = store.events(span).await.expect_err("refused").to_string();
    assert!(error.contains("401") && error.contains("Invalid API key") && !error.contains("s3cret"), "{error}");
    let nowhere = signals_of("http://127.0.0.1:9", KEY);
    let error = nowhere.put(Rows::Events(&[])).await;
    assert!(error.is_ok(), "nothing to write asks nobody");
    assert!(nowhere.newest_ms().await.is_err());
}

/// The stand-in × every promise.
pub fn trials() -> Vec<Trial> {
    macro_rules! promises {
        ($($promise:ident),* $(,)?) => {
            vec![$(Trial::test(concat!("signals/supabase/", stringify!($promise)), || {
                on_stub(|given| Box::pin(signals::$promise(given)))
            })),*]
        };
    }
    let mut trials = promises!(
        what_was_written_survives_a_restart,
        the_last_one_of_a_moment_counts,
        a_span_is_half_open,
        pages_hold_everything_once,
        a_span_of_all_time_holds_everything,
        risks_are_read_by_themselves,
    );
    trials.push(Trial::test("signals/supabase/a_wrong_key_is_told", || run(a_wrong_key_is_told())));
    trials
}
