//! How well and how fast the memory finds: `cargo bench --bench retrieval -- FOLDER`, with a folder that holds `corpus_hard.jsonl`
//! (`id`, `title`, `text`) and `queries.jsonl` (`query`, `relevant`); without one, only the speed is measured.
//!
//! Recall@1, @3, @5 and mean reciprocal rank, beside plain BM25 over the same texts in the same run; then look-ups and scans among
//! 100,000 texts, in milliseconds. Exit code 1 when a bound is missed.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use serde::Deserialize;
use sre_space_adapters::memory::bm25::Bm25;
use sre_space_adapters::memory::embed::{DIMENSION, embed};
use sre_space_adapters::memory::index::Index;

const MANY: usize = 100_000;
/// guard.md 2: a margin scan at 100,000 entries, milliseconds.
const SCAN_MS: f64 = 3.0;

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
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let mut is_good = true;
    match folder {
        Some(folder) => is_good &= finds(Path::new(&folder)),
        None => println!("no folder is given: recall is not measured"),
    }
    is_good &= scans();
    std::process::exit(i32::from(!is_good));
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Vec<T> {
    let text = std::fs::read_to_string(file).expect("a readable file");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Whether the memory finds better than plain BM25 does.
fn finds(folder: &Path) -> bool {
    let texts: Vec<Text> = read(&folder.join("corpus_hard.jsonl"));
    let questions: Vec<Question> = read(&folder.join("queries.jsonl"));
    let whole: Vec<String> = texts.iter().map(|text| format!("{} {}", text.title, text.text)).collect();
    let plain_words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    };
    let mut plain = Bm25::default();
    let mut index = Index::new(DIMENSION);
    for text in &whole {
        plain.add(&plain_words(text));
        index.add(text, &embed(text));
    }
    let all = texts.len();
    let ranked = |mut scored: Vec<(usize, f64)>| -> Vec<usize> {
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.into_iter().map(|(index, _)| index).collect()
    };
    let of_plain = |question: &str| ranked(plain.scores(&plain_words(question)).into_iter().enumerate().collect());
    let of_memory =
        |question: &str| ranked(index.nearest((question, &embed(question)), all, |index| embed(&whole[index])));
    let measure = |name: &str, rank: &dyn Fn(&str) -> Vec<usize>| {
        let best = |question: &Question| {
            let ranking = rank(&question.query);
            let place = |index: &usize| question.relevant.contains(&texts[*index].id);
            ranking.iter().position(place).map_or(usize::MAX, |place| place + 1)
        };
        let ranks: Vec<usize> = questions.iter().map(best).collect();
        let share = |most: usize| ranks.iter().filter(|rank| **rank <= most).count() as f64 / ranks.len() as f64;
        let mrr = ranks.iter().map(|rank| 1.0 / *rank as f64).sum::<f64>() / ranks.len() as f64;
        println!("{name:<12} R@1 {:.2}  R@3 {:.2}  R@5 {:.2}  MRR {mrr:.2}", share(1), share(3), share(5));
        (share(1), share(5))
    };
    println!("{} questions over {all} texts", questions.len());
    let (plain, memory) = (measure("plain BM25", &of_plain), measure("memory", &of_memory));
    memory.0 > plain.0.max(0.30) && memory.1 > plain.1.max(0.66)
}

/// Whether exact look-ups and scans among many texts keep their bounds.
fn scans() -> bool {
    let text = |number: usize| {
        let (service, fault) = (number % 997, number % 89);
        format!("service-{service} fault {fault} waits in pool {} of region {}", number % 31, number / 3_000)
    };
    let mut index = Index::new(DIMENSION);
    let mut exact = HashMap::new();
    for number in 0..MANY {
        index.add(&text(number), &embed(&text(number)));
        exact.insert(text(number), number);
    }
    let mut times: Vec<f64> = (0..200)
        .map(|round| {
            let asked = text(round * 499);
            let vector = embed(&asked);
            let began = Instant::now();
            let found = index.nearest((&asked, &vector), 3, |at| embed(&text(at)));
            let took = began.elapsed().as_secs_f64() * 1_000.0;
            assert_eq!(found[0].0, exact[&asked], "the text itself is the nearest");
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, slow) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{MANY} texts: nearest of all in {median:.2} ms (p50), {slow:.2} ms (p99); wanted: at most {SCAN_MS} ms");
    median <= SCAN_MS
}
