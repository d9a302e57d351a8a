//! Stand-ins for other people's monitoring: Datadog, Prometheus, New Relic, CloudWatch. Each answers what it is asked from the rows
//! it was given, in the real one's form, writes down every question whatever it is, and knows no way to be changed over its wire.

mod cloudwatch;
mod datadog;
mod newrelic;
mod prometheus;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::recipients::{Recipient, held};

/// A key of every stand-in, which nobody may be shown.
pub const KEY: &str = "key-s3cret-0123456789";
/// Another one, where two are wanted.
pub const OTHER_KEY: &str = "app-s3cret-0123456789";

/// One value of a metric, by the real one's name for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Host.
    pub host: String,
    /// Metric.
    pub metric: String,
    /// When, Unix ms.
    pub at_ms: i64,
    /// Value; one that is no number is told as the real one does.
    pub value: f64,
}

/// Whose stand-in it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Datadog, `GET /api/v1/query`.
    Datadog,
    /// Prometheus, `GET /api/v1/query_range`.
    Prometheus,
    /// New Relic, `POST /graphql`.
    NewRelic,
    /// CloudWatch, `GetMetricData` in AWS JSON 1.0.
    CloudWatch,
}

/// What is said in place of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// This.
    Say(u16, Vec<(&'static str, &'static str)>, String),
    /// 400, and all that was sent.
    Echo,
    /// 200, and blanks without an end.
    Long,
    /// Nothing.
    Silence,
}

/// A question as it came: method, path, and for a POST what it does in its protocol's own word.
pub type Question = (String, String, String);

/// What came, taken apart.
struct Request {
    headers: HeaderMap,
    query: HashMap<String, String>,
    raw: Bytes,
    body: Value,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A time of the query, in seconds, as ms.
    fn time_ms(&self, name: &str) -> f64 {
        self.asked(name).parse::<f64>().map_or(f64::NAN, |seconds| seconds * 1_000.0)
    }
}

#[derive(Default)]
struct Books {
    rows: Mutex<Vec<Row>>,
    replies: Mutex<VecDeque<Reply>>,
}

/// One stand-in.
pub struct Monitor {
    vendor: Vendor,
    books: Arc<Books>,
    recipient: Recipient<Question>,
}

impl Monitor {
    /// Starts one.
    pub fn start(vendor: Vendor) -> Self {
        let books = Arc::new(Books::default());
        let kept = Arc::clone(&books);
        let recipient = Recipient::http(move |asked| {
            let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let query = Query::try_from_uri(&uri).map(|Query(query)| query).unwrap_or_default();
                let json = serde_json::from_slice(&body).unwrap_or_default();
                let request = Request { headers, query, raw: body, body: json };
                let operation = operation(vendor, &request).filter(|_| method != Method::GET).unwrap_or_default();
                asked.take((method.to_string(), uri.path().to_owned(), operation));
                let reply = held(&kept.replies).pop_front();
                let rows = held(&kept.rows).clone();
                async move {
                    match reply {
                        Some(reply) => said(reply, &uri, &request).await,
                        None => answer(vendor, (&method, uri.path()), &rows, &request),
                    }
                }
            };
            Router::new().fallback(answer)
        });
        Self { vendor, books, recipient }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.recipient.address())
    }

    /// Puts rows there, in place of all that was there.
    pub fn hold(&self, rows: Vec<Row>) {
        *held(&self.books.rows) = rows;
    }

    /// Says this in place of the next answers.
    pub fn say(&self, replies: impl IntoIterator<Item = Reply>) {
        held(&self.books.replies).extend(replies);
    }

    /// What it says to a key that may not.
    pub fn no_right(&self) -> Reply {
        let (status, said) = match self.vendor {
            Vendor::Datadog => (403, json!({"errors": ["Forbidden"]})),
            Vendor::Prometheus => (401, json!("Unauthorized")),
            Vendor::NewRelic => {
                let extensions = json!({"errorClass": "ACCESS_DENIED"});
                (200, json!({"data": null, "errors": [{"message": "Access denied.", "extensions": extensions}]}))
            }
            Vendor::CloudWatch => (403, json!({"__type": "com.amazon.coral.service#AccessDeniedException"})),
        };
        Reply::Say(status, vec![], said.to_string())
    }

    /// Every question that came, in order.
    pub fn asked(&self) -> Vec<Question> {
        self.recipient.took()
    }
}

/// What a POST does, in its protocol's own word.
fn operation(vendor: Vendor, request: &Request) -> Option<String> {
    match vendor {
        Vendor::Datadog | Vendor::Prometheus => None,
        Vendor::NewRelic => Some(request.body["query"].as_str()?.split_whitespace().next()?.to_owned()),
        Vendor::CloudWatch => Some(request.header("x-amz-target").to_owned()),
    }
}

fn answer(vendor: Vendor, (method, path): (&Method, &str), rows: &[Row], request: &Request) -> Response {
    let answered = match (vendor, method.as_str(), path) {
        (Vendor::Datadog, "GET", "/api/v1/query") => datadog::answer(rows, request),
        (Vendor::Prometheus, "GET", "/api/v1/query_range") => prometheus::answer(rows, request),
        (Vendor::NewRelic, "POST", "/graphql") => newrelic::answer(rows, request),
        (Vendor::CloudWatch, "POST", "/") => cloudwatch::answer(rows, request),
        (Vendor::Datadog | Vendor::Prometheus | Vendor::NewRelic | Vendor::CloudWatch, _, _) => {
            Err((404, "no such route"))
        }
    };
    match answered {
        Ok(answer) => Json(answer).into_response(),
        Err((status, why)) => (StatusCode::from_u16(status).expect("a status"), why).into_response(),
    }
}

/// An answer, or a status and why.
type Answered = Result<Value, (u16, &'static str)>;

async fn said(reply: Reply, uri: &Uri, request: &Request) -> Response {
    match reply {
        Reply::Say(status, headers, said) => {
            let mut response = (StatusCode::from_u16(status).expect("a status"), said).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("a header"));
            }
            response
        }
        Reply::Echo => {
            let mut headers: Vec<String> =
                request.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            // Keys first, since only the beginning of an answer is quoted.
            headers.sort_by_key(|line| !line.contains("s3cret"));
            let said = format!("{} {uri} {}", headers.join(" "), String::from_utf8_lossy(&request.raw));
            (StatusCode::BAD_REQUEST, said).into_response()
        }
        Reply::Long => {
            let blanks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65_536])));
            ([(header::CONTENT_TYPE, "application/json")], axum::body::Body::from_stream(blanks)).into_response()
        }
        Reply::Silence => std::future::pending().await,
    }
}

/// Rows of a metric by host.
fn by_host<'a>(rows: &'a [Row], metric: &str) -> Vec<(&'a str, Vec<&'a Row>)> {
    let mut hosts: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows.iter().filter(|row| row.metric == metric) {
        match hosts.iter_mut().find(|(host, _)| *host == row.host) {
            Some((_, rows)) => rows.push(row),
            None => hosts.push((&row.host, vec![row])),
        }
    }
    hosts
}

/// A value in JSON, which knows no other than finite ones.
fn finite(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}
