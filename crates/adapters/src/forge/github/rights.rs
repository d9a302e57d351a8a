//! What we may do in the repository. Fewer rights than needed: no start. More, or nobody can tell: no merge without a person.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use thiserror::Error;

use super::auth::Credentials;
use super::call::{Answer, Trouble, plain};
use super::line::Line;
use super::names::is_branch;
use super::wire::Repository;

/// What the work takes, as GitHub names it.
pub(super) const NEEDED: [(&str, &str); 6] = [
    ("checks", "read"),
    ("contents", "write"),
    ("issues", "write"),
    ("metadata", "read"),
    ("pull_requests", "write"),
    ("statuses", "read"),
];
/// An object that no repository holds.
const NOWHERE: &str = "0000000000000000000000000000000000000000";
const PROBE: &str = "sre-space/may-i";

/// What was found out about our rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// As whom we are known.
    pub as_whom: String,
    /// Why nothing is merged without a person; `Ok` when we may do exactly what is needed.
    pub merging: Result<(), String>,
}

/// Why there is nothing to start with.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConnectError {
    /// It does not answer, or refuses the credentials.
    #[error("GitHub cannot be used: {0}")]
    Away(String),
    /// The repository is not there, or not for these credentials.
    #[error("repository {0} is not there for these credentials: look at GITHUB_REPOSITORY, or grant them access to it")]
    NoRepository(String),
    /// Rights that are needed and missing.
    #[error("{as_whom} lacks {}: grant it in {place}", missing.join(", "))]
    Missing {
        /// As whom we are known.
        as_whom: String,
        /// The rights.
        missing: Vec<String>,
        /// The repository.
        place: String,
    },
    /// The repository is set up so that the work cannot be done.
    #[error("repository {place} cannot be worked in: {why}")]
    Unusable {
        /// The repository.
        place: String,
        /// Why.
        why: String,
    },
}

impl From<Trouble> for ConnectError {
    fn from(trouble: Trouble) -> Self {
        Self::Away(trouble.to_string())
    }
}

/// Looks at the repository and at our rights in it; answers the branch that is deployed, too.
pub(super) async fn look(line: &Line) -> Result<(Rights, String), ConnectError> {
    let answer = match line.credentials() {
        Credentials::App { .. } => return as_app(line).await,
        Credentials::Token(_) => line.raw(Method::GET, "", None).await?,
    };
    let repository = usable(line, &answer)?;
    let rights = match answer.header("x-oauth-scopes") {
        Some(scopes) => classic(line, &repository, scopes)?,
        None => fine_grained(line, &repository).await?,
    };
    Ok((rights, repository.default_branch))
}

async fn as_app(line: &Line) -> Result<(Rights, String), ConnectError> {
    let place = line.place().to_string();
    let installation = line.installation().await.map_err(|trouble| match trouble.status() {
        Some(404) => ConnectError::NoRepository(place.clone()),
        Some(_) | None => trouble.into(),
    })?;
    let as_whom = format!("the App {}", plain(&installation.app_slug));
    if installation.suspended_at.is_some() {
        return Err(ConnectError::Unusable { place, why: format!("the installation of {as_whom} is suspended") });
    }
    enough(&as_whom, &installation.permissions, &place)?;
    // Asked for what is needed alone: a token that comes with less or more is not the one we asked for.
    let session = line.session().await?;
    enough(&as_whom, &session.permissions, &place)?;
    let repository = usable(line, &line.raw(Method::GET, "", None).await?)?;
    let held = more(&session.permissions).into_iter().chain(more(&installation.permissions));
    Ok((Rights { merging: none_of(held.collect()), as_whom }, repository.default_branch))
}

fn usable(line: &Line, answer: &Answer) -> Result<Repository, ConnectError> {
    let place = line.place().to_string();
    if [StatusCode::NOT_FOUND, StatusCode::MOVED_PERMANENTLY].contains(&answer.status) {
        return Err(ConnectError::NoRepository(place));
    }
    let repository: Repository = answer.read()?;
    let faults = [
        (!repository.full_name.eq_ignore_ascii_case(&place), "it has another name now"),
        (repository.archived, "it is archived"),
        (!repository.has_issues, "its issues are switched off, and every incident gets one"),
        (repository.allow_squash_merge == Some(false), "it does not allow squash merging"),
        (!is_branch(&repository.default_branch), "the name of its default branch is not plain"),
    ];
    match faults.into_iter().find(|(is_so, _)| *is_so) {
        Some((_, why)) => Err(ConnectError::Unusable { place, why: why.to_owned() }),
        None => Ok(repository),
    }
}

fn level(word: &str) -> u8 {
    match word {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

fn enough(as_whom: &str, granted: &BTreeMap<String, String>, place: &str) -> Result<(), ConnectError> {
    let has = |name: &str, wanted: &str| granted.get(name).is_some_and(|word| level(word) >= level(wanted));
    let missing = NEEDED.into_iter().filter(|(name, wanted)| !has(name, wanted));
    lacking(as_whom, missing.map(|(name, wanted)| format!("{name}: {wanted}")).collect(), place)
}

fn lacking(as_whom: &str, missing: Vec<String>, place: &str) -> Result<(), ConnectError> {
    match missing.is_empty() {
        true => Ok(()),
        false => Err(ConnectError::Missing { as_whom: as_whom.to_owned(), missing, place: place.to_owned() }),
    }
}

/// Rights beyond what is needed.
fn more(granted: &BTreeMap<String, String>) -> Vec<String> {
    let needed: BTreeMap<&str, &str> = NEEDED.into_iter().collect();
    let is_more = |name: &str, word: &str| needed.get(name).is_none_or(|wanted| level(word) > level(wanted));
    granted
        .iter()
        .filter(|(name, word)| is_more(name, word))
        .map(|(name, word)| plain(&format!("{name}: {word}")))
        .collect()
}

fn none_of(mut more: Vec<String>) -> Result<(), String> {
    more.sort();
    more.dedup();
    match more.is_empty() {
        true => Ok(()),
        false => Err(format!("it may do more than is needed: {}", more.join(", "))),
    }
}

/// A classic token reaches every repository of its owner, whatever its scopes.
fn classic(line: &Line, repository: &Repository, scopes: &str) -> Result<Rights, ConnectError> {
    let as_whom = "the classic token".to_owned();
    let scopes: Vec<&str> = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).collect();
    let reaches = ["repo", "public_repo"].iter().any(|scope| scopes.contains(scope));
    let missing = [(!reaches, "the scope repo"), (!may_push(repository), "write access")];
    let missing = missing.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what.to_owned());
    lacking(&as_whom, missing.collect(), &line.place().to_string())?;
    let held = plain(&scopes.join(", "));
    let why = format!("a classic token reaches every repository of its owner (its scopes: {held}); use a GitHub App");
    Ok(Rights { as_whom, merging: Err(why) })
}

fn may_push(repository: &Repository) -> bool {
    repository.permissions.as_ref().and_then(|rights| rights.get("push")).copied().unwrap_or_default()
}

/// GitHub does not list what such a token may do. What is needed is tried with requests that cannot succeed, which GitHub
/// refuses for what they ask once it has found that they may be asked; what is more than needed cannot be tried.
async fn fine_grained(line: &Line, repository: &Repository) -> Result<Rights, ConnectError> {
    let as_whom = "the token".to_owned();
    let main = &repository.default_branch;
    let reference = json!({ "ref": format!("refs/heads/{PROBE}"), "sha": NOWHERE });
    let pull = json!({ "title": "May I?", "head": PROBE, "base": main });
    let checks = format!("commits/{main}/check-runs?per_page=1");
    let statuses = format!("commits/{main}/status?per_page=1");
    let asked: [(&str, Method, &str, Option<Value>); 5] = [
        ("checks: read", Method::GET, &checks, None),
        ("contents: write", Method::POST, "git/refs", Some(reference)),
        ("issues: write", Method::POST, "issues", Some(json!({ "title": "" }))),
        ("pull_requests: write", Method::POST, "pulls", Some(pull)),
        ("statuses: read", Method::GET, &statuses, None),
    ];
    let mut missing = Vec::new();
    for (right, method, path, body) in asked {
        let answer = line.raw(method, path, body).await?;
        if [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&answer.status) {
            missing.push(answer.header("x-accepted-github-permissions").map_or(right.to_owned(), plain));
        }
    }
    lacking(&as_whom, missing, &line.place().to_string())?;
    let why = "GitHub does not tell whether this token may also change workflows or administer the repository; \
               use a GitHub App";
    Ok(Rights { as_whom, merging: Err(why.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_what_is_needed_is_neither_too_little_nor_too_much() {
        let exact =
            NEEDED.map(|(name, word)| (name.to_owned(), word.to_owned())).into_iter().collect::<BTreeMap<_, _>>();
        assert_eq!((enough("it", &exact, "a/b"), none_of(more(&exact))), (Ok(()), Ok(())));
        let mut odd = exact;
        odd.insert("workflows".to_owned(), "write".to_owned());
        odd.insert("contents".to_owned(), "read".to_owned());
        odd.insert("checks".to_owned(), "write".to_owned());
        let told = enough("it", &odd, "a/b").expect_err("too little").to_string();
        assert_eq!(told, "it lacks contents: write: grant it in a/b");
        let why = "it may do more than is needed: checks: write, workflows: write";
        assert_eq!(none_of(more(&odd)), Err(why.to_owned()));
    }
}
