//! The model: where it is, how it is asked, what it may cost.

use std::net::IpAddr;

use sre_space_domain::budget::{Bound, Limits, Prices};
use sre_space_domain::secret::Secret;

use super::{Reader, accepts, default};

/// Budgets of the cloud profile where nothing is said.
const TOKENS_PER_INCIDENT: u64 = 60_000;
const TOKENS_PER_DAY: u64 = 600_000;

/// The model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Up to and with the version.
    pub base_url: String,
    /// Bearer key.
    pub key: Option<Secret>,
    /// Its name.
    pub name: String,
    /// Questions that may be out at once; `None`: any number.
    pub concurrency: Option<usize>,
    /// Budgets.
    pub limits: Limits,
    /// Prices.
    pub prices: Prices,
    /// Most tokens of an answer.
    pub answer_tokens: u32,
    /// Whether it may be sent files of the owners' sources, for a patch that a person merges.
    pub patches: bool,
}

impl Model {
    /// What to know where nothing bounds what it costs.
    pub fn unbounded(&self) -> Option<String> {
        let settings = "SRE_SPACE_LLM_TOKENS_PER_DAY or SRE_SPACE_LLM_USD_PER_DAY";
        let note = || format!("nothing bounds what {} may cost in a day: {settings} does", self.name);
        (self.limits.day == Bound::default()).then(note)
    }
}

impl Reader<'_> {
    pub(super) fn model(&mut self) -> Option<Model> {
        let name = self.optional("OPENAI_MODEL")?;
        let key = self.secret("OPENAI_API_KEY").map(Secret::new);
        let base_url = self.base_url(key.is_some());
        if key.is_none() && self.is_usual("OPENAI_BASE_URL") {
            self.mistake("OPENAI_MODEL", &name, "together with OPENAI_API_KEY, or OPENAI_BASE_URL of a local server");
        }
        let prices = Prices {
            input: self.number("SRE_SPACE_LLM_USD_PER_MTOK_IN", is_price),
            output: self.number("SRE_SPACE_LLM_USD_PER_MTOK_OUT", is_price),
        };
        Some(Model {
            base_url,
            key,
            name,
            concurrency: self.concurrency(),
            limits: self.limits(prices),
            prices,
            answer_tokens: self.number("SRE_SPACE_LLM_ANSWER_TOKENS", |n: &u32| (64..=32_768).contains(n)),
            patches: self.one_of("SRE_SPACE_SOURCE_PATCHES", &["on", "off"]) == "on",
        })
    }

    /// Where a server like OpenAI's is. A key travels encrypted, or not at all.
    pub(super) fn base_url(&mut self, has_key: bool) -> String {
        let url = if self.is_usual("OPENAI_BASE_URL") {
            default("OPENAI_BASE_URL").to_owned()
        } else {
            self.text("OPENAI_BASE_URL")
        };
        let host = |rest: &str| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
        };
        let is_good = match url.split_once("://") {
            Some(("https", rest)) => !host(rest).is_empty(),
            Some(("http", rest)) => !host(rest).is_empty() && (!has_key || is_loopback(&host(rest))),
            Some(_) | None => false,
        };
        if !is_good {
            self.mistake("OPENAI_BASE_URL", &super::without_password(&url), accepts("OPENAI_BASE_URL"));
        }
        url
    }

    /// Compose files hand on what is not set as empty.
    fn is_usual(&self, name: &str) -> bool {
        (self.get)(name).is_none_or(|text| text.is_empty())
    }

    fn is_cloud(&self) -> bool {
        (self.get)("SRE_SPACE_PROFILE").or_else(|| (self.get)("ENV")).as_deref() == Some("cloud")
    }

    fn concurrency(&mut self) -> Option<usize> {
        let usual = self.is_cloud().then_some(1);
        self.bound("LLM_CONCURRENCY", usual, |text| text.parse().ok().filter(|count| (1..=1_000).contains(count)))
    }

    fn limits(&mut self, prices: Prices) -> Limits {
        let cloud = |most| self.is_cloud().then_some(most);
        let (incident, day) = (cloud(TOKENS_PER_INCIDENT), cloud(TOKENS_PER_DAY));
        let tokens = |text: &str| text.parse::<u64>().ok();
        Limits {
            incident: Bound {
                tokens: self.bound("SRE_SPACE_LLM_TOKENS_PER_INCIDENT", incident, tokens),
                micro_usd: self.money("SRE_SPACE_LLM_USD_PER_INCIDENT", prices),
            },
            day: Bound {
                tokens: self.bound("SRE_SPACE_LLM_TOKENS_PER_DAY", day, tokens),
                micro_usd: self.money("SRE_SPACE_LLM_USD_PER_DAY", prices),
            },
        }
    }

    /// A bound of money means nothing while everything is free.
    fn money(&mut self, name: &str, prices: Prices) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
        let micro_usd = |text: &str| {
            let usd: f64 = text.parse().ok()?;
            (0.0..1e9).contains(&usd).then(|| (usd * 1e6).floor() as u64)
        };
        self.bound(name, None, |text| micro_usd(text).filter(|_| prices != Prices::default()))
    }

    /// A number, `off`, or what is usual where nothing is said.
    fn bound<T>(&mut self, name: &str, usual: Option<T>, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name);
        match text.as_str() {
            "" => usual,
            "off" => None,
            number => {
                let parsed = parse(number);
                if parsed.is_none() {
                    self.mistake(name, number, accepts(name));
                }
                parsed
            }
        }
    }
}

fn is_price(usd: &f64) -> bool {
    (0.0..=1e6).contains(usd)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside);
    let name = bare.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Mistakes};
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Model>, Vec<String>> {
        let mut given = Given::default();
        pairs.iter().for_each(|(name, value)| given.set(name, value));
        let keys =
            |Mistakes(mistakes)| mistakes.into_iter().map(|mistake: super::super::Mistake| mistake.key).collect();
        given.settings().map(|settings| settings.model).map_err(keys)
    }

    #[test]
    fn no_model_is_asked_until_one_is_named() {
        assert_eq!(read(&[("OPENAI_API_KEY", "s3cret")]), Ok(None));
        for pairs in [&[("OPENAI_MODEL", "m")][..], &[("OPENAI_MODEL", "m"), ("OPENAI_BASE_URL", "")]] {
            assert_eq!(read(pairs), Err(vec!["OPENAI_MODEL".to_owned()]), "{pairs:?}");
        }
        let local = read(&[("OPENAI_MODEL", "m"), ("OPENAI_BASE_URL", "http://ollama:11434/v1")]);
        let local = local.expect("settings").expect("a model");
        assert_eq!((local.concurrency, local.limits), (None, Limits::default()));
        assert!(local.unbounded().expect("a note").contains("nothing bounds what m may cost"));
    }

    #[test]
    fn in_the_cloud_there_are_bounds_and_they_can_be_lifted() {
        let key = [("OPENAI_MODEL", "m"), ("OPENAI_API_KEY", "s3cret"), ("SRE_SPACE_PROFILE", "cloud")];
        let model = read(&key).expect("settings").expect("a model");
        let tokens = |tokens| Bound { tokens: Some(tokens), micro_usd: None };
        assert_eq!(model.limits, Limits { incident: tokens(60_000), day: tokens(600_000) });
        assert_eq!((model.concurrency, model.unbounded()), (Some(1), None));
        assert!(!format!("{model:?}").contains("s3cret"));
        let lifted = [("SRE_SPACE_LLM_TOKENS_PER_DAY", "off"), ("LLM_CONCURRENCY", "4")];
        let model = read(&[&key[..], &lifted].concat()).expect("settings").expect("a model");
        assert_eq!((model.limits.day, model.concurrency), (Bound::default(), Some(4)));
    }

    #[test]
    fn money_needs_prices_and_a_key_needs_encryption() {
        let base = [("OPENAI_MODEL", "m"), ("OPENAI_API_KEY", "s3cret"), ("SRE_SPACE_LLM_USD_PER_DAY", "0.5")];
        let one = |key: &str| Err(vec![key.to_owned()]);
        assert_eq!(read(&base), one("SRE_SPACE_LLM_USD_PER_DAY"));
        let priced = [&base[..], &[("SRE_SPACE_LLM_USD_PER_MTOK_IN", "0.15")]].concat();
        let model = read(&priced).expect("settings").expect("a model");
        assert_eq!(model.limits.day, Bound { tokens: None, micro_usd: Some(500_000) });
        for (url, is_good) in [
            ("http://models.example/v1", false),
            ("http://127.0.0.1:11434/v1", true),
            ("http://[::1]:8000/v1", true),
            ("http://localhost.evil.example/v1", false),
            ("http://127.0.0.1@evil.example/v1", false),
            ("ftp://127.0.0.1/", false),
            ("https://models.example/v1", true),
        ] {
            let read = read(&[&priced[..], &[("OPENAI_BASE_URL", url)]].concat());
            assert_eq!(read.is_ok(), is_good, "{url}: {read:?}");
        }
    }
}
