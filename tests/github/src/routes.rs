//! From a request to its answer: checked, counted, broken where that is planned.

use serde_json::{Value, json};

use crate::contract::Operation;
use crate::faults::Kind;
use crate::{Desk, Line, issues, objects, pulls, rights};

/// A request.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Option<Value>,
    pub bearer: String,
}

impl Asked {
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    pub fn number(&self, name: &str, default: usize) -> usize {
        self.query(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// A text of the body.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body.as_ref()?[name].as_str()
    }

    /// The page that is asked for.
    pub fn page<T>(&self, all: Vec<T>) -> Vec<T> {
        let (size, page) = (self.number("per_page", 30).min(100), self.number("page", 1));
        all.into_iter().skip(page.saturating_sub(1) * size).take(size).collect()
    }

    /// What follows a part of the path.
    pub fn after(&self, part: &str) -> &str {
        self.path.split_once(part).map(|(_, rest)| rest).unwrap_or_default()
    }
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Value,
}

impl Reply {
    pub fn told(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub fn refused(status: u16, why: &str) -> Self {
        Self::told(status, json!({ "message": why, "documentation_url": "https://docs.github.com/rest" }))
    }

    pub fn missing() -> Self {
        Self::refused(404, "Not Found")
    }

    pub fn invalid(why: &str) -> Self {
        let told = json!({ "message": "Validation Failed", "documentation_url": "https://docs.github.com/rest" });
        let errors = json!([{ "resource": "x", "field": "x", "code": "custom", "message": why }]);
        Self::told(422, crate::contract::over(told, json!({ "errors": errors })))
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// What the one who asked gets to see.
pub enum Outcome {
    Told(Reply),
    Dropped,
}

const LIMITED: &str = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

pub fn answer(desk: &Desk, asked: &Asked) -> Outcome {
    let Some(operation) = Operation::of(&asked.method, &asked.path) else {
        desk.state().misfits.push(format!("{} {} is not described", asked.method, asked.path));
        return Outcome::Told(Reply::missing());
    };
    let call = operation.call();
    let misfits = operation.misfits_of_request(&asked.query, asked.body.as_ref());
    let (fault, limit) = {
        let mut state = desk.state();
        state.misfits.extend(misfits.into_iter().map(|misfit| format!("{call}: {misfit}")));
        state.bearers.insert(asked.bearer.clone());
        (state.faults.meet(&call), state.faults.limit)
    };
    let (reply, outcome) = act(desk, asked, operation, (fault, limit));
    let body = asked.body.as_ref().map(Value::to_string).unwrap_or_default();
    let line = Line { call: call.clone(), path: asked.path.clone(), body, status: reply.status };
    let misfits = operation.misfits_of_answer(reply.status, &reply.body);
    let mut state = desk.state();
    state.log.push(line);
    state.misfits.extend(misfits.into_iter().map(|misfit| format!("{call}: {misfit}")));
    outcome.unwrap_or(Outcome::Told(reply))
}

/// The answer that is checked, and what is sent where that differs.
fn act(
    desk: &Desk,
    asked: &Asked,
    operation: Operation,
    (fault, limit): (Option<Kind>, Option<u64>),
) -> (Reply, Option<Outcome>) {
    let done = || routed(desk, asked, operation);
    if let Some(wait) = limit {
        return (Reply::refused(429, LIMITED).with("retry-after", &wait.to_string()), None);
    }
    match fault {
        None => (done(), None),
        Some(Kind::BrokenBefore) => (Reply::refused(502, "Server Error"), None),
        Some(Kind::Limited) => (Reply::refused(403, LIMITED).with("retry-after", "1"), None),
        Some(Kind::Busy) => (Reply::refused(503, "Service Unavailable").with("retry-after", "7"), None),
        Some(Kind::Refused(422)) => (Reply::invalid("it is refused this time"), None),
        Some(Kind::Refused(status)) => (Reply::refused(status, "it is refused this time"), None),
        Some(Kind::BrokenAfter) => (done(), Some(Outcome::Told(Reply::refused(502, "Server Error")))),
        Some(Kind::DroppedAfter) => (done(), Some(Outcome::Dropped)),
        Some(Kind::Overtaken) => {
            pulls::overtake(desk);
            (done(), None)
        }
    }
}

fn routed(desk: &Desk, asked: &Asked, operation: Operation) -> Reply {
    if let Err(refused) = rights::admit(&desk.state(), asked, operation) {
        return refused;
    }
    pulls::follow(desk);
    let call = operation.call();
    match call.as_str() {
        "GET " => objects::repository(desk, operation),
        "GET /installation" => rights::installation(&desk.state(), operation),
        "POST /app/installations/{installation_id}/access_tokens" => {
            rights::installation_token(&mut desk.state(), asked, operation)
        }
        call if call.contains("/git/") || call.contains("/commits") => objects::routed(desk, asked, operation),
        call if call.contains("/compare/") || call.contains("/branches/") => objects::routed(desk, asked, operation),
        call if call.contains("/pulls") => pulls::routed(desk, asked, operation),
        _ => issues::routed(desk, asked, operation),
    }
}
