//! Remedy in, proposal out: pure, so that equal orders on equal files make equal changes.

use std::collections::BTreeMap;

use sre_space_domain::catalogue::{Catalogue, Knob, Patch, ServiceRules};
use sre_space_domain::diagnosis::FaultKind;
use sre_space_domain::ids::Sha;
use sre_space_domain::path::{self, BadPath, MAX_FILES, MAX_LINES};
use sre_space_domain::proposal::{FileChange, KnobValue, Proposal, Remedy, digest};
use thiserror::Error;

use super::Order;
use super::diff::{Pair, unified};
use super::gather::{Inputs, knob, patch_of};
use super::reproduce::{self, Stated};
use super::words::{self, Turn, What};
use crate::catalogue::declares;
use crate::config_file::{self, EditError};
use crate::patch::{self, Unfit};

/// Why there is no proposal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// The owners declare no such service.
    #[error("service {0:?} is not in the catalogue")]
    UnknownService(String),
    /// The owners declare no such knob or patch.
    #[error("{0:?} is not in the catalogue")]
    UnknownKnob(String),
    /// The owners do not offer the knob or patch for this fault.
    #[error("{knob:?} is not offered for {}", fault.as_str())]
    NotOffered {
        /// Knob.
        knob: String,
        /// Fault.
        fault: FaultKind,
    },
    /// The value is of another type, out of bounds, or off the step.
    #[error("{value} is outside what the owners allow for knob {knob:?}")]
    OutOfBounds {
        /// Knob.
        knob: String,
        /// Value.
        value: KnobValue,
    },
    /// The file that should be changed is not there.
    #[error("{0} is not in the repository")]
    MissingFile(String),
    /// The value cannot be set in the file.
    #[error("the knob cannot be turned: {0}")]
    Edit(#[from] EditError),
    /// The commit is not a full object name.
    #[error("{0:?} is not a full commit name")]
    NotACommit(String),
    /// The revert touches a file that is neither a source nor a knob's.
    #[error("{0} is not among the service's sources")]
    Undeclared(String),
    /// The revert touches a file that no machine may write.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// What a model wrote may not be shown to anybody.
    #[error("the source patch does not fit: {0}")]
    Unfit(#[from] Unfit),
    /// Nothing would change.
    #[error("nothing would change")]
    Nothing,
    /// More files than one change may touch.
    #[error("{0} files are more than {MAX_FILES}")]
    TooManyFiles(usize),
    /// More lines than one change may touch.
    #[error("{0} lines are more than {MAX_LINES}")]
    TooManyLines(u32),
}

/// Renders an order on top of `base`, of which `inputs` were gathered.
pub fn render(order: &Order, catalogue: &Catalogue, base: &Sha, inputs: &Inputs) -> Result<Proposal, RenderError> {
    let service = order.remedy.service();
    let rules = catalogue.services.get(service).ok_or_else(|| RenderError::UnknownService(service.to_owned()))?;
    let (changes, what) = match &order.remedy {
        Remedy::TurnKnob { parameters, .. } | Remedy::Scale { parameters, .. } | Remedy::Restart { parameters, .. } => {
            let named = |(name, value): (&'_ String, _)| match knob(catalogue, service, name) {
                Some(knob) if order.remedy.may_turn(knob.kind) => Ok((knob, value)),
                Some(_) | None => Err(RenderError::UnknownKnob(name.clone())),
            };
            let turns: Vec<(&Knob, &KnobValue)> = parameters.iter().map(named).collect::<Result<_, _>>()?;
            turned(&turns, order.fault, inputs)?
        }
        Remedy::ApplyPatch { patch: name, .. } => {
            let patch = patch_of(catalogue, &order.remedy).ok_or_else(|| RenderError::UnknownKnob(name.clone()))?;
            applied(patch, order, inputs)?
        }
        Remedy::Revert { commit, .. } => undone(rules, commit, inputs)?,
        Remedy::SourcePatch { edits, .. } => {
            let by_model = inputs.written.as_ref().ok_or(RenderError::Nothing)?;
            (patch::changes(rules, edits, &by_model.files, &inputs.files)?, What::Written { by_model })
        }
    };
    let stated = reproduce::stated(rules, order, inputs).filter(|_| !changes.is_empty() && changes.len() < MAX_FILES);
    check_paths(&changes)?;
    propose(order, base, inputs, (changes, what), stated)
}

type Rendered<'a> = (Vec<FileChange>, What<'a>);

fn turned<'a>(
    turns: &[(&'a Knob, &'a KnobValue)],
    fault: FaultKind,
    inputs: &Inputs,
) -> Result<Rendered<'a>, RenderError> {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let mut done = Vec::with_capacity(turns.len());
    for (knob, value) in turns {
        if !knob.remedies.contains(&fault) {
            return Err(RenderError::NotOffered { knob: knob.name.clone(), fault });
        }
        if !knob.allows(value) {
            return Err(RenderError::OutOfBounds { knob: knob.name.clone(), value: (*value).clone() });
        }
        let present = files.get(knob.file.as_str()).or_else(|| inputs.files.get(&knob.file));
        let text = present.ok_or_else(|| RenderError::MissingFile(knob.file.clone()))?;
        let edit = config_file::set(&knob.file, text, &knob.path, value)?;
        files.insert(&knob.file, edit.text);
        done.push(Turn { knob, from: edit.from, to: value });
    }
    let change = |(path, text): (&str, String)| FileChange { path: path.to_owned(), contents: Some(text) };
    Ok((files.into_iter().map(change).collect(), What::Turned(done)))
}

fn applied<'a>(patch: &'a Patch, order: &Order, inputs: &Inputs) -> Result<Rendered<'a>, RenderError> {
    if !patch.remedies.contains(&order.fault) {
        return Err(RenderError::NotOffered { knob: patch.name.clone(), fault: order.fault });
    }
    let template = inputs.files.get(&patch.template).ok_or_else(|| RenderError::MissingFile(patch.template.clone()))?;
    let path = patch.target(&inputs.beside);
    let change = FileChange { path, contents: Some(template.replace("{incident}", order.incident.as_str())) };
    Ok((vec![change], What::Applied { patch }))
}

fn undone<'a>(rules: &ServiceRules, commit: &'a Sha, inputs: &Inputs) -> Result<Rendered<'a>, RenderError> {
    if !words::is_full(&commit.0) {
        return Err(RenderError::NotACommit(commit.0.clone()));
    }
    if let Some(stray) = inputs.undo.iter().find(|change| !declares(rules, &change.path)) {
        return Err(RenderError::Undeclared(stray.path.clone()));
    }
    let mut changes = inputs.undo.clone();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((changes, What::Undone { commit }))
}

fn check_paths(changes: &[FileChange]) -> Result<(), RenderError> {
    if changes.len() > MAX_FILES {
        return Err(RenderError::TooManyFiles(changes.len()));
    }
    changes.iter().try_for_each(|change| Ok(path::check(&change.path)?))
}

fn propose(
    order: &Order,
    base: &Sha,
    inputs: &Inputs,
    (mut changes, what): Rendered<'_>,
    stated: Option<Stated>,
) -> Result<Proposal, RenderError> {
    let reproduces = stated.map(|stated| {
        changes.push(stated.change);
        stated.reproduction
    });
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    let before = |change: &FileChange| inputs.files.get(&change.path).map(String::as_str);
    let pairs: Vec<Pair<'_>> = changes.iter().map(|change| Pair::new(change, before(change))).collect();
    let (diff, lines) = unified(&pairs);
    match lines {
        0 => return Err(RenderError::Nothing),
        lines if lines > MAX_LINES => return Err(RenderError::TooManyLines(lines)),
        _small_enough => {}
    }
    Ok(Proposal {
        remedy: order.remedy.clone(),
        trust: order.trust,
        base: base.clone(),
        files: changes.iter().map(|change| change.path.clone()).collect(),
        digest: digest(&order.incident, base, &changes),
        changes,
        diff,
        lines,
        title: words::title(order, &what),
        rationale: words::body(order, &what, reproduces.as_ref()),
        reproduces,
    })
}
