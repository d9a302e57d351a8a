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
    "SUPABASE_URL", "https://…, or http:// on this machine", "", "a Supabase project that keeps metrics and signal events (unset: the database above)";
    "SUPABASE_KEY", "a secret", "", "its key, with the right to write those tables";
    "SRE_SPACE_LOOK_EVERY_S", "seconds from 10 to 86400, or off", "900", "how often a server looks at the last 48 hours of metrics for what may become an incident";
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
    "SRE_SPACE_SOURCE_PATCHES", "on or off", "off", "whether the model may be sent files that a service declares as sources, and write a patch that a person merges";
    "QDRANT_URL", "http://… or https://…, the gRPC port", "", "the Qdrant server of the incident memory (unset: embedded, beside the journal)";
    "QDRANT_API_KEY", "a secret", "", "and its key";
    "SRE_SPACE_MEMORY_KEY", "a secret of 64 hexadecimal digits", "", "what lessons are sealed with (unset: memory.key in the data folder, made at the first start)";
    "OPENAI_EMBEDDING_MODEL", "a model's name", "", "embeddings of an OpenAI-compatible server in place of the built-in ones";
    "SRE_SPACE_EMBEDDING_FILES", "a folder with model.safetensors, tokenizer.json and config.json", "", "vectors of a sentence model in this process; needs a build with --features local-embedder";
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
    "DATADOG_API_KEY", "a secret", "", "Datadog's metrics are read with this key and the next";
    "DATADOG_APP_KEY", "a secret", "", "an application key with the right timeseries_query alone";
    "DATADOG_SITE", "a host's name", "datadoghq.com", "Datadog's site, such as us5.datadoghq.com";
    "DATADOG_API_URL", "https://…, or http:// on this machine", "", "Datadog's API (unset: https://api. and the site)";
    "PROMETHEUS_URL", "https://…, or http://… without a password or token", "", "the Prometheus server whose metrics are read; may hold a name and a password";
    "PROMETHEUS_TOKEN", "a secret", "", "a bearer token for it, where it wants one";
    "PROMETHEUS_STEP_S", "seconds from 1 to 86400", "15", "time between two of its values: its scrape interval";
    "AWS_ACCESS_KEY_ID", "an access key's id", "", "CloudWatch's metrics are read with this key; it needs cloudwatch:GetMetricData alone";
    "AWS_SECRET_ACCESS_KEY", "a secret", "", "and its secret";
    "AWS_SESSION_TOKEN", "a secret", "", "and its session token, where it is temporary";
    "AWS_REGION", "a region's name", "", "the region whose metrics are read";
    "AWS_DEFAULT_REGION", "a region's name", "", "the same, by its other name";
    "AWS_ENDPOINT_URL_CLOUDWATCH", "https://…, or http:// on this machine", "", "where CloudWatch is (unset: the region's own)";
    "AWS_CLOUDWATCH_INSTANCES", "ids of instances, comma separated", "", "which instances are asked about (unset: all that a search finds)";
    "AWS_CLOUDWATCH_PERIOD_S", "seconds, a multiple of 60", "300", "time between two of its values: 60 where instances are monitored in detail";
    "NEW_RELIC_API_KEY", "a secret", "", "New Relic's metrics are read with this user key";
    "NEW_RELIC_ACCOUNT_ID", "a number", "", "and of this account";
    "NEW_RELIC_REGION", "US or EU", "US", "where the account is";
    "NEW_RELIC_API_URL", "https://…, or http:// on this machine", "", "New Relic's API (unset: the region's own)";
    "SRE_SPACE_METRICS", "names of metrics, comma separated", "", "metrics to read beside CPU, memory and packets, by the source's own names; a source that does not know one is read without it";
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
    "SRE_SPACE_SENTINEL", "off, otlp, live, datadog, prometheus, darshan, cloudwatch or newrelic", "otlp", "whose hosts a running server's Sentinel looks at; while it vetoes, policy denies changes";
    "SRE_SPACE_SENTINEL_SIGMA", "percentage points above 0", "10.0", "the Sentinel: a standard deviation of CPU above this is a seizure";
    "SRE_SPACE_SENTINEL_FEVER_MB_S", "megabytes a second above 0", "100", "memory that grows faster than this is a fever";
    "SRE_SPACE_SENTINEL_AMPLIFICATION", "a number above 0", "1.1", "more packets sent for each one received than this are an auto-immune response";
    "SRE_SPACE_SENTINEL_WINDOW_S", "seconds from 5 to 86400", "60", "how far back it looks; further where the source gives fewer than a dozen samples in that time";
    "SRE_SPACE_SENTINEL_POLL_S", "seconds from 0.1 to 3600", "1", "time from one look to the next; sources on other machines are asked every 15 at most";
    "SRE_SPACE_SENTINEL_STALE_S", "seconds from 1 to 86400", "300", "samples older than this withdraw its vetoes";
    "SRE_SPACE_SENTINEL_PERSIST_S", "seconds from 1 to 86400", "30", "a veto that lasts this long is persistent";
    "SRE_SPACE_SENTINEL_ADVANCED", "on or off", "on", "its advanced part: robust z, fences, escalation of variance";
    "DARSHAN_BASE_URL", "https://…, or http://… without a key or on this machine", "", "the Darshan API whose /signals/summary the Data Coherence Engine reads";
    "DARSHAN_API_KEY", "a secret", "", "its bearer token";
    "DARSHAN_TIMEOUT_S", "whole seconds from 1 to 60", "10", "what one request to it may take; TIMEOUT_S is honoured too";
    "DARSHAN_PAGE_SIZE", "a whole number from 1 to 10000", "1000", "rows of a page; PAGE_SIZE is honoured too";
    "DARSHAN_MAX_RETRIES", "a whole number from 0 to 10", "3", "tries after a network error or a 5xx; MAX_RETRIES is honoured too";
    "MOCK_PATH", "a JSON file", "", "a recording of /signals/summary, used in place of Darshan; its newest record is now";
    "DEFAULT_WINDOWS", "windows such as 30s, 5m or 24h, comma separated", "1h,24h", "the windows of the Data Coherence Engine; the first is the usual one";
    "PERSISTENCE", "none, csv or sqlite", "none", "where its figures are kept, in the data folder: rolling_store.csv or rolling_store.db";
    "ENGINE_VERSION", "a version", "", "what it calls its version (unset: this program's)";
    "OTEL_EXPORTER_OTLP_ENDPOINT", "http(s)://host:port", "", "an OTLP/gRPC endpoint for the spans of the Data Coherence Engine's requests; other OTEL_* variables in the environment are honoured";
    "SRE_SPACE_LOG", "auto, json or text", "auto", "the form of the log; auto is text for a person at a terminal and JSON otherwise";
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
