//! Which backends are used, and where they are.

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
}

/// The SQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A Postgres database by its URL; may hold a password.
    Postgres(String),
}

impl Reader<'_> {
    pub(super) fn bus(&mut self) -> Bus {
        match self.one_of("SRE_SPACE_BUS", &["local", "redis"]).as_str() {
            "redis" => Bus::Redis { url: self.url("REDIS_URL", &["redis", "rediss"]) },
            _ => Bus::Local,
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
    fn url(&mut self, name: &str, schemes: &[&str]) -> String {
        let url = self.secret(name).unwrap_or_else(|| self.text(name));
        if !url.split_once("://").is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty()) {
            self.mistake(name, "***", accepts(name));
        }
        url
    }
}
