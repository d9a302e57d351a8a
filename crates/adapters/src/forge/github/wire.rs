//! GitHub's words, as far as we read them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use sre_space_domain::ids::Sha;

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    pub object: Named,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Named {
    pub sha: Sha,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Commit {
    pub sha: Sha,
    pub message: String,
    pub author: Author,
    pub tree: Named,
    pub parents: Vec<Named>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Author {
    pub email: String,
    pub date: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tree {
    pub tree: Vec<Entry>,
    pub truncated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Entry {
    pub path: String,
    pub mode: String,
    pub sha: Sha,
}

#[derive(Debug, Deserialize)]
pub(super) struct Blob {
    pub content: String,
    pub encoding: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub sha: Sha,
    pub commit: Dated,
    pub parents: Vec<Named>,
    #[serde(default)]
    pub files: Vec<File>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dated {
    pub committer: Option<Moment>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Moment {
    pub date: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub filename: String,
    pub previous_filename: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Comparison {
    pub status: Relation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Relation {
    Ahead,
    Behind,
    Diverged,
    Identical,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pull {
    pub number: u64,
    pub html_url: String,
    pub title: String,
    pub body: Option<String>,
    pub state: String,
    pub head: End,
    pub base: End,
    pub merged_at: Option<Timestamp>,
    pub merge_commit_sha: Option<Sha>,
    #[serde(default)]
    pub mergeable: Option<bool>,
    #[serde(default)]
    pub mergeable_state: Option<String>,
    #[serde(default)]
    pub labels: Vec<Label>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct End {
    #[serde(rename = "ref")]
    pub branch: String,
    pub sha: Sha,
    pub repo: Option<Repo>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Repo {
    pub full_name: String,
}

/// A label comes as an object, or as its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Label {
    Name(String),
    Object { name: Option<String> },
}

impl Label {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Object { name } => name.as_deref().unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Issue {
    pub number: u64,
    pub html_url: String,
    pub title: String,
    pub body: Option<String>,
    pub state: String,
    pub comments: u64,
    pub updated_at: Timestamp,
    pub user: Option<User>,
    #[serde(default)]
    pub author_association: String,
    #[serde(default)]
    pub labels: Vec<Label>,
    pub pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Comment {
    pub body: Option<String>,
    pub user: Option<User>,
    #[serde(default)]
    pub author_association: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRuns {
    pub total_count: u64,
    pub check_runs: Vec<CheckRun>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRun {
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub output: Output,
}

#[derive(Debug, Deserialize)]
pub(super) struct Output {
    pub title: Option<String>,
    pub summary: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Combined {
    pub total_count: u64,
    pub statuses: Vec<Status>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub context: String,
    pub state: String,
    pub description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Branch {
    pub protection: Option<Protection>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Protection {
    pub required_status_checks: Option<Required>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Required {
    #[serde(default)]
    pub contexts: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    #[serde(rename = "type")]
    pub kind: String,
    pub parameters: Option<RuleParameters>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RuleParameters {
    #[serde(default)]
    pub required_status_checks: Vec<Context>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Context {
    pub context: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub full_name: String,
    pub default_branch: String,
    pub archived: bool,
    pub has_issues: bool,
    pub allow_squash_merge: Option<bool>,
    pub permissions: Option<BTreeMap<String, bool>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Installation {
    pub id: u64,
    pub app_slug: String,
    pub permissions: BTreeMap<String, String>,
    pub suspended_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct InstallationToken {
    pub token: String,
    pub expires_at: Timestamp,
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MergeAnswer {
    pub merged: bool,
}

/// What an answer that says no says of itself.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub errors: Vec<serde_json::Value>,
}
