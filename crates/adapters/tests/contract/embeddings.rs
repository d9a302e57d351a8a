//! Vectors of an OpenAI-compatible endpoint: what is taken from it, what is refused, and a memory that keeps them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use sre_space_adapters::database::Database;
use sre_space_adapters::memory::embedded::EmbeddedMemory;
use sre_space_adapters::memory::embedder::{Embedder, Lexical};
use sre_space_adapters::memory::remote::{Endpoint, RemoteEmbedder};
use sre_space_ports::contract::memory;
use sre_space_ports::memory::{Memory, MemoryError, Recollection as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::run;
use crate::shared::Running;

/// What the endpoint does next; well-behaved when nothing is said.
type Next = Arc<Mutex<Option<fn(usize) -> Response>>>;

struct Model {
    endpoint: Endpoint,
    next: Next,
    /// The server ends with it.
    _serving: JoinSet<()>,
}

/// Three numbers that tell texts apart, as far as these tests go.
fn vector(text: &str) -> [f64; 3] {
    let sum = |step: usize| text.bytes().step_by(step).map(f64::from).sum::<f64>();
    [sum(1).sin(), sum(2).cos(), 2.0 + sum(3).sin()]
}

fn answer(texts: &[Value]) -> Value {
    let one = |(index, text): (usize, &Value)| json!({"object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap_or_default())});
    let data: Vec<Value> = texts.iter().enumerate().map(one).rev().collect();
    json!({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})
}

async fn model() -> Model {
    let next = Next::default();
    let told = Arc::clone(&next);
    let reply = move |headers: HeaderMap, Json(asked): Json<Value>| {
        let told = told.lock().expect("told").take();
        let texts = asked["input"].as_array().cloned().unwrap_or_default();
        let key = headers.get("authorization").and_then(|key| key.to_str().ok()).map(str::to_owned);
        async move {
            match told {
                _ if key.as_deref() != Some("Bearer s3cret") => StatusCode::UNAUTHORIZED.into_response(),
                Some(odd) => odd(texts.len()),
                None => Json(answer(&texts)).into_response(),
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let mut serving = JoinSet::new();
    let router = Router::new().route("/v1/embeddings", post(reply));
    serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    let endpoint = Endpoint { base_url, api_key: Some("s3cret".into()), model: "some/model".into() };
    Model { endpoint, next, _serving: serving }
}

fn raw(body: &str) -> Response {
    ([("content-type", "application/json")], body.to_owned()).into_response()
}

fn data(vectors: &[Value]) -> Response {
    let one = |(index, vector): (usize, &Value)| json!({"object": "embedding", "index": index, "embedding": vector});
    let data: Vec<Value> = vectors.iter().enumerate().map(one).collect();
    Json(json!({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}))
        .into_response()
}

/// An endpoint × what it may do, and the memory over it.
pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("embeddings/a_batch_is_one_unit_vector_a_text_in_order", || run(in_order())),
        Trial::test("embeddings/what_is_not_one_vector_a_text_is_refused", || run(garbage())),
        Trial::test("embeddings/an_endpoint_that_wants_to_be_left_alone_is", || run(left_alone())),
        Trial::test("embeddings/a_wrong_key_is_refused_for_good", || run(wrong_key())),
        Trial::test("embeddings/another_kind_of_vector_is_refused_until_reembedded", || run(reembedded())),
        promise("lessons_survive_a_restart", |open| Box::pin(memory::lessons_survive_a_restart(open))),
        promise("an_incident_is_remembered_once", |open| Box::pin(memory::an_incident_is_remembered_once(open))),
        promise("a_fingerprint_is_exact", |open| Box::pin(memory::a_fingerprint_is_exact(open))),
    ]
}

fn promise(name: &str, promise: for<'a> fn(&'a memory::Open) -> Running<'a>) -> Trial {
    Trial::test(format!("memory/embedded-with-a-model/{name}"), move || on_model(promise))
}

fn on_model(promise: for<'a> fn(&'a memory::Open) -> Running<'a>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    run(async move {
        let model = model().await;
        let (path, endpoint) = (dir.path().join("memory.db"), model.endpoint.clone());
        let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Memory>>>> {
            let (path, endpoint) = (path.clone(), endpoint.clone());
            Box::pin(async move {
                let database = Database::sqlite(&path).await.expect("opened");
                let embedder = Arc::new(RemoteEmbedder::connect(endpoint).await.expect("connected"));
                Arc::new(EmbeddedMemory::open(database, embedder).await.expect("opened")) as Arc<dyn Memory>
            })
        };
        promise(&open).await;
    })
}

async fn in_order() {
    let model = model().await;
    let embedder = RemoteEmbedder::connect(model.endpoint.clone()).await.expect("connected");
    assert_eq!(embedder.kind().to_string(), "some/model/3");
    let texts: Vec<String> = (0..130).map(|number| format!("text {number}")).collect();
    let vectors = embedder.embed(&texts).await.expect("vectors");
    assert_eq!(vectors.len(), texts.len());
    for (text, found) in texts.iter().zip(&vectors) {
        let length = vector(text).iter().map(|value| value * value).sum::<f64>().sqrt();
        for (found, wanted) in found.iter().zip(vector(text)) {
            assert!((f64::from(*found) - wanted / length).abs() < 1e-5, "{text}");
        }
    }
}

async fn garbage() {
    let model = model().await;
    let embedder = RemoteEmbedder::connect(model.endpoint.clone()).await.expect("connected");
    let odd: [fn(usize) -> Response; 10] = [
        |_| raw("{"),
        |_| raw("[]"),
        |_| raw("null"),
        |_| data(&[]),
        |_| data(&[json!([1.0, 2.0, 3.0])]),
        |count| data(&vec![json!([1.0, 2.0]); count]),
        |count| data(&vec![json!([]); count]),
        |count| data(&vec![json!([1e38, 1e38, 1e39]); count]),
        |count| data(&vec![json!(["1", "2", "3"]); count]),
        |_| raw(&" ".repeat(9 << 20)),
    ];
    for (number, odd) in odd.into_iter().enumerate() {
        *model.next.lock().expect("next") = Some(odd);
        let refused = embedder.embed(&["a".to_owned(), "b".to_owned()]).await.expect_err("garbage");
        assert!(!refused.is_transient(), "{number}: {refused}");
        let well = embedder.embed(&["a".to_owned()]).await.expect("it is asked again");
        assert_eq!(well.len(), 1);
    }
}

async fn left_alone() {
    let model = model().await;
    let embedder = RemoteEmbedder::connect(model.endpoint.clone()).await.expect("connected");
    *model.next.lock().expect("next") = Some(|_| StatusCode::BAD_GATEWAY.into_response());
    assert!(embedder.embed(&["a".to_owned()]).await.expect_err("busy").is_transient());
    embedder.embed(&["a".to_owned()]).await.expect("one failure is none");
    *model.next.lock().expect("next") =
        Some(|_| (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "70")]).into_response());
    assert!(embedder.embed(&["a".to_owned()]).await.expect_err("too many").is_transient());
    let told = embedder.embed(&["a".to_owned()]).await.expect_err("nobody is asked").to_string();
    assert!(told.contains("left alone for 69 s") || told.contains("left alone for 70 s"), "{told}");
}

async fn wrong_key() {
    let model = model().await;
    let endpoint = Endpoint { api_key: Some("wr0ng".into()), ..model.endpoint.clone() };
    let refused = RemoteEmbedder::connect(endpoint).await.err().expect("refused");
    let told = format!("{refused} {refused:?}");
    assert!(!refused.is_transient() && told.contains("401") && !told.contains("wr0ng"), "{told}");
}

async fn reembedded() {
    let (dir, model) = (tempfile::tempdir().expect("a folder"), model().await);
    let path = dir.path().join("memory.db");
    let remote = Arc::new(RemoteEmbedder::connect(model.endpoint.clone()).await.expect("connected"));
    let database = Database::sqlite(&path).await.expect("opened");
    let memory = EmbeddedMemory::open(Arc::clone(&database), Arc::new(Lexical::default())).await.expect("opened");
    let lesson = memory::lesson(1, sre_space_domain::diagnosis::FaultKind::BadChange, &["x"]);
    memory.remember(&lesson).await.expect("remembered");
    let refused = EmbeddedMemory::open(Arc::clone(&database), remote.clone()).await.err().expect("another kind");
    assert!(matches!(&refused, MemoryError::OtherKind { ours, .. } if ours == "some/model/3"), "{refused}");
    assert_eq!(EmbeddedMemory::reembed(&database, remote.as_ref()).await.expect("written"), 1);
    let memory = EmbeddedMemory::open(Arc::clone(&database), remote).await.expect("opened");
    let found = memory.nearest(&lesson.signature.words(), 1).await.expect("found");
    assert_eq!(found.len(), 1);
    assert!(found[0].lesson == lesson && (found[0].score - 1.0).abs() < 1e-5, "{found:?}");
    let back = Lexical::default();
    assert_eq!(EmbeddedMemory::reembed(&database, &back).await.expect("written"), 1);
    EmbeddedMemory::open(database, Arc::new(back)).await.expect("opened");
}
