//! Talks to a running server, for the commands that do.

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sre_space_domain::secret::Secret;

use crate::config::Given;

/// Which server, and how its answers are printed.
#[derive(ClapArgs)]
pub struct Server {
    /// Base URL of the running server (default: SRE_SPACE_SERVER, else this machine's).
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// How results are printed.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

impl Server {
    /// Whether one is named, by the flag or by SRE_SPACE_SERVER.
    pub fn is_named(&self, given: &Given) -> bool {
        let set = given.0.get("SRE_SPACE_SERVER").is_some_and(|url| !url.is_empty());
        self.server.is_some() || set
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A running server.
pub struct Client {
    base: String,
    token: Option<Secret>,
    http: reqwest::Client,
}

impl Client {
    /// The server that flag, environment or settings name.
    pub fn new(server: &Server, given: &Given) -> Result<Self> {
        let set = |name: &str| given.0.get(name).cloned().filter(|value| !value.is_empty());
        let settings = given.settings()?;
        let base = server.server.clone().or_else(|| set("SRE_SPACE_SERVER"));
        let base = base.unwrap_or_else(|| format!("http://{}", settings.http));
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token: settings.token, http: sre_space_tls::client() })
    }

    /// Reads a route.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(self.request(Method::GET, path)).await
    }

    /// Sends JSON to a route.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.ask(self.request(method, path).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.bare()),
            None => request,
        }
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value> {
        let unreachable =
            || format!("no answer from {}: is `sre-space serve` running there? (--server names another)", self.base);
        let answer = request.send().await.with_context(unreachable)?;
        let status = answer.status();
        let body: Value = answer.json().await.with_context(|| format!("{} did not answer with JSON", self.base))?;
        if status.is_success() {
            return Ok(body);
        }
        bail!("{}", body["detail"].as_str().unwrap_or(status.as_str()))
    }
}
