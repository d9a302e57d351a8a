//! Performs one effect and answers with the event it leads to.
//!
//! Each looks before it writes, so performing it again after a crash is harmless.

use std::collections::BTreeSet;

use sre_space_agents::{catalogue, curator, fixer, guardrail, human};
use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::ids::Sha;
use sre_space_domain::incident::{Change, Effect, Event, Incident};
use sre_space_domain::journal::Entry;
use sre_space_domain::permit::{Merge, Permit, Propose};
use sre_space_domain::proof::Proof;
use sre_space_domain::proposal::{Decision, Proposal, Verdict};
use sre_space_ports::forge::Checks;
use tokio::time::Instant;
use tracing::error;

use super::context::looks;
use super::retry::{Fallible, Turn};
use super::{Context, author, orient, trust, verify};

/// Performs an effect. Whatever goes wrong for good becomes [`Event::Failed`] and calls a person.
pub async fn perform(context: &Context, incident: &Incident, effect: &Effect) -> Event {
    let turn = &Turn::of(context, effect);
    if !turn.is_allowed() {
        return Event::Forbidden;
    }
    let answer = match effect {
        Effect::AwaitConfirmation => Ok(verify::await_confirmation(turn, incident).await),
        Effect::OpenTicket => open_ticket(turn, incident).await,
        Effect::Recall => orient::recall(turn, incident).await,
        Effect::Diagnose => Ok(orient::diagnose(turn, incident).await),
        Effect::Counsel => Ok(orient::counsel(turn, incident).await),
        Effect::WritePatch => Ok(author::write_patch(turn, incident).await),
        Effect::Render => render(turn, incident).await,
        Effect::Rule => rule(turn, incident).await,
        Effect::CreateBranch => create_branch(turn, incident).await,
        Effect::Commit => commit(turn, incident).await,
        Effect::OpenPullRequest => open_pull_request(turn, incident).await,
        Effect::AwaitChecks => await_checks(turn, incident).await,
        Effect::Merge => merge(turn, incident).await,
        Effect::AwaitDeploy => verify::await_deploy(turn, incident).await,
        Effect::Verify => verify::recheck(turn, incident).await,
        Effect::Revert => revert(turn, incident).await,
        Effect::Hold => verify::hold(turn, incident).await,
        Effect::Remember => remember(turn, incident).await,
        Effect::CloseTicket => close_ticket(turn, incident).await,
        Effect::Page => page(turn, incident).await,
        Effect::AwaitCalm => Ok(verify::await_calm(turn, incident).await),
    };
    answer.unwrap_or_else(|why| {
        if !turn.is_allowed() {
            return Event::Forbidden;
        }
        error!(incident = %incident.id, effect = effect.name(), why, "an effect failed for good");
        Event::Failed(format!("{}: {why}", effect.name()))
    })
}

async fn open_ticket(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let issues = turn.parts.issues.as_ref();
    turn.retried(|| human::open_ticket(issues, incident)).await.map(Event::TicketOpened)
}

async fn close_ticket(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    prove(turn, incident).await?;
    let issues = turn.parts.issues.as_ref();
    let entries = story(turn, incident).await?;
    let story = sre_space_domain::postmortem::write(incident, &entries);
    turn.retried(|| human::close_ticket(issues, incident, &story)).await.map(|()| Event::TicketClosed)
}

/// The journal's rows of an incident.
async fn story(turn: &Turn<'_>, incident: &Incident) -> Fallible<Vec<Entry>> {
    turn.patience.outlasted(|| turn.parts.store.journal(0, 1_000, Some(&incident.id))).await
}

async fn page(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    prove(turn, incident).await?;
    let issues = turn.parts.issues.as_ref();
    turn.retried(|| human::page(issues, incident)).await.map(|_| Event::Paged)
}

/// The owners' rules at the head of the deployed branch.
pub(super) async fn allowed(turn: &Turn<'_>) -> Fallible<(Sha, Catalogue)> {
    let repository = turn.parts.repository.as_ref();
    let head = turn.retried(|| repository.head()).await?;
    let text = turn.retried(|| repository.file(&head, ".sre-space.yaml")).await?;
    let catalogue = catalogue::parse(&text).map_err(|error| error.to_string())?;
    Ok((head, catalogue))
}

async fn render(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let remedy = incident.remedy.as_ref().ok_or("no remedy to render")?;
    let diagnosis = incident.diagnosis.as_ref().ok_or("no diagnosis to render for")?;
    let (_, catalogue) = allowed(turn).await?;
    let store = turn.parts.store.as_ref();
    let trust = turn.patience.outlasted(|| trust::earned(store, &catalogue, remedy, diagnosis.kind)).await?;
    let repository = turn.parts.repository.as_ref();
    let (base, mut inputs) = turn.retried(|| fixer::gather(repository, &catalogue, remedy, diagnosis.kind)).await?;
    inputs.written = incident.source_patch().cloned();
    let is_of_a_model = turn.patience.outlasted(|| trust::revives_a_models_text(store, &inputs.undo)).await?;
    let order = fixer::Order {
        incident: incident.id.clone(),
        opened_at: incident.opened_at,
        attempt: incident.attempt(),
        remedy: remedy.clone(),
        fault: diagnosis.kind,
        confidence: diagnosis.confidence.get(),
        trust: if is_of_a_model { 0.0 } else { trust },
        measured: diagnosis.measured.clone(),
    };
    let proposal = fixer::render(&order, &catalogue, &base, &inputs).map_err(|error| error.to_string())?;
    Ok(Event::Rendered(Box::new(proposal)))
}

async fn rule(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    verdict(turn, incident).await.map(Event::Ruled)
}

/// What policy says now. A veto that alone denies is waited for, since most pass; one that stays is a denial.
async fn verdict(turn: &Turn<'_>, incident: &Incident) -> Fallible<Verdict> {
    let proposal = incident.proposal.as_ref().ok_or("no proposal to judge")?;
    let (_, catalogue) = allowed(turn).await?;
    let load = verify::load(turn, incident, &catalogue).await?;
    let judged = |vetoes: BTreeSet<String>| {
        let case = guardrail::Case {
            incident,
            catalogue: &catalogue,
            threshold: turn.rules.confidence_threshold,
            incidents_last_hour: load.incidents_last_hour,
            cooling: load.cooling,
            active_on_service: load.active_on_service,
            vetoes,
        };
        let question = guardrail::question(&case).ok_or("there is nothing to judge")?;
        Fallible::Ok(guardrail::rule(turn.parts.policy.as_ref(), &question, &proposal.digest))
    };
    let deadline = Instant::now() + turn.patience.veto;
    let mut look = looks(turn.patience.look);
    loop {
        let vetoes = turn.vetoes();
        let may_pass = !vetoes.is_empty() && Instant::now() < deadline;
        let verdict = judged(vetoes)?;
        let is_denied = verdict.decision == Decision::Deny;
        if !(is_denied && may_pass && judged(BTreeSet::new())?.decision != Decision::Deny) {
            return Ok(verdict);
        }
        look.tick().await;
    }
}

/// A veto that came after the verdict stands against a merge, whoever gave leave.
async fn unvetoed(turn: &Turn<'_>, incident: &Incident) -> Fallible<()> {
    if turn.vetoes().is_empty() {
        return Ok(());
    }
    match verdict(turn, incident).await? {
        Verdict { decision: Decision::Deny, reasons, .. } => Err(reasons.join("; ")),
        Verdict { decision: Decision::Allow | Decision::RequireApproval, .. } => Ok(()),
    }
}

/// The proposal in hand with the verdict on it; neither is believed without the other.
fn judged(incident: &Incident) -> Fallible<(&Proposal, &Verdict)> {
    let proposal = incident.proposal.as_ref().ok_or("there is no proposal")?;
    let verdict = incident.verdict.as_ref().ok_or("there is no verdict")?;
    Ok((proposal, verdict))
}

fn leave_to_propose(incident: &Incident) -> Fallible<(&Proposal, Permit<Propose>)> {
    let (proposal, verdict) = judged(incident)?;
    let permit = Permit::<Propose>::from_verdict(verdict, proposal).ok_or("the verdict gives no leave to propose")?;
    Ok((proposal, permit))
}

fn leave_to_merge(incident: &Incident) -> Fallible<Permit<Merge>> {
    let (proposal, verdict) = judged(incident)?;
    let allowed = Permit::<Merge>::from_verdict(verdict, proposal);
    let approved = || Permit::from_approval(incident.approval.as_ref()?, verdict, proposal);
    allowed.or_else(approved).ok_or_else(|| "neither policy nor a person gives leave to merge".to_owned())
}

fn change(incident: &Incident) -> Fallible<&Change> {
    incident.change.as_ref().ok_or_else(|| "nothing was written yet".to_owned())
}

fn proof(incident: &Incident) -> Fallible<Proof> {
    Proof::of(incident).ok_or_else(|| "there is no verdict to prove".to_owned())
}

/// Writes into the pull request what was seen after its merge; the journal had it first.
async fn prove(turn: &Turn<'_>, incident: &Incident) -> Fallible<()> {
    let Some(number) = incident.change.as_ref().and_then(|change| change.pr).filter(|_| incident.recovery.is_some())
    else {
        return Ok(());
    };
    let ((_, permit), proof) = (leave_to_propose(incident)?, proof(incident)?);
    let changes = turn.parts.changes.as_ref();
    turn.retried(|| fixer::describe(changes, &permit, number, &proof)).await
}

/// On whose behalf Fixer writes, and where.
fn errand<'a>(incident: &'a Incident, branch: &'a str) -> fixer::Errand<'a> {
    fixer::Errand { incident: &incident.id, branch, at: incident.opened_at }
}

async fn create_branch(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let (proposal, permit) = leave_to_propose(incident)?;
    let (changes, branch) = (turn.parts.changes.as_ref(), incident.branch());
    turn.retried(|| async { fixer::create_branch(changes, &permit, &errand(incident, &branch), proposal).await })
        .await?;
    Ok(Event::Branched)
}

async fn commit(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let (proposal, permit) = leave_to_propose(incident)?;
    let (changes, branch) = (turn.parts.changes.as_ref(), incident.branch());
    let commit = || async { fixer::commit(changes, &permit, &errand(incident, &branch), proposal).await };
    turn.retried(commit).await.map(Event::Committed)
}

async fn open_pull_request(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let (proposal, permit) = leave_to_propose(incident)?;
    let (changes, branch) = (turn.parts.changes.as_ref(), incident.branch());
    let proof = proof(incident)?;
    let paper = (proposal.title.as_str(), &proof);
    let open = || async { fixer::open_pull_request(changes, &permit, &errand(incident, &branch), paper).await };
    let opened = turn.retried(open).await?;
    Ok(Event::Proposed { pr: opened.number, url: opened.url })
}

async fn await_checks(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let head = change(incident)?.commit.as_ref().ok_or("there is no commit to check")?;
    let deadline = Instant::now() + turn.patience.checks;
    let mut look = looks(turn.patience.look);
    loop {
        turn.look(&mut look).await;
        match turn.retried(|| turn.parts.repository.checks(head)).await? {
            Checks::Passed(what) => return Ok(Event::ChecksPassed(what)),
            Checks::Failed(what) => return Ok(Event::ChecksFailed(what)),
            Checks::Pending if Instant::now() < deadline => {}
            Checks::Pending => {
                let waited = turn.patience.checks.as_secs();
                return Ok(Event::ChecksFailed(format!("no result within {waited} s")));
            }
        }
    }
}

async fn merge(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let permit = leave_to_merge(incident)?;
    unvetoed(turn, incident).await?;
    let change = change(incident)?;
    let number = change.pr.ok_or("there is no pull request")?;
    let head = change.commit.as_ref().ok_or("there is no commit to merge")?;
    let changes = turn.parts.changes.as_ref();
    let merged = turn.retried(|| changes.merge(&permit, number, head)).await?;
    Ok(Event::Merged { revision: merged.revision, at: merged.at })
}

async fn revert(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let permit = leave_to_merge(incident)?;
    let merged = change(incident)?.revision.clone().ok_or("nothing was merged")?;
    let branch = incident.revert_branch();
    let title = incident.proposal.as_ref().map_or("", |proposal| proposal.title.as_str());
    let patience = fixer::Patience { every: turn.patience.look, at_most: turn.patience.checks };
    prove(turn, incident).await?;
    let proof = proof(incident)?;
    let undo = fixer::Undo { errand: errand(incident, &branch), revision: &merged, title, proof: &proof, patience };
    let (changes, repository) = (turn.parts.changes.as_ref(), turn.parts.repository.as_ref());
    turn.retried(|| fixer::revert(changes, repository, &undo, &permit)).await.map(Event::Reverted)
}

async fn remember(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let entries = story(turn, incident).await?;
    let (memory, key, now_ms) = (turn.parts.memory.as_ref(), &turn.parts.seal, turn.now_ms());
    turn.patience.outlasted(|| curator::remember(memory, key, (incident, &entries), now_ms)).await?;
    Ok(Event::Remembered)
}
