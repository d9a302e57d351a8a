//! The forges: a bare git repository, and the one in memory that other tests lean on.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository as Git, Signature, Time};
use libtest_mimic::{Failed, Trial};
use sre_space_adapters::forge::local::LocalForge;
use sre_space_domain::ids::Sha;
use sre_space_domain::proposal::FileChange;
use sre_space_ports::contract::forge::{self as contract, BEFORE, Bench, FILE};
use sre_space_ports::doubles::forge::RecordingForge;
use sre_space_ports::forge::{Changes, Checks, Issues, Repository};
use tempfile::TempDir;

pub type Promise = for<'a> fn(&'a dyn Bench) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! promises {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), (|bench| Box::pin(contract::$name(bench))) as Promise)),*]
    };
}

/// Every promise of a forge, by name.
pub fn promises() -> Vec<(&'static str, Promise)> {
    promises![
        repeating_changes_nothing,
        a_body_is_replaced_by_its_owner,
        a_folder_is_listed,
        a_moved_head_is_refused,
        checks_that_are_not_green_are_refused,
        a_permit_covers_one_proposal,
        a_permit_is_bound_to_base_and_incident,
        a_revert_permit_merges_the_exact_revert,
        a_revert_permit_merges_nothing_else,
        a_revert_that_does_not_apply_is_a_conflict,
        a_moved_main_is_merged_unless_it_conflicts,
        what_guards_the_repository_is_not_written,
        a_strangers_branch_is_not_taken_over,
        reading_tells_what_is_there,
        tickets_are_written_once,
    ]
    .into()
}

/// Every forge on this machine × every promise.
pub fn trials() -> Vec<Trial> {
    let trials = promises().into_iter().flat_map(|(name, promise)| {
        [
            Trial::test(format!("forge/local/{name}"), move || run(&OnDisk::new(), promise)),
            Trial::test(format!("forge/memory/{name}"), move || run(&InMemory::new(), promise)),
        ]
    });
    trials.collect()
}

fn run(bench: &dyn Bench, promise: Promise) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(promise(bench));
    Ok(())
}

struct InMemory(Arc<RecordingForge>);

impl InMemory {
    fn new() -> Self {
        Self(RecordingForge::with_files(&[(FILE, BEFORE)]))
    }
}

impl Bench for InMemory {
    fn repository(&self) -> Arc<dyn Repository> {
        self.0.clone()
    }
    fn changes(&self) -> Arc<dyn Changes> {
        self.0.clone()
    }
    fn issues(&self) -> Arc<dyn Issues> {
        self.0.clone()
    }
    fn push(&self, branch: &str, files: &[FileChange]) -> Sha {
        self.0.push(branch, "By an owner", files).expect("push")
    }
    fn report(&self, commit: &Sha, checks: Checks) {
        self.0.set_checks(commit, checks);
    }
}

struct OnDisk {
    folder: TempDir,
    forge: Arc<LocalForge>,
}

impl OnDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        seed(folder.path());
        let forge = LocalForge::open(folder.path(), "main", "http://127.0.0.1:8001/").expect("open");
        Self { folder, forge }
    }

    fn git(&self) -> Git {
        Git::open_bare(self.folder.path()).expect("open")
    }
}

impl Bench for OnDisk {
    fn repository(&self) -> Arc<dyn Repository> {
        self.forge.clone()
    }
    fn changes(&self) -> Arc<dyn Changes> {
        self.forge.clone()
    }
    fn issues(&self) -> Arc<dyn Issues> {
        self.forge.clone()
    }
    fn push(&self, branch: &str, files: &[FileChange]) -> Sha {
        push(&self.git(), branch, files)
    }
    fn report(&self, commit: &Sha, checks: Checks) {
        let (state, summary) = match checks {
            Checks::Pending => return,
            Checks::Passed(what) => ("success", what),
            Checks::Failed(why) => ("failure", why),
        };
        let report = serde_json::json!({ "sha": commit, "state": state, "summary": summary, "checks": [] });
        let (git, name) = (self.git(), format!("refs/checks/{commit}"));
        let empty = git.treebuilder(None).and_then(|tree| tree.write()).expect("an empty tree");
        let parent = git.refname_to_id(&name).ok();
        write(&git, empty, parent, &name, &[contract::file("check.json", &report.to_string())]);
    }
}

/// A bare repository whose main holds what every bench starts with.
pub fn seed(path: &Path) {
    let git = Git::init_bare(path).expect("a bare repository");
    let empty = git.treebuilder(None).and_then(|tree| tree.write()).expect("an empty tree");
    write(&git, empty, None, "refs/heads/main", &[contract::file(FILE, BEFORE)]);
}

/// An owner's commit to a branch.
pub fn push(git: &Git, branch: &str, files: &[FileChange]) -> Sha {
    let name = format!("refs/heads/{branch}");
    let tip = git.refname_to_id(&name).expect("the branch");
    let tree = git.find_commit(tip).expect("its tip").tree_id();
    Sha(write(git, tree, Some(tip), &name, files).to_string())
}

/// Commits as an owner does, with plain git.
fn write(git: &Git, tree: Oid, parent: Option<Oid>, reference: &str, files: &[FileChange]) -> Oid {
    let mut edits = TreeUpdateBuilder::new();
    for change in files {
        match &change.contents {
            Some(text) => {
                edits.upsert(change.path.as_str(), git.blob(text.as_bytes()).expect("a blob"), FileMode::Blob)
            }
            None => edits.remove(change.path.as_str()),
        };
    }
    let tree = edits.create_updated(git, &git.find_tree(tree).expect("a tree")).expect("an edit");
    let owner = Signature::new("owner", "owner@example.org", &Time::new(1_700_000_000, 0)).expect("a name");
    let parents: Vec<_> = parent.into_iter().map(|oid| git.find_commit(oid).expect("a parent")).collect();
    let parents: Vec<_> = parents.iter().collect();
    let tree = git.find_tree(tree).expect("a tree");
    git.commit(Some(reference), &owner, &owner, "By an owner", &tree, &parents).expect("a commit")
}
