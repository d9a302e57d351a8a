//! Which backends are used, and where they are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Reader, accepts};

/// The bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// Inside this process.
    Local,
    /// Redis Streams.
    Redis {
        /// URL of the server; may hold a password.
        url: String,
    },
    /// Kafka.
    Kafka {
        /// `HOST:PORT`, comma separated.
        brokers: String,
        /// `security.protocol` and `sasl.*`, by librdkafka's names; may hold a password.
        security: BTreeMap<String, String>,
    },
}

/// The SQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A Postgres database by its URL; may hold a password.
    Postgres(String),
}

impl Database {
    /// Whether a server keeps it, and not a file.
    pub fn is_server(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(_) => true,
        }
    }
}

impl Reader<'_> {
    pub(super) fn bus(&mut self) -> Bus {
        match self.one_of("SRE_SPACE_BUS", &["local", "redis", "kafka"]).as_str() {
            "redis" => Bus::Redis { url: self.url("REDIS_URL", &["redis", "rediss"]) },
            "kafka" => Bus::Kafka { brokers: self.text("KAFKA_BROKERS"), security: self.kafka_security() },
            _ => Bus::Local,
        }
    }

    fn kafka_security(&mut self) -> BTreeMap<String, String> {
        let protocols = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
        let protocol = self.one_of("KAFKA_SECURITY_PROTOCOL", &protocols);
        self.built_with_tls("KAFKA_SECURITY_PROTOCOL", &protocol, protocol.ends_with("SSL"));
        let mut security = BTreeMap::from([("security.protocol".to_owned(), protocol.clone())]);
        if protocol.starts_with("SASL") {
            let mechanism = self.one_of("KAFKA_SASL_MECHANISM", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
            self.built_with_tls("KAFKA_SASL_MECHANISM", &mechanism, mechanism.starts_with("SCRAM"));
            let password = self.secret("KAFKA_SASL_PASSWORD").unwrap_or_default();
            let named =
                [("mechanism", mechanism), ("username", self.text("KAFKA_SASL_USERNAME")), ("password", password)];
            security.extend(named.map(|(name, value)| (format!("sasl.{name}"), value)));
        }
        security
    }

    /// What takes OpenSSL is refused by a build without it, rather than by a client at work.
    fn built_with_tls(&mut self, name: &str, value: &str, needs_it: bool) {
        if needs_it && !cfg!(feature = "kafka-tls") {
            self.mistake(name, value, "a build with `--features kafka-tls`; this one has no TLS towards Kafka");
        }
    }

    pub(super) fn database(&mut self) -> Database {
        let Some(url) = self.secret("DATABASE_URL") else {
            return Database::Sqlite(PathBuf::from(self.text("SRE_SPACE_DATA_DIR")).join("journal.db"));
        };
        match url.split_once("://") {
            Some(("sqlite", path)) if !path.is_empty() => Database::Sqlite(PathBuf::from(path)),
            Some(("postgres" | "postgresql", _)) => Database::Postgres(url),
            _ => {
                self.mistake("DATABASE_URL", "***", accepts("DATABASE_URL"));
                Database::Sqlite(PathBuf::new())
            }
        }
    }

    /// A URL of one of these schemes. It may hold a password, and is not shown when it is refused.
    pub(super) fn url(&mut self, name: &str, schemes: &[&str]) -> String {
        let url = self.secret(name).unwrap_or_else(|| self.text(name));
        if !url.split_once("://").is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty()) {
            self.mistake(name, "***", accepts(name));
        }
        url
    }
}
