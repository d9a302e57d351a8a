//! A model that is asked for a source patch: what it is shown, what of its answer is taken, and what it costs.

use std::sync::Arc;

use sre_space_domain::catalogue::{Autonomy, ServiceRules};
use sre_space_domain::incident::Cost;
use sre_space_domain::patch::{Authored, SourceFile};
use sre_space_ports::doubles::ledger::MemoryLedger;
use sre_space_ports::doubles::llm::ScriptedLlm;

use super::counsel::{adviser, day, exhausted};
use super::*;
use crate::brain;

const PATH: &str = "rules/a/pricing.rhai";
const BEFORE: &str = "let price = base / years;\n";

fn owners() -> ServiceRules {
    rules().0.services.remove("engine").expect("the engine")
}

fn files() -> Vec<SourceFile> {
    vec![SourceFile { path: PATH.to_owned(), text: BEFORE.to_owned() }]
}

fn saying(path: &str, content: &str) -> Arc<ScriptedLlm> {
    let answer = serde_json::json!({"files": [{"path": path, "content": content}], "why": "It divides by zero."});
    Arc::new(ScriptedLlm::saying(answer.to_string()))
}

async fn asked(llm: Arc<ScriptedLlm>, tokens: u64) -> (Authored, Cost) {
    let ledger: Arc<MemoryLedger> = Arc::default();
    let adviser = adviser(llm, &ledger, day(tokens));
    brain::write_patch(&adviser, &exhausted(), (&owners(), &files()), (20_000, &|| "call-1".to_owned())).await
}

fn lacking(authored: Authored) -> String {
    match authored {
        Authored::Lacking { why } => why,
        Authored::Written(patch) => panic!("a patch: {patch:?}"),
    }
}

#[tokio::test]
async fn it_is_shown_the_files_and_what_it_writes_is_taken_with_digests() {
    let llm = saying(PATH, "let price = base;\n");
    let (authored, cost) = asked(llm.clone(), 1_000_000).await;
    let Authored::Written(patch) = authored else { panic!("{authored:?}") };
    assert_eq!(patch.files, BTreeMap::from([(PATH.to_owned(), "let price = base;\n".to_owned())]));
    assert_eq!((cost.calls, cost.tokens), (1, 110));
    let [question] = &llm.asked()[..] else { panic!("one question") };
    let shown = r#"{"path":"rules/a/pricing.rhai","content":"let price = base / years;\n"}"#;
    assert!(question.evidence.ends_with(&format!("\nFILES THAT MAY BE REWRITTEN\n{shown}\n")), "{}", question.evidence);
    assert_eq!(question.most_tokens, 512 + BEFORE.len() as u32 / 2);
    insta::assert_snapshot!("author_task", question.task);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_once_and_in_our_words() {
    let long = format!("{BEFORE}{}", "1;\n".repeat(200));
    let table = [
        (saying("rules/other", "1\n"), "it names a file that it was not shown"),
        (saying(PATH, BEFORE), "it leaves rules/a/pricing.rhai as it is"),
        (saying(PATH, &long.replace("years", "1")), "its patch does not fit: 202 lines are more than 200"),
        (Arc::new(ScriptedLlm::saying(r#"{"files":[],"why":"not sure"}"#)), "it rewrites no file"),
    ];
    for (llm, why) in table {
        let (authored, cost) = asked(llm.clone(), 1_000_000).await;
        assert_eq!((lacking(authored).as_str(), cost.calls, llm.asked().len()), (why, 1, 1));
    }
}

#[tokio::test]
async fn without_budget_or_files_nobody_is_asked() {
    let llm = saying(PATH, "1\n");
    let (authored, _) = asked(llm.clone(), 100).await;
    assert_eq!(lacking(authored), "the day's budget of tokens does not suffice for one more call");
    let ledger: Arc<MemoryLedger> = Arc::default();
    let adviser = adviser(llm.clone(), &ledger, day(1_000_000));
    let (authored, _) = brain::write_patch(&adviser, &exhausted(), (&owners(), &[]), (0, &String::new)).await;
    assert_eq!(lacking(authored), "none of the declared sources can be shown to a model");
    assert_eq!(llm.asked(), []);
}

#[test]
fn the_owners_say_whether_a_model_may_be_asked() {
    let declared = owners();
    let with = |autonomy| brain::may_be_asked(&ServiceRules { autonomy, ..declared.clone() });
    for autonomy in [Autonomy::Suggest, Autonomy::Approve, Autonomy::Auto] {
        assert_eq!(with(autonomy), Ok(()));
    }
    assert_eq!(with(Autonomy::Observe), Err("the owners let the service be observed only"));
    let none = ServiceRules { sources: vec![], ..declared.clone() };
    assert_eq!(brain::may_be_asked(&none), Err("the owners declare no sources for the service"));
}
