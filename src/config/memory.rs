//! The incident memory: where lessons are kept, and what makes vectors of them.

use std::path::PathBuf;

use sre_space_domain::seal::SealKey;
use sre_space_domain::secret::Secret;

use super::{Reader, accepts, default};

const FILES: &str = "SRE_SPACE_EMBEDDING_FILES";
const WITHOUT: &str = "it takes a build with `--features local-embedder`, which this is not; leave it out for the built-in \
                       embedder, or set OPENAI_BASE_URL and OPENAI_EMBEDDING_MODEL to a server that has a model";

/// The incident memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// The server that keeps it; `None` when it lies beside the journal.
    pub qdrant: Option<Qdrant>,
    /// What makes vectors.
    pub embeddings: Embeddings,
    /// What lessons are sealed with, as hexadecimal digits; `None` for the file in the data folder.
    pub key: Option<Secret>,
}

/// A Qdrant server.
#[derive(Debug, Clone, PartialEq)]
pub struct Qdrant {
    /// URL of its gRPC port.
    pub url: String,
    /// Its key, where it wants one.
    pub api_key: Option<Secret>,
}

/// What makes vectors of texts.
#[derive(Debug, Clone, PartialEq)]
pub enum Embeddings {
    /// The built-in embedder.
    Lexical,
    /// A sentence model in this process, of the files in a folder.
    Files(PathBuf),
    /// An OpenAI-compatible endpoint.
    Remote {
        /// Base URL, without `/embeddings`.
        base_url: String,
        /// Key, where one is wanted.
        api_key: Option<Secret>,
        /// Model.
        model: String,
    },
}

impl Reader<'_> {
    pub(super) fn memory(&mut self) -> Memory {
        let api_key = self.secret("QDRANT_API_KEY").map(Secret::new);
        let is_set = self.optional("QDRANT_URL").is_some() || (self.get)("QDRANT_URL_FILE").is_some();
        let qdrant = is_set.then(|| Qdrant { url: self.url("QDRANT_URL", &["http", "https"]), api_key });
        let key = self.secret("SRE_SPACE_MEMORY_KEY");
        if key.as_deref().is_some_and(|key| SealKey::try_from(key).is_err()) {
            self.mistake("SRE_SPACE_MEMORY_KEY", "***", accepts("SRE_SPACE_MEMORY_KEY"));
        }
        Memory { qdrant, embeddings: self.embeddings(), key: key.map(Secret::new) }
    }

    fn embeddings(&mut self) -> Embeddings {
        let remote = self.optional("OPENAI_EMBEDDING_MODEL").map(|model| self.remote(model));
        let Some(folder) = self.optional(FILES) else { return remote.unwrap_or(Embeddings::Lexical) };
        if !cfg!(feature = "local-embedder") {
            self.mistake(FILES, &folder, WITHOUT);
        } else if remote.is_some() {
            self.mistake(FILES, &folder, "set this or OPENAI_EMBEDDING_MODEL, not both: vectors are of one kind");
        }
        Embeddings::Files(folder.into())
    }

    fn remote(&mut self, model: String) -> Embeddings {
        let api_key = self.secret("OPENAI_API_KEY").map(Secret::new);
        let base_url = self.base_url(api_key.is_some());
        let openai = default("OPENAI_BASE_URL");
        if base_url == openai && api_key.is_none() {
            let wanted = format!("with OPENAI_API_KEY for {openai}, or with OPENAI_BASE_URL for another server");
            self.mistake("OPENAI_EMBEDDING_MODEL", &model, &wanted);
        }
        Embeddings::Remote { base_url, api_key, model }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Given;

    fn memory(set: &[(&str, &str)]) -> Result<Memory, String> {
        let mut given = Given::default();
        set.iter().for_each(|(name, value)| given.set(name, value));
        given.settings().map(|settings| settings.memory).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn nothing_set_is_the_embedded_memory_with_the_built_in_embedder() {
        let embedded = Memory { qdrant: None, embeddings: Embeddings::Lexical, key: None };
        assert_eq!(memory(&[]), Ok(embedded));
    }

    #[test]
    fn servers_are_named_and_their_keys_are_not_shown() {
        let key = "ab".repeat(32);
        let set = [
            ("QDRANT_URL", "http://127.0.0.1:6334"),
            ("QDRANT_API_KEY", "s3cret"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:18002/v1"),
            ("OPENAI_EMBEDDING_MODEL", "e5"),
            ("OPENAI_API_KEY", "s3cret"),
            ("SRE_SPACE_MEMORY_KEY", key.as_str()),
        ];
        let found = memory(&set).expect("settings");
        let secret = || Some(Secret::new("s3cret"));
        let (base_url, model) = ("http://127.0.0.1:18002/v1".to_owned(), "e5".to_owned());
        let expected = Memory {
            qdrant: Some(Qdrant { url: "http://127.0.0.1:6334".into(), api_key: secret() }),
            embeddings: Embeddings::Remote { base_url, api_key: secret(), model },
            key: Some(Secret::new(key.clone())),
        };
        assert_eq!(found, expected);
        let shown = format!("{found:?}");
        assert!(!shown.contains("s3cret") && !shown.contains(&key), "{shown}");
    }

    #[test]
    fn the_key_of_an_endpoint_travels_encrypted_or_within_this_machine() {
        let told = |url| {
            memory(&[("OPENAI_EMBEDDING_MODEL", "e5"), ("OPENAI_API_KEY", "s3cret"), ("OPENAI_BASE_URL", url)]).err()
        };
        assert_eq!(
            [told("https://models.example/v1"), told("http://127.0.0.1:18002/v1"), told("")],
            [None, None, None]
        );
        assert!(told("http://models.example/v1").is_some_and(|told| told.contains("OPENAI_BASE_URL")));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let set = [
            ("QDRANT_URL", "127.0.0.1:6334"),
            ("OPENAI_EMBEDDING_MODEL", "text-embedding-3-small"),
            ("SRE_SPACE_MEMORY_KEY", "s3cret"),
            ("SRE_SPACE_EMBEDDING_FILES", "models"),
        ];
        let told = memory(&set).expect_err("mistakes");
        for (key, _) in set {
            assert!(told.contains(key), "{key}: {told}");
        }
        assert!(!told.contains("s3cret"), "{told}");
    }

    #[test]
    fn a_model_in_this_process_takes_a_build_that_has_one() {
        let found = memory(&[("SRE_SPACE_EMBEDDING_FILES", "models")]);
        if cfg!(feature = "local-embedder") {
            let expected = Memory { qdrant: None, embeddings: Embeddings::Files("models".into()), key: None };
            assert_eq!(found, Ok(expected));
        } else {
            let told = found.expect_err("refused");
            assert!(told.contains("--features local-embedder"), "{told}");
        }
    }
}
