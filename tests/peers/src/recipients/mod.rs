//! Stand-ins for those who are told: Slack, PagerDuty, a mail server, a receiver of webhooks. Each listens on a loopback port,
//! checks what it is sent against what the real one documents, refuses what does not fit in the real one's words, and keeps a
//! log of everything it took.

pub mod mail;
pub mod pagerduty;
pub mod slack;
pub mod webhook;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jsonschema::Validator;
use serde_json::Value;
use tokio::sync::oneshot;

/// How long a test waits for something to be told.
const PATIENCE: Duration = Duration::from_secs(120);

/// What becomes of the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this status, and not taken.
    Status(u16),
    /// 429 with `Retry-After`, and not taken.
    Busy(u64),
    /// Taken, and the answer never comes.
    Unheard,
}

/// One that listens; it ends when this is dropped.
pub struct Recipient<Took> {
    address: SocketAddr,
    books: Arc<Books<Took>>,
    _end: oneshot::Sender<()>,
}

/// What a recipient took, and what it will do to those that come.
pub struct Books<Took> {
    took: Mutex<Vec<Took>>,
    faults: Mutex<VecDeque<Fault>>,
    asked: Mutex<usize>,
}

impl<Took> Default for Books<Took> {
    fn default() -> Self {
        Self { took: Mutex::default(), faults: Mutex::default(), asked: Mutex::default() }
    }
}

pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

impl<Took> Books<Took> {
    fn fault(&self) -> Option<Fault> {
        *held(&self.asked) += 1;
        held(&self.faults).pop_front()
    }

    pub(crate) fn take(&self, took: Took) {
        held(&self.took).push(took);
    }
}

impl<Took: Clone + Send + 'static> Recipient<Took> {
    pub(crate) fn http(router: impl FnOnce(Arc<Books<Took>>) -> Router + Send + 'static) -> Self {
        Self::start(|listener, books| async move {
            listener.set_nonblocking(true).expect("a socket");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router(books)).await.expect("served");
        })
    }

    fn start<Serve: Future<Output = ()>>(
        serve: impl FnOnce(TcpListener, Arc<Books<Took>>) -> Serve + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let books = Arc::new(Books::default());
        let (end, ended) = oneshot::channel::<()>();
        let kept = Arc::clone(&books);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, kept) => {}
                    _ = ended => {}
                }
            });
        });
        Self { address, books, _end: end }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Everything it took, in order.
    pub fn took(&self) -> Vec<Took> {
        held(&self.books.took).clone()
    }

    /// Requests that came, taken or not.
    pub fn asked(&self) -> usize {
        *held(&self.books.asked)
    }

    /// Lets the next requests fail.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        held(&self.books.faults).extend(faults);
    }

    /// Waits until it took so many.
    pub fn await_took(&self, count: usize) -> Vec<Took> {
        let began = Instant::now();
        while held(&self.books.took).len() < count {
            assert!(began.elapsed() < PATIENCE, "took {} of {count}", held(&self.books.took).len());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.took()
    }
}

/// The answer of a fault that takes nothing. A redirect leads back to a receiver of webhooks.
fn faulty(status: u16, wait: Option<u64>) -> Response {
    let mut response = StatusCode::from_u16(status).expect("a status").into_response();
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if response.status().is_redirection() {
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/hook"));
    }
    response
}

/// Never answers.
async fn unheard() -> Response {
    std::future::pending().await
}

fn validator(schema: &str) -> Validator {
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// What is wrong with a body; empty where nothing is.
fn mistakes(validator: &Validator, body: &Value) -> Vec<String> {
    validator.iter_errors(body).map(|error| format!("{error} [json-pointer:{}]", error.instance_path())).collect()
}
