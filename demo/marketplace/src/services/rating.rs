//! Asking the rating provider: how long to wait, when to stop asking, and what to do without an answer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::http::StatusCode;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use reqwest::Method;
use serde::{Deserialize, Deserializer};

use super::rating_provider::Rating;
use crate::http::{Failure, call, client};

/// Failures in a row that open the breaker, and how long it stays open before one request tries again.
const MOST_FAILURES: u32 = 5;
const OPEN: Duration = Duration::from_secs(2);
/// Factor of a quote that could not be rated.
const STANDARD: i64 = 100;

/// `rating:` of the quote engine's configuration.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    #[serde(deserialize_with = "duration")]
    timeout: Duration,
    breaker: bool,
    fallback: Fallback,
    #[serde(default)]
    retry: Retry,
}

/// When a rating is asked for again, and how often. Unset, it never is.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Retry {
    #[serde(deserialize_with = "duration")]
    after: Duration,
    most: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { after: Duration::from_secs(3_600), most: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fallback {
    None,
    Standard,
}

/// The provider, as the engine sees it.
pub struct Provider {
    settings: Settings,
    url: String,
    client: reqwest::Client,
    breaker: Mutex<Breaker>,
}

#[derive(Default)]
struct Breaker {
    failures: u32,
    closed_from: Option<Instant>,
}

impl Provider {
    /// The provider at a base URL.
    pub fn new(settings: Settings, url: String) -> Result<Self> {
        let client = client().timeout(settings.timeout);
        Ok(Self { settings, url, client: client.build()?, breaker: Mutex::default() })
    }

    /// A region's rating, or the fallback where one is configured.
    pub async fn rate(&self, region: &str) -> Result<Rating, Failure> {
        let rated = if self.may_ask() { self.ask(region).await } else { Err(open()) };
        match (rated, self.settings.fallback) {
            (Err(_), Fallback::Standard) => Ok(Rating { factor: STANDARD }),
            (rated, Fallback::Standard | Fallback::None) => rated,
        }
    }

    async fn ask(&self, region: &str) -> Result<Rating, Failure> {
        let rated = self.first_answer(&format!("{}/rate?region={region}", self.url)).await;
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        if rated.is_ok() {
            *breaker = Breaker::default();
        } else {
            breaker.failures += 1;
            if breaker.failures >= MOST_FAILURES {
                breaker.closed_from = Some(Instant::now() + OPEN);
            }
        }
        rated
    }

    /// Asks, and asks again each time the answer is late; the first answer counts, and nobody waits for the others.
    async fn first_answer(&self, url: &str) -> Result<Rating, Failure> {
        let ask = || call(&self.client, Method::GET, url, None::<&()>);
        let mut asked = FuturesUnordered::from_iter([ask()]);
        for _ in 0..self.settings.retry.most {
            match tokio::time::timeout(self.settings.retry.after, asked.next()).await {
                Ok(Some(answer)) => return answer,
                Ok(None) | Err(_) => asked.push(ask()),
            }
        }
        match asked.next().await {
            Some(answer) => answer,
            None => ask().await,
        }
    }

    /// Once the open time is over one request tries; the others wait for how it fares.
    fn may_ask(&self) -> bool {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        match breaker.closed_from {
            Some(_) if !self.settings.breaker => true,
            Some(from) if Instant::now() < from => false,
            Some(_) => {
                breaker.closed_from = Some(Instant::now() + OPEN);
                true
            }
            None => true,
        }
    }
}

fn open() -> Failure {
    Failure { status: StatusCode::BAD_GATEWAY, kind: "BreakerOpen", message: "the rating provider is not asked".into() }
}

/// `650ms` or `5s`.
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parsed(&text).map_err(serde::de::Error::custom)
}

fn parsed(text: &str) -> Result<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').with_context(|| format!("{text:?} is no time such as 650ms or 5s"))?, 1_000),
    };
    let number: u64 = number.parse().with_context(|| format!("{text:?} is no time such as 650ms or 5s"))?;
    Ok(Duration::from_millis(number.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(parsed("650ms").expect("a time"), Duration::from_millis(650));
        assert_eq!(parsed("5s").expect("a time"), Duration::from_secs(5));
        for wrong in ["5", "s", "ms", "-1s", "5 s", "5m"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn without_an_answer_the_breaker_opens_and_the_fallback_quotes() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let settings = Settings {
            timeout: Duration::from_millis(20),
            breaker: true,
            fallback: Fallback::Standard,
            retry: Retry::default(),
        };
        let provider = Provider::new(settings, url).expect("a provider");
        for _ in 0..MOST_FAILURES {
            assert!(provider.may_ask());
            assert_eq!(provider.rate("north").await.expect("the fallback").factor, STANDARD);
        }
        assert!(!provider.may_ask(), "it is not asked any more");
        assert_eq!(provider.rate("north").await.expect("the fallback").factor, STANDARD);
    }

    /// A provider that takes connections and says nothing: how often it is asked for one rating, with so many retries.
    async fn asked(most: u32) -> usize {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let retry = Retry { after: Duration::from_millis(20), most };
        let (timeout, breaker, fallback) = (Duration::from_millis(400), false, Fallback::Standard);
        let provider = Provider::new(Settings { timeout, breaker, fallback, retry }, url).expect("a provider");
        let mut taken = Vec::new();
        let accept = async {
            loop {
                taken.push(listener.accept().await.expect("a connection"));
            }
        };
        tokio::select! {
            () = accept => {}
            rated = provider.rate("north") => assert_eq!(rated.expect("the fallback").factor, STANDARD),
        }
        taken.len()
    }

    #[tokio::test]
    async fn a_late_rating_is_asked_for_again_as_often_as_it_may_be() {
        assert_eq!((asked(0).await, asked(2).await), (1, 3));
        assert!(asked(100).await > 5);
    }
}
