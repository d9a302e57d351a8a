//! GitHub's published description: which operations there are, and whether a request and its answer fit it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Value, json};

const REPO: &str = "/repos/{owner}/{repo}";

struct Description {
    whole: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

fn description() -> &'static Description {
    static HELD: OnceLock<Description> = OnceLock::new();
    HELD.get_or_init(|| Description {
        whole: serde_json::from_str(include_str!("../openapi/github.json")).expect("the description"),
        validators: Mutex::default(),
    })
}

/// An operation of the description.
#[derive(Clone, Copy)]
pub struct Operation(&'static Value);

impl Operation {
    /// The operation a request asks for.
    pub fn of(method: &str, path: &str) -> Option<Self> {
        let method = method.to_ascii_lowercase();
        let all = description().whole["operations"].as_array().expect("operations");
        let fits = |operation: &&&Value| operation["method"] == method.as_str() && matches(template(operation), path);
        // The longest template is the most exact one.
        all.iter().filter(|operation| fits(&operation)).max_by_key(|operation| template(operation).len()).map(Self)
    }

    /// `POST /pulls`.
    pub fn call(self) -> String {
        let path = template(self.0);
        let method = self.0["method"].as_str().unwrap_or_default().to_ascii_uppercase();
        format!("{method} {}", path.strip_prefix(REPO).unwrap_or(path))
    }

    /// Its smallest good answer.
    pub fn sample(self) -> Value {
        let samples = self.0["samples"].as_object().expect("samples");
        samples.values().next().cloned().unwrap_or(Value::Null)
    }

    /// What is wrong with a request.
    pub fn misfits_of_request(self, query: &[(String, String)], body: Option<&Value>) -> Vec<String> {
        let mut misfits = Vec::new();
        for (name, value) in query {
            match self.0["query"].get(name) {
                None => misfits.push(format!("query {name} is not described")),
                Some(schema) => {
                    let typed = serde_json::from_str(value).ok().filter(|found: &Value| found.is_number());
                    misfits.extend(self.check(&format!("query {name}"), schema, &typed.unwrap_or(json!(value))));
                }
            }
        }
        match (&self.0["request"], body) {
            (Value::Null, None) => {}
            (Value::Null, Some(_)) => misfits.push("a body is not described".to_owned()),
            (schema, body) => misfits.extend(self.check("request", schema, body.unwrap_or(&Value::Null))),
        }
        misfits
    }

    /// What is wrong with an answer. Refusals that hold everywhere are not described with each operation.
    pub fn misfits_of_answer(self, status: u16, body: &Value) -> Vec<String> {
        let everywhere = json!({ "$ref": "#/schemas/basic-error" });
        let is_everywhere = matches!(status, 401 | 403 | 404 | 429 | 500..=599);
        match self.0["answers"].get(status.to_string()) {
            Some(schema) => self.check(&format!("answer {status}"), schema, body),
            None if is_everywhere => self.check(&format!("answer {status}"), &everywhere, body),
            None => vec![format!("answer {status} is not described")],
        }
    }

    fn check(self, what: &str, schema: &Value, value: &Value) -> Vec<String> {
        let validator = validator(&format!("{} {what}", self.call()), schema);
        validator.iter_errors(value).map(|error| format!("{what}{}: {error}", error.instance_path())).collect()
    }
}

/// A sample of what lists hold.
pub fn element(name: &str) -> Value {
    description().whole["elements"][name].clone()
}

fn template(operation: &Value) -> &str {
    operation["path"].as_str().unwrap_or_default()
}

/// Names of references hold slashes; everything else is one segment.
fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some("{ref}"), Some(_)) if template.contains("/git/ref") => return true,
            (Some(name), Some(part)) if name == part || (name.starts_with('{') && !part.is_empty()) => {}
            (_, _) => return false,
        }
    }
}

fn validator(name: &str, schema: &Value) -> Arc<Validator> {
    let description = description();
    let mut held = description.validators.lock().expect("nobody panics with it");
    let built = held.entry(name.to_owned()).or_insert_with(|| {
        let whole = json!({ "allOf": [schema], "schemas": description.whole["schemas"] });
        Arc::new(jsonschema::validator_for(&whole).expect("a schema"))
    });
    Arc::clone(built)
}

/// Lays values over a sample.
pub fn over(mut sample: Value, values: Value) -> Value {
    match (&mut sample, values) {
        (Value::Object(under), Value::Object(values)) => {
            for (name, value) in values {
                let below = under.remove(&name).unwrap_or(Value::Null);
                under.insert(name, over(below, value));
            }
            sample
        }
        (_, values) => values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_fits_and_a_wrong_one_does_not() {
        for operation in description().whole["operations"].as_array().expect("operations") {
            let operation = Operation(operation);
            let status = operation.0["samples"].as_object().expect("samples").keys().next().expect("one");
            let status = status.parse().expect("a status");
            let wrong = operation.misfits_of_answer(status, &operation.sample());
            assert_eq!(wrong, Vec::<String>::new(), "{}", operation.call());
            assert_ne!(operation.misfits_of_answer(status, &json!("text")), Vec::<String>::new());
        }
    }

    #[test]
    fn the_most_exact_operation_is_found() {
        let call = |method: &str, path: &str| Operation::of(method, path).map(Operation::call);
        assert_eq!(call("GET", "/repos/a/b/git/ref/heads/x/y").as_deref(), Some("GET /git/ref/{ref}"));
        assert_eq!(call("GET", "/repos/a/b/commits/c/status").as_deref(), Some("GET /commits/{ref}/status"));
        assert_eq!(call("GET", "/repos/a/b").as_deref(), Some("GET "));
        assert_eq!(call("DELETE", "/repos/a/b"), None);
    }
}
