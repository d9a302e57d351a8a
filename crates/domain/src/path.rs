//! Which files a machine may write, whatever anybody permits: the rules that hold before policy is asked.
//!
//! The rules name what is allowed, not what is forbidden: a path that needs decoding, folding or normalising to be
//! understood is refused, so that every reader of it sees the same file.

use thiserror::Error;

/// Most files one change may touch.
pub const MAX_FILES: usize = 3;
/// Most lines one change may add and remove.
pub const MAX_LINES: u32 = 200;
/// Longest path.
const MAX_LENGTH: usize = 255;

/// Names that guard the repository itself, in lower case.
const GUARDIANS: [&str; 7] = [
    "codeowners",
    ".sre-space.yaml",
    ".sre-space.yml",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "go.sum",
];
/// Endings of files that guard the repository itself, in lower case.
const GUARDING_ENDINGS: [&str; 4] = [".lock", ".lockb", ".cedar", ".cedarschema"];

/// A path that must not be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPath {
    /// Empty, too long, or with a character outside `A-Z a-z 0-9 . _ - + @ /`.
    #[error("{0:?} is not a plain path")]
    NotPlain(String),
    /// Absolute, or with a component that is empty, made of dots, or ends in a dot.
    #[error("{0:?} does not stay where it is written")]
    Wanders(String),
    /// Git's own, the forge's own, a lock file, a policy, or the owners' word itself.
    #[error("{0:?} guards the repository and is not for machines to write")]
    Guarded(String),
}

/// Refuses a path that no change may touch.
pub fn check(path: &str) -> Result<(), BadPath> {
    if path.is_empty() || path.len() > MAX_LENGTH || !path.chars().all(is_plain) {
        return Err(BadPath::NotPlain(path.to_owned()));
    }
    if path.split('/').any(|part| part.is_empty() || part.ends_with('.')) {
        return Err(BadPath::Wanders(path.to_owned()));
    }
    if is_guarded(&path.to_ascii_lowercase()) {
        return Err(BadPath::Guarded(path.to_owned()));
    }
    Ok(())
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '+' | '@' | '/')
}

fn is_guarded(lower: &str) -> bool {
    let forges_own = lower.split('/').any(|part| part.starts_with(".git"));
    let name = lower.rsplit('/').next().unwrap_or(lower);
    forges_own
        || lower.split('/').any(|part| part == "policies")
        || GUARDIANS.contains(&name)
        || GUARDING_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_files_may_be_written() {
        for path in ["config/quote-engine.yaml", "rules/pricing.rhai", "a", "migrations/0002_index.sql", ".env.example"]
        {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_that_need_decoding_are_refused() {
        let long = "a".repeat(256);
        for path in
            ["", "a\\b", "a\0b", "a%2eb", "cafe\u{301}", "caf\u{e9}", "a b", "a~1", "a\nb", "a:b", long.as_str()]
        {
            assert_eq!(check(path), Err(BadPath::NotPlain(path.to_owned())), "{path:?}");
        }
    }

    #[test]
    fn paths_that_wander_are_refused() {
        for path in ["/etc/passwd", "../a", "a/../b", "a/./b", "a//b", "a/", "a/..", ".", "..", "a./b", "a.", ".../b"] {
            assert_eq!(check(path), Err(BadPath::Wanders(path.to_owned())), "{path:?}");
        }
    }

    #[test]
    fn guardians_are_refused_in_any_case_and_depth() {
        let guarded = [
            ".git/config",
            ".GIT/hooks/post-receive",
            "a/.git/config",
            ".gitmodules",
            "a/.gitattributes",
            ".github/workflows/ci.yml",
            ".GitHub/x",
            ".gitlab-ci.yml",
            "CODEOWNERS",
            "docs/CodeOwners",
            ".sre-space.yaml",
            ".SRE-space.YAML",
            "Cargo.lock",
            "web/package-lock.json",
            "policies/baseline.rego",
            "x/remediation.cedar",
        ];
        for path in guarded {
            assert_eq!(check(path), Err(BadPath::Guarded(path.to_owned())), "{path:?}");
        }
    }
}
