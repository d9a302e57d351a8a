//! Names that go into the paths of requests: taken only when they can be read in one way.

use std::fmt;

use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_ports::forge::ForgeError;

/// Our branches live under this name, so that no permit reaches a branch of the owners.
const OURS: &str = "sre-space/";
/// Longest name of an owner, a repository or a branch.
const LONGEST: usize = 200;

/// A repository on GitHub, `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) owner: String,
    pub(super) name: String,
}

impl Place {
    /// Reads `owner/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let plain = |part: &str| {
            let letters = part.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
            letters && !part.is_empty() && part.len() <= LONGEST && !part.chars().all(|letter| letter == '.')
        };
        (plain(owner) && plain(name)).then(|| Self { owner: owner.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// A full object name. Short names are refused: they are for people.
pub(super) fn object(name: &Sha) -> Result<&str, ForgeError> {
    let is_full = name.0.len() == 40 && name.0.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_full.then_some(name.0.as_str()).ok_or_else(|| ForgeError::Missing(format!("commit {name}")))
}

/// One of our branches.
pub(super) fn our_branch(branch: &str) -> Result<&str, ForgeError> {
    let is_ours = branch.starts_with(OURS) && is_branch(branch);
    is_ours.then_some(branch).ok_or_else(|| ForgeError::NotPermitted(format!("branch {branch:?} is not under {OURS}")))
}

/// A branch name that needs no escaping in a path.
pub(super) fn is_branch(branch: &str) -> bool {
    let plain = |part: &str| {
        let letters = part.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
        letters && !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.ends_with(".lock")
    };
    branch.len() <= LONGEST && !branch.contains("..") && branch.split('/').all(plain)
}

/// The incident that one of our branches belongs to: `sre-space/<incident>-<attempt>`.
pub(super) fn incident_of(branch: &str) -> Option<IncidentId> {
    let (incident, _) = branch.strip_prefix(OURS)?.split_once('-')?;
    serde_json::from_value(incident.into()).ok().filter(|_| is_branch(branch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_can_be_read_in_one_way_are_taken() {
        for text in ["a/b", "a-1/b.c_d", "A/.github"] {
            assert_eq!(Place::parse(text).map(|place| place.to_string()).as_deref(), Some(text));
        }
        for text in ["", "a", "a/", "/b", "a/b/c", "a/..", "a/b?x", "a/b%2f", "a b/c", "a/b\n", "ä/b"] {
            assert_eq!(Place::parse(text), None, "{text:?}");
        }
        for branch in ["main", "a/b", "release-1.2"] {
            assert!(is_branch(branch), "{branch}");
        }
        for branch in ["", "a//b", "../a", "a/..", "a..b", "a?b", "a b", ".a", "a.lock", "a\n", "/a", "a/"] {
            assert!(!is_branch(branch), "{branch:?}");
        }
    }

    #[test]
    fn a_branch_tells_its_incident() {
        let told = |branch: &str| incident_of(branch).map(|incident| incident.to_string());
        assert_eq!(told("sre-space/inc_A-1").as_deref(), Some("inc_A"));
        assert_eq!(told("sre-space/inc_A-1-revert").as_deref(), Some("inc_A"));
        assert_eq!((told("owners/inc_A-1"), told("sre-space/inc_A")), (None, None));
    }
}
