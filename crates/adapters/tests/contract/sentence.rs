//! A sentence model in this process: what its vectors are, which files are refused, and a memory that keeps them.

use std::fs::{read, write};
use std::future::Future;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use sre_space_adapters::database::Database;
use sre_space_adapters::memory::embedded::EmbeddedMemory;
use sre_space_adapters::memory::embedder::{Embedder, Lexical};
use sre_space_adapters::memory::sentence::SentenceModel;
use sre_space_domain::diagnosis::FaultKind;
use sre_space_peers::sentence_model;
use sre_space_ports::contract::memory;
use sre_space_ports::memory::{Memory, MemoryError, Recollection as _};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::run;
use crate::shared::Running;

/// Loaded by the first trial that needs it.
static MODEL: OnceCell<Arc<SentenceModel>> = OnceCell::const_new();

async fn model() -> Arc<SentenceModel> {
    let open = async || {
        let folder = sentence_model().expect("its files");
        Arc::new(SentenceModel::open(&folder).await.expect("a model"))
    };
    Arc::clone(MODEL.get_or_init(open).await)
}

/// The model × what is promised of it, and the memory over it; where its files are not, one that says so.
pub fn trials() -> Vec<Trial> {
    if let Err(missing) = sentence_model() {
        let name = format!("embeddings/sentence (skipped: {missing})");
        return vec![Trial::test(name, || Ok(())).with_ignored_flag(true)];
    }
    vec![
        Trial::test("embeddings/sentence/likeness_is_as_the_models_makers_published_it", || run(published())),
        Trial::test("embeddings/sentence/a_text_without_words_is_the_zero_vector", || run(wordless())),
        Trial::test("embeddings/sentence/a_long_text_is_cut_and_takes_no_longer", || run(cut())),
        Trial::test("embeddings/sentence/many_at_once_are_as_each_alone", || run(at_once())),
        Trial::test("embeddings/sentence/files_that_are_no_model_are_refused_by_name", || run(refused())),
        Trial::test("embeddings/sentence/the_same_files_are_the_same_kind_and_others_another", || run(kinds())),
        Trial::test("embeddings/sentence/another_kind_of_vector_is_refused_until_reembedded", || run(reembedded())),
        Trial::test("embeddings/sentence/what_it_costs_is_printed", || run(costs())),
        promise("lessons_survive_a_restart", |open| Box::pin(memory::lessons_survive_a_restart(open))),
        promise("an_incident_is_remembered_once", |open| Box::pin(memory::an_incident_is_remembered_once(open))),
        promise("a_fingerprint_is_exact", |open| Box::pin(memory::a_fingerprint_is_exact(open))),
        promise("the_nearest_come_first", |open| Box::pin(memory::the_nearest_come_first(open))),
    ]
}

fn promise(name: &str, promise: for<'a> fn(&'a memory::Open) -> Running<'a>) -> Trial {
    Trial::test(format!("memory/embedded-with-a-sentence-model/{name}"), move || on_model(promise))
}

fn on_model(promise: for<'a> fn(&'a memory::Open) -> Running<'a>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    run(async move {
        let path = dir.path().join("memory.db");
        let open = move || -> Pin<Box<dyn Future<Output = Arc<dyn Memory>>>> {
            let path = path.clone();
            Box::pin(async move {
                let database = Database::sqlite(&path).await.expect("opened");
                Arc::new(EmbeddedMemory::open(database, model().await).await.expect("opened")) as Arc<dyn Memory>
            })
        };
        promise(&open).await;
    })
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

async fn vector(text: &str) -> Vec<f32> {
    model().await.embed(&[text.to_owned()]).await.expect("a vector").remove(0)
}

/// Of all-MiniLM-L6-v2, as sentence-transformers' own documentation prints it.
async fn published() {
    let texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
    let vectors = model().await.embed(&texts.map(str::to_owned)).await.expect("vectors");
    let wanted = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]];
    for (ours, wanted) in vectors.iter().zip(wanted) {
        for (other, wanted) in vectors.iter().zip(wanted) {
            let found = cosine(ours, other);
            assert!((found - wanted).abs() < 0.001, "{found}, published: {wanted}");
        }
    }
}

async fn wordless() {
    for text in ["", "  \n\t "] {
        assert_eq!(vector(text).await, vec![0.0; 384], "{text:?}");
    }
    assert!((cosine(&vector("pool").await, &vector("pool").await) - 1.0).abs() < 1e-5);
}

async fn cut() {
    let words = |count: usize| "waits for a connection ".repeat(count);
    let long = vector(&words(200)).await;
    assert_eq!((vector(&words(300)).await == long, vector(&words(3_000)).await == long), (true, true));
    assert_ne!(vector(&words(2)).await, vector(&words(3)).await);
    let one_word = "x".repeat(5_000_000);
    let began = Instant::now();
    vector(&one_word).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

async fn at_once() {
    let texts: Vec<String> = (0..12).map(|number| format!("service {number} fails since its revision")).collect();
    let mut waiting = JoinSet::new();
    for (at, text) in texts.clone().into_iter().enumerate() {
        waiting.spawn(async move { (at, vector(&text).await) });
    }
    let mut found = waiting.join_all().await;
    found.sort_by_key(|(at, _)| *at);
    let alone = model().await.embed(&texts).await.expect("vectors");
    assert_eq!(found.into_iter().map(|(_, vector)| vector).collect::<Vec<_>>(), alone);
}

/// A folder like the model's, with one file in place of its own.
fn with(name: &str, bytes: &[u8]) -> tempfile::TempDir {
    let (dir, model) = (tempfile::tempdir().expect("a folder"), sentence_model().expect("its files"));
    for file in ["model.safetensors", "tokenizer.json", "config.json", "sentence_bert_config.json"] {
        match file == name {
            true => write(dir.path().join(file), bytes).expect("written"),
            false => symlink(model.join(file), dir.path().join(file)).expect("linked"),
        }
    }
    dir
}

/// The model's own JSON with one value changed.
fn changed(file: &str, pointer: &str, value: Value) -> Vec<u8> {
    let text = read(sentence_model().expect("its files").join(file)).expect("read");
    let mut json: Value = serde_json::from_slice(&text).expect("JSON");
    *json.pointer_mut(pointer).expect("what is there") = value;
    json.to_string().into_bytes()
}

async fn refused() {
    let weights = read(sentence_model().expect("its files").join("model.safetensors")).expect("read");
    let lying: Vec<u8> = u64::MAX.to_le_bytes().into_iter().chain(*b"{}").collect();
    let odd: [(&str, Vec<u8>, &str); 8] = [
        ("model.safetensors", Vec::new(), "model.safetensors"),
        ("model.safetensors", weights[..1 << 20].to_vec(), "model.safetensors"),
        ("model.safetensors", lying, "model.safetensors"),
        ("tokenizer.json", b"{}".to_vec(), "tokenizer.json"),
        // Words that the weights do not have.
        ("tokenizer.json", changed("tokenizer.json", "/model/vocab/lesson", json!(400_000)), "model.safetensors"),
        ("config.json", changed("config.json", "/num_hidden_layers", json!(7)), "model.safetensors"),
        ("config.json", changed("config.json", "/vocab_size", json!(100)), "model.safetensors"),
        ("config.json", changed("config.json", "/hidden_act", json!("magic")), "config.json"),
    ];
    for (number, (file, bytes, named)) in odd.into_iter().enumerate() {
        let dir = with(file, &bytes);
        let refused = SentenceModel::open(dir.path()).await.err().expect("refused");
        let told = refused.to_string();
        let start = format!("the memory is refused: sentence model: {named}: ");
        assert!(told.starts_with(&start) && !refused.is_transient() && told.len() < 400, "{number}: {told}");
        println!("{told}");
    }
    let nowhere = SentenceModel::open(Path::new("nowhere")).await.err().expect("refused").to_string();
    assert!(nowhere.contains("config.json"), "{nowhere}");
}

async fn kinds() {
    let ours = model().await.kind().clone();
    assert_eq!((ours.dimension, ours.name.len()), (384, "sentence-".len() + 12), "{ours}");
    let same = with("none", &[]);
    let again = SentenceModel::open(same.path()).await.expect("the same files elsewhere");
    let other = with("config.json", &changed("config.json", "/layer_norm_eps", json!(1e-5)));
    let other = SentenceModel::open(other.path()).await.expect("another model");
    println!("kind {ours}");
    assert_eq!((again.kind() == &ours, other.kind() == &ours), (true, false));
}

async fn reembedded() {
    let (dir, model) = (tempfile::tempdir().expect("a folder"), model().await);
    let database = Database::sqlite(&dir.path().join("memory.db")).await.expect("opened");
    let memory = EmbeddedMemory::open(Arc::clone(&database), Arc::new(Lexical::default())).await.expect("opened");
    let lesson = memory::lesson(1, FaultKind::BadChange, &["x"]);
    memory.remember(&lesson).await.expect("remembered");
    let refused = EmbeddedMemory::open(Arc::clone(&database), model.clone()).await.err().expect("another kind");
    let kind = model.kind().to_string();
    assert!(matches!(&refused, MemoryError::OtherKind { ours, .. } if *ours == kind), "{refused}");
    assert_eq!(EmbeddedMemory::reembed(&database, model.as_ref()).await.expect("written"), 1);
    let memory = EmbeddedMemory::open(Arc::clone(&database), model).await.expect("opened");
    let found = memory.nearest(&lesson.signature.words(), 1).await.expect("found");
    assert!(found[0].lesson == lesson && (found[0].score - 1.0).abs() < 1e-5, "{found:?}");
    let refused = EmbeddedMemory::open(database, Arc::new(Lexical::default())).await.err().expect("another kind");
    assert!(matches!(&refused, MemoryError::OtherKind { theirs, .. } if *theirs == kind), "{refused}");
}

/// A line of this process' status, in kB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Figures of this trial alone: `--exact` and its name.
async fn costs() {
    const ROUNDS: u32 = 20;
    let (before, began) = (status("VmRSS"), Instant::now());
    let model = model().await;
    println!(
        "loaded in {:?}; RSS {} kB more, peak {} kB",
        began.elapsed(),
        status("VmRSS").saturating_sub(before),
        status("VmHWM")
    );
    for words in [8, 80] {
        let text = "quote-engine waits for a connection of its pool ".repeat(words / 8);
        let began = Instant::now();
        for _ in 0..ROUNDS {
            model.embed(std::slice::from_ref(&text)).await.expect("a vector");
        }
        println!(
            "{words} words: {:?} a text; RSS {} kB more",
            began.elapsed() / ROUNDS,
            status("VmRSS").saturating_sub(before)
        );
    }
}
