//! Which files belong to a service, as its owners declared.

use sre_space_domain::catalogue::Catalogue;

use crate::catalogue::declares;

/// Whether a path is one of the service's sources or holds one of its knobs. Without a catalogue nothing is owned.
pub fn owns(rules: Option<&Catalogue>, service: &str, path: &str) -> bool {
    rules.and_then(|rules| rules.services.get(service)).is_some_and(|service| declares(service, path))
}
