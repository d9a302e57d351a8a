//! Settings: read once, all mistakes reported at once. The only module that reads the environment.
//!
//! Precedence: flag > environment > `.env` > `sre-space.toml` > default. A flag is laid over the environment by the
//! command that owns it.

mod backends;
mod coherence;
mod forge;
mod keys;
mod memory;
mod model;
mod notify;
mod profile;
mod sentinel;
mod sources;
mod supabase;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sre_space_domain::secret::Secret;
use thiserror::Error;

pub use self::backends::{Bus, Database};
pub use self::coherence::{Coherence, Persistence};
pub use self::forge::{Credentials, Forge};
use self::keys::{ALIASES, key};
pub use self::keys::{KEYS, Key, example, without_password};
pub use self::memory::{Embeddings, Memory, Qdrant};
pub use self::model::Model;
pub use self::notify::{Channels, Slack};
pub use self::sentinel::{Sentinel, SourceName};
pub use self::sources::{CloudWatch, Sources};
pub use self::supabase::Supabase;

/// A mistake in the settings: key, value, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key}={value:?} is refused: {wanted}")]
pub struct Mistake {
    /// Key as written.
    pub key: String,
    /// Value as written; secrets are shown as `***`.
    pub value: String,
    /// What would be accepted.
    pub wanted: String,
}

/// All mistakes of one reading.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are wrong:")?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

/// How the server runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `local` or `cloud`.
    pub profile: String,
    /// Monitor and API.
    pub http: SocketAddr,
    /// OTLP/gRPC; `None` when off.
    pub otlp_grpc: Option<SocketAddr>,
    /// OTLP/HTTP; `None` when off.
    pub otlp_http: Option<SocketAddr>,
    /// Journal, memory, kill switch.
    pub data_dir: PathBuf,
    /// Whether anything may be written to a repository.
    pub autonomy: bool,
    /// Where the watched repository is.
    pub forge: Forge,
    /// The watched repository, for the local forge.
    pub repo: Option<PathBuf>,
    /// Where the demo's marketplace answers, when this is a demo.
    pub demo: Option<String>,
    /// The bus.
    pub bus: Bus,
    /// Whether a bus inside this process may stand in for one that is not there at the start.
    pub bus_fallback: bool,
    /// The SQL database.
    pub database: Database,
    /// Where signals are kept instead of in the database.
    pub supabase: Option<Supabase>,
    /// How often signals are looked at; `None` when never.
    pub look_every: Option<Duration>,
    /// The model Brain asks about what rules found.
    pub model: Option<Model>,
    /// The incident memory.
    pub memory: Memory,
    /// Who is told, and where.
    pub channels: Channels,
    /// Whose metrics are read, and as whom.
    pub sources: Sources,
    /// Policies in place of the built-in ones.
    pub policy_dir: Option<PathBuf>,
    /// Bearer token.
    pub token: Option<Secret>,
    /// Reads stay open.
    pub public_read: bool,
    /// Source name → ingest token.
    pub ingest_tokens: BTreeMap<String, Secret>,
    /// What the forge's webhook is signed with.
    pub webhook_secret: Option<Secret>,
    /// Exact CORS origins.
    pub allowed_origins: Vec<String>,
    /// Strictly above acts.
    pub confidence_threshold: f64,
    /// Verified failures before a person is called.
    pub max_attempts: u32,
    /// A span slower than this is bad, milliseconds.
    pub latency_ms: u64,
    /// The Variance Sentinel.
    pub sentinel: Sentinel,
    /// The Data Coherence Engine.
    pub coherence: Coherence,
    /// The form of the log: `auto`, `json` or `text`.
    pub log: String,
    /// Whether Scout's second sense is on.
    pub second_sense: bool,
}

impl Settings {
    /// Reads the settings through a look-up; `given` names every key that is set anywhere, so that unknown ones are refused.
    pub fn read(get: &dyn Fn(&str) -> Option<String>, given: &[String]) -> Result<Self, Mistakes> {
        let mut reader = Reader { get, mistakes: Vec::new() };
        reader.refuse_unknown(given);
        let settings = reader.settings();
        if reader.mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(reader.mistakes)) }
    }
}

struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn settings(&mut self) -> Settings {
        Settings {
            profile: self.profile(),
            http: self.http(),
            otlp_grpc: self.address_or_off("SRE_SPACE_OTLP_GRPC_ADDR"),
            otlp_http: self.address_or_off("SRE_SPACE_OTLP_HTTP_ADDR"),
            data_dir: PathBuf::from(self.text("SRE_SPACE_DATA_DIR")),
            autonomy: self.one_of("SRE_SPACE_AUTONOMY", &["on", "off"]) == "on",
            forge: self.forge(),
            repo: self.optional("SRE_SPACE_REPO").map(PathBuf::from),
            bus: self.bus(),
            bus_fallback: self.one_of("SRE_SPACE_BUS_FALLBACK", &["on", "off"]) == "on",
            database: self.database(),
            supabase: self.supabase(),
            look_every: self.look_every(),
            model: self.model(),
            memory: self.memory(),
            demo: self.optional("SRE_SPACE_DEMO_URL"),
            channels: self.channels(),
            sources: self.sources(),
            policy_dir: self.optional("SRE_SPACE_POLICY_DIR").map(PathBuf::from),
            token: self.secret("SRE_SPACE_TOKEN").map(Secret::new),
            public_read: self.one_of("SRE_SPACE_PUBLIC_READ", &["true", "false"]) == "true",
            ingest_tokens: self.ingest_tokens(),
            webhook_secret: self.secret("GITHUB_WEBHOOK_SECRET").map(Secret::new),
            allowed_origins: self.list("SRE_SPACE_ALLOWED_ORIGINS"),
            confidence_threshold: self.number("SRE_SPACE_CONFIDENCE_THRESHOLD", |n: &f64| (0.0..=1.0).contains(n)),
            max_attempts: self.number("SRE_SPACE_MAX_ATTEMPTS", |n: &u32| (1..=10).contains(n)),
            latency_ms: self.number("SRE_SPACE_LATENCY_MS", |n: &u64| *n > 0),
            sentinel: self.sentinel(),
            coherence: self.coherence(),
            log: self.one_of("SRE_SPACE_LOG", &["auto", "json", "text"]),
            second_sense: self.one_of("SRE_SPACE_COHERENCE", &["on", "off"]) == "on",
        }
    }

    fn refuse_unknown(&mut self, given: &[String]) {
        let known = |name: &str| {
            KEYS.iter().any(|key| key.name == name || name.strip_suffix("_FILE") == Some(key.name))
                || ALIASES.contains(&name)
        };
        for name in given.iter().filter(|name| !known(name)) {
            let nearest = KEYS.iter().map(|key| key.name).max_by_key(|key| common(key, name)).unwrap_or_default();
            self.mistake(name, "", &format!("there is no such setting (did you mean {nearest}?)"));
        }
    }

    fn http(&mut self) -> SocketAddr {
        match ((self.get)("SRE_SPACE_HTTP_ADDR"), (self.get)("PORT")) {
            (None, Some(port)) => match port.parse::<u16>() {
                Ok(number) => SocketAddr::from(([0, 0, 0, 0], number)),
                Err(_) => {
                    self.mistake("PORT", &port, "a port number from 0 to 65535");
                    SocketAddr::from(([127, 0, 0, 1], 0))
                }
            },
            _ => self.address_or_off("SRE_SPACE_HTTP_ADDR").unwrap_or_else(|| {
                self.mistake("SRE_SPACE_HTTP_ADDR", "off", "ADDRESS:PORT; the API cannot be off");
                SocketAddr::from(([127, 0, 0, 1], 0))
            }),
        }
    }

    fn address_or_off(&mut self, name: &str) -> Option<SocketAddr> {
        let text = self.text(name);
        if text == "off" {
            return None;
        }
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.mistake(name, &text, accepts(name));
        }
        parsed
    }

    fn ingest_tokens(&mut self) -> BTreeMap<String, Secret> {
        let Some(text) = self.secret("SRE_SPACE_INGEST_TOKENS") else { return BTreeMap::new() };
        let pairs: Option<BTreeMap<_, _>> = text
            .split(',')
            .map(|pair| pair.trim().split_once('=').filter(|(name, token)| !name.is_empty() && !token.is_empty()))
            .map(|pair| pair.map(|(name, token)| (name.to_owned(), Secret::new(token))))
            .collect();
        pairs.unwrap_or_else(|| {
            self.mistake("SRE_SPACE_INGEST_TOKENS", "***", accepts("SRE_SPACE_INGEST_TOKENS"));
            BTreeMap::new()
        })
    }

    fn number<T: std::str::FromStr + Default>(&mut self, name: &str, fits: impl Fn(&T) -> bool) -> T {
        let text = self.text(name);
        match text.parse::<T>() {
            Ok(number) if fits(&number) => number,
            Ok(_) | Err(_) => {
                self.mistake(name, &text, accepts(name));
                T::default()
            }
        }
    }

    fn one_of(&mut self, name: &str, words: &[&str]) -> String {
        let text = self.text(name);
        if !words.contains(&text.as_str()) {
            self.mistake(name, &text, accepts(name));
        }
        text
    }

    fn list(&mut self, name: &str) -> Vec<String> {
        self.optional(name).map_or_else(Vec::new, |text| text.split(',').map(|item| item.trim().to_owned()).collect())
    }

    /// A secret, given directly or as the path of a file that holds it.
    fn secret(&mut self, name: &str) -> Option<String> {
        let by_file = format!("{name}_FILE");
        match ((self.get)(name), (self.get)(&by_file)) {
            (Some(secret), _) => Some(secret).filter(|secret| !secret.is_empty()),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(text.trim().to_owned()),
                Err(error) => {
                    self.mistake(&by_file, &path, &format!("a readable file ({error})"));
                    None
                }
            },
            (None, None) => None,
        }
    }

    fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    fn text(&self, name: &str) -> String {
        (self.get)(name).unwrap_or_else(|| self.profiled(name).unwrap_or_else(|| default(name)).to_owned())
    }

    fn mistake(&mut self, key: &str, value: &str, wanted: &str) {
        self.mistakes.push(Mistake { key: key.to_owned(), value: value.to_owned(), wanted: wanted.to_owned() });
    }
}

fn accepts(name: &str) -> &'static str {
    key(name).map_or("", |key| key.accepts)
}

fn default(name: &str) -> &'static str {
    key(name).map_or("", |key| key.default)
}

/// Length of the common beginning, to guess what was meant.
fn common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count()
}

/// Everything that was set: environment over `.env` over the settings file, by environment name.
#[derive(Debug, Clone, Default)]
pub struct Given(pub BTreeMap<String, String>);

impl Given {
    /// Collects what is set. `file` must exist when named; `sre-space.toml` is read when it is there.
    pub fn collect(file: Option<&Path>) -> Result<Self, Mistakes> {
        let mut given = BTreeMap::new();
        let default_file = Path::new("sre-space.toml");
        if let Some(path) = file.or_else(|| default_file.exists().then_some(default_file)) {
            given.extend(from_toml(path)?);
        }
        if let Ok(lines) = dotenvy::dotenv_iter() {
            given.extend(lines.filter_map(Result::ok));
        }
        given.extend(std::env::vars());
        Ok(Self(given))
    }

    /// Lays a flag's value over what was set.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.0.insert(name.to_owned(), value.to_string());
    }

    /// The settings.
    pub fn settings(&self) -> Result<Settings, Mistakes> {
        let ours: Vec<String> = self.0.keys().filter(|name| name.starts_with("SRE_SPACE_")).cloned().collect();
        Settings::read(&|name| self.0.get(name).cloned(), &ours)
    }
}

fn from_toml(path: &Path) -> Result<BTreeMap<String, String>, Mistakes> {
    let wrong =
        |wanted: String| Mistakes(vec![Mistake { key: "--config".into(), value: path.display().to_string(), wanted }]);
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("a readable file ({error})")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
    Ok(table
        .into_iter()
        .map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let name = key.to_uppercase();
            (if self::key(&name).is_some() { name } else { format!("SRE_SPACE_{name}") }, text)
        })
        .collect())
}
