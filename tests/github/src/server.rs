//! The server: a thread with a runtime of its own, so that it can be stopped in the middle of anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::Desk;
use crate::routes::{Asked, Outcome, answer};

pub struct Server {
    pub address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(desk: Arc<Desk>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let app = Router::new().fallback(serve).with_state(desk);
                tokio::select! {
                    served = axum::serve(listener, app) => served.expect("it serves"),
                    _ = ended => {}
                }
            });
        });
        Self { address, end: Some(end), thread: Some(thread) }
    }

    /// Every connection ends with it.
    pub fn stop(&mut self) {
        drop(self.end.take());
        self.thread.take().into_iter().for_each(|thread| thread.join().expect("the server did not panic"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

async fn serve(State(desk): State<Arc<Desk>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let query = uri.query().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = Asked {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        query: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: serde_json::from_slice::<Value>(&body).ok(),
        bearer: bearer.strip_prefix("Bearer ").unwrap_or_default().to_owned(),
    };
    match answer(&desk, &asked) {
        Outcome::Told(reply) => {
            let mut response = Response::builder().status(reply.status).header("content-type", "application/json");
            for (name, value) in &reply.headers {
                response = response.header(*name, value);
            }
            response.body(Body::from(reply.body.to_string())).expect("an answer")
        }
        Outcome::Dropped => {
            let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("the connection ends"))]);
            let mut response = Response::new(Body::from_stream(broken));
            *response.status_mut() = StatusCode::OK;
            response
        }
    }
}
