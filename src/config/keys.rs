//! Every setting there is: its name, what it accepts, its default, and what it does.

/// One setting: its environment name, what it accepts, its default (empty: none), and what it does.
pub struct Key {
    /// Name in the environment.
    pub name: &'static str,
    /// What is accepted, for the error message.
    pub accepts: &'static str,
    /// Default as text.
    pub default: &'static str,
    /// One line for people.
    pub about: &'static str,
}

impl Key {
    /// A value of this setting as it may be shown: a secret not at all, a URL without its password.
    pub fn shown(&self, value: &str) -> String {
        if self.accepts.contains("secret") || self.name.ends_with("TOKENS") {
            return "***".to_owned();
        }
        without_password(value)
    }
}

/// A URL without the password it may hold; any other text as it is.
pub fn without_password(text: &str) -> String {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let (user, host) = rest.split_once('/').unwrap_or((rest, "")).0.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        let path = rest.get(user.len() + 1 + host.len()..)?;
        Some(format!("{scheme}://{name}:***@{host}{path}"))
    };
    masked().unwrap_or_else(|| text.to_owned())
}

macro_rules! keys {
    ($($name:literal, $accepts:literal, $default:literal, $about:literal;)*) => {
        /// Every setting there is.
        pub const KEYS: &[Key] =
            &[$(Key { name: $name, accepts: $accepts, default: $default, about: $about }),*];
    };
}

keys! {
    "SRE_SPACE_PROFILE", "local or cloud", "local", "the runtime profile";
    "SRE_SPACE_HTTP_ADDR", "ADDRESS:PORT", "127.0.0.1:8001", "the monitor and the API";
    "SRE_SPACE_OTLP_GRPC_ADDR", "ADDRESS:PORT or off", "127.0.0.1:4317", "OTLP over gRPC";
    "SRE_SPACE_OTLP_HTTP_ADDR", "ADDRESS:PORT or off", "127.0.0.1:4318", "OTLP over HTTP";
    "SRE_SPACE_DATA_DIR", "a folder", ".sre-space", "journal, memory and kill switch";
    "SRE_SPACE_AUTONOMY", "on or off", "on", "whether anything may be written to a repository";
    "SRE_SPACE_FORGE", "local or github", "local", "the forge";
    "SRE_SPACE_REPO", "path of a bare git repository", "", "the watched repository (local forge)";
    "GITHUB_REPOSITORY", "OWNER/NAME", "", "the watched repository (forge github)";
    "GITHUB_API_URL", "https://…, or http:// on this machine", "https://api.github.com", "where GitHub is";
    "GITHUB_APP_ID", "a number or a client id", "", "the GitHub App to work as; merging without a person takes one";
    "GITHUB_APP_PRIVATE_KEY", "a secret, PEM", "", "its private key";
    "GITHUB_TOKEN", "a secret", "", "a token to work as, where there is no App";
    "GITHUB_PERSONAL_ACCESS_TOKEN", "a secret", "", "the same, by its other name";
    "SRE_SPACE_DEMO_URL", "http://…", "", "the web address of the demo's marketplace (`sre-space marketplace`); opens /demo/*";
    "SRE_SPACE_BUS", "local, redis or kafka", "local", "the bus";
    "SRE_SPACE_BUS_FALLBACK", "on or off", "off", "whether a bus inside this process may stand in for one that is not there at the start";
    "REDIS_URL", "redis://… or rediss://…", "redis://127.0.0.1:6379", "the Redis server of the bus";
    "KAFKA_BROKERS", "HOST:PORT, comma separated", "127.0.0.1:9092", "the Kafka brokers of the bus";
    "KAFKA_SECURITY_PROTOCOL", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", "PLAINTEXT", "how the brokers are spoken to; SSL and SCRAM need a build with --features kafka-tls";
    "KAFKA_SASL_MECHANISM", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", "PLAIN", "how the brokers know us, where the protocol is SASL";
    "KAFKA_SASL_USERNAME", "a name", "", "as whom";
    "KAFKA_SASL_PASSWORD", "a secret", "", "and with which password";
    "DATABASE_URL", "sqlite://PATH or postgres://…", "", "journal, incidents and embedded memory (unset: a file in the data folder)";
    "OPENAI_MODEL", "the name of a model", "", "the model Brain asks about what rules found (unset: none)";
    "OPENAI_API_KEY", "a secret", "", "the key of the model's server; local servers need none";
    "OPENAI_BASE_URL", "https://… or http://…; with a key https, or loopback", "https://api.openai.com/v1", "the model's server: OpenAI, Ollama, vLLM, llama.cpp or another that speaks like them";
    "LLM_CONCURRENCY", "a whole number from 1, or off", "", "questions to the model that may be out at once (unset: 1 in the cloud profile, off locally)";
    "SRE_SPACE_LLM_TOKENS_PER_INCIDENT", "a whole number, or off", "", "tokens an incident may cost (unset: 60000 in the cloud profile, off locally)";
    "SRE_SPACE_LLM_TOKENS_PER_DAY", "a whole number, or off", "", "tokens a day (UTC) may cost (unset: 600000 in the cloud profile, off locally)";
    "SRE_SPACE_LLM_USD_PER_INCIDENT", "an amount in US dollars, or off; with prices", "off", "money an incident may cost";
    "SRE_SPACE_LLM_USD_PER_DAY", "an amount in US dollars, or off; with prices", "off", "money a day (UTC) may cost";
    "SRE_SPACE_LLM_USD_PER_MTOK_IN", "US dollars, 0 or more", "0", "price of a million tokens sent";
    "SRE_SPACE_LLM_USD_PER_MTOK_OUT", "US dollars, 0 or more", "0", "price of a million tokens answered";
    "SRE_SPACE_LLM_ANSWER_TOKENS", "a whole number from 64 to 32768", "2048", "most tokens of an answer, reasoning included";
    "QDRANT_URL", "http://… or https://…, the gRPC port", "", "the Qdrant server of the incident memory (unset: embedded, beside the journal)";
    "QDRANT_API_KEY", "a secret", "", "and its key";
    "SRE_SPACE_MEMORY_KEY", "a secret of 64 hexadecimal digits", "", "what lessons are sealed with (unset: memory.key in the data folder, made at the first start)";
    "OPENAI_EMBEDDING_MODEL", "a model's name", "", "embeddings of an OpenAI-compatible server in place of the built-in ones";
    "SRE_SPACE_EMBEDDING_FILES", "a folder", "", "a local sentence model (not in this build)";
    "SRE_SPACE_PUBLIC_URL", "http://… or https://…", "", "the monitor as people reach it, for links in notices (unset: the address it listens on)";
    "SLACK_BOT_TOKEN", "a secret", "", "Slack: one message an incident, edited as it moves; wants SLACK_CHANNEL";
    "SLACK_CHANNEL", "a channel's id", "", "the channel the bot writes to";
    "SLACK_WEBHOOK_URL", "https://…, a secret", "", "Slack without a bot: one message for each important change";
    "SLACK_API_URL", "https://…", "https://slack.com/api", "Slack's Web API";
    "PAGERDUTY_ROUTING_KEY", "a secret of 32 letters and digits", "", "PagerDuty is told when a person is needed (Events API v2)";
    "PAGERDUTY_API_URL", "https://…", "https://events.pagerduty.com", "PagerDuty's Events API";
    "SMTP_URL", "smtp://… (STARTTLS) or smtps://…", "", "the server that takes mail for ALERT_EMAIL";
    "ALERT_EMAIL", "mail addresses, comma separated", "", "who is written to when a person is needed";
    "SMTP_FROM", "a mail address", "", "who writes (unset: the first of ALERT_EMAIL)";
    "SRE_SPACE_WEBHOOK_URL", "https://…, a secret", "", "a receiver of every notice as signed JSON";
    "SRE_SPACE_WEBHOOK_SECRET", "a secret", "", "what those deliveries are signed with";
    "SRE_SPACE_POLICY_DIR", "a folder", "", "policies to use in place of the built-in ones";
    "SRE_SPACE_TOKEN", "a secret", "", "bearer token of mutating routes, and of reads once set";
    "SRE_SPACE_PUBLIC_READ", "true or false", "false", "reads stay open although a token is set";
    "SRE_SPACE_INGEST_TOKENS", "name=token,name=token", "", "who may send telemetry; a source is a token's name";
    "GITHUB_WEBHOOK_SECRET", "a secret", "", "what deliveries to /webhook/github are signed with";
    "SRE_SPACE_ALLOWED_ORIGINS", "origins, comma separated", "", "exact origins for CORS";
    "SRE_SPACE_CONFIDENCE_THRESHOLD", "a number from 0 to 1", "0.90", "confidence and trust must be strictly above";
    "SRE_SPACE_MAX_ATTEMPTS", "a whole number from 1 to 10", "3", "verified failures before a person is called";
    "SRE_SPACE_SERVER", "a URL", "", "the running server that incidents, approve, reject and autonomy talk to";
    "SRE_SPACE_COHERENCE", "on or off", "on", "the second sense: memory and calls are watched too, and open incidents before a request fails";
    "SRE_SPACE_LATENCY_MS", "milliseconds", "800", "a span slower than this is bad";
}

/// Every setting with its default, as a `.env` file that changes nothing.
pub fn example() -> String {
    let head = "# Every setting, with its default. `sre-space config example` prints this file; a line counts once its # is gone.\n\
                # A secret may also be given as the path of a file that holds it, under its name with _FILE behind it.\n";
    let line = |key: &Key| format!("\n# {} ({})\n#{}={}\n", key.about, key.accepts, key.name, key.default);
    KEYS.iter().fold(head.to_owned(), |text, key| format!("{text}{}", line(key)))
}

/// Names honoured besides the keys above: the hosted platforms' own.
pub(super) const ALIASES: [&str; 4] = ["PORT", "ENV", "RENDER", "RENDER_EXTERNAL_URL"];

/// The key of a name.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let shown = |name: &str, value: &str| key(name).map(|key| key.shown(value)).unwrap_or_default();
        assert_eq!(shown("GITHUB_WEBHOOK_SECRET", "s3cret"), "***");
        assert_eq!(shown("SRE_SPACE_TOKEN", "s3cret"), "***");
        assert_eq!(shown("SRE_SPACE_INGEST_TOKENS", "a=s3cret"), "***");
        let urls = [
            ("redis://:s3cret@host:6379/0", "redis://:***@host:6379/0"),
            ("postgres://ann:s3:cr@et@host/db?sslmode=require", "postgres://ann:***@host/db?sslmode=require"),
            ("redis://ann:s3cret@host", "redis://ann:***@host"),
            ("redis://host:6379", "redis://host:6379"),
            ("sqlite://a@b", "sqlite://a@b"),
        ];
        for (url, masked) in urls {
            assert_eq!(shown("REDIS_URL", url), masked);
        }
    }
}
