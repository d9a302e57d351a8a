//! Six calls that write × five ways to go wrong × twenty: one pull request, and only the judged head is ever merged.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libtest_mimic::Trial;
use sre_space_domain::breaker::Condition;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proposal::{Decision, Verdict, digest};
use sre_space_github::Kind;
use sre_space_ports::contract::forge::{Bench, FILE, file, proposal};
use sre_space_ports::forge::{Changes, Checks, CommitRequest, ForgeError, PullRequestDraft, Repository};
use tokio::task::JoinSet;

use super::bench::OnGithub;
use crate::run;

const CALLS: [&str; 6] = [
    "POST /git/refs",
    "POST /git/commits",
    "PATCH /git/refs/{ref}",
    "POST /pulls",
    "PATCH /pulls/{pull_number}",
    "PUT /pulls/{pull_number}/merge",
];
const TIMES: usize = 20;
/// Runs at once; a limit makes a run wait a second.
const AT_ONCE: usize = 24;
/// Tries of one story before it is given up.
const PATIENCE: usize = 12;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("forge/github/faults_neither_double_a_pull_request_nor_merge_an_unseen_head", || run(all()))]
}

/// The five ways. What GitHub refuses a call with depends on the call, and changes from run to run.
fn ways(call: &str, time: usize) -> [Kind; 5] {
    let refused = match (call, time % 3) {
        ("PUT /pulls/{pull_number}/merge", 0) => Kind::Overtaken,
        ("PUT /pulls/{pull_number}/merge", 1) => Kind::Refused(405),
        ("POST /git/commits", 0) | ("PATCH /git/refs/{ref}", 0) => Kind::Refused(409),
        (_, _) => Kind::Refused(422),
    };
    [Kind::BrokenBefore, Kind::BrokenAfter, Kind::DroppedAfter, Kind::Limited, refused]
}

/// What one run came to.
#[derive(Default)]
struct Tally {
    runs: usize,
    doubles: usize,
    merges: usize,
    unseen: usize,
    merged: usize,
    refused: usize,
}

async fn all() {
    let each =
        CALLS.into_iter().flat_map(|call| (0..TIMES).flat_map(move |time| ways(call, time).map(|way| (call, way))));
    let (mut playing, mut tally) = (JoinSet::new(), Tally::default());
    let mut count = |done: Run| {
        tally.runs += 1;
        tally.doubles += done.pulls.saturating_sub(1);
        tally.unseen += done.unseen;
        tally.merges += done.merges;
        tally.merged += usize::from(done.is_merged);
        tally.refused += usize::from(!done.is_merged);
    };
    for (call, way) in each {
        if playing.len() >= AT_ONCE {
            count(playing.join_next().await.expect("a run").expect("it did not panic"));
        }
        playing.spawn(play(call, way));
    }
    playing.join_all().await.into_iter().for_each(&mut count);
    println!(
        "{} runs: {} duplicate pull requests, {} merges of an unseen head ({} merged what was judged, {} were overtaken \
         and merged nothing)",
        tally.runs, tally.doubles, tally.unseen, tally.merged, tally.refused
    );
    assert_eq!((tally.runs, tally.doubles, tally.unseen), (CALLS.len() * TIMES * 5, 0, 0));
    assert_eq!(tally.merges, tally.merged, "merges that nobody was told of");
    // Of twenty merges, those that somebody overtook came to nothing, and everything else to one merge.
    assert_eq!(tally.refused, TIMES.div_ceil(3));
}

/// What is left when a run is over.
struct Run {
    pulls: usize,
    merges: usize,
    unseen: usize,
    is_merged: bool,
}

async fn play(call: &'static str, way: Kind) -> Run {
    let bench = Arc::new(OnGithub::new().await);
    bench.github.break_next(call, way);
    let story = Story::new(bench.as_ref()).await;
    let mut told = Err(ForgeError::unavailable("nobody tried"));
    for _ in 0..PATIENCE {
        told = story.tell(bench.as_ref()).await;
        // Only waits that GitHub itself asked for are kept.
        match &told {
            Ok(()) | Err(ForgeError::HeadMoved { .. }) => break,
            Err(ForgeError::Unavailable { .. }) => rest(&bench).await,
            Err(ForgeError::Conflict(_) | ForgeError::Missing(_) | ForgeError::NotPermitted(_)) => {}
        }
    }
    assert_eq!(bench.github.unmet(), 0, "{call} {way:?} was never asked: {told:?}");
    let is_merged = told.is_ok();
    assert_eq!(is_merged, way != Kind::Overtaken, "{call} {way:?}: {told:?}\n{:#?}", bench.github.log());
    let merges = bench.github.merges();
    let judged = story.judged.into_inner().expect("a head that was judged");
    let unseen = merges.iter().filter(|merge| merge.head != judged.0).count();
    Run { pulls: bench.github.pull_requests(), merges: merges.len(), unseen, is_merged }
}

/// Until GitHub may be asked again.
async fn rest(bench: &OnGithub) {
    while bench.upstream.status().state == Condition::Open {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One fix, from its branch to its merge.
struct Story {
    request: CommitRequest,
    /// The head the permit was given for.
    judged: OnceLock<Sha>,
    propose: Permit<Propose>,
    merge: Permit<Merge>,
}

impl Story {
    async fn new(bench: &OnGithub) -> Self {
        let incident: IncidentId = serde_json::from_value("inc_A".into()).expect("an id");
        let base = bench.forge.head().await.expect("a head");
        let changes = vec![file(FILE, "pool: 100\n")];
        let digest = digest(&incident, &base, &changes);
        let judged = proposal(&base, &changes, digest.clone());
        let verdict = Verdict { decision: Decision::Allow, rules: vec![], reasons: vec![], digest };
        let at = jiff::Timestamp::from_second(1_800_000_000).expect("in range");
        let (branch, message) = ("sre-space/inc_A-1".to_owned(), "Turn pool from 20 to 100".to_owned());
        Self {
            propose: Permit::<Propose>::from_verdict(&verdict, &judged).expect("allowed"),
            merge: Permit::<Merge>::from_verdict(&verdict, &judged).expect("allowed"),
            judged: OnceLock::new(),
            request: CommitRequest { incident, branch, base, message, changes, at },
        }
    }

    /// All of it, as after a crash: each call finds what an earlier try made.
    async fn tell(&self, bench: &OnGithub) -> Result<(), ForgeError> {
        let (forge, request) = (&bench.forge, &self.request);
        forge.create_branch(&self.propose, &request.branch, &request.base).await?;
        let head = forge.commit(&self.propose, request).await?;
        assert_eq!(self.judged.get_or_init(|| head.clone()), &head, "the same request made another commit");
        let draft = PullRequestDraft {
            incident: request.incident.clone(),
            branch: request.branch.clone(),
            title: request.message.clone(),
            body: "first".to_owned(),
        };
        let pull = forge.open_pull_request(&self.propose, &draft).await?;
        bench.report(&head, Checks::Passed("green".to_owned()));
        forge.describe(&self.propose, pull.number, "second").await?;
        forge.merge(&self.merge, pull.number, &head).await.map(drop)
    }
}
