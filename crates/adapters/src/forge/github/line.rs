//! The line to GitHub: every request goes through the breaker, and whoever asks has a token that has not ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use octocrab::Octocrab;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sre_space_domain::secret::Secret;
use tokio::sync::Mutex;

use super::auth::{Credentials, app_token};
use super::call::{Answer, Broken, Request, Trouble, client, exchange};
use super::limits::Pace;
use super::names::Place;
use super::rights::NEEDED;
use super::wire::{Installation, InstallationToken};
use crate::upstream::{CallError, Upstream};

/// A token is renewed so long before it ends.
const EARLY: SignedDuration = SignedDuration::from_mins(5);
/// Pages of a list that are read at most, a hundred entries each.
const MAX_PAGES: u32 = 10;
pub(super) const PAGE: usize = 100;

/// An installation's token.
#[derive(Clone)]
pub(super) struct Session {
    token: Secret,
    until: Timestamp,
    pub permissions: BTreeMap<String, String>,
}

pub(super) struct Line {
    crab: Octocrab,
    credentials: Credentials,
    place: Place,
    session: Mutex<Option<Session>>,
    upstream: Arc<Upstream>,
    pace: Pace,
    patience: Duration,
}

/// How the line is used.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Between two requests that create content.
    pub spacing: Duration,
    /// How long one answer may take.
    pub patience: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Self { spacing: Duration::from_secs(1), patience: Duration::from_secs(20) }
    }
}

impl Line {
    pub(super) fn new(
        api_url: &str,
        place: Place,
        credentials: Credentials,
        manners: Manners,
        upstream: Arc<Upstream>,
    ) -> Result<Self, String> {
        let crab = client(api_url, manners.patience)?;
        let (pace, patience) = (Pace::new(manners.spacing), manners.patience);
        Ok(Self { crab, credentials, place, session: Mutex::default(), upstream, pace, patience })
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Reads, from the repository's own path.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.answer(Request::get(self.at(path))).await?.read()
    }

    /// Reads a list, page by page, until one is not full.
    pub(super) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Trouble> {
        let mut all: Vec<T> = Vec::new();
        for page in 1..=MAX_PAGES {
            let sign = if path.contains('?') { '&' } else { '?' };
            let found: Vec<T> = self.get(&format!("{path}{sign}per_page={PAGE}&page={page}")).await?;
            let is_last = found.len() < PAGE;
            all.extend(found);
            if is_last {
                return Ok(all);
            }
        }
        Err(Trouble::Away(format!("a list of GitHub is longer than {MAX_PAGES} pages")))
    }

    /// Writes, in its turn.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<T, Trouble> {
        self.pace.turn().await;
        self.answer(Request::with(method, self.at(path), body)).await?.read()
    }

    /// The answer to a request of the repository's own path, whatever it says.
    pub(super) async fn raw(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer, Trouble> {
        self.answer(Request { method, path: self.at(path), body }).await
    }

    fn at(&self, path: &str) -> String {
        let sign = if path.is_empty() { "" } else { "/" };
        format!("/repos/{}/{}{sign}{path}", self.place.owner, self.place.name)
    }

    async fn answer(&self, request: Request) -> Result<Answer, Trouble> {
        let token = self.token().await?;
        let answer = self.ask(&token, request).await?;
        if answer.status == 401 && matches!(self.credentials, Credentials::App { .. }) {
            self.session.lock().await.take();
            return Err(Trouble::Away("the installation's token was refused; the next try takes a new one".to_owned()));
        }
        Ok(answer)
    }

    async fn ask(&self, token: &Secret, request: Request) -> Result<Answer, Trouble> {
        let in_time = async {
            let asked = tokio::time::timeout(self.patience, exchange(&self.crab, token, &request));
            asked.await.unwrap_or_else(|_| Err(format!("no answer within {} s", self.patience.as_secs()).into()))
        };
        let answer = self.upstream.call(in_time, |_| true).await.map_err(|error| self.away(&error))?;
        match answer.limit(Timestamp::now()) {
            None => Ok(answer),
            Some(wait) => {
                let why = format!("it was asked too often and wants {} s of rest", wait.as_secs());
                self.upstream.pause(wait, &why);
                Err(Trouble::Resting { why: format!("GitHub answers {}: {why}", answer.status.as_u16()), wait })
            }
        }
    }

    /// A call that brought nothing; the last of some failures is the beginning of a rest.
    fn away(&self, error: &CallError<Broken>) -> Trouble {
        let rest = match error {
            CallError::Open { wait, .. } => Some(*wait),
            CallError::Failed(Broken { wait, .. }) => {
                if let Some(wait) = wait {
                    self.upstream.pause(*wait, &error.to_string());
                }
                self.upstream.rest()
            }
        };
        match rest {
            Some(wait) => Trouble::Resting { why: error.to_string(), wait },
            None => Trouble::Away(error.to_string()),
        }
    }

    async fn token(&self) -> Result<Secret, Trouble> {
        match &self.credentials {
            Credentials::Token(token) => Ok(token.clone()),
            Credentials::App { .. } => Ok(self.session().await?.token),
        }
    }

    /// The installation's session: the one there is, or a new one before it ends.
    pub(super) async fn session(&self) -> Result<Session, Trouble> {
        let mut held = self.session.lock().await;
        let now = Timestamp::now();
        match held.as_ref().filter(|session| session.until.duration_since(now) > EARLY) {
            Some(session) => Ok(session.clone()),
            None => Ok(held.insert(self.begin(now).await?).clone()),
        }
    }

    /// Asks for a token that may do what is needed in this one repository, and nothing else.
    async fn begin(&self, now: Timestamp) -> Result<Session, Trouble> {
        let installation = self.installation().await?;
        let needed: BTreeMap<&str, &str> = NEEDED.into_iter().collect();
        let wanted = json!({ "repositories": [self.place.name], "permissions": needed });
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let app = self.app_token(now)?;
        let given: InstallationToken = self.ask(&app, Request::with(Method::POST, path, wanted)).await?.read()?;
        Ok(Session { token: Secret::new(given.token), until: given.expires_at, permissions: given.permissions })
    }

    /// The App's installation in this repository, asked as the App itself.
    pub(super) async fn installation(&self) -> Result<Installation, Trouble> {
        let app = self.app_token(Timestamp::now())?;
        self.ask(&app, Request::get(self.at("installation"))).await?.read()
    }

    fn app_token(&self, now: Timestamp) -> Result<Secret, Trouble> {
        match &self.credentials {
            Credentials::App { id, key } => app_token(id, key, now).map_err(|error| Trouble::Away(error.to_string())),
            Credentials::Token(_) => Err(Trouble::Away("there is no App to ask as".to_owned())),
        }
    }
}
