//! Which files belong to a service, as its owners declared.

use globset::Glob;
use sre_space_domain::catalogue::Catalogue;

/// Whether a path is one of the service's sources or holds one of its knobs. Without a catalogue nothing is owned.
pub fn owns(rules: Option<&Catalogue>, service: &str, path: &str) -> bool {
    let Some(service) = rules.and_then(|rules| rules.services.get(service)) else { return false };
    let is_source = |pattern: &String| Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(path));
    service.sources.iter().any(is_source) || service.knobs.iter().any(|knob| knob.file == path)
}
