//! Where the watched repository is, and as whom it is worked in.

use sre_space_domain::secret::Secret;

use super::{Reader, accepts};

/// The forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forge {
    /// A bare git repository beside us, `SRE_SPACE_REPO`.
    Local,
    /// GitHub.
    Github {
        /// Root of the API.
        api_url: String,
        /// `owner/name`.
        repository: String,
        /// As whom.
        credentials: Credentials,
    },
}

/// As whom GitHub is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token.
    Token(Secret),
    /// An App.
    App {
        /// Its id.
        id: String,
        /// Its private key, PEM.
        key: Secret,
    },
}

impl Reader<'_> {
    pub(super) fn forge(&mut self) -> Forge {
        match self.one_of("SRE_SPACE_FORGE", &["local", "github"]).as_str() {
            "github" => Forge::Github {
                api_url: self.github_url(),
                repository: self.github_repository(),
                credentials: self.github_credentials(),
            },
            _ => Forge::Local,
        }
    }

    /// A token is not sent in the clear, except to this machine.
    fn github_url(&mut self) -> String {
        let url = self.text("GITHUB_API_URL");
        let host = |rest: &str| rest.split(['/', ':']).next().unwrap_or_default().to_owned();
        let is_fine = match url.split_once("://") {
            Some(("https", rest)) => !host(rest).is_empty() && !rest.contains('@'),
            Some(("http", rest)) => ["127.0.0.1", "localhost"].contains(&host(rest).as_str()),
            _ => false,
        };
        if !is_fine {
            self.mistake("GITHUB_API_URL", "***", accepts("GITHUB_API_URL"));
        }
        url
    }

    fn github_repository(&mut self) -> String {
        let name = self.text("GITHUB_REPOSITORY");
        let plain = |part: &str| {
            let letters = part.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
            letters && !part.is_empty() && !part.chars().all(|letter| letter == '.')
        };
        if !name.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name)) {
            self.mistake("GITHUB_REPOSITORY", &name, accepts("GITHUB_REPOSITORY"));
        }
        name
    }

    /// An App before a token: hosted platforms set tokens of their own.
    fn github_credentials(&mut self) -> Credentials {
        if let Some(id) = self.optional("GITHUB_APP_ID") {
            let key = self.secret("GITHUB_APP_PRIVATE_KEY").unwrap_or_default();
            if key.is_empty() {
                self.mistake("GITHUB_APP_PRIVATE_KEY", "", accepts("GITHUB_APP_PRIVATE_KEY"));
            }
            return Credentials::App { id, key: Secret::new(key) };
        }
        let token = self.secret("GITHUB_TOKEN").or_else(|| self.secret("GITHUB_PERSONAL_ACCESS_TOKEN"));
        if token.is_none() {
            self.mistake("GITHUB_TOKEN", "", "a token, or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY");
        }
        Credentials::Token(Secret::new(token.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Mistakes, Settings};
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Mistakes> {
        let mut given = Given::default();
        pairs.iter().for_each(|(name, value)| given.set(name, value));
        given.settings()
    }

    #[test]
    fn all_that_github_takes_is_asked_for_at_once() {
        let Mistakes(mistakes) = read(&[("SRE_SPACE_FORGE", "github"), ("GITHUB_API_URL", "http://example.org")])
            .expect_err("three mistakes");
        let keys: Vec<&str> = mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
        assert_eq!(keys, ["GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN"]);
    }

    #[test]
    fn an_app_goes_before_a_token_and_neither_is_shown() {
        let pairs = [
            ("SRE_SPACE_FORGE", "github"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_TOKEN", "ghp_s3cret"),
            ("GITHUB_APP_ID", "7"),
            ("GITHUB_APP_PRIVATE_KEY", "s3cret"),
        ];
        let forge = read(&pairs).expect("settings").forge;
        let credentials = Credentials::App { id: "7".to_owned(), key: Secret::new("s3cret".to_owned()) };
        let (api_url, repository) = ("https://api.github.com".to_owned(), "acme/shop".to_owned());
        assert_eq!(forge, Forge::Github { api_url, repository, credentials });
        assert!(!format!("{forge:?}").contains("s3cret"), "{forge:?}");
    }
}
