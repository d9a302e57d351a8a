//! The model behind a server like OpenAI's, on a stand-in that does as told and keeps a log.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;
use sre_space_adapters::llm::openai::{OpenAi, Terms};
use sre_space_domain::breaker::Condition;
use sre_space_peers::openai::{Act, Asked, OpenAi as Server, agreement, old};
use sre_space_ports::contract::llm::{self, Scene, TEXT};
use sre_space_ports::llm::{Answer, Llm, LlmError, Question};
use tokio::task::JoinSet;

use crate::run;

const KEY: &str = "s3cret-key";

fn terms(server: &Server) -> Terms {
    Terms { base_url: server.url(), key: Some(KEY.to_owned()), model: "fake-1".to_owned(), concurrency: None }
}

fn model(terms: Terms) -> OpenAi {
    OpenAi::new(terms).expect("a client").with_patience(Duration::from_secs(1))
}

fn question() -> Question {
    let schema = json!({"type": "object"});
    Question { task: "Judge.".to_owned(), evidence: "R1: turn".to_owned(), schema, most_tokens: 64 }
}

/// A model with the server it needs.
struct Held(OpenAi, Server);

#[async_trait::async_trait]
impl Llm for Held {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn ask(&self, question: &Question) -> Result<Answer, LlmError> {
        let answer = self.0.ask(question).await;
        let quoted = |error: &LlmError| error.to_string().contains(KEY) || format!("{error:?}").contains(KEY);
        assert!(!answer.as_ref().is_err_and(quoted), "the key is in an error");
        assert!(self.1.log().iter().all(|asked| asked.authorization == format!("Bearer {KEY}")));
        answer
    }
}

fn staged(scene: Scene) -> Arc<dyn Llm> {
    let act = match scene {
        Scene::Answers => Act::Say(TEXT.to_owned()),
        Scene::AnswersWithoutUsage => Act::SayWithoutUsage(TEXT.to_owned()),
        Scene::Full => Act::Status(429, Some(7), "full".to_owned()),
        Scene::RefusesTheKey => Act::Status(401, None, format!("Incorrect API key provided: {KEY}")),
        Scene::Endless => Act::Endless,
        Scene::BreaksOff => Act::BreakOff,
        Scene::Silent => Act::Silence,
    };
    let server = Server::start(move |_| act.clone());
    Arc::new(Held(model(terms(&server)), server))
}

macro_rules! promises {
    ($($promise:ident),* $(,)?) => {
        [$(Trial::test(concat!("llm/openai/", stringify!($promise)), || run(llm::$promise(&staged)))),*]
    };
}

pub fn trials() -> Vec<Trial> {
    let contract = promises![an_answer_comes_as_it_was_said, failures_say_what_they_are, an_answer_is_bounded];
    let own = [
        Trial::test("llm/openai/an_old_server_is_asked_in_its_own_words_from_then_on", || run(speaks_older())),
        Trial::test("llm/openai/an_older_server_still_is_asked_for_a_plain_object", || run(speaks_plainly())),
        Trial::test("llm/openai/a_server_that_wants_to_be_left_alone_is", || run(leaves_alone())),
        Trial::test("llm/openai/a_server_that_fails_is_left_alone_after_five", || run(opens())),
        Trial::test("llm/openai/no_more_questions_are_out_than_allowed", || run(takes_turns())),
        Trial::test("llm/openai/what_is_no_single_answer_is_refused", || run(refuses_envelopes())),
        Trial::test("llm/openai/the_request_is_what_the_interface_wants", || run(asks_as_agreed())),
    ];
    contract.into_iter().chain(own).collect()
}

async fn speaks_older() {
    let server = Server::start(old);
    let model = model(terms(&server));
    for _ in 0..2 {
        let answer = model.ask(&question()).await.expect("an answer");
        assert_eq!(answer.text, agreement("R1: turn", 1.0));
    }
    let forms: Vec<String> = server.log().iter().map(Asked::form).collect();
    assert_eq!(forms, ["json_schema", "json_object", "json_object"]);
    let older = server.log()[1].json();
    assert_eq!(older["response_format"], json!({"type": "json_object", "schema": question().schema}));
    assert_eq!((&older["max_tokens"], &older["max_completion_tokens"]), (&json!(64), &json!(null)));
    assert!(older["messages"][0]["content"].as_str().is_some_and(|task| task.contains(r#"{"type":"object"}"#)));
    assert_eq!(model.upstream().status().failures, 0, "not knowing a form is no failure");
}

async fn speaks_plainly() {
    let server = Server::start(|asked| match asked.json().pointer("/response_format/schema") {
        Some(_) => Act::Status(400, None, String::new()),
        None => old(asked),
    });
    let model = model(terms(&server));
    for _ in 0..2 {
        model.ask(&question()).await.expect("an answer");
    }
    let bound = |asked: &Asked| (asked.form(), asked.json()["response_format"]["schema"].is_object());
    let forms: Vec<(String, bool)> = server.log().iter().map(bound).collect();
    let form = |form: &str, is_bound| (form.to_owned(), is_bound);
    let object = form("json_object", false);
    assert_eq!(forms, [form("json_schema", false), form("json_object", true), object.clone(), object]);
}

async fn leaves_alone() {
    let server = Server::start(|_| Act::Status(429, Some(60), String::new()));
    let model = model(terms(&server));
    model.ask(&question()).await.expect_err("full");
    let resting = model.ask(&question()).await.expect_err("left alone");
    assert!(matches!(resting, LlmError::Resting(_)) && !resting.may_have_cost(), "{resting}");
    assert_eq!(server.log().len(), 1, "one request while it is full");
}

async fn opens() {
    let server = Server::start(|_| Act::Status(503, None, String::new()));
    let model = model(terms(&server));
    for _ in 0..9 {
        model.ask(&question()).await.expect_err("down");
    }
    assert_eq!((server.log().len(), model.upstream().status().state), (5, Condition::Open));
}

async fn takes_turns() {
    for (concurrency, most) in [(Some(1), 1), (Some(3), 3), (None, 24)] {
        let server = Server::start(|asked| {
            let answer = Act::Say(agreement(&asked.body, 1.0));
            Act::Later(Duration::from_millis(100), Box::new(answer))
        });
        let patient = OpenAi::new(Terms { concurrency, ..terms(&server) }).expect("a client");
        let model = Arc::new(patient.with_patience(Duration::from_secs(30)));
        let mut questions = JoinSet::new();
        for _ in 0..24 {
            let model = Arc::clone(&model);
            questions.spawn(async move { model.ask(&question()).await.expect("an answer") });
        }
        assert_eq!(questions.join_all().await.len(), 24);
        let seen = server.most_at_once();
        assert!(seen <= most && (seen > 1 || most == 1), "{concurrency:?}: {seen} at once");
    }
}

async fn refuses_envelopes() {
    let say = |message: serde_json::Value| json!({"choices": [{"index": 0, "message": message}]}).to_string();
    let call = json!([{"id": "1", "type": "function", "function": {"name": "merge", "arguments": "{}"}}]);
    let bodies = [
        String::new(),
        "[]".to_owned(),
        "{\"choices\":[]}".to_owned(),
        say(json!({"role": "assistant"})),
        say(json!({"role": "assistant", "content": "{}", "tool_calls": call})),
        say(json!({"role": "assistant", "content": "{}", "function_call": {"name": "merge"}})),
        say(json!({"role": "assistant", "content": 7})),
        json!({"choices": [{"finish_reason": "length", "message": {"content": "{}"}}]}).to_string(),
        json!({"choices": [{"message": {"content": "{}"}}, {"message": {"content": "{}"}}]}).to_string(),
        say(json!({"role": "assistant", "content": "x".repeat(64 * 1024 + 1)})),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
    ];
    let bodies = bodies.map(String::into_bytes).into_iter().chain([b"{\"choices\":\"\xff\xfe\"}".to_vec()]);
    for body in bodies {
        let (shown, served) = (String::from_utf8_lossy(&body).chars().take(80).collect::<String>(), body);
        let server = Server::start(move |_| Act::Body(served.clone()));
        let refused = model(terms(&server)).ask(&question()).await.expect_err(&shown);
        assert!(matches!(refused, LlmError::Garbled(_)) && refused.may_have_cost(), "{shown}: {refused}");
    }
}

async fn asks_as_agreed() {
    let server = Server::start(|asked| Act::Say(agreement(&asked.body, 1.0)));
    model(terms(&server)).ask(&question()).await.expect("an answer");
    let expected = json!({
        "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": "R1: turn"}],
        "model": "fake-1", "max_completion_tokens": 64,
        "response_format": {"type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
    });
    assert_eq!(server.log().iter().map(Asked::json).collect::<Vec<_>>(), [expected]);
}
