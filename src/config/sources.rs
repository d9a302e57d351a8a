//! Whose metrics are read, and as whom.
//!
//! A source is asked only when a command or the schedule names it, so that what it lacks is a mistake only then: some of these
//! names (`AWS_*`) are set on many machines for other programs.

use reqwest::Url;
use sre_space_domain::secret::Secret;

use super::keys::key;
use super::{Mistake, Mistakes, Reader, accepts};

/// The settings of a source, or the names of those that are missing.
pub type Needs<T> = Result<T, Missing>;

/// Names of settings that a source lacks, and whether any of its own is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Names.
    pub names: Vec<&'static str>,
    /// Somebody began to set it up.
    pub is_begun: bool,
}

impl From<Missing> for Mistakes {
    fn from(missing: Missing) -> Self {
        let mistake = |name: &&str| Mistake {
            key: (*name).to_owned(),
            value: String::new(),
            wanted: key(name).map_or_else(String::new, |key| format!("{}: {}", key.accepts, key.about)),
        };
        Self(missing.names.iter().map(mistake).collect())
    }
}

/// Datadog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datadog {
    /// API key.
    pub api_key: Secret,
    /// Application key.
    pub app_key: Secret,
    /// Address of its API.
    pub api: Url,
}

/// Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prometheus {
    /// Its address; may hold a password.
    pub url: Secret,
    /// Bearer token.
    pub token: Option<Secret>,
    /// Time between two values, s.
    pub step_s: i64,
}

/// CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatch {
    /// Access key id.
    pub key_id: String,
    /// Secret access key.
    pub secret: Secret,
    /// Session token, of temporary credentials.
    pub session: Option<Secret>,
    /// Region.
    pub region: String,
    /// Address of the service.
    pub endpoint: Url,
    /// Instances to ask about; none: all.
    pub instances: Vec<String>,
    /// Period of a value, s.
    pub period_s: i64,
}

/// New Relic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelic {
    /// A user's key.
    pub key: Secret,
    /// Account.
    pub account: u64,
    /// Address of its API.
    pub api: Url,
}

/// Every source that takes settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Datadog.
    pub datadog: Needs<Datadog>,
    /// Prometheus.
    pub prometheus: Needs<Prometheus>,
    /// CloudWatch.
    pub cloudwatch: Needs<CloudWatch>,
    /// New Relic.
    pub newrelic: Needs<NewRelic>,
    /// Metrics to read beside those that every source has, by the sources' own names; empty: those alone.
    pub metrics: Vec<String>,
}

/// Which of these are missing; nothing where none is.
fn missing(all: &[(&'static str, bool)]) -> Result<(), Missing> {
    let names: Vec<&str> = all.iter().filter(|(_, is_set)| !is_set).map(|(name, _)| *name).collect();
    let is_begun = names.len() < all.len();
    if names.is_empty() { Ok(()) } else { Err(Missing { names, is_begun }) }
}

impl Reader<'_> {
    pub(super) fn sources(&mut self) -> Sources {
        Sources {
            datadog: self.datadog(),
            prometheus: self.prometheus(),
            cloudwatch: self.cloudwatch(),
            newrelic: self.newrelic(),
            metrics: self.list("SRE_SPACE_METRICS"),
        }
    }

    fn datadog(&mut self) -> Needs<Datadog> {
        let (api_key, app_key) = (self.secret("DATADOG_API_KEY"), self.secret("DATADOG_APP_KEY"));
        let site = self.host("DATADOG_SITE");
        let api = self.web_url("DATADOG_API_URL").unwrap_or_else(|| format!("https://api.{site}"));
        missing(&[("DATADOG_API_KEY", api_key.is_some()), ("DATADOG_APP_KEY", app_key.is_some())])?;
        let (api_key, app_key) = (Secret::new(api_key.unwrap_or_default()), Secret::new(app_key.unwrap_or_default()));
        Ok(Datadog { api_key, app_key, api: self.parsed("DATADOG_SITE", &api)? })
    }

    fn prometheus(&mut self) -> Needs<Prometheus> {
        let (url, token) = (self.secret("PROMETHEUS_URL"), self.secret("PROMETHEUS_TOKEN").map(Secret::new));
        let step_s = self.number("PROMETHEUS_STEP_S", |step: &i64| (1..=86_400).contains(step));
        missing(&[("PROMETHEUS_URL", url.is_some())])?;
        let url = url.unwrap_or_default();
        let is_fine = Url::parse(&url).is_ok_and(|url| {
            let is_open = url.password().is_none() && token.is_none();
            let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            match url.scheme() {
                "https" => url.has_host(),
                "http" => url.has_host() && (is_open || is_here),
                _ => false,
            }
        });
        if !is_fine {
            self.mistake("PROMETHEUS_URL", "***", accepts("PROMETHEUS_URL"));
        }
        Ok(Prometheus { url: Secret::new(url), token, step_s })
    }

    fn cloudwatch(&mut self) -> Needs<CloudWatch> {
        let key_id = self.optional("AWS_ACCESS_KEY_ID");
        let secret = self.secret("AWS_SECRET_ACCESS_KEY");
        let session = self.secret("AWS_SESSION_TOKEN").map(Secret::new);
        let region = self.optional("AWS_REGION").or_else(|| self.optional("AWS_DEFAULT_REGION"));
        let period_s =
            self.number("AWS_CLOUDWATCH_PERIOD_S", |period: &i64| *period > 0 && *period <= 86_400 && period % 60 == 0);
        let instances = self.list("AWS_CLOUDWATCH_INSTANCES");
        missing(&[
            ("AWS_ACCESS_KEY_ID", key_id.is_some()),
            ("AWS_SECRET_ACCESS_KEY", secret.is_some()),
            ("AWS_REGION", region.is_some()),
        ])?;
        let region = region.unwrap_or_default();
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            self.mistake("AWS_REGION", &region, accepts("AWS_REGION"));
        }
        let endpoint = self.web_url("AWS_ENDPOINT_URL_CLOUDWATCH");
        let endpoint = endpoint.unwrap_or_else(|| format!("https://monitoring.{region}.amazonaws.com"));
        let endpoint = self.parsed("AWS_REGION", &endpoint)?;
        let (key_id, secret) = (key_id.unwrap_or_default(), Secret::new(secret.unwrap_or_default()));
        Ok(CloudWatch { key_id, secret, session, region, endpoint, instances, period_s })
    }

    fn newrelic(&mut self) -> Needs<NewRelic> {
        let (key, account) = (self.secret("NEW_RELIC_API_KEY"), self.optional("NEW_RELIC_ACCOUNT_ID"));
        let region = self.one_of("NEW_RELIC_REGION", &["US", "EU"]);
        let api = self.web_url("NEW_RELIC_API_URL");
        missing(&[("NEW_RELIC_API_KEY", key.is_some()), ("NEW_RELIC_ACCOUNT_ID", account.is_some())])?;
        let account = self.number("NEW_RELIC_ACCOUNT_ID", |id: &u64| *id > 0);
        let home = if region == "EU" { "https://api.eu.newrelic.com" } else { "https://api.newrelic.com" };
        let api = self.parsed("NEW_RELIC_API_URL", api.as_deref().unwrap_or(home))?;
        Ok(NewRelic { key: Secret::new(key.unwrap_or_default()), account, api })
    }

    /// The name of a host, which an address is made of.
    fn host(&mut self, name: &str) -> String {
        let host = self.text(name);
        let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        if !is_plain || !host.contains('.') {
            self.mistake(name, &host, accepts(name));
        }
        host
    }

    /// An address, part of which is this setting.
    fn parsed(&mut self, name: &'static str, address: &str) -> Needs<Url> {
        Url::parse(address).map_err(|_| {
            self.mistake(name, "***", accepts(name));
            Missing { names: vec![name], is_begun: true }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Settings};
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Mistakes> {
        let mut given = Given::default();
        pairs.iter().for_each(|(name, value)| given.set(name, value));
        given.settings()
    }

    #[test]
    fn a_source_names_all_that_it_lacks_and_nobody_has_to_set_one_up() {
        let sources = read(&[("AWS_ACCESS_KEY_ID", "AKID"), ("DATADOG_API_KEY", "s3cret")]).expect("settings").sources;
        let lacking = |names: &[&'static str], is_begun| Missing { names: names.to_vec(), is_begun };
        assert_eq!(sources.datadog, Err(lacking(&["DATADOG_APP_KEY"], true)));
        assert_eq!(sources.prometheus, Err(lacking(&["PROMETHEUS_URL"], false)));
        assert_eq!(sources.cloudwatch, Err(lacking(&["AWS_SECRET_ACCESS_KEY", "AWS_REGION"], true)));
        assert_eq!(sources.newrelic, Err(lacking(&["NEW_RELIC_API_KEY", "NEW_RELIC_ACCOUNT_ID"], false)));
        let Mistakes(mistakes) = lacking(&["NEW_RELIC_API_KEY", "NEW_RELIC_ACCOUNT_ID"], false).into();
        let keys: Vec<&str> = mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
        assert_eq!(keys, ["NEW_RELIC_API_KEY", "NEW_RELIC_ACCOUNT_ID"]);
        assert!(mistakes.iter().all(|mistake| !mistake.wanted.is_empty()), "{mistakes:?}");
    }

    #[test]
    fn what_is_set_is_used_and_no_key_is_shown() {
        let right = [
            ("DATADOG_API_KEY", "s3cret"),
            ("DATADOG_APP_KEY", "s3cret"),
            ("DATADOG_SITE", "us5.datadoghq.com"),
            ("PROMETHEUS_URL", "https://ann:s3cret@metrics.example/prom"),
            ("PROMETHEUS_TOKEN", "s3cret"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_SESSION_TOKEN", "s3cret"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_CLOUDWATCH_INSTANCES", "i-1, i-2"),
            ("NEW_RELIC_API_KEY", "s3cret"),
            ("NEW_RELIC_ACCOUNT_ID", "7"),
            ("NEW_RELIC_REGION", "EU"),
            ("SRE_SPACE_METRICS", "system.load.1,nginx.net.conn_opened"),
        ];
        let sources = read(&right).expect("settings").sources;
        assert!(!format!("{sources:?}").contains("s3cret"), "{sources:?}");
        assert_eq!(sources.datadog.expect("set").api.as_str(), "https://api.us5.datadoghq.com/");
        assert_eq!(sources.prometheus.expect("set").step_s, 15);
        let cloudwatch = sources.cloudwatch.expect("set");
        assert_eq!(cloudwatch.endpoint.as_str(), "https://monitoring.eu-central-1.amazonaws.com/");
        assert_eq!((cloudwatch.instances, cloudwatch.period_s), (vec!["i-1".to_owned(), "i-2".to_owned()], 300));
        let newrelic = sources.newrelic.expect("set");
        assert_eq!((newrelic.account, newrelic.api.as_str()), (7, "https://api.eu.newrelic.com/"));
        assert_eq!(sources.metrics, ["system.load.1", "nginx.net.conn_opened"]);
    }

    #[test]
    fn bad_values_are_refused_and_a_password_goes_nowhere_in_the_clear() {
        let wrong = [
            ("DATADOG_SITE", "evil.example/"),
            ("DATADOG_API_URL", "http://datadog.example"),
            ("PROMETHEUS_URL", "http://ann:s3cret@metrics.example"),
            ("PROMETHEUS_STEP_S", "0"),
            ("AWS_CLOUDWATCH_PERIOD_S", "90"),
            ("NEW_RELIC_REGION", "MOON"),
            ("NEW_RELIC_API_KEY", "s3cret"),
            ("NEW_RELIC_ACCOUNT_ID", "ann"),
        ];
        let mistakes = read(&wrong).expect_err("mistakes");
        let keys: Vec<&str> = mistakes.0.iter().map(|mistake| mistake.key.as_str()).collect();
        let expected = [
            "DATADOG_SITE",
            "DATADOG_API_URL",
            "PROMETHEUS_STEP_S",
            "PROMETHEUS_URL",
            "AWS_CLOUDWATCH_PERIOD_S",
            "NEW_RELIC_REGION",
            "NEW_RELIC_ACCOUNT_ID",
        ];
        assert_eq!(keys, expected);
        assert!(!mistakes.to_string().contains("s3cret"), "{mistakes}");
        let open = read(&[("PROMETHEUS_URL", "http://prometheus:9090")]).expect("within a cluster");
        assert_eq!(open.sources.prometheus.expect("set").token, None);
    }
}
