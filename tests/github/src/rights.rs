//! Who asks, and what they may do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Map, Value, json};

use crate::contract::{Operation, over};
use crate::routes::{Asked, Reply};
use crate::{APP, REPOSITORY, State};

/// The App's private key, PKCS#1; for tests alone.
pub const KEY_PKCS1: &str = include_str!("../keys/app.pkcs1.pem");
/// The same, PKCS#8.
pub const KEY_PKCS8: &str = include_str!("../keys/app.pkcs8.pem");
const PUBLIC: &[u8] = include_bytes!("../keys/app.public.der");

/// What the work takes, and nothing else.
pub const MINIMAL: [(&str, &str); 6] = [
    ("checks", "read"),
    ("contents", "write"),
    ("issues", "write"),
    ("metadata", "read"),
    ("pull_requests", "write"),
    ("statuses", "read"),
];

/// The one who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A GitHub App with these permissions.
    App(Vec<(&'static str, &'static str)>),
    /// A classic token with these scopes; whether its owner may push.
    Classic(&'static str, bool),
    /// A fine-grained token with these permissions, of which GitHub tells nothing.
    FineGrained(Vec<(&'static str, &'static str)>),
}

impl Caller {
    /// An App that may do what is needed.
    pub fn minimal() -> Self {
        Self::App(MINIMAL.to_vec())
    }

    /// The token; an App gets its own when it asks.
    pub fn token(&self) -> Option<&'static str> {
        match self {
            Self::App(_) => None,
            Self::Classic(_, _) => Some("ghp_0123456789classic"),
            Self::FineGrained(_) => Some("github_pat_0123456789fine"),
        }
    }

    fn permissions(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::App(granted) | Self::FineGrained(granted) => granted.clone(),
            Self::Classic(scopes, true) if scopes.contains("repo") => MINIMAL.to_vec(),
            Self::Classic(_, _) => Vec::new(),
        }
    }

    pub(crate) fn scopes(&self) -> Option<&'static str> {
        match self {
            Self::Classic(scopes, _) => Some(scopes),
            Self::App(_) | Self::FineGrained(_) => None,
        }
    }

    pub(crate) fn may_push(&self) -> bool {
        match self {
            Self::Classic(_, push) => *push,
            Self::App(_) | Self::FineGrained(_) => true,
        }
    }
}

/// What an operation takes.
fn wanted(call: &str) -> (&'static str, &'static str) {
    let (method, path) = call.split_once(' ').unwrap_or_default();
    let level = if method == "GET" { "read" } else { "write" };
    let of = [("/pulls/{pull_number}/merge", "contents"), ("/pulls", "pull_requests"), ("/issues", "issues")];
    match (of.iter().find(|(start, _)| path.starts_with(start)), path) {
        (Some((_, name)), _) => (name, level),
        (None, "/commits/{ref}/check-runs") => ("checks", level),
        (None, "/commits/{ref}/status") => ("statuses", level),
        (None, "" | "/rules/branches/{branch}") => ("metadata", level),
        (None, _) => ("contents", level),
    }
}

fn has(granted: &[(&str, &str)], (name, level): (&str, &str)) -> bool {
    granted.iter().any(|(held, at)| *held == name && (*at == level || *at == "write" || *at == "admin"))
}

/// Refuses who is not known, and who may not.
pub fn admit(state: &State, asked: &Asked, operation: Operation) -> Result<(), Reply> {
    let call = operation.call();
    if call == "GET /installation" || call.starts_with("POST /app/") {
        return if is_the_app(&asked.bearer) { Ok(()) } else { Err(Reply::refused(401, "Bad credentials")) };
    }
    let is_known = state.tokens.contains(&asked.bearer) || state.caller.token() == Some(asked.bearer.as_str());
    if !is_known {
        return Err(Reply::refused(401, "Bad credentials"));
    }
    let wanted = wanted(&call);
    let granted = state.caller.permissions();
    if wanted.0 == "metadata" || has(&granted, wanted) {
        return Ok(());
    }
    let told = format!("{}={}", wanted.0, wanted.1);
    let refused = Reply::refused(403, "Resource not accessible by personal access token");
    Err(refused.with("x-accepted-github-permissions", &told))
}

/// A token signed with the App's key that has not ended.
fn is_the_app(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return false };
    let read = |part: &&str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    let signed = format!("{header}.{claims}");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, PUBLIC);
    let claims: Value = serde_json::from_slice(&read(claims)).unwrap_or_default();
    let now = Timestamp::now().as_second();
    let time = |name: &str| claims[name].as_i64().unwrap_or_default();
    let is_fresh = time("iat") <= now && now < time("exp") && time("exp") - time("iat") <= 660;
    claims["iss"] == APP && is_fresh && key.verify(signed.as_bytes(), &read(signature)).is_ok()
}

fn map(granted: &[(&str, &str)]) -> Map<String, Value> {
    granted.iter().map(|(name, level)| ((*name).to_owned(), json!(level))).collect()
}

pub fn installation(state: &State, operation: Operation) -> Reply {
    let granted = map(&state.caller.permissions());
    let mut told = over(operation.sample(), json!({ "id": 77, "app_id": 12345, "app_slug": "sre-space-test" }));
    told["permissions"] = Value::Object(granted);
    Reply::told(200, told)
}

/// A token for what is asked for, if the installation has it.
pub fn installation_token(state: &mut State, asked: &Asked, operation: Operation) -> Reply {
    let wanted = asked.body.as_ref().and_then(|body| body["permissions"].as_object()).cloned().unwrap_or_default();
    let granted = state.caller.permissions();
    let is_granted = |(name, level): (&String, &Value)| has(&granted, (name, level.as_str().unwrap_or_default()));
    let name = REPOSITORY.split('/').nth(1).unwrap_or_default();
    let is_here = asked.body.as_ref().is_some_and(|body| body["repositories"] == json!([name]));
    if !is_here || !wanted.iter().all(is_granted) {
        return Reply::invalid("The permissions requested are not granted to this installation.");
    }
    let token = format!("ghs_installation{}", state.tokens.len());
    state.tokens.push(token.clone());
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    let told = json!({ "token": token, "expires_at": until.to_string(), "repository_selection": "selected" });
    let mut told = over(operation.sample(), told);
    told["permissions"] = Value::Object(wanted);
    Reply::told(201, told)
}
