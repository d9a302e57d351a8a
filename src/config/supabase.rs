//! Signals: the Supabase project that may keep them, and how often they are looked at.

use std::time::Duration;

use sre_space_domain::secret::Secret;

use super::Reader;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supabase {
    /// Its URL.
    pub url: String,
    /// The key to work with.
    pub key: Secret,
}

impl Reader<'_> {
    /// Seconds between two looks at signals, or off.
    pub(super) fn look_every(&mut self) -> Option<Duration> {
        if self.text("SRE_SPACE_LOOK_EVERY_S") == "off" {
            return None;
        }
        Some(Duration::from_secs(self.number("SRE_SPACE_LOOK_EVERY_S", |n: &u64| (10..=86_400).contains(n))))
    }

    /// Both settings or none: one alone is a mistake that names the other.
    pub(super) fn supabase(&mut self) -> Option<Supabase> {
        let is_set = self.secret("SUPABASE_URL").is_some();
        match (self.web_url("SUPABASE_URL"), self.secret("SUPABASE_KEY")) {
            (Some(url), Some(key)) => Some(Supabase { url, key: Secret::new(key) }),
            (Some(_), None) => {
                self.mistake("SUPABASE_KEY", "", "the key of the project at SUPABASE_URL");
                None
            }
            (None, Some(_)) if !is_set => {
                self.mistake("SUPABASE_URL", "", "the URL of the project that SUPABASE_KEY belongs to");
                None
            }
            (None, Some(_) | None) => None,
        }
    }
}
