//! Reads what the renderer needs, so that rendering itself can be pure.

use std::collections::BTreeMap;

use sre_space_domain::catalogue::{Catalogue, Knob, Patch};
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::Sha;
use sre_space_domain::patch::SourcePatch;
use sre_space_domain::path::MAX_FILES;
use sre_space_domain::proposal::{FileChange, Remedy};
use sre_space_ports::forge::{ForgeError, Repository};

/// What the repository holds at the base, as far as one remedy is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Files as they are at the base; one that is not there is not here.
    pub files: BTreeMap<String, String>,
    /// For a patch: names of the files that its new file will lie beside.
    pub beside: Vec<String>,
    /// For a revert: the contents that undo the commit.
    pub undo: Vec<FileChange>,
    /// For a source patch: what a model wrote. It is in no repository, so whoever gathers adds it.
    pub written: Option<SourcePatch>,
}

/// Reads head and the files that this remedy concerns. Files nobody declared are not read.
pub async fn gather(
    repo: &dyn Repository,
    catalogue: &Catalogue,
    remedy: &Remedy,
    fault: FaultKind,
) -> Result<(Sha, Inputs), ForgeError> {
    let base = repo.head().await?;
    let undo = match remedy {
        Remedy::Revert { commit, .. } => repo.revert_of(commit, &base).await?,
        Remedy::TurnKnob { .. }
        | Remedy::Scale { .. }
        | Remedy::Restart { .. }
        | Remedy::ApplyPatch { .. }
        | Remedy::SourcePatch { .. } => Vec::new(),
    };
    let beside = match patch_of(catalogue, remedy) {
        Some(patch) => repo.list(&base, patch.folder()).await?,
        None => Vec::new(),
    };
    let mut files = BTreeMap::new();
    let check = catalogue.services.get(remedy.service()).and_then(|rules| rules.check_of(fault));
    for path in paths(catalogue, remedy, &undo).into_iter().chain(check.map(|check| check.template.clone())) {
        match repo.file(&base, &path).await {
            Ok(text) => drop(files.insert(path, text)),
            Err(ForgeError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((base, Inputs { files, beside, undo, written: None }))
}

/// The declared knob that a remedy names.
pub(super) fn knob<'catalogue>(
    catalogue: &'catalogue Catalogue,
    service: &str,
    name: &str,
) -> Option<&'catalogue Knob> {
    catalogue.services.get(service)?.knobs.iter().find(|knob| knob.name == name)
}

/// The declared patch that a remedy names.
pub(super) fn patch_of<'catalogue>(catalogue: &'catalogue Catalogue, remedy: &Remedy) -> Option<&'catalogue Patch> {
    let Remedy::ApplyPatch { service, patch: name } = remedy else { return None };
    catalogue.services.get(service)?.patches.iter().find(|patch| patch.name == *name)
}

fn paths(catalogue: &Catalogue, remedy: &Remedy, undo: &[FileChange]) -> Vec<String> {
    match remedy {
        Remedy::TurnKnob { service, parameters }
        | Remedy::Scale { service, parameters }
        | Remedy::Restart { service, parameters } => {
            let files = parameters.keys().filter_map(|name| knob(catalogue, service, name));
            files.map(|knob| knob.file.clone()).collect()
        }
        Remedy::ApplyPatch { .. } => {
            patch_of(catalogue, remedy).map(|patch| patch.template.clone()).into_iter().collect()
        }
        // The renderer refuses the rest before it looks at a file.
        Remedy::Revert { .. } => undo.iter().take(MAX_FILES).map(|change| change.path.clone()).collect(),
        Remedy::SourcePatch { edits, .. } => edits.keys().take(MAX_FILES).cloned().collect(),
    }
}
