//! How well the memory finds: `cargo bench -p sre-space-adapters --bench retrieval -- FOLDER`, with a folder that holds
//! `corpus_hard.jsonl` (`id`, `title`, `text`) and `queries.jsonl` (`query`, `relevant`).
//!
//! Recall@1, @3, @5 and mean reciprocal rank, beside plain BM25 over the same texts in the same run. Exit code 1 when plain BM25, or
//! its published R@1 .30 and R@5 .66 on these texts, are not beaten.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::path::Path;

use serde::Deserialize;
use sre_space_adapters::memory::bm25::Bm25;
use sre_space_adapters::memory::embed::{DIMENSION, embed};
use sre_space_adapters::memory::index::Index;

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
    let Some(folder) = folder else {
        println!("no folder is given: recall is not measured");
        return;
    };
    std::process::exit(i32::from(!finds(Path::new(&folder))));
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Vec<T> {
    let text = std::fs::read_to_string(file).expect("a readable file");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn plain_words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether the memory finds better than plain BM25 does.
fn finds(folder: &Path) -> bool {
    let texts: Vec<Text> = read(&folder.join("corpus_hard.jsonl"));
    let questions: Vec<Question> = read(&folder.join("queries.jsonl"));
    let whole: Vec<String> = texts.iter().map(|text| format!("{} {}", text.title, text.text)).collect();
    let mut plain = Bm25::default();
    let mut index = Index::new(DIMENSION);
    for text in &whole {
        plain.add(&plain_words(text));
        index.add(text, &embed(text));
    }
    let of_plain = |question: &str| {
        let mut scored: Vec<(usize, f64)> = plain.scores(&plain_words(question)).into_iter().enumerate().collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.into_iter().map(|(at, _)| at).collect()
    };
    let of_memory = |question: &str| {
        let found = index.nearest((question, &embed(question)), texts.len(), |at| embed(&whole[at]));
        found.into_iter().map(|found| found.at).collect()
    };
    println!("{} questions over {} texts", questions.len(), texts.len());
    let plain = measure("plain BM25", (&texts, &questions), &of_plain);
    let memory = measure("memory", (&texts, &questions), &of_memory);
    memory.0 > plain.0.max(0.30) && memory.1 > plain.1.max(0.66)
}

/// Prints a ranking's figures; answers recall@1 and recall@5.
fn measure(name: &str, (texts, questions): (&[Text], &[Question]), rank: &dyn Fn(&str) -> Vec<usize>) -> (f64, f64) {
    let best = |question: &Question| {
        let is_meant = |at: &usize| question.relevant.contains(&texts[*at].id);
        rank(&question.query).iter().position(is_meant).map_or(usize::MAX, |place| place + 1)
    };
    let ranks: Vec<usize> = questions.iter().map(best).collect();
    let share = |most: usize| ranks.iter().filter(|rank| **rank <= most).count() as f64 / ranks.len() as f64;
    let mrr = ranks.iter().map(|rank| 1.0 / *rank as f64).sum::<f64>() / ranks.len() as f64;
    println!("{name:<12} R@1 {:.2}  R@3 {:.2}  R@5 {:.2}  MRR {mrr:.2}", share(1), share(3), share(5));
    (share(1), share(5))
}
