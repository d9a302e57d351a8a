//! Forges: where the watched repository lives.

pub mod github;
pub mod local;

/// The house's name under its commits.
const NAME: &str = "sre-space[bot]";
/// Marks our own commits. An address that nobody can own, so that no account is credited with them.
const EMAIL: &str = "sre-space@users.noreply.localhost";
