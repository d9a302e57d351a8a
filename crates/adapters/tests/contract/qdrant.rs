//! The memory on Qdrant, over a server that speaks its protocol; the rankings also against Qdrant's own engine.

use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, PointStruct, QueryPointsBuilder, UpsertPointsBuilder, VectorParamsBuilder,
};
use sre_space_adapters::memory::embedder::{Embedder, Kind, Lexical};
use sre_space_adapters::memory::index::{Candidate, best};
use sre_space_adapters::memory::qdrant::{Address, QdrantMemory};
use sre_space_adapters::memory::scan::Scan;
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::Sha;
use sre_space_domain::knowledge::{Lesson, Origin, Signature};
use sre_space_domain::proposal::Remedy;
use sre_space_peers::{Peer as _, Qdrant};
use sre_space_ports::contract::memory;
use sre_space_ports::memory::{Memory, MemoryError, Recollection as _};

use crate::run;
use crate::shared::Running;

fn at(server: &Qdrant) -> Address {
    Address { url: server.url(), api_key: None }
}

fn on_qdrant(promise: for<'a> fn(&'a memory::Open) -> Running<'a>) -> Result<(), Failed> {
    let server = Qdrant::start();
    let address = at(&server);
    let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Memory>>>> {
        let address = address.clone();
        Box::pin(async move {
            let memory = QdrantMemory::open(&address, Arc::new(Lexical::default())).await.expect("opened");
            Arc::new(memory) as Arc<dyn Memory>
        })
    };
    run(promise(&open))
}

fn alone(play: fn(Qdrant) -> Pin<Box<dyn Future<Output = ()>>>) -> Result<(), Failed> {
    run(play(Qdrant::start()))
}

/// Qdrant × every promise, and what is its alone.
pub fn trials() -> Vec<Trial> {
    let promise = |name: &str, promise: for<'a> fn(&'a memory::Open) -> Running<'a>| {
        Trial::test(format!("memory/qdrant/{name}"), move || on_qdrant(promise))
    };
    vec![
        promise("lessons_survive_a_restart", |open| Box::pin(memory::lessons_survive_a_restart(open))),
        promise("an_incident_is_remembered_once", |open| Box::pin(memory::an_incident_is_remembered_once(open))),
        promise("the_nearest_come_first", |open| Box::pin(memory::the_nearest_come_first(open))),
        promise("a_fingerprint_is_exact", |open| Box::pin(memory::a_fingerprint_is_exact(open))),
        promise("of_a_thousand_lessons_each_is_found", |open| {
            Box::pin(memory::of_a_thousand_lessons_each_is_found(open))
        }),
        Trial::test("memory/qdrant/another_kind_of_vector_is_refused_until_reembedded", || {
            alone(|server| Box::pin(reembedded(server)))
        }),
        Trial::test("memory/qdrant/what_is_no_lesson_is_passed_over", || alone(|server| Box::pin(passed_over(server)))),
        Trial::test("memory/qdrant/a_wrong_key_is_refused_for_good", || run(refused())),
        Trial::test("memory/qdrant/a_server_that_is_away_may_be_asked_again", || {
            alone(|server| Box::pin(away(server)))
        }),
        rankings(),
    ]
}

/// An embedder of another kind.
struct Short(Kind);

#[async_trait::async_trait]
impl Embedder for Short {
    fn kind(&self) -> &Kind {
        &self.0
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, MemoryError> {
        Ok(texts.iter().map(|text| vec![0.6, if text.contains("pool") { 0.8 } else { -0.8 }]).collect())
    }
}

fn lesson(number: u8) -> Lesson {
    let incident = serde_json::from_value(serde_json::json!(format!("inc_{number:026}"))).expect("an id");
    let signature = Signature {
        service: "shop".into(),
        operation: "serve".into(),
        kind: FaultKind::PoolExhausted,
        facts: vec![format!("fact-{number}")],
    };
    let remedy = Remedy::Revert { service: "shop".into(), commit: Sha("a".repeat(40)) };
    let (origin, postmortem) = (Origin::Unknown, String::new());
    Lesson { incident, signature, remedy, at_ms: i64::from(number), postmortem, origin, seal: None }
}

async fn reembedded(server: Qdrant) {
    let (address, short) = (at(&server), Arc::new(Short(Kind { name: "some/model:2".into(), dimension: 2 })));
    let lessons: Vec<Lesson> = (1..=70).map(lesson).collect();
    let memory = QdrantMemory::open(&address, short.clone()).await.expect("opened");
    for lesson in &lessons {
        memory.remember(lesson).await.expect("remembered");
    }
    let ours = Lexical::default();
    let refused = QdrantMemory::open(&address, Arc::new(Lexical::default())).await.err().expect("another kind");
    let theirs = "some/model:2/2".to_owned();
    assert!(matches!(&refused, MemoryError::OtherKind { theirs: found, .. } if *found == theirs), "{refused}");
    assert!(QdrantMemory::look(&address, &ours).await.is_err());
    assert_eq!(QdrantMemory::reembed(&address, &ours).await.expect("moved"), 70);
    assert_eq!(QdrantMemory::reembed(&address, &ours).await.expect("nothing to move"), 70);
    let memory = QdrantMemory::open(&address, Arc::new(Lexical::default())).await.expect("opened");
    assert_eq!(memory.all().await.expect("read"), lessons);
    assert_eq!(server.books().points.len(), 1, "the old collection is gone");
    assert_eq!(QdrantMemory::look(&address, &ours).await.expect("looked"), "1.20.0, 70 lesson(s)");
}

/// A stranger writes a point that is no lesson, under the fingerprint of one.
async fn passed_over(server: Qdrant) {
    let memory = QdrantMemory::open(&at(&server), Arc::new(Lexical::default())).await.expect("opened");
    let ours = lesson(1);
    memory.remember(&ours).await.expect("remembered");
    let collection = server.books().points.into_keys().next().expect("a collection");
    let fingerprint = ours.signature.fingerprint();
    let stranger = qdrant_client::Qdrant::from_url(&server.url()).skip_compatibility_check().build().expect("a client");
    for (number, stored) in [None, Some("{"), Some("{}")].into_iter().enumerate() {
        let payload: [(&str, qdrant_client::qdrant::Value); 3] = [
            ("fingerprint", fingerprint.as_str().into()),
            ("words", ours.signature.words().into()),
            ("incident", format!("inc_{number}").into()),
        ];
        let mut payload = qdrant_client::Payload::from(payload);
        if let Some(stored) = stored {
            payload.insert("lesson", stored);
        }
        let vector = sre_space_adapters::memory::embed::embed(&ours.signature.words());
        let point = PointStruct::new(uuid(number), vector, payload);
        stranger.upsert_points(UpsertPointsBuilder::new(&collection, vec![point])).await.expect("written");
    }
    assert_eq!(memory.lookup(&fingerprint).await.expect("read"), std::slice::from_ref(&ours));
    let found = memory.nearest(&ours.signature.words(), 9).await.expect("found");
    assert_eq!(found.iter().map(|found| &found.lesson).collect::<Vec<_>>(), [&ours]);
}

async fn refused() {
    let server = Qdrant::guarded(Some("s3cret"));
    let open = async |key: Option<&str>| {
        let address = Address { url: server.url(), api_key: key.map(str::to_owned) };
        QdrantMemory::open(&address, Arc::new(Lexical::default())).await
    };
    for wrong in [None, Some("wr0ng")] {
        let refused = open(wrong).await.err().expect("refused");
        assert!(!refused.is_transient());
        let told = format!("{refused} {refused:?}");
        assert!(told.contains("QDRANT_API_KEY") && !told.contains("wr0ng"), "{told}");
    }
    assert!(open(Some("s3cret")).await.is_ok());
}

async fn away(mut server: Qdrant) {
    let address = at(&server);
    let memory = QdrantMemory::open(&address, Arc::new(Lexical::default())).await.expect("opened");
    memory.remember(&lesson(1)).await.expect("remembered");
    server.kill();
    let away = memory.remember(&lesson(2)).await.expect_err("away");
    assert!(away.is_transient(), "{away}");
    assert!(memory.upstream().status().trouble.is_some());
    server.start_again();
    memory.remember(&lesson(2)).await.expect("remembered");
    assert_eq!(memory.all().await.expect("read"), [lesson(1), lesson(2)]);
    assert_eq!(memory.upstream().status().trouble, None);
    server.pause();
    let slow = memory.lookup(&lesson(1).signature.fingerprint()).await.expect_err("no answer");
    assert!(slow.is_transient(), "{slow}");
    server.resume();
}

const SCRIPT: &str = include_str!("engine.py");
const MANY: usize = 1_500;
const DIMENSION: usize = 64;
const ASKED: usize = 40;

/// Where `make peers` puts Qdrant's engine.
fn engine() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/.venv");
    let versions = std::fs::read_dir(venv.join("lib")).into_iter().flatten().flatten();
    let is_there = versions.into_iter().any(|version| version.path().join("site-packages/qdrant_edge").is_dir());
    is_there.then(|| venv.join("bin/python"))
}

fn rankings() -> Trial {
    let name = "memory/qdrant/rankings_are_those_of_qdrants_engine";
    match engine() {
        Some(python) => Trial::test(name, move || run(as_the_engine_ranks(python))),
        None => Trial::test(format!("{name} (skipped: qdrant-edge-py)"), || Ok(())).with_ignored_flag(true),
    }
}

/// Numbers that look random and are the same each time.
fn vectors(mut seed: u64, count: usize) -> Vec<Vec<f32>> {
    let mut number = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 40) as f32 / (1_u64 << 24) as f32) * 2.0 - 1.0
    };
    (0..count).map(|_| (0..DIMENSION).map(|_| number()).collect()).collect()
}

async fn as_the_engine_ranks(python: PathBuf) {
    let (kept, asked) = (vectors(1, MANY), vectors(2, ASKED));
    let engine = of_the_engine(&python, &kept, &asked);
    assert_eq!(engine.len(), ASKED);
    assert_eq!(of_the_server(&kept, &asked).await, engine, "the server's rankings");
    let unit = |vector: &Vec<f32>| {
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter().map(|value| value / length).collect::<Vec<f32>>()
    };
    let units: Vec<Vec<f32>> = kept.iter().map(unit).collect();
    let mut scan = Scan::new(DIMENSION);
    units.iter().for_each(|vector| scan.add(vector));
    let of_bytes = |asked: &Vec<f32>| -> Vec<u64> {
        let asked = unit(asked);
        let candidate = |(at, cosine): (usize, f32)| Candidate { at, shared: 0.0, cosine: f64::from(cosine) };
        let near = best(scan.cosines(&asked).into_iter().enumerate().map(candidate).collect(), 32);
        let exact = |found: &Candidate| units[found.at].iter().zip(&asked).map(|(x, y)| x * y).sum::<f32>();
        let rescored = near.iter().map(|found| Candidate { cosine: f64::from(exact(found)), ..*found }).collect();
        best(rescored, 10).iter().map(|found| found.at as u64).collect()
    };
    assert_eq!(asked.iter().map(of_bytes).collect::<Vec<_>>(), engine, "the embedded memory's rankings");
}

fn of_the_engine(python: &Path, kept: &[Vec<f32>], asked: &[Vec<f32>]) -> Vec<Vec<u64>> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python");
    let question = serde_json::json!({"vectors": kept, "asked": asked, "k": 10}).to_string();
    child.stdin.take().expect("a pipe").write_all(question.as_bytes()).expect("written");
    let told = child.wait_with_output().expect("an answer");
    assert!(told.status.success(), "{}", told.status);
    serde_json::from_slice(&told.stdout).expect("rankings")
}

/// The number of a vector as a point's name, and back.
fn uuid(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

async fn of_the_server(kept: &[Vec<f32>], asked: &[Vec<f32>]) -> Vec<Vec<u64>> {
    let server = Qdrant::start();
    let client = qdrant_client::Qdrant::from_url(&server.url()).skip_compatibility_check().build().expect("a client");
    let size = VectorParamsBuilder::new(DIMENSION as u64, Distance::Cosine);
    client.create_collection(CreateCollectionBuilder::new("v").vectors_config(size)).await.expect("created");
    let points = kept.iter().enumerate();
    let points = points.map(|(at, vector)| PointStruct::new(uuid(at), vector.clone(), qdrant_client::Payload::new()));
    client.upsert_points(UpsertPointsBuilder::new("v", points.collect::<Vec<_>>())).await.expect("written");
    let mut rankings = Vec::new();
    for vector in asked {
        let query = QueryPointsBuilder::new("v").query(vector.clone()).limit(10);
        let found = client.query(query).await.expect("found").result;
        let number = |point: &qdrant_client::qdrant::ScoredPoint| {
            let id = format!("{:?}", point.id);
            let digits: String = id.chars().filter(char::is_ascii_digit).collect();
            digits.parse().expect("a number")
        };
        rankings.push(found.iter().map(number).collect());
    }
    rankings
}
