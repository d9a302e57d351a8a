//! What the contract cannot say, because it is about git: other people's references, modes, races, and the log.

use std::time::Duration;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository as Bare, Signature, Time};
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proposal::{Decision, FileChange, Verdict, digest};
use sre_space_ports::contract::forge::proposal;
use sre_space_ports::forge::{Changes, Checks, CommitRequest, ForgeError, Issues, PullRequestDraft, Repository};
use tempfile::TempDir;

use jiff::Timestamp;

use super::*;

const FILE: &str = "config/app.yaml";
const BRANCH: &str = "sre-space/inc_A-1";

struct Repo {
    folder: TempDir,
    git: Bare,
    forge: Arc<LocalForge>,
}

type Item<'a> = (&'a str, &'a str, FileMode);

impl Repo {
    fn with(items: &[Item<'_>]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let git = Bare::init_bare(folder.path()).expect("a bare repository");
        let repo = Self { forge: Arc::new(LocalForge { place: place(&folder) }), folder, git };
        repo.write("refs/heads/main", &[], "Begin", items);
        repo
    }

    fn plain() -> Self {
        Self::with(&[(FILE, "pool: 20\n", FileMode::Blob)])
    }

    fn tip(&self, reference: &str) -> Oid {
        self.git.refname_to_id(reference).expect(reference)
    }

    fn head(&self) -> Sha {
        Sha(self.tip("refs/heads/main").to_string())
    }

    /// Commits with plain git: on the first parent's tree, and moves the reference there.
    fn write(&self, reference: &str, parents: &[Oid], message: &str, items: &[Item<'_>]) -> Oid {
        let parents: Vec<_> = parents.iter().map(|oid| self.git.find_commit(*oid).expect("a parent")).collect();
        let parents: Vec<_> = parents.iter().collect();
        let empty = self.git.treebuilder(None).and_then(|tree| tree.write()).expect("an empty tree");
        let before = parents.first().map_or(empty, |parent| parent.tree_id());
        let mut edits = TreeUpdateBuilder::new();
        for (path, text, mode) in items {
            let link = (*mode == FileMode::Commit).then(|| parents.first().expect("a commit to link to").id());
            let oid = link.unwrap_or_else(|| self.git.blob(text.as_bytes()).expect("a blob"));
            edits.upsert(*path, oid, *mode);
        }
        let tree = edits.create_updated(&self.git, &self.git.find_tree(before).expect("a tree")).expect("an edit");
        let owner = Signature::new("owner", "owner@example.org", &Time::new(1_700_000_000, 0)).expect("a name");
        let tree = self.git.find_tree(tree).expect("a tree");
        let made = self.git.commit(None, &owner, &owner, message, &tree, &parents).expect("a commit");
        self.git.reference(reference, made, true, "").expect("a reference");
        made
    }

    fn report(&self, commit: &Sha, text: &str) {
        self.write(&format!("refs/checks/{commit}"), &[], "Checks", &[("check.json", text, FileMode::Blob)]);
    }

    fn green(&self, commit: &Sha) {
        self.report(commit, &format!("{{\"sha\":\"{commit}\",\"state\":\"success\",\"summary\":\"\"}}"));
    }

    /// The lock file of a writer who took it this long ago.
    fn lock(&self, reference: &str, age: Duration) -> PathBuf {
        let path = self.folder.path().join(format!("{reference}.lock"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let lock = std::fs::File::create(&path).expect("a lock");
        lock.set_modified(std::time::SystemTime::from(Timestamp::now()) - age).expect("a time");
        path
    }

    async fn propose(&self, judged: &Judged) -> Result<(Sha, u64), ForgeError> {
        self.forge.create_branch(&judged.propose, BRANCH, &judged.request.base).await?;
        let head = self.forge.commit(&judged.propose, &judged.request).await?;
        Ok((head, self.forge.open_pull_request(&judged.propose, &judged.draft()).await?.number))
    }
}

fn place(folder: &TempDir) -> Arc<Place> {
    Arc::new(Place {
        path: folder.path().to_owned(),
        branch: "main".to_owned(),
        url: "http://127.0.0.1:8001".to_owned(),
        writes: Mutex::new(()),
    })
}

/// A request with the permits for exactly it.
struct Judged {
    request: CommitRequest,
    propose: Permit<Propose>,
    merge: Permit<Merge>,
}

impl Judged {
    fn new(base: &Sha, path: &str, contents: Option<&str>) -> Self {
        let incident = incident("A");
        let changes = vec![FileChange { path: path.to_owned(), contents: contents.map(str::to_owned) }];
        let digest = digest(&incident, base, &changes);
        let proposal = proposal(base, &changes, digest.clone());
        let verdict = Verdict { decision: Decision::Allow, rules: vec![], reasons: vec![], digest };
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        let (branch, message) = (BRANCH.to_owned(), "Turn pool from 20 to 100".to_owned());
        Self {
            request: CommitRequest { incident, branch, base: base.clone(), message, changes, at },
            propose: Permit::<Propose>::from_verdict(&verdict, &proposal).expect("allowed"),
            merge: Permit::<Merge>::from_verdict(&verdict, &proposal).expect("allowed"),
        }
    }

    fn draft(&self) -> PullRequestDraft {
        let (title, body) = ("Turn pool from 20 to 100".to_owned(), "20 to 100".to_owned());
        PullRequestDraft { incident: incident("A"), branch: BRANCH.to_owned(), title, body }
    }
}

fn incident(name: &str) -> IncidentId {
    serde_json::from_value(format!("inc_{name}").into()).expect("an id")
}

fn turn(repo: &Repo) -> Judged {
    Judged::new(&repo.head(), FILE, Some("pool: 100\n"))
}

fn denied<T>(answer: Result<T, ForgeError>) -> bool {
    matches!(answer, Err(ForgeError::NotPermitted(_)))
}

#[test]
fn only_a_bare_repository_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(LocalForge::open(folder.path(), "main", ""), Err(ForgeError::Missing(_))));
}

#[tokio::test]
async fn equal_requests_make_equal_commits_in_any_copy() {
    let (one, two) = (Repo::plain(), Repo::plain());
    let heads =
        (one.propose(&turn(&one)).await.expect("propose").0, two.propose(&turn(&two)).await.expect("propose").0);
    assert_eq!(heads.0, heads.1);
}

#[tokio::test]
async fn the_log_alone_tells_the_story() {
    let repo = Repo::plain();
    let judged = turn(&repo);
    let (head, number) = repo.propose(&judged).await.expect("propose");
    repo.green(&head);
    let merged = repo.forge.merge(&judged.merge, number, &head).await.expect("merge");
    let merge = repo.git.find_commit(repo.tip("refs/heads/main")).expect("the merge");
    assert_eq!(merge.id().to_string(), merged.revision.0);
    assert_eq!(merge.message(), Ok("Merge pull request #1 from sre-space/inc_A-1\n\nTurn pool from 20 to 100"));
    let ours = merge.parent(1).expect("our commit");
    assert_eq!((ours.id().to_string(), ours.message()), (head.0.clone(), Ok("Turn pool from 20 to 100")));
    for commit in [&merge, &ours] {
        assert_eq!(
            (commit.author().name(), commit.committer().email()),
            (Ok("sre-space[bot]"), Ok(crate::forge::EMAIL))
        );
    }
    assert_eq!(ours.time().seconds(), 1_800_000_000);
}

#[tokio::test]
async fn owners_pull_requests_are_listed_as_git_tells_them() {
    let repo = Repo::plain();
    let main = repo.tip("refs/heads/main");
    let head = repo.write("refs/pull/1/head", &[main], "Add loyalty", &[("rules/a", "1\n", FileMode::Blob)]);
    let message = "Merge pull request #1 from owners/loyalty\n\nGive loyal customers a discount";
    let merge = repo.write("refs/heads/main", &[main, head], message, &[("rules/a", "1\n", FileMode::Blob)]);
    repo.write("refs/pull/2/head", &[merge], "Try something\n\nat length", &[("rules/b", "1\n", FileMode::Blob)]);
    repo.propose(&turn(&repo)).await.expect("propose");

    let (pulls, _) = repo.forge.activity(10).await.expect("activity");
    let told: Vec<_> = pulls
        .iter()
        .map(|pull| (pull.number, pull.title.as_str(), pull.branch.as_str(), pull.state.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (3, "Turn pool from 20 to 100", BRANCH, "open"),
            (2, "Try something", "", "open"),
            (1, "Give loyal customers a discount", "owners/loyalty", "merged"),
        ]
    );
    assert_eq!(pulls[2].merged_as, Some(Sha(merge.to_string())));
    assert_eq!(pulls[0].url, "http://127.0.0.1:8001/pulls/3");
    let (newest, _) = repo.forge.activity(1).await.expect("activity");
    assert_eq!(newest, pulls[..1]);
}

#[tokio::test]
async fn a_pull_request_merged_by_hand_is_found_merged() {
    let repo = Repo::plain();
    let judged = turn(&repo);
    let (head, number) = repo.propose(&judged).await.expect("propose");
    let (main, tip) = (repo.tip("refs/heads/main"), Oid::from_str(&head.0).expect("a name"));
    let items = [(FILE, "pool: 100\n", FileMode::Blob)];
    let by_hand = repo.write("refs/heads/main", &[main, tip], "By hand", &items);
    repo.write("refs/heads/main", &[by_hand], "Later", &[("README.md", "hello\n", FileMode::Blob)]);
    let merged = repo.forge.merge(&judged.merge, number, &head).await.expect("found, though no check is green");
    assert_eq!(merged.revision.0, by_hand.to_string());
    assert_eq!(merged.at.as_second(), 1_700_000_000);
}

#[tokio::test]
async fn a_number_taken_just_before_a_crash_is_kept() {
    let repo = Repo::plain();
    let judged = turn(&repo);
    repo.forge.create_branch(&judged.propose, BRANCH, &judged.request.base).await.expect("branch");
    let head = repo.forge.commit(&judged.propose, &judged.request).await.expect("commit");
    // Where a crash leaves it: the reference is there, what is written about it is not.
    repo.git.reference("refs/pull/7/head", Oid::from_str(&head.0).expect("a name"), false, "").expect("a reference");
    let pull = repo.forge.open_pull_request(&judged.propose, &judged.draft()).await.expect("open");
    assert_eq!((pull.number, pull.title.as_str()), (7, "Turn pool from 20 to 100"));
    assert_eq!(repo.git.references_glob("refs/pull/*/head").expect("references").count(), 1);
}

#[tokio::test]
async fn nothing_is_written_through_links_submodules_or_folders() {
    let modes =
        [("link", "/etc/passwd", FileMode::Link), ("folder", "..", FileMode::Link), (FILE, "a\n", FileMode::Blob)];
    let repo = Repo::with(&modes);
    let main = repo.tip("refs/heads/main");
    repo.write("refs/heads/main", &[main], "Link", &[("module", "", FileMode::Commit)]);
    for path in ["link", "folder/x", "module", "module/x", "config", "config/app.yaml/x"] {
        let judged = Judged::new(&repo.head(), path, Some("x\n"));
        repo.forge.create_branch(&judged.propose, BRANCH, &judged.request.base).await.expect("branch");
        let refused = repo.forge.commit(&judged.propose, &judged.request).await;
        assert!(denied(refused), "{path}");
        assert!(matches!(repo.forge.file(&repo.head(), path).await, Err(ForgeError::Missing(_))), "{path}");
    }
}

#[tokio::test]
async fn an_executable_stays_one_and_a_missing_file_cannot_be_deleted() {
    let repo = Repo::with(&[("bin/run", "old\n", FileMode::BlobExecutable)]);
    let (head, _) = repo.propose(&Judged::new(&repo.head(), "bin/run", Some("new\n"))).await.expect("propose");
    let tree = repo.git.find_commit(Oid::from_str(&head.0).expect("a name")).expect("a commit").tree().expect("a tree");
    let entry = tree.get_path(std::path::Path::new("bin/run")).expect("the file");
    assert_eq!(entry.filemode(), i32::from(FileMode::BlobExecutable));
    let gone = Repo::plain();
    let refused = gone.propose(&Judged::new(&gone.head(), "nothing", None)).await;
    assert!(matches!(refused, Err(ForgeError::Missing(_))), "{refused:?}");
}

#[tokio::test]
async fn a_head_whose_past_or_modes_were_not_judged_is_refused() {
    let repo = Repo::plain();
    let main = repo.tip("refs/heads/main");
    let text = [(FILE, "pool: 100\n", FileMode::Blob)];
    let hidden = repo.write("refs/heads/hidden", &[main], "Unseen", &[("rules/a", "1\n", FileMode::Blob)]);
    let reference = format!("refs/heads/{BRANCH}");

    // The very digest, on a base that nobody deployed.
    let judged = Judged::new(&Sha(hidden.to_string()), FILE, Some("pool: 100\n"));
    repo.write(&reference, &[hidden], "x", &text);
    assert!(denied(repo.forge.open_pull_request(&judged.propose, &judged.draft()).await));
    assert!(denied(repo.forge.create_branch(&judged.propose, "sre-space/x", &judged.request.base).await));

    // The very contents, with a second parent that brings more along.
    let judged = turn(&repo);
    repo.write(&reference, &[main, hidden], "x", &text);
    assert!(denied(repo.forge.open_pull_request(&judged.propose, &judged.draft()).await));

    // The very contents, made executable on the way.
    repo.write(&reference, &[main], "x", &[(FILE, "pool: 100\n", FileMode::BlobExecutable)]);
    let refused = repo.forge.open_pull_request(&judged.propose, &judged.draft()).await;
    assert!(matches!(refused, Err(ForgeError::Conflict(_))), "{refused:?}");

    repo.write(&reference, &[main], "x", &text);
    repo.forge.open_pull_request(&judged.propose, &judged.draft()).await.expect("the very commit");
}

#[tokio::test]
async fn an_owners_merge_is_undone_as_a_whole_beside_later_lines_of_the_same_file() {
    let lines = |changed: &str| format!("{changed}\n{}last\n", "same\n".repeat(10));
    let (good, bad) = (lines("good"), lines("bad"));
    let repo = Repo::with(&[("rules/a", &good, FileMode::Blob), ("rules/b", "b\n", FileMode::Blob)]);
    let main = repo.tip("refs/heads/main");
    let items = [("rules/a", bad.as_str(), FileMode::Blob), ("rules/c", "c\n", FileMode::Blob)];
    let one = repo.write("refs/pull/1/head", &[main], "One", &items[..1]);
    let two = repo.write("refs/pull/1/head", &[one], "Two", &items);
    let merge = repo.write("refs/heads/main", &[main, two], "Merge pull request #1 from owners/x\n\nX", &items);
    let later = bad.replace("last", "later");
    repo.write("refs/heads/main", &[merge], "Later", &[("rules/a", &later, FileMode::Blob)]);

    let undo = repo.forge.revert_of(&Sha(merge.to_string()), &repo.head()).await.expect("revertible");
    let wanted = |path: &str, contents: Option<String>| FileChange { path: path.to_owned(), contents };
    assert_eq!(undo, [wanted("rules/a", Some(good.replace("last", "later"))), wanted("rules/c", None)]);
    let root = repo.forge.revert_of(&Sha(main.to_string()), &repo.head()).await;
    assert!(matches!(root, Err(ForgeError::Conflict(_))), "{root:?}");
}

#[tokio::test]
async fn a_report_that_is_not_clearly_green_is_not_green() {
    let repo = Repo::plain();
    let head = repo.head();
    let other = "f".repeat(40);
    for report in [
        String::new(),
        "{}".to_owned(),
        format!("{{\"sha\":\"{head}\",\"state\":\"pending\"}}"),
        format!("{{\"sha\":\"{head}\",\"state\":\"SUCCESS\"}}"),
        format!("{{\"sha\":\"{other}\",\"state\":\"success\"}}"),
    ] {
        repo.report(&head, &report);
        let checks = repo.forge.checks(&head).await.expect("checks");
        assert!(matches!(checks, Checks::Failed(_)), "{report}: {checks:?}");
    }
    repo.green(&head);
    assert_eq!(repo.forge.checks(&head).await.expect("checks"), Checks::Passed(String::new()));
}

/// Two forges on one repository share no lock, as two processes do. One more was killed while it wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_several_processes_lose_nothing() {
    let repo = Repo::plain();
    repo.lock("refs/forge/meta", lock::ABANDONED);
    let forges: Vec<_> = (0..4).map(|_| LocalForge::open(repo.folder.path(), "main", "").expect("open")).collect();
    let open = |index: usize| {
        let forge = Arc::clone(&forges[index % forges.len()]);
        async move { Issues::open(forge.as_ref(), &incident(&(index % 12).to_string()), "t", "b").await }
    };
    let mut opening = tokio::task::JoinSet::new();
    for index in 0..24 {
        opening.spawn(open(index));
    }
    let mut numbers: Vec<u64> = opening.join_all().await.into_iter().map(|issue| issue.expect("open").number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lock_is_respected_until_its_writer_counts_as_dead() {
    let repo = Repo::plain();
    let judged = turn(&repo);
    let branch = repo.lock(&format!("refs/heads/{BRANCH}"), Duration::ZERO);
    let refused = repo.propose(&judged).await.expect_err("it is locked");
    let wait = refused.wait().expect("when to come back");
    assert!(refused.is_transient() && wait < lock::ABANDONED && wait > Duration::from_secs(5), "{refused:?}");
    assert!(branch.exists(), "a writer may hold it");
    for reference in [&format!("refs/heads/{BRANCH}"), "refs/pull/1/head", "refs/forge/meta", "refs/heads/main"] {
        repo.lock(reference, lock::ABANDONED);
    }
    let (head, number) = repo.propose(&judged).await.expect("the lock was abandoned");
    repo.green(&head);
    repo.forge.merge(&judged.merge, number, &head).await.expect("the lock was abandoned");
}
