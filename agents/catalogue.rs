//! Reads `.sre-space.yaml`, strictly: what the owners did not clearly say, they did not say.
//!
//! The words are [`sre_space_domain::catalogue`]'s. A file with one mistake is refused as a whole, because a rule that
//! is skipped in silence is worse than none.

use globset::{Glob, GlobBuilder, GlobMatcher};
use sre_space_domain::catalogue::{Catalogue, Check, Knob, KnobType, Patch, ServiceRules};
use sre_space_domain::path::{self, BadPath};
use thiserror::Error;

/// Where the file lies in a watched repository.
pub const FILE: &str = ".sre-space.yaml";

/// Why the owners' file is refused.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// It does not parse, or has a key nobody knows.
    #[error(".sre-space.yaml cannot be read: {0}")]
    Unreadable(#[source] Box<serde_saphyr::Error>),
    /// It is written for another version of us.
    #[error("version {0} of .sre-space.yaml is not known; 1 is")]
    Version(u32),
    /// A service's rules contradict themselves.
    #[error("service {service:?}: {mistake}")]
    Service {
        /// Service.
        service: String,
        /// What is wrong with it.
        mistake: Mistake,
    },
}

/// A rule that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mistake {
    /// Names end up in branches, titles and policies.
    #[error("{0:?} is not a plain name")]
    Name(String),
    /// Two knobs share a name.
    #[error("two knobs are called {0:?}")]
    Twice(String),
    /// The knob's file must not be written.
    #[error("knob {0:?}: {1}")]
    File(String, BadPath),
    /// The dotted path has an empty or odd component.
    #[error("knob {0:?}: {1:?} is not a dotted path")]
    Path(String, String),
    /// A number without both bounds, `min` above `max`, a step below 1 or off the bounds; a switch with any of them; an enum
    /// without two plain words.
    #[error(
        "knob {0:?}: an int, duration or replicas needs min <= max, both multiples of a step of at least 1; an enum needs at least two \
         values, each a plain word; a bool or restart has none of these"
    )]
    Bounds(String),
    /// The patch's template or target must not be what it is.
    #[error("patch {0:?}: {1}")]
    Patch(String, BadPath),
    /// The check's template or target must not be what it is.
    #[error("check {0:?}: {1}")]
    Check(String, BadPath),
    /// The check's file would be the same for every incident.
    #[error("check {0:?}: `into` needs {{incident}} in it, or a later incident would overwrite an earlier one's check")]
    OneForAll(String),
    /// Two checks share a name.
    #[error("two checks are called {0:?}")]
    CheckTwice(String),
    /// A pattern that does not compile.
    #[error("source {0:?} is not a pattern")]
    Source(String),
    /// `vouched` names no remedy.
    #[error("vouched for {0:?}, which is neither a knob, nor a patch, nor \"revert\"")]
    Vouched(String),
    /// The objectives cannot be met or missed.
    #[error("slo: latency_ms must be at least 1, error_ratio between 0 and 1")]
    Slo,
    /// The probe is not `METHOD /path`, or there is nowhere to send it.
    #[error("probe {0:?} is not GET or HEAD and a path, with an http base_url to send it to")]
    Probe(String),
}

/// Parses and checks the file.
pub fn parse(text: &str) -> Result<Catalogue, CatalogueError> {
    let catalogue: Catalogue =
        serde_saphyr::from_str(text).map_err(|error| CatalogueError::Unreadable(Box::new(error)))?;
    if catalogue.version != 1 {
        return Err(CatalogueError::Version(catalogue.version));
    }
    for (service, rules) in &catalogue.services {
        check_service(service, rules)
            .map_err(|mistake| CatalogueError::Service { service: service.clone(), mistake })?;
    }
    Ok(catalogue)
}

/// Whether a revert for this service may touch the file: one of its `sources`, or a file of its knobs.
pub fn declares(rules: &ServiceRules, path: &str) -> bool {
    rules.knobs.iter().any(|knob| knob.file == path)
        || rules.patches.iter().any(|patch| patch.may_write(path))
        || is_source(rules, path)
}

/// Whether the file is one of the service's `sources`.
pub fn is_source(rules: &ServiceRules, path: &str) -> bool {
    rules.sources.iter().filter_map(|source| matcher(source).ok()).any(|source| source.is_match(path))
}

fn check_service(service: &str, rules: &ServiceRules) -> Result<(), Mistake> {
    check_name(service, " ./:@")?;
    for (index, knob) in rules.knobs.iter().enumerate() {
        if rules.knobs.iter().take(index).any(|earlier| earlier.name == knob.name) {
            return Err(Mistake::Twice(knob.name.clone()));
        }
        check_knob(knob)?;
    }
    for (index, patch) in rules.patches.iter().enumerate() {
        let is_taken = rules.knobs.iter().any(|knob| knob.name == patch.name)
            || rules.patches.iter().take(index).any(|earlier| earlier.name == patch.name);
        if is_taken {
            return Err(Mistake::Twice(patch.name.clone()));
        }
        check_patch(patch)?;
    }
    for (index, check) in rules.checks.iter().enumerate() {
        if rules.checks.iter().take(index).any(|earlier| earlier.name == check.name) {
            return Err(Mistake::CheckTwice(check.name.clone()));
        }
        check_check(check)?;
    }
    if let Some(source) = rules.sources.iter().find(|source| matcher(source).is_err()) {
        return Err(Mistake::Source(source.clone()));
    }
    let known = |name: &String| {
        let declared = rules.knobs.iter().any(|knob| knob.name == *name);
        name == "revert" || declared || rules.patches.iter().any(|patch| patch.name == *name)
    };
    if let Some(name) = rules.vouched.keys().find(|name| !known(name)) {
        return Err(Mistake::Vouched(name.clone()));
    }
    if rules.slo.latency_ms == 0 || !(0.0..=1.0).contains(&rules.slo.error_ratio) {
        return Err(Mistake::Slo);
    }
    check_probe(rules)
}

fn check_knob(knob: &Knob) -> Result<(), Mistake> {
    check_name(&knob.name, ".")?;
    path::check(&knob.file).map_err(|bad| Mistake::File(knob.name.clone(), bad))?;
    if !knob.path.split('.').all(|part| check_name(part, "").is_ok()) {
        return Err(Mistake::Path(knob.name.clone(), knob.path.clone()));
    }
    if has_sane_bounds(knob) { Ok(()) } else { Err(Mistake::Bounds(knob.name.clone())) }
}

fn has_sane_bounds(knob: &Knob) -> bool {
    let step = knob.step.unwrap_or(1);
    let is_unbounded = knob.min.is_none() && knob.max.is_none() && knob.step.is_none();
    match knob.kind {
        KnobType::Int | KnobType::Duration | KnobType::Replicas => {
            let bounds = knob.min.zip(knob.max);
            let on_step = |min: i64, max: i64| step >= 1 && min <= max && min % step == 0 && max % step == 0;
            knob.values.is_empty() && bounds.is_some_and(|(min, max)| on_step(min, max))
        }
        KnobType::Bool | KnobType::Restart => is_unbounded && knob.values.is_empty(),
        KnobType::Enum => {
            is_unbounded && knob.values.len() >= 2 && knob.values.iter().all(|word| check_name(word, ".").is_ok())
        }
    }
}

fn check_patch(patch: &Patch) -> Result<(), Mistake> {
    check_name(&patch.name, ".")?;
    let bad = |error| Mistake::Patch(patch.name.clone(), error);
    path::check(&patch.template).map_err(bad)?;
    path::check(&patch.target(&[])).map_err(bad)
}

fn check_check(check: &Check) -> Result<(), Mistake> {
    check_name(&check.name, ".")?;
    let bad = |error| Mistake::Check(check.name.clone(), error);
    path::check(&check.template).map_err(bad)?;
    if !check.into.contains("{incident}") {
        return Err(Mistake::OneForAll(check.name.clone()));
    }
    path::check(&check.into.replace("{incident}", "inc_0")).map_err(bad)
}

/// Letters, digits, `-` and `_`, and what else the caller admits; at most 128 of them, and no space at either end.
fn check_name(name: &str, also: &str) -> Result<(), Mistake> {
    let plain = |letter: char| letter.is_alphanumeric() || "-_".contains(letter) || also.contains(letter);
    if !name.is_empty() && name.len() <= 128 && name.trim() == name && name.chars().all(plain) {
        return Ok(());
    }
    Err(Mistake::Name(name.to_owned()))
}

fn check_probe(rules: &ServiceRules) -> Result<(), Mistake> {
    let Some(probe) = &rules.verify.probe else { return Ok(()) };
    let asks = probe.split_once(' ').is_some_and(|(method, path)| {
        ["GET", "HEAD"].contains(&method) && path.starts_with('/') && !path.contains(char::is_whitespace)
    });
    let has_place =
        rules.base_url.as_deref().is_some_and(|url| url.starts_with("http://") || url.starts_with("https://"));
    if asks && has_place { Ok(()) } else { Err(Mistake::Probe(probe.clone())) }
}

fn matcher(source: &str) -> Result<GlobMatcher, globset::Error> {
    let glob: Glob = GlobBuilder::new(source).literal_separator(true).build()?;
    Ok(glob.compile_matcher())
}

#[cfg(test)]
mod tests;
