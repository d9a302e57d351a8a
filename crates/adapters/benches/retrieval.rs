//! How well the memory finds: `cargo bench -p sre-space-adapters --bench retrieval -- FOLDER`, with a folder that holds
//! `corpus_hard.jsonl` (`id`, `title`, `text`) and `queries.jsonl` (`query`, `relevant`).
//!
//! Recall@1, @3, @5 and mean reciprocal rank, beside plain BM25 over the same texts in the same run. Exit code 1 when plain BM25, or
//! its published R@1 .30 and R@5 .66 on these texts, are not beaten. With `--model FOLDER` and the feature `local-embedder`: the same
//! for the memory with that sentence model, and what the model costs.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::path::Path;

use serde::Deserialize;
use sre_space_adapters::memory::bm25::Bm25;
use sre_space_adapters::memory::embed::{DIMENSION, embed};
use sre_space_adapters::memory::index::Index;

/// Vectors of texts and of questions.
type Vectors = (Vec<Vec<f32>>, Vec<Vec<f32>>);

#[derive(Deserialize)]
struct Text {
    id: String,
    title: String,
    text: String,
}

#[derive(Deserialize)]
struct Question {
    query: String,
    relevant: Vec<String>,
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [folder] => std::process::exit(i32::from(!finds(Path::new(folder), None))),
        [folder, "--model", model] => std::process::exit(i32::from(!finds(Path::new(folder), Some(Path::new(model))))),
        _other => println!("no folder is given: recall is not measured"),
    }
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Vec<T> {
    let text = std::fs::read_to_string(file).expect("a readable file");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn plain_words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether the memory with its built-in vectors finds better than plain BM25 does.
fn finds(folder: &Path, model: Option<&Path>) -> bool {
    let texts: Vec<Text> = read(&folder.join("corpus_hard.jsonl"));
    let questions: Vec<Question> = read(&folder.join("queries.jsonl"));
    let whole: Vec<String> = texts.iter().map(|text| format!("{} {}", text.title, text.text)).collect();
    let asked: Vec<String> = questions.iter().map(|question| question.query.clone()).collect();
    let mut plain = Bm25::default();
    whole.iter().for_each(|text| plain.add(&plain_words(text)));
    let of_plain = |at: usize| {
        let mut scored: Vec<(usize, f64)> = plain.scores(&plain_words(&asked[at])).into_iter().enumerate().collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.into_iter().map(|(at, _)| at).collect()
    };
    println!("{} questions over {} texts", questions.len(), texts.len());
    let plain = measure("plain BM25", (&texts, &questions), &of_plain);
    let embedded = |texts: &[String]| texts.iter().map(|text| embed(text)).collect();
    let lexical: Vectors = (embedded(&whole), embedded(&asked));
    let memory = measure("memory", (&texts, &questions), &hybrid((&whole, &asked), &lexical));
    if let Some(model) = model {
        let vectors = of_model(model, &whole, &asked);
        measure("the model alone", (&texts, &questions), &|at| by_likeness(&vectors, at));
        measure("memory, with it", (&texts, &questions), &hybrid((&whole, &asked), &vectors));
    }
    memory.0 > plain.0.max(0.30) && memory.1 > plain.1.max(0.66)
}

/// Ranks as the memory does.
fn hybrid<'a>((texts, asked): (&'a [String], &'a [String]), vectors: &'a Vectors) -> impl Fn(usize) -> Vec<usize> + 'a {
    let mut index = Index::new(vectors.0.first().map_or(DIMENSION, Vec::len));
    texts.iter().zip(&vectors.0).for_each(|(text, vector)| index.add(text, vector));
    move |question| {
        let found = index.nearest((&asked[question], &vectors.1[question]), texts.len(), |at| vectors.0[at].clone());
        found.into_iter().map(|found| found.at).collect()
    }
}

fn by_likeness((texts, asked): &Vectors, question: usize) -> Vec<usize> {
    let cosine = |text: &[f32]| text.iter().zip(&asked[question]).map(|(x, y)| x * y).sum::<f32>();
    let mut scored: Vec<(usize, f32)> = texts.iter().map(|text| cosine(text)).enumerate().collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    scored.into_iter().map(|(at, _)| at).collect()
}

#[cfg(feature = "local-embedder")]
fn of_model(folder: &Path, texts: &[String], asked: &[String]) -> Vectors {
    use std::time::Instant;

    use sre_space_adapters::memory::embedder::Embedder as _;
    use sre_space_adapters::memory::sentence::SentenceModel;

    let status = |name: &str| {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        status.lines().find(|line| line.starts_with(name)).map(str::to_owned).expect("the line")
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        println!("before the model is loaded: {}", status("VmRSS"));
        let began = Instant::now();
        let model = SentenceModel::open(folder).await.expect("a model");
        println!("{} loaded in {:?}: {}, {}", model.kind(), began.elapsed(), status("VmRSS"), status("VmHWM"));
        let began = Instant::now();
        let texts = model.embed(texts).await.expect("vectors");
        println!("texts: {:?} each", began.elapsed() / u32::try_from(texts.len()).expect("few"));
        let began = Instant::now();
        let asked = model.embed(asked).await.expect("vectors");
        println!("questions: {:?} each", began.elapsed() / u32::try_from(asked.len()).expect("few"));
        println!("after: {}, {}", status("VmRSS"), status("VmHWM"));
        (texts, asked)
    })
}

#[cfg(not(feature = "local-embedder"))]
fn of_model(_folder: &Path, _texts: &[String], _asked: &[String]) -> Vectors {
    println!("--model takes `--features local-embedder`");
    std::process::exit(2)
}

/// Prints a ranking's figures; answers recall@1 and recall@5.
fn measure(name: &str, (texts, questions): (&[Text], &[Question]), rank: &dyn Fn(usize) -> Vec<usize>) -> (f64, f64) {
    let best = |(at, question): (usize, &Question)| {
        let is_meant = |at: &usize| question.relevant.contains(&texts[*at].id);
        rank(at).iter().position(is_meant).map_or(usize::MAX, |place| place + 1)
    };
    let ranks: Vec<usize> = questions.iter().enumerate().map(best).collect();
    let share = |most: usize| ranks.iter().filter(|rank| **rank <= most).count() as f64 / ranks.len() as f64;
    let mrr = ranks.iter().map(|rank| 1.0 / *rank as f64).sum::<f64>() / ranks.len() as f64;
    println!("{name:<15} R@1 {:.2}  R@3 {:.2}  R@5 {:.2}  MRR {mrr:.2}", share(1), share(3), share(5));
    (share(1), share(5))
}
