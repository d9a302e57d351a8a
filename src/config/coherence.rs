//! The Data Coherence Engine: where summaries come from, which windows it knows, and where figures are kept.

use std::path::PathBuf;
use std::time::Duration;

use sre_space_coherence::window::Window;
use sre_space_domain::secret::Secret;

use super::{Reader, accepts};

/// Where computed figures are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Nowhere.
    Nowhere,
    /// `rolling_store.csv` in the data folder.
    Csv,
    /// `rolling_store.db` in the data folder.
    Sqlite,
}

/// How Darshan is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Darshan {
    /// Where `/signals/summary` is appended.
    pub base_url: String,
    /// Its bearer token.
    pub api_key: Option<Secret>,
    /// What one request may take.
    pub timeout: Duration,
    /// Rows of a page.
    pub page_size: u32,
    /// Tries after a failure that may pass.
    pub max_retries: u32,
}

/// The engine's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coherence {
    /// Darshan, where it is set.
    pub darshan: Option<Darshan>,
    /// A recording that is used in its place.
    pub mock: Option<PathBuf>,
    /// Windows to offer, at least one; the first is the one that is meant where none is named.
    pub windows: Vec<Window>,
    /// Where figures are kept.
    pub persistence: Persistence,
    /// What `/health` and reports call the version.
    pub engine_version: String,
}

impl Reader<'_> {
    pub(super) fn coherence(&mut self) -> Coherence {
        Coherence {
            darshan: self.darshan(),
            mock: self.optional("MOCK_PATH").map(PathBuf::from),
            windows: self.windows(),
            persistence: match self.one_of("PERSISTENCE", &["none", "csv", "sqlite"]).as_str() {
                "csv" => Persistence::Csv,
                "sqlite" => Persistence::Sqlite,
                _ => Persistence::Nowhere,
            },
            engine_version: self.engine_version(),
        }
    }

    fn darshan(&mut self) -> Option<Darshan> {
        let api_key = self.secret("DARSHAN_API_KEY").map(Secret::new);
        let seconds = self.darshan_number("DARSHAN_TIMEOUT_S", "TIMEOUT_S", 1..=60);
        let page_size = self.darshan_number("DARSHAN_PAGE_SIZE", "PAGE_SIZE", 1..=10_000);
        let max_retries = self.darshan_number("DARSHAN_MAX_RETRIES", "MAX_RETRIES", 0..=10);
        self.optional("DARSHAN_BASE_URL")?;
        // A key travels encrypted, or stays on this machine.
        let base_url = match &api_key {
            Some(_) => self.web_url("DARSHAN_BASE_URL")?,
            None => self.url("DARSHAN_BASE_URL", &["http", "https"]),
        };
        Some(Darshan { base_url, api_key, timeout: Duration::from_secs(seconds.into()), page_size, max_retries })
    }

    /// A number by its name here, or by the bare one of the founding document.
    fn darshan_number(&mut self, name: &str, bare: &str, within: std::ops::RangeInclusive<u32>) -> u32 {
        let given = (self.get)(name).map(|text| (name, text)).or_else(|| (self.get)(bare).map(|text| (bare, text)));
        let (given_as, text) = given.unwrap_or_else(|| (name, self.text(name)));
        match text.parse() {
            Ok(number) if within.contains(&number) => number,
            Ok(_) | Err(_) => {
                self.mistake(given_as, &text, accepts(name));
                *within.start()
            }
        }
    }

    fn windows(&mut self) -> Vec<Window> {
        let text = self.text("DEFAULT_WINDOWS");
        let windows: Result<Vec<Window>, _> = text.split(',').map(|window| window.trim().parse()).collect();
        windows.unwrap_or_else(|_| {
            self.mistake("DEFAULT_WINDOWS", &text, accepts("DEFAULT_WINDOWS"));
            vec![Window::HOUR]
        })
    }

    fn engine_version(&mut self) -> String {
        const LONGEST: usize = 64;
        let text = self.optional("ENGINE_VERSION").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.mistake("ENGINE_VERSION", &text, accepts("ENGINE_VERSION"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Mistakes};
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Coherence, String> {
        let mut given = Given::default();
        pairs.iter().for_each(|(name, value)| given.set(name, value));
        given.settings().map(|settings| settings.coherence).map_err(|mistakes: Mistakes| mistakes.to_string())
    }

    #[test]
    fn without_a_setting_there_is_no_source_and_nothing_is_kept() {
        let expected = Coherence {
            darshan: None,
            mock: None,
            windows: ["1h", "24h"].map(|window| window.parse().expect("a window")).into(),
            persistence: Persistence::Nowhere,
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        assert_eq!(read(&[]), Ok(expected));
    }

    #[test]
    fn darshan_is_set_by_its_names_or_the_bare_ones() {
        let url = ("DARSHAN_BASE_URL", "http://darshan.internal/v1");
        let read =
            |pairs: &[(&str, &str)]| read(&[&[url][..], pairs].concat()).expect("settings").darshan.expect("set");
        let usual = Darshan {
            base_url: "http://darshan.internal/v1".to_owned(),
            api_key: None,
            timeout: Duration::from_secs(10),
            page_size: 1_000,
            max_retries: 3,
        };
        assert_eq!(read(&[]), usual);
        let bare = read(&[("PAGE_SIZE", "500"), ("TIMEOUT_S", "5"), ("MAX_RETRIES", "0")]);
        assert_eq!((bare.page_size, bare.timeout.as_secs(), bare.max_retries), (500, 5, 0));
        assert_eq!(read(&[("PAGE_SIZE", "500"), ("DARSHAN_PAGE_SIZE", "250")]).page_size, 250);
    }

    #[test]
    fn mistakes_are_named_all_at_once_and_the_key_is_never_shown() {
        let wrong = [
            ("DARSHAN_BASE_URL", "http://darshan.example/v1"),
            ("DARSHAN_API_KEY", "s3cret"),
            ("PAGE_SIZE", "0"),
            ("DARSHAN_TIMEOUT_S", "1.5"),
            ("DEFAULT_WINDOWS", "1h,soon"),
            ("PERSISTENCE", "paper"),
            ("ENGINE_VERSION", "0.1 beta"),
        ];
        let mistakes = read(&wrong).expect_err("mistakes");
        for key in
            ["DARSHAN_BASE_URL", "PAGE_SIZE", "DARSHAN_TIMEOUT_S", "DEFAULT_WINDOWS", "PERSISTENCE", "ENGINE_VERSION"]
        {
            assert!(mistakes.contains(&format!("{key}=")), "{key}: {mistakes}");
        }
        assert!(!mistakes.contains("s3cret"), "{mistakes}");
        let url = ("DARSHAN_BASE_URL", "http://darshan.internal/v1");
        let timeout = |seconds| read(&[url, ("DARSHAN_TIMEOUT_S", seconds)]);
        assert!(timeout("60").is_ok() && timeout("61").is_err(), "a whole reading takes 60 s at most");
        let local = [("DARSHAN_BASE_URL", "http://127.0.0.1:9/v1"), ("DARSHAN_API_KEY", "s3cret")];
        assert!(!format!("{:?}", read(&local).expect("settings")).contains("s3cret"));
    }
}
