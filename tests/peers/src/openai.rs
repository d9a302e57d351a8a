//! A stand-in for a server that speaks like OpenAI's: it does as its script says, and keeps a log of every request.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// What the server does with one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Says this, for 100 tokens and 10.
    Say(String),
    /// Says this, and not what it took.
    SayWithoutUsage(String),
    /// Answers with exactly this body.
    Body(Vec<u8>),
    /// Answers with a status, a `Retry-After`, and a body.
    Status(u16, Option<u64>, String),
    /// Sends the beginning of an answer, and closes the connection.
    BreakOff,
    /// Sends an answer that does not end.
    Endless,
    /// Does not answer.
    Silence,
    /// Does something else after a while.
    Later(Duration, Box<Act>),
}

/// One request, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its `Authorization`.
    pub authorization: String,
    /// Its body as text.
    pub body: String,
}

impl Asked {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// How the form of the answer is asked for.
    pub fn form(&self) -> String {
        let json = self.json();
        json.pointer("/response_format/type").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

type Script = dyn Fn(&Asked) -> Act + Send + Sync;

struct Desk {
    script: Box<Script>,
    log: Mutex<Vec<Asked>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// One request that is being worked on.
struct UnderWay<'a>(&'a Desk);

impl<'a> UnderWay<'a> {
    fn at(desk: &'a Desk) -> Self {
        let now = desk.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        desk.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(desk)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A running server; it ends with this.
pub struct OpenAi {
    address: SocketAddr,
    desk: Arc<Desk>,
    _stop: oneshot::Sender<Infallible>,
}

impl OpenAi {
    /// Starts one on a free loopback port, in a thread of its own.
    pub fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let (under_way, most_at_once) = Default::default();
        let desk = Arc::new(Desk { script: Box::new(script), log: Mutex::default(), under_way, most_at_once });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        let (stop, stopped) = oneshot::channel();
        let router = Router::new()
            .route("/v1/chat/completions", post(asked))
            .route("/v1/models", get(async || Json(json!({"object": "list", "data": [{"id": "fake-1"}]}))))
            .with_state(Arc::clone(&desk));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a socket");
                let served = axum::serve(listener, router);
                // What is under way ends with it: the runtime is dropped.
                tokio::select! {
                    _ = served => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, desk, _stop: stop }
    }

    /// One that agrees with the rules: the first cause, the first remedy, this certainty.
    pub fn agreeing(certainty: f64) -> Self {
        Self::start(move |asked| Act::Say(agreement(&asked.body, certainty)))
    }

    /// What `OPENAI_BASE_URL` names.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The most requests that were under way at one time.
    pub fn most_at_once(&self) -> usize {
        self.desk.most_at_once.load(Ordering::SeqCst)
    }

    /// Everything that was asked so far.
    pub fn log(&self) -> Vec<Asked> {
        self.desk.log.lock().expect("nobody panics with it").clone()
    }
}

/// An answer that agrees with the rules.
pub fn agreement(asked: &str, certainty: f64) -> String {
    let remedy = if asked.contains("R1: ") { "R1" } else { "none" };
    json!({"cause": "S1", "remedy": remedy, "certainty": certainty, "why": "The numbers say so."}).to_string()
}

/// A model without a mind of its own: the JSON object behind `OBEY ` in what it is told is its answer; else it agrees.
pub fn obedient(asked: &Asked) -> Act {
    let json = asked.json();
    let told: String =
        json["messages"].as_array().into_iter().flatten().filter_map(|one| one["content"].as_str()).collect();
    let ordered = told.split_once("OBEY ").and_then(|(_, order)| Some(format!("{}}}", order.split_once('}')?.0)));
    Act::Say(ordered.unwrap_or_else(|| agreement(&told, 1.0)))
}

/// A server that knows only the older form, and says so as llama-cpp-python's does.
pub fn old(asked: &Asked) -> Act {
    match asked.form().as_str() {
        "json_object" => Act::Say(agreement(&asked.body, 1.0)),
        _ => Act::Status(
            500,
            None,
            "{'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text' or 'json_object'\"}"
                .to_owned(),
        ),
    }
}

async fn asked(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let _under_way = UnderWay::at(&desk);
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let asked = Asked { authorization: authorization.to_owned(), body };
    desk.log.lock().expect("nobody panics with it").push(asked.clone());
    let mut act = (desk.script)(&asked);
    while let Act::Later(wait, next) = act {
        sleep(wait).await;
        act = *next;
    }
    played(act).await
}

async fn played(act: Act) -> Response<Body> {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110});
    let (status, body) = match act {
        Act::Say(text) => (200, Body::from(completion(&text, usage))),
        Act::SayWithoutUsage(text) => (200, Body::from(completion(&text, Value::Null))),
        Act::Body(bytes) => (200, Body::from(bytes)),
        Act::Status(status, wait, body) => return refusal(status, wait, body),
        Act::BreakOff => {
            let parts = [Ok(Bytes::from_static(b"{\"choices\":[{\"mess")), Err(std::io::Error::other("gone"))];
            (200, Body::from_stream(stream::iter(parts)))
        }
        Act::Endless => {
            let spaces = || Some((Ok::<_, Infallible>(Bytes::from_static(&[b' '; 8192])), ()));
            (200, Body::from_stream(stream::unfold((), move |()| async move { spaces() })))
        }
        Act::Silence | Act::Later(..) => std::future::pending().await,
    };
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body).expect("a response")
}

fn refusal(status: u16, wait: Option<u64>, body: String) -> Response<Body> {
    let status = StatusCode::from_u16(status).expect("a status");
    let mut response = Response::builder().status(status);
    if let Some(wait) = wait {
        response = response.header(header::RETRY_AFTER, wait);
    }
    response.body(Body::from(body)).expect("a response")
}

fn completion(text: &str, usage: Value) -> Vec<u8> {
    let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}});
    let completion = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake-1",
        "choices": [choice], "usage": usage});
    completion.to_string().into_bytes()
}
