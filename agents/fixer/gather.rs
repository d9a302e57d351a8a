//! Reads what the renderer needs, so that rendering itself can be pure.

use std::collections::BTreeMap;

use sre_space_domain::catalogue::{Catalogue, Knob};
use sre_space_domain::ids::Sha;
use sre_space_domain::path::MAX_FILES;
use sre_space_domain::proposal::{FileChange, Remedy};
use sre_space_ports::forge::{ForgeError, Repository};

/// What the repository holds at the base, as far as one remedy is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Files as they are at the base; one that is not there is not here.
    pub files: BTreeMap<String, String>,
    /// For a revert: the contents that undo the commit.
    pub undo: Vec<FileChange>,
}

/// Reads head and the files that this remedy concerns. Files nobody declared are not read.
pub async fn gather(
    repo: &dyn Repository,
    catalogue: &Catalogue,
    remedy: &Remedy,
) -> Result<(Sha, Inputs), ForgeError> {
    let base = repo.head().await?;
    let undo = match remedy {
        Remedy::Revert { commit, .. } => repo.revert_of(commit, &base).await?,
        Remedy::TurnKnob { .. } => Vec::new(),
    };
    let mut files = BTreeMap::new();
    for path in paths(catalogue, remedy, &undo) {
        match repo.file(&base, &path).await {
            Ok(text) => drop(files.insert(path, text)),
            Err(ForgeError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((base, Inputs { files, undo }))
}

/// The declared knob that a remedy names.
pub(super) fn knob<'catalogue>(
    catalogue: &'catalogue Catalogue,
    service: &str,
    name: &str,
) -> Option<&'catalogue Knob> {
    catalogue.services.get(service)?.knobs.iter().find(|knob| knob.name == name)
}

fn paths(catalogue: &Catalogue, remedy: &Remedy, undo: &[FileChange]) -> Vec<String> {
    match remedy {
        Remedy::TurnKnob { service, knob: name, .. } => {
            knob(catalogue, service, name).map(|knob| knob.file.clone()).into_iter().collect()
        }
        // The renderer refuses the rest before it looks at a file.
        Remedy::Revert { .. } => undo.iter().take(MAX_FILES).map(|change| change.path.clone()).collect(),
    }
}
