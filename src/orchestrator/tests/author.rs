//! A source patch through the product's own parts, up to the pull request that waits for a person, and behind the person's word.

#[expect(dead_code, reason = "the other paths are for those who know the owners' sources")]
#[path = "../../../crates/domain/src/patch/tests/attacks.rs"]
mod attacks;

use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository, Signature as Author, Time};
use sre_space_agents::guardrail;
use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::ids::{Digest, Sha};
use sre_space_domain::incident::{EscalationReason, HumanDecision, Word, admit};
use sre_space_domain::patch::Authored;
use sre_space_domain::proposal::{Decision, FileChange, Proposal, Remedy, Rewrite};
use sre_space_peers::openai::{Act, OpenAi, agreement};
use sre_space_ports::store::{Record, Write};

use super::counsel::{advised, found};
use super::*;

pub(super) const PRICING: &str = "rules/pricing.rhai";
pub(super) const BEFORE: &str = "// loyalty\nlet price = base / years;\nprice\n";
pub(super) const AFTER: &str = "// loyalty\nlet price = base;\nprice\n";
const CANARY: &str = "zq7canary";

pub(super) fn owners(autonomy: &str, sources: &str) -> String {
    format!("version: 1\nservices:\n  shop:\n    autonomy: {autonomy}\n    sources: {sources}\n")
}

/// The watched repository of a test.
pub(super) struct Watched(Repository);

impl Watched {
    fn of(dir: &tempfile::TempDir) -> Self {
        Self(Repository::open_bare(dir.path().join("watched.git")).expect("a repository"))
    }

    fn write(&self, reference: &str, parent: Option<Oid>, files: &[(&str, &str)]) -> Oid {
        let git = &self.0;
        let parent = parent.map(|oid| git.find_commit(oid).expect("a parent"));
        let empty =
            || git.find_tree(git.treebuilder(None).expect("a builder").write().expect("a tree")).expect("a tree");
        let before = parent.as_ref().map_or_else(empty, |commit| commit.tree().expect("a tree"));
        let mut edits = TreeUpdateBuilder::new();
        for (path, text) in files {
            edits.upsert(*path, git.blob(text.as_bytes()).expect("a blob"), FileMode::Blob);
        }
        let tree = edits.create_updated(git, &before).expect("a tree");
        let tree = git.find_tree(tree).expect("a tree");
        let ada = Author::new("ada", "ada@example.org", &Time::new(1_700_000_000, 0)).expect("a name");
        let made = git.commit(None, &ada, &ada, "By its owners", &tree, &parent.iter().collect::<Vec<_>>());
        let made = made.expect("a commit");
        git.reference(reference, made, true, "").expect("a reference");
        made
    }

    fn green(&self, commit: &Sha) {
        let report = format!("{{\"sha\":\"{commit}\",\"state\":\"success\",\"summary\":\"green\"}}");
        self.write(&format!("refs/checks/{commit}"), None, &[("check.json", &report)]);
    }

    pub(super) fn deployed(&self, path: &str) -> String {
        let tree = self.0.find_reference("refs/heads/main").expect("main").peel_to_tree().expect("a tree");
        let blob = tree.get_path(Path::new(path)).expect("a file").to_object(&self.0).expect("an object");
        String::from_utf8(blob.as_blob().expect("a blob").content().to_vec()).expect("text")
    }

    /// The names of all branches, and the messages of their newest commits.
    fn words(&self) -> String {
        let all = self.0.references().expect("references").map(|reference| reference.expect("a reference"));
        let said = all.filter(|reference| reference.is_branch()).map(|branch| {
            let commit = branch.peel_to_commit().expect("a commit");
            format!("{} {}\n", branch.name().expect("a name"), commit.message().expect("a message"))
        });
        said.collect()
    }
}

/// A model that agrees with the rules, and writes this where it is asked for a source patch.
pub(super) fn writing(path: &'static str, content: &'static str) -> OpenAi {
    OpenAi::start(move |asked| match asked.body.contains("FILES THAT MAY BE REWRITTEN") {
        true => Act::Say(
            serde_json::json!({"files": [{"path": path, "content": content}], "why": format!("{CANARY} @everyone")})
                .to_string(),
        ),
        false => Act::Say(agreement(&asked.body, 1.0)),
    })
}

/// A place with a model and a repository of these owners.
pub(super) async fn place(dir: &tempfile::TempDir, server: &OpenAi, owners: &str) -> (Context, Watched) {
    let context = advised(dir, server, &[]).await;
    let watched = Watched::of(dir);
    watched.write("refs/heads/main", None, &[(".sre-space.yaml", owners), (PRICING, BEFORE)]);
    (context, watched)
}

/// One effect after the other, until none is left or this one is next.
pub(super) async fn until(context: &Context, mut step: Step, watched: &Watched, last: &Effect) -> Step {
    while let Some(effect) = step.effect.clone().filter(|effect| effect != last) {
        if effect == Effect::AwaitChecks {
            watched.green(step.incident.change.as_ref().and_then(|change| change.commit.as_ref()).expect("a commit"));
        }
        let event = perform(context, &step.incident, &effect).await;
        step = incident::step(step.incident, event, &context.rules, context.now());
    }
    step
}

/// An incident for which nothing declared is left, up to the call of a person.
pub(super) async fn called(context: &Context, watched: &Watched) -> Incident {
    until(context, found(context, vec![]), watched, &Effect::Page).await.incident
}

fn call(incident: &Incident) -> (EscalationReason, &str) {
    let call = incident.escalation.as_ref().expect("a call");
    (call.reason, call.detail.as_str())
}

#[tokio::test]
async fn a_source_patch_ends_at_a_pull_request_until_a_person_merges_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = writing(PRICING, AFTER);
    let (mut context, watched) = place(&dir, &server, &owners("auto", "[\"rules/**\"]")).await;
    let waiting = called(&context, &watched).await;
    assert_eq!((waiting.state, call(&waiting).0), (State::AwaitingHuman, EscalationReason::ApprovalRequired));
    let verdict = waiting.verdict.clone().expect("a verdict");
    assert_eq!((verdict.decision, verdict.rules), (Decision::RequireApproval, vec!["written-by-a-model".to_owned()]));
    let proposal = waiting.proposal.clone().expect("a proposal");
    assert_eq!((proposal.files.as_slice(), proposal.lines, proposal.trust), (&[PRICING.to_owned()][..], 2, 0.0));
    assert_eq!((waiting.source, waiting.cost.calls, server.log().len()), (Some(Source::BrainLlm), 2, 2));

    // Nothing but a person's word merges it.
    let Event::Failed(why) = perform(&context, &waiting, &Effect::Merge).await else { panic!("refused") };
    assert_eq!(why, "merge: neither policy nor a person gives leave to merge");
    assert_eq!(watched.deployed(PRICING), BEFORE);

    let (pulls, _) = context.parts.issues.activity(10).await.expect("activity");
    let [pull] = &pulls[..] else { panic!("one pull request: {pulls:?}") };
    assert!(pull.body.starts_with("**A model wrote this change, and nothing proves that it helps.**"), "{}", pull.body);
    assert!(pull.body.contains("\n> `zq7canary @everyone`\n"), "{}", pull.body);
    assert!(!pull.title.contains(CANARY) && !pull.branch.contains(CANARY) && !watched.words().contains(CANARY));

    let decision = HumanDecision { word: Word::Approve, digest: proposal.digest, by: "ada".into() };
    admit(&waiting, &decision, &context.rules, context.now()).expect("in time");
    let approved = incident::step(waiting, Event::Decided(decision), &context.rules, context.now());
    let merged = until(&context, approved, &watched, &Effect::AwaitDeploy).await;
    assert_eq!((merged.incident.state, watched.deployed(PRICING).as_str()), (State::Deploying, AFTER));

    // What did not help is taken back like anything else.
    let worse = Incident { state: State::Reverting, ..merged.incident };
    context.patience.checks = Duration::ZERO;
    let unchecked = perform(&context, &worse, &Effect::Revert).await;
    assert!(matches!(&unchecked, Event::Failed(why) if why.contains("did not finish")), "{unchecked:?}");
    let tip = watched.0.refname_to_id(&format!("refs/heads/{}", worse.revert_branch())).expect("a branch");
    watched.green(&Sha(tip.to_string()));
    let event = perform(&context, &worse, &Effect::Revert).await;
    assert!(matches!(event, Event::Reverted(_)), "{event:?}");
    assert_eq!(watched.deployed(PRICING), BEFORE);

    let taken_back = watched.0.refname_to_id("refs/heads/main").expect("main");
    let vouching = format!("{}    vouched: {{ revert: 30 }}\n", owners("auto", "[\"rules/**\"]"));
    watched.write("refs/heads/main", Some(taken_back), &[(".sre-space.yaml", &vouching)]);
    let undoing = undoing(&context, &Sha(taken_back.to_string()));
    assert!(rendered(&context, &undoing).await.trust > 0.9, "the owners vouch for reverts");
    let record = Record { incident: worse, pending: None };
    context.parts.store.commit(Write { record: Some(record), ..Write::default() }).await.expect("kept");
    let revived = rendered(&context, &undoing).await;
    assert_eq!((revived.changes[0].contents.as_deref(), revived.trust), (Some(AFTER), 0.0), "a model wrote that");
    assert!(revived.rationale.contains("| Trust | 0.0000 |"), "{}", revived.rationale);
}

/// An incident that is to be cured by taking this commit back.
fn undoing(context: &Context, commit: &Sha) -> Incident {
    let remedy = Remedy::Revert { service: "shop".into(), commit: commit.clone() };
    Incident { id: context.new_id(), state: State::Deciding, remedy: Some(remedy), ..found(context, vec![]).incident }
}

async fn rendered(context: &Context, incident: &Incident) -> Proposal {
    let event = perform(context, incident, &Effect::Render).await;
    let Event::Rendered(proposal) = event else { panic!("{event:?}") };
    *proposal
}

#[tokio::test]
async fn where_the_owners_did_not_ask_for_it_no_file_leaves_the_house() {
    let table = [
        (owners("observe", "[\"rules/**\"]"), "the owners let the service be observed only"),
        (owners("auto", "[]"), "the owners declare no sources for the service"),
        (owners("auto", "[\"src/**\"]"), "none of the declared sources can be shown to a model"),
        (owners("auto", "[\"rules/**\"]").replace("shop", "other"), "the owners do not name the service"),
    ];
    for (owners, why) in table {
        let dir = tempfile::tempdir().expect("a folder");
        let server = writing(PRICING, AFTER);
        let (context, watched) = place(&dir, &server, &owners).await;
        let incident = called(&context, &watched).await;
        let detail = format!("no declared remedy is left to try, and there is no source patch: {why}");
        assert_eq!(
            (incident.state, call(&incident)),
            (State::Escalated, (EscalationReason::NoRemedy, detail.as_str()))
        );
        assert_eq!((server.log().len(), incident.change), (1, None), "the counsel alone was asked for");
    }
}

#[tokio::test]
async fn without_the_operators_word_no_file_leaves_the_house() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = writing(PRICING, AFTER);
    let (mut context, watched) = place(&dir, &server, &owners("auto", "[\"rules/**\"]")).await;
    context.rules.asks_for_patches = false;
    let incident = called(&context, &watched).await;
    assert_eq!((incident.state, call(&incident).0), (State::Escalated, EscalationReason::NoRemedy));
    assert_eq!((server.log().len(), incident.authored), (1, None), "the counsel alone was asked for");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_refused_and_a_person_is_called() {
    let table = [
        (".github/workflows/ci.yml", AFTER, "it names a file that it was not shown"),
        ("config/shop.yaml", AFTER, "it names a file that it was not shown"),
        (PRICING, BEFORE, "it leaves rules/pricing.rhai as it is"),
        (
            PRICING,
            "\u{202e}",
            "it writes characters into rules/pricing.rhai that are neither plain ASCII nor in the file already",
        ),
    ];
    for (path, content, why) in table {
        let dir = tempfile::tempdir().expect("a folder");
        let server = writing(path, content);
        let (context, watched) = place(&dir, &server, &owners("auto", "[\"rules/**\"]")).await;
        let incident = called(&context, &watched).await;
        assert_eq!(incident.authored, Some(Authored::Lacking { why: why.to_owned() }));
        assert_eq!((incident.state, call(&incident).0), (State::Escalated, EscalationReason::NoRemedy), "{path}");
        assert_eq!((server.log().len(), incident.change), (2, None), "nothing is mended");
    }
}

#[tokio::test]
async fn what_changed_since_it_was_read_is_not_written_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = writing(PRICING, AFTER);
    let (context, watched) = place(&dir, &server, &owners("auto", "[\"rules/**\"]")).await;
    let written = until(&context, found(&context, vec![]), &watched, &Effect::Render).await;
    let main = watched.0.refname_to_id("refs/heads/main").expect("main");
    watched.write("refs/heads/main", Some(main), &[(PRICING, "// by ada\n")]);
    let Event::Failed(why) = perform(&context, &written.incident, &Effect::Render).await else { panic!("refused") };
    assert_eq!(why, "render: the source patch does not fit: rules/pricing.rhai changed since it was read");
}

#[tokio::test]
async fn guardrail_denies_every_bad_path_whatever_the_owners_declare() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = context(&dir).await;
    let catalogue: Catalogue = serde_json::from_value(serde_json::json!({"version": 1, "services": {"shop": {
        "autonomy": "auto", "sources": ["**", "**/.*", "**/.*/**"]}}}))
    .expect("a catalogue");
    let ruled = |path: &str| {
        let sum = |text: &str| Digest::of([text.as_bytes()]);
        let edit = Rewrite { before: sum(BEFORE), after: sum(AFTER) };
        let remedy = Remedy::SourcePatch { service: "shop".into(), edits: [(path.to_owned(), edit)].into() };
        let proposal = Proposal {
            remedy,
            trust: 1.0,
            base: Sha("b".repeat(40)),
            files: vec![path.to_owned()],
            changes: vec![FileChange { path: path.to_owned(), contents: Some(AFTER.to_owned()) }],
            reproduces: None,
            diff: String::new(),
            lines: 2,
            digest: sum("change"),
            title: String::new(),
            rationale: String::new(),
        };
        let diagnosed = found(&context, vec![]).incident;
        let incident = Incident { proposal: Some(proposal), ..diagnosed };
        let case = guardrail::Case {
            incident: &incident,
            catalogue: &catalogue,
            threshold: 0.9,
            incidents_last_hour: 0,
            cooling: false,
            active_on_service: 0,
            vetoes: Default::default(),
        };
        let question = guardrail::question(&case).expect("a question");
        guardrail::rule(context.parts.policy.as_ref(), &question, &sum("change")).decision
    };
    assert_eq!(ruled(PRICING), Decision::RequireApproval);
    for path in attacks::BAD {
        assert_eq!(ruled(path), Decision::Deny, "{path:?}");
    }
}
