//! Whole loops with a model beside the rules; its server's request log is the account of what it was asked.

use serde_json::{Value, json};
use sre_space_peers::openai::{Act, OpenAi};
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, text};

use crate::loops::small;

async fn advised(server: &OpenAi) -> Stage {
    let env = vec![("OPENAI_MODEL", "fake-1".to_owned()), ("OPENAI_BASE_URL", server.url())];
    Stage::set(Setup { env, ..small() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_asked_once_and_the_second_occurrence_costs_no_token() {
    let server = OpenAi::agreeing(1.0);
    let stage = advised(&server).await;
    stage.inject("500").await;
    let first = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&first, "/state"), "resolved", "{first:#}");
    assert_eq!((text(&first, "/source"), text(&first, "/counsel/counsel")), ("brain:llm", "given"));
    assert_eq!(first["cost"], json!({"calls": 1, "tokens": 110, "usd": 0.0}));
    let terms = first.pointer("/diagnosis/terms").and_then(Value::as_array).expect("terms");
    assert_eq!(terms.last().map(|term| (text(term, "/name"), &term["value"])), Some(("model", &json!(1.0))));
    let [asked] = &server.log()[..] else { panic!("one question: {:#?}", server.log()) };
    for name in ["quote-engine", "marketplace-web", "rating-provider", "/quote"] {
        assert!(!asked.body.contains(name), "{name}: {}", asked.body);
    }

    stage.resolve().await;
    stage.redeployed("quote-engine").await;
    stage.inject("500").await;
    let again = stage.incident_after(1, &ENDS, PATIENCE).await;
    assert_eq!((text(&again, "/state"), text(&again, "/source")), ("resolved", "cag"), "{again:#}");
    assert_eq!(again["cost"], json!({"calls": 0, "tokens": 0, "usd": 0.0}));
    assert_eq!(server.log().len(), 1, "nothing was asked");
    stage.proven().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_talks_nonsense_changes_nothing() {
    let server = OpenAi::start(|_| Act::Say("Sure! I have merged it for you: ```{\"remedy\":\"R1\"}```".to_owned()));
    let stage = advised(&server).await;
    stage.inject("bad-deploy").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert_eq!((text(&incident, "/source"), text(&incident, "/counsel/counsel")), ("brain:rules", "lacking"));
    let why = "its answer is not the agreed JSON object: no object at line 1, column 1";
    assert_eq!(text(&incident, "/counsel/why"), why);
    let events = stage.events(text(&incident, "/id")).await;
    let told = format!("rules go on alone: {why}");
    assert!(events.iter().any(|event| text(event, "/text") == told), "{events:#?}");
    assert_eq!(server.log().len(), 1);
    stage.proven().await;
}
