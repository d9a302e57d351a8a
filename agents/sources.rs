//! Files of the owners' sources that a model may be shown, read from the repository: those of the newest changes first, then by
//! name.
//!
//! A folder's files are those right in it; of what lies deeper only what changed lately is found.

use std::collections::BTreeSet;

use sre_space_domain::catalogue::ServiceRules;
use sre_space_domain::ids::Sha;
use sre_space_domain::patch::{SourceFile, may_show};
use sre_space_domain::path::{self, MAX_FILES};
use sre_space_ports::forge::{ForgeError, Repository};

use crate::catalogue::is_source;

/// Changes that are looked at.
const MOST_CHANGES: usize = 200;
/// Files that are read at most: a repository may hold any number that cannot be shown.
const MOST_READ: usize = 24;

/// What a private key begins with, in PEM.
const KEY_MARK: &str = "PRIVATE KEY-----";

/// As many declared files as may be shown, as they are at `head`. What is no text, or too large, is left out.
///
/// # Errors
/// [`ForgeError`] when the repository cannot be read.
pub async fn shown(
    repository: &dyn Repository,
    head: &Sha,
    rules: &ServiceRules,
) -> Result<Vec<SourceFile>, ForgeError> {
    let mut shown = Vec::new();
    for path in candidates(repository, head, rules).await?.into_iter().take(MOST_READ) {
        match repository.file(head, &path).await {
            Ok(text) if !text.contains(KEY_MARK) && may_show(&shown, &text) => shown.push(SourceFile { path, text }),
            // Gone since, or no text.
            Ok(_) | Err(ForgeError::Missing(_) | ForgeError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        if shown.len() == MAX_FILES {
            break;
        }
    }
    Ok(shown)
}

/// Declared files in the order of choice, each once.
async fn candidates(repository: &dyn Repository, head: &Sha, rules: &ServiceRules) -> Result<Vec<String>, ForgeError> {
    let mut all = Vec::new();
    for mut change in repository.log(MOST_CHANGES).await? {
        change.files.sort();
        all.append(&mut change.files);
    }
    let mut named = BTreeSet::new();
    for folder in rules.sources.iter().map(|source| folder(source)).collect::<BTreeSet<_>>() {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        named.extend(repository.list(head, folder).await?.into_iter().map(|name| format!("{prefix}{name}")));
    }
    all.extend(named);
    let mut seen = BTreeSet::new();
    all.retain(|file| {
        path::check(file).is_ok() && is_source(rules, file) && !is_secret(file) && seen.insert(file.clone())
    });
    Ok(all)
}

/// Whether a file is named like one that holds secrets: no declaration lets it be shown to somebody else's server.
fn is_secret(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let is_key = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore"].iter().any(|end| name.ends_with(end));
    is_key || name.starts_with(".env") || name.contains("secret") || name.contains("credential")
}

/// The folder a pattern begins in: its parts before the first that is more than a name.
fn folder(source: &str) -> &str {
    let plain = source.split(|c| "*?[]{}!\\".contains(c)).next().unwrap_or_default();
    plain.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests;
