//! What every forge must pass: repeating changes nothing, and only what was judged is written.

#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::sync::Arc;

use jiff::Timestamp;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proposal::{Decision, FileChange, KnobValue, Proposal, Remedy, Verdict, digest};

use crate::forge::{
    Changes, Checks, CommitRequest, ForgeError, Issues, Merged, PullRequest, PullRequestDraft, Repository,
};

/// File that every bench starts with.
pub const FILE: &str = "config/app.yaml";
/// Its contents.
pub const BEFORE: &str = "pool: 20\n";
const AFTER: &str = "pool: 100\n";

/// A forge under test, fresh: `main` holds one commit with [`FILE`] reading [`BEFORE`].
///
/// Beside the ports there is what other people and programs do to a repository.
pub trait Bench: Send + Sync {
    /// The forge as a reader sees it.
    fn repository(&self) -> Arc<dyn Repository>;
    /// The forge as Fixer sees it.
    fn changes(&self) -> Arc<dyn Changes>;
    /// The forge's tickets.
    fn issues(&self) -> Arc<dyn Issues>;
    /// An owner commits to a branch.
    fn push(&self, branch: &str, files: &[FileChange]) -> Sha;
    /// The check runner reports.
    fn report(&self, commit: &Sha, checks: Checks);
}

/// One proposal and its permits.
struct Case {
    incident: IncidentId,
    branch: String,
    base: Sha,
    changes: Vec<FileChange>,
    propose: Permit<Propose>,
    merge: Permit<Merge>,
}

impl Case {
    fn new(name: &str, base: &Sha, changes: Vec<FileChange>) -> Self {
        let incident: IncidentId = serde_json::from_value(format!("inc_{name}").into()).expect("an id");
        let digest = digest(&incident, base, &changes);
        let proposal = proposal(base, &changes, digest.clone());
        let verdict = Verdict { decision: Decision::Allow, rules: vec![], reasons: vec![], digest };
        Self {
            branch: format!("sre-space/{incident}-1"),
            incident,
            base: base.clone(),
            changes,
            propose: Permit::<Propose>::from_verdict(&verdict, &proposal).expect("allowed"),
            merge: Permit::<Merge>::from_verdict(&verdict, &proposal).expect("allowed"),
        }
    }

    /// The revert of what this case merged, rendered on the merge itself.
    async fn undoing(&self, bench: &dyn Bench, merged: &Merged) -> Self {
        let changes = bench.repository().revert_of(&merged.revision, &merged.revision).await.expect("revertible");
        Self {
            incident: self.incident.clone(),
            branch: format!("{}-revert", self.branch),
            base: merged.revision.clone(),
            changes,
            propose: Permit::<Propose>::revert(&self.merge, merged.revision.clone()),
            merge: self.merge.revert(merged.revision.clone()),
        }
    }

    fn request(&self) -> CommitRequest {
        CommitRequest {
            incident: self.incident.clone(),
            branch: self.branch.clone(),
            base: self.base.clone(),
            message: "Turn pool from 20 to 100".to_owned(),
            changes: self.changes.clone(),
            at: Timestamp::from_second(1_800_000_000).expect("in range"),
        }
    }

    fn draft(&self) -> PullRequestDraft {
        PullRequestDraft {
            incident: self.incident.clone(),
            branch: self.branch.clone(),
            title: "Turn pool from 20 to 100".to_owned(),
            body: "20 to 100".to_owned(),
        }
    }

    async fn propose(&self, bench: &dyn Bench) -> Result<(Sha, PullRequest), ForgeError> {
        let changes = bench.changes();
        changes.create_branch(&self.propose, &self.branch, &self.base).await?;
        let head = changes.commit(&self.propose, &self.request()).await?;
        Ok((head, changes.open_pull_request(&self.propose, &self.draft()).await?))
    }

    async fn merge(&self, bench: &dyn Bench) -> Result<Merged, ForgeError> {
        let (head, pull) = self.propose(bench).await?;
        bench.report(&head, Checks::Passed("green".to_owned()));
        bench.changes().merge(&self.merge, pull.number, &head).await
    }
}

/// A proposal of these changes, as an allowing verdict wants one.
pub fn proposal(base: &Sha, changes: &[FileChange], digest: sre_space_domain::ids::Digest) -> Proposal {
    Proposal {
        remedy: Remedy::turn("app", "pool", KnobValue::Int(100)),
        trust: 1.0,
        base: base.clone(),
        files: changes.iter().map(|change| change.path.clone()).collect(),
        changes: changes.to_vec(),
        reproduces: None,
        diff: String::new(),
        lines: 2,
        digest,
        title: String::new(),
        rationale: String::new(),
    }
}

/// New contents of one file.
pub fn file(path: &str, text: &str) -> FileChange {
    FileChange { path: path.to_owned(), contents: Some(text.to_owned()) }
}

async fn turn(bench: &dyn Bench) -> Case {
    Case::new("A", &head(bench).await, vec![file(FILE, AFTER)])
}

async fn head(bench: &dyn Bench) -> Sha {
    bench.repository().head().await.expect("a head")
}

async fn text(bench: &dyn Bench, path: &str) -> String {
    bench.repository().file(&head(bench).await, path).await.expect("the file")
}

/// Every call made twice, and the whole story told again after the merge: one of each.
pub async fn repeating_changes_nothing(bench: &dyn Bench) {
    let case = turn(bench).await;
    let first = case.propose(bench).await.expect("propose");
    assert_eq!(case.propose(bench).await.expect("propose again"), first);
    let (head, pull) = first;
    bench.report(&head, Checks::Passed("green".to_owned()));
    let merged = bench.changes().merge(&case.merge, pull.number, &head).await.expect("merge");
    assert_eq!(bench.changes().merge(&case.merge, pull.number, &head).await.expect("merge again"), merged);
    let (same_head, same_pull) = case.propose(bench).await.expect("propose after the merge");
    assert_eq!((same_head, same_pull.number), (head.clone(), pull.number));

    let log = bench.repository().log(10).await.expect("log");
    assert_eq!(log.len(), 2);
    // A merge commit, or the head squashed: either way it stands right on what was deployed.
    assert_eq!((&log[0].sha, &log[0].parents[0]), (&merged.revision, &case.base));
    assert!(log[0].parents[1..].iter().all(|parent| *parent == head), "{:?}", log[0].parents);
    assert_eq!(log[0].files, [FILE]);
    let (pulls, _) = bench.issues().activity(10).await.expect("activity");
    assert_eq!(pulls.len(), 1);
    assert_eq!((pulls[0].state.as_str(), &pulls[0].merged_as), ("merged", &Some(merged.revision)));
    assert_eq!(text(bench, FILE).await, AFTER);
}

/// The body of our pull request can be replaced, before and after the merge, by whoever may propose it.
pub async fn a_body_is_replaced_by_its_owner(bench: &dyn Bench) {
    let (case, changes) = (turn(bench).await, bench.changes());
    let (head, pull) = case.propose(bench).await.expect("propose");
    let body = async || bench.issues().activity(1).await.expect("activity").0.remove(0).body;
    changes.describe(&case.propose, pull.number, "open").await.expect("described");
    assert_eq!(body().await, "open");
    let other = Case::new("B", &case.base, case.changes.clone());
    let stranger = changes.describe(&other.propose, pull.number, "not mine").await;
    assert!(matches!(stranger, Err(ForgeError::NotPermitted(_))), "{stranger:?}");
    bench.report(&head, Checks::Passed("green".to_owned()));
    changes.merge(&case.merge, pull.number, &head).await.expect("merge");
    for _ in 0..2 {
        changes.describe(&case.propose, pull.number, "merged").await.expect("described");
    }
    assert_eq!(body().await, "merged");
    let missing = changes.describe(&case.propose, 99, "nobody's").await;
    assert!(matches!(missing, Err(ForgeError::Missing(_))), "{missing:?}");
}

/// A folder's files are listed by name, without its folders and without what lies deeper.
pub async fn a_folder_is_listed(bench: &dyn Bench) {
    let at = bench.push("main", &[file("a/0002_b.sql", "2"), file("a/0001_a.sql", "1"), file("a/deep/x.sql", "x")]);
    let mut names = bench.repository().list(&at, "a").await.expect("a listing");
    names.sort();
    assert_eq!(names, ["0001_a.sql", "0002_b.sql"]);
    assert_eq!(bench.repository().list(&at, "nowhere").await.expect("a listing"), Vec::<String>::new());
}

/// A head that is not the one that was judged stays unmerged.
pub async fn a_moved_head_is_refused(bench: &dyn Bench) {
    let case = turn(bench).await;
    let (head, pull) = case.propose(bench).await.expect("propose");
    bench.report(&head, Checks::Passed("green".to_owned()));
    let moved = bench.push(&case.branch, &[file(FILE, "pool: 7\n")]);
    bench.report(&moved, Checks::Passed("green".to_owned()));
    let refused = bench.changes().merge(&case.merge, pull.number, &head).await;
    assert!(matches!(&refused, Err(ForgeError::HeadMoved { found, .. }) if *found == moved), "{refused:?}");
    let other = bench.changes().merge(&case.merge, pull.number, &moved).await;
    assert!(matches!(other, Err(ForgeError::HeadMoved { .. } | ForgeError::NotPermitted(_))), "{other:?}");
    assert_eq!(text(bench, FILE).await, BEFORE);
}

/// Nothing is merged before its checks are green.
pub async fn checks_that_are_not_green_are_refused(bench: &dyn Bench) {
    let case = turn(bench).await;
    let (head, pull) = case.propose(bench).await.expect("propose");
    assert_eq!(bench.repository().checks(&head).await.expect("checks"), Checks::Pending);
    let pending = bench.changes().merge(&case.merge, pull.number, &head).await;
    assert!(matches!(pending, Err(ForgeError::Conflict(_))), "{pending:?}");
    bench.report(&head, Checks::Failed("boot failed".to_owned()));
    assert_eq!(bench.repository().checks(&head).await.expect("checks"), Checks::Failed("boot failed".to_owned()));
    let red = bench.changes().merge(&case.merge, pull.number, &head).await;
    assert!(matches!(&red, Err(ForgeError::Conflict(why)) if why.contains("boot failed")), "{red:?}");
    assert_eq!(text(bench, FILE).await, BEFORE);
}

/// A permit for one proposal neither commits, opens nor merges another.
pub async fn a_permit_covers_one_proposal(bench: &dyn Bench) {
    let judged = turn(bench).await;
    let other = Case::new("A", &judged.base, vec![file(FILE, "pool: 9000\n")]);
    let changes = bench.changes();
    changes.create_branch(&judged.propose, &judged.branch, &judged.base).await.expect("branch");
    let commit = changes.commit(&judged.propose, &other.request()).await;
    assert!(matches!(commit, Err(ForgeError::NotPermitted(_))), "{commit:?}");
    let stranger = bench.push(&judged.branch, &[file(FILE, "pool: 9000\n")]);
    let open = changes.open_pull_request(&judged.propose, &judged.draft()).await;
    assert!(matches!(open, Err(ForgeError::NotPermitted(_))), "{open:?}");
    let pull = changes.open_pull_request(&other.propose, &other.draft()).await.expect("covered by its own permit");
    bench.report(&stranger, Checks::Passed("green".to_owned()));
    let merge = changes.merge(&judged.merge, pull.number, &stranger).await;
    assert!(matches!(merge, Err(ForgeError::NotPermitted(_))), "{merge:?}");
    assert_eq!(text(bench, FILE).await, BEFORE);
}

/// A permit bound to one base does not merge the same files on another, nor for another incident.
pub async fn a_permit_is_bound_to_base_and_incident(bench: &dyn Bench) {
    let judged = turn(bench).await;
    let later = bench.push("main", &[file("README.md", "hello\n")]);
    for other in [Case::new("A", &later, judged.changes.clone()), Case::new("B", &judged.base, judged.changes.clone())]
    {
        bench.changes().create_branch(&judged.propose, &other.branch, &other.base).await.expect("branch");
        let commit = bench.changes().commit(&judged.propose, &other.request()).await;
        assert!(matches!(commit, Err(ForgeError::NotPermitted(_))), "{commit:?}");
    }
}

/// The revert permit merges the exact revert, with harmless commits on top, and nothing else.
pub async fn a_revert_permit_merges_the_exact_revert(bench: &dyn Bench) {
    let case = turn(bench).await;
    let merged = case.merge(bench).await.expect("merge");
    bench.push("main", &[file("README.md", "harmless\n")]);
    let undo = case.undoing(bench, &merged).await;
    assert_eq!(undo.changes, vec![file(FILE, BEFORE)]);

    let forged = CommitRequest { changes: vec![file(FILE, "pool: 1\n")], ..undo.request() };
    bench.changes().create_branch(&undo.propose, &undo.branch, &undo.base).await.expect("branch");
    let refused = bench.changes().commit(&undo.propose, &forged).await;
    assert!(matches!(refused, Err(ForgeError::NotPermitted(_))), "{refused:?}");

    let reverted = undo.merge(bench).await.expect("merge the revert");
    assert_eq!(undo.merge(bench).await.expect("merge the revert again"), reverted);
    assert_eq!(text(bench, FILE).await, BEFORE);
    assert_eq!(text(bench, "README.md").await, "harmless\n");
    assert_eq!(bench.repository().log(10).await.expect("log").len(), 4);
}

/// A revert permit opens no other commit, and merges no other pull request, green as it may be.
pub async fn a_revert_permit_merges_nothing_else(bench: &dyn Bench) {
    let merged = turn(bench).await.merge(bench).await.expect("merge");
    let undo = turn(bench).await.undoing(bench, &merged).await;
    bench.changes().create_branch(&undo.propose, &undo.branch, &undo.base).await.expect("branch");
    bench.push(&undo.branch, &[file(FILE, "pool: 1\n")]);
    let open = bench.changes().open_pull_request(&undo.propose, &undo.draft()).await;
    assert!(matches!(open, Err(ForgeError::NotPermitted(_))), "{open:?}");

    let other = Case::new("B", &merged.revision, vec![file(FILE, "pool: 50\n")]);
    let (head, pull) = other.propose(bench).await.expect("propose");
    bench.report(&head, Checks::Passed("green".to_owned()));
    let merge = bench.changes().merge(&undo.merge, pull.number, &head).await;
    assert!(matches!(merge, Err(ForgeError::NotPermitted(_))), "{merge:?}");
    assert_eq!(text(bench, FILE).await, AFTER);
}

/// A revert that others wrote over does not apply, and neither does one of what is not there.
pub async fn a_revert_that_does_not_apply_is_a_conflict(bench: &dyn Bench) {
    let root = head(bench).await;
    let merged = turn(bench).await.merge(bench).await.expect("merge");
    let later = bench.push("main", &[file(FILE, "pool: 60\n")]);
    let repository = bench.repository();
    let written_over = repository.revert_of(&merged.revision, &later).await;
    assert!(matches!(written_over, Err(ForgeError::Conflict(_))), "{written_over:?}");
    let not_there = repository.revert_of(&merged.revision, &root).await;
    assert!(matches!(not_there, Err(ForgeError::Conflict(_))), "{not_there:?}");
}

/// Main may move on while the checks run, as long as nobody touched the same lines.
pub async fn a_moved_main_is_merged_unless_it_conflicts(bench: &dyn Bench) {
    let case = turn(bench).await;
    let clash = Case::new("B", &case.base, vec![file(FILE, "pool: 50\n")]);
    let (clash_head, clash_pull) = clash.propose(bench).await.expect("propose");
    bench.push("main", &[file("README.md", "hello\n")]);
    case.merge(bench).await.expect("merge beside");
    assert_eq!((text(bench, FILE).await.as_str(), text(bench, "README.md").await.as_str()), (AFTER, "hello\n"));
    bench.report(&clash_head, Checks::Passed("green".to_owned()));
    let refused = bench.changes().merge(&clash.merge, clash_pull.number, &clash_head).await;
    assert!(matches!(refused, Err(ForgeError::Conflict(_))), "{refused:?}");
}

/// Some paths are not for machines, whatever the permit says; and only our own branches are.
pub async fn what_guards_the_repository_is_not_written(bench: &dyn Bench) {
    let base = head(bench).await;
    for path in
        ["../x", "/x", ".git/config", ".github/workflows/ci.yml", ".sre-space.yaml", "a\\b", "a/./b", "Cargo.lock"]
    {
        let case = Case::new("A", &base, vec![file(path, "x\n")]);
        bench.changes().create_branch(&case.propose, &case.branch, &base).await.expect("branch");
        let refused = bench.changes().commit(&case.propose, &case.request()).await;
        assert!(matches!(refused, Err(ForgeError::NotPermitted(_))), "{path}: {refused:?}");
    }
    let case = turn(bench).await;
    for branch in ["main", "owners/idea"] {
        let refused = bench.changes().create_branch(&case.propose, branch, &base).await;
        assert!(matches!(refused, Err(ForgeError::NotPermitted(_))), "{branch}: {refused:?}");
    }
}

/// A branch that holds something else is nobody's to take over.
pub async fn a_strangers_branch_is_not_taken_over(bench: &dyn Bench) {
    let case = turn(bench).await;
    bench.changes().create_branch(&case.propose, &case.branch, &case.base).await.expect("branch");
    bench.push(&case.branch, &[file("a.txt", "a\n")]);
    let moved = bench.push(&case.branch, &[file("b.txt", "b\n")]);
    let branch = bench.changes().create_branch(&case.propose, &case.branch, &case.base).await;
    assert!(matches!(branch, Err(ForgeError::Conflict(_))), "{branch:?}");
    let commit = bench.changes().commit(&case.propose, &case.request()).await;
    assert!(matches!(&commit, Err(ForgeError::HeadMoved { found, .. }) if *found == moved), "{commit:?}");
}

/// Readers see files, the log and what is missing.
pub async fn reading_tells_what_is_there(bench: &dyn Bench) {
    let root = head(bench).await;
    let next = bench.push("main", &[file("b.txt", "b\n"), FileChange { path: FILE.to_owned(), contents: None }]);
    let repository = bench.repository();
    assert_eq!(repository.file(&root, FILE).await.expect("at the root"), BEFORE);
    for (at, path) in [(&next, FILE), (&root, "b.txt"), (&Sha("0".repeat(40)), FILE), (&Sha("main".to_owned()), FILE)] {
        let missing = repository.file(at, path).await;
        assert!(matches!(missing, Err(ForgeError::Missing(_))), "{at} {path}: {missing:?}");
    }
    let log = repository.log(1).await.expect("log");
    assert_eq!((log.len(), &log[0].sha, &log[0].parents), (1, &next, &vec![root]));
    assert_eq!(log[0].files, ["b.txt", FILE]);
}

/// One ticket an incident, one comment a key, one row of numbers.
pub async fn tickets_are_written_once(bench: &dyn Bench) {
    let issues = bench.issues();
    let case = turn(bench).await;
    let ticket = issues.open(&case.incident, "title", "body").await.expect("open");
    assert_eq!(issues.open(&case.incident, "other words", "body").await.expect("open again"), ticket);
    for key in ["a", "b", "a"] {
        issues.comment(ticket.number, key, &format!("comment {key}")).await.expect("comment");
    }
    issues.close(ticket.number).await.expect("close");
    issues.close(ticket.number).await.expect("close again");
    let (_, pull) = case.propose(bench).await.expect("propose");
    assert_ne!(pull.number, ticket.number);

    let (pulls, tickets) = issues.activity(10).await.expect("activity");
    assert_eq!((pulls.len(), tickets.len()), (1, 1));
    assert_eq!(tickets[0].comments, ["comment a", "comment b"]);
    assert_eq!((tickets[0].state.as_str(), tickets[0].title.as_str()), ("closed", "title"));
    assert!(matches!(issues.close(999).await, Err(ForgeError::Missing(_))));
    assert!(matches!(issues.comment(pull.number, "a", "x").await, Err(ForgeError::Missing(_))));
}
