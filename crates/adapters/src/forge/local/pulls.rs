//! Pull requests: opening, merging, and listing, those of the owners included.

use git2::{Commit, Oid};
use serde::{Deserialize, Serialize};
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::permit::Covers;
use sre_space_ports::forge::{Checks, ForgeError, Merged, PullRequest, PullRequestDraft};

use super::git::{Git, Swap, Trouble, made_at, now, sha, signature};
use super::{cover, meta, read, write};

const KIND: &str = "pulls";
/// Races lost in a row before the caller is told.
const PATIENCE: u32 = 16;

/// What is written down about a pull request. Whether it is merged is not: the deployed branch knows.
#[derive(Clone, Serialize, Deserialize)]
struct Pull {
    incident: IncidentId,
    branch: String,
    title: String,
    body: String,
}

pub(super) fn open(git: &Git, covers: &Covers, draft: &PullRequestDraft) -> Result<PullRequest, Trouble> {
    let branch = write::full_name(&draft.branch)?;
    if let Some((number, pull)) = by_branch(git, &draft.branch)? {
        return view(git, number, pull);
    }
    let head = git.tip(&branch)?.ok_or_else(|| ForgeError::Missing(format!("branch {}", draft.branch)))?;
    cover::commit(git, covers, &draft.incident, &git.repo.find_commit(head)?)?;
    let number = number_for(git, head)?;
    let pull = Pull {
        incident: draft.incident.clone(),
        branch: draft.branch.clone(),
        title: draft.title.clone(),
        body: draft.body.clone(),
    };
    meta::update(git, &format!("pull request {number}"), |_| meta::page(KIND, number, &pull).map(Some))?;
    view(git, number, pull)
}

pub(super) fn merge(git: &Git, covers: &Covers, number: u64, judged: &Sha) -> Result<Merged, Trouble> {
    let pull = meta::one::<Pull>(git, KIND, number)?
        .ok_or_else(|| ForgeError::Missing(format!("pull request {number} of ours")))?;
    let head = git.commit(judged)?;
    unmoved(judged, git.tip(&format!("refs/pull/{number}/head"))?)?;
    cover::commit(git, covers, &pull.incident, &head)?;
    if let Some(merge) = merged_as(git, head.id())? {
        return Ok(Merged { revision: sha(merge.id()), at: made_at(&merge) });
    }
    unmoved(judged, git.tip(&write::full_name(&pull.branch)?)?)?;
    green(git, judged)?;
    let message = format!("Merge pull request #{number} from {}\n\n{}", pull.branch, pull.title);
    for _ in 0..PATIENCE {
        let main = git.main()?;
        let merge = merge_onto(git, &main, &head, &message)?;
        if git.swap(&git.deployed, Some(main.id()), merge.id(), "merge")? == Swap::Done {
            return Ok(Merged { revision: sha(merge.id()), at: made_at(&merge) });
        }
    }
    Err(ForgeError::unavailable("the deployed branch keeps moving").into())
}

pub(super) fn describe(git: &Git, covers: &Covers, number: u64, body: &str) -> Result<(), Trouble> {
    let head = git.tip(&format!("refs/pull/{number}/head"))?;
    meta::update(git, &format!("describe pull request {number}"), |git| {
        let (pull, head) = meta::one::<Pull>(git, KIND, number)?
            .zip(head)
            .ok_or_else(|| ForgeError::Missing(format!("pull request {number} of ours")))?;
        cover::commit(git, covers, &pull.incident, &git.repo.find_commit(head)?)?;
        let is_new = pull.body != body;
        is_new.then(|| meta::page(KIND, number, &Pull { body: body.to_owned(), ..pull })).transpose()
    })
}

/// Newest first: ours with what is written about them, the owners' with what git tells.
pub(super) fn newest(git: &Git, limit: usize) -> Result<Vec<PullRequest>, Trouble> {
    let mut heads = meta::heads(git)?;
    heads.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let describe = |(number, head)| match meta::one::<Pull>(git, KIND, number)? {
        Some(pull) => view(git, number, pull),
        None => stranger(git, number, head),
    };
    heads.into_iter().take(limit).map(describe).collect()
}

fn by_branch(git: &Git, branch: &str) -> Result<Option<(u64, Pull)>, Trouble> {
    Ok(meta::all::<Pull>(git, KIND)?.into_iter().find(|(_, pull)| pull.branch == branch))
}

/// The number under which this head is proposed. A head that got its number just before a crash keeps it.
fn number_for(git: &Git, head: Oid) -> Result<u64, Trouble> {
    for (number, oid) in meta::heads(git)? {
        if oid == head && meta::one::<Pull>(git, KIND, number)?.is_none() {
            return Ok(number);
        }
    }
    for _ in 0..PATIENCE {
        let number = meta::next_number(git)?;
        if git.swap(&format!("refs/pull/{number}/head"), None, head, "pull request")? == Swap::Done {
            return Ok(number);
        }
    }
    Err(ForgeError::unavailable("numbers run out faster than they can be taken").into())
}

fn unmoved(judged: &Sha, found: Option<Oid>) -> Result<(), Trouble> {
    match found.map(sha) {
        Some(found) if found == *judged => Ok(()),
        Some(found) => Err(ForgeError::HeadMoved { expected: judged.clone(), found }.into()),
        None => Err(ForgeError::Missing(format!("the branch of {judged}")).into()),
    }
}

fn green(git: &Git, head: &Sha) -> Result<(), Trouble> {
    let why = match read::checks(git, head)? {
        Checks::Passed(_) => return Ok(()),
        Checks::Pending => format!("the checks of {head} have not finished"),
        Checks::Failed(summary) => format!("the checks of {head} are red: {summary}"),
    };
    Err(ForgeError::Conflict(why).into())
}

/// A merge commit that nothing points at yet; never a fast-forward, so that the log names the pull request.
fn merge_onto<'git>(
    git: &'git Git,
    main: &Commit<'_>,
    head: &Commit<'_>,
    message: &str,
) -> Result<Commit<'git>, Trouble> {
    let mut index = git.repo.merge_commits(main, head, None)?;
    if index.has_conflicts() {
        let why = format!("{} does not merge into {}", head.id(), main.id());
        return Err(ForgeError::Conflict(why).into());
    }
    let tree = git.repo.find_tree(index.write_tree_to(&git.repo)?)?;
    let signature = signature(now())?;
    let oid = git.repo.commit(None, &signature, &signature, message, &tree, &[main, head])?;
    Ok(git.repo.find_commit(oid)?)
}

/// The commit of the deployed line that brought `head` in; `None` while it is not there.
fn merged_as(git: &Git, head: Oid) -> Result<Option<Commit<'_>>, Trouble> {
    if !git.is_deployed(head)? {
        return Ok(None);
    }
    let mut oldest = git.main()?;
    while let Some(parent) = read::first_parent(&oldest)? {
        if oldest.parent_ids().skip(1).any(|merged| merged == head) || !git.contains(parent.id(), head)? {
            break;
        }
        oldest = parent;
    }
    Ok(Some(oldest))
}

fn view(git: &Git, number: u64, pull: Pull) -> Result<PullRequest, Trouble> {
    let proposed = git.tip(&format!("refs/pull/{number}/head"))?;
    let head = proposed.ok_or_else(|| ForgeError::Missing(format!("refs/pull/{number}/head")))?;
    let merged = merged_as(git, head)?;
    Ok(PullRequest {
        number,
        url: url(git, number),
        title: pull.title,
        body: pull.body,
        branch: pull.branch,
        head: sha(head),
        state: state(merged.as_ref()).to_owned(),
        merged_as: merged.map(|merge| sha(merge.id())),
    })
}

/// A pull request that somebody made with plain git: title and branch as the merge commit tells them.
fn stranger(git: &Git, number: u64, head: Oid) -> Result<PullRequest, Trouble> {
    let merged = merged_as(git, head)?;
    let told = merged.as_ref().and_then(|merge| merge_message(merge.message().unwrap_or_default(), number));
    let commit = git.repo.find_commit(head)?;
    let own = || (String::new(), commit.summary().ok().flatten().unwrap_or_default().to_owned());
    let (branch, title) = told.unwrap_or_else(own);
    Ok(PullRequest {
        number,
        url: url(git, number),
        title,
        body: String::new(),
        branch,
        head: sha(head),
        state: state(merged.as_ref()).to_owned(),
        merged_as: merged.map(|merge| sha(merge.id())),
    })
}

/// Branch and title out of `Merge pull request #N from <branch>`, an empty line, and the title.
fn merge_message(message: &str, number: u64) -> Option<(String, String)> {
    let rest = message.strip_prefix(&format!("Merge pull request #{number} from "))?;
    let (branch, rest) = rest.split_once('\n')?;
    Some((branch.trim().to_owned(), rest.trim_start().lines().next().unwrap_or_default().to_owned()))
}

fn state(merged: Option<&Commit<'_>>) -> &'static str {
    if merged.is_some() { "merged" } else { "open" }
}

fn url(git: &Git, number: u64) -> String {
    format!("{}/pulls/{number}", git.url)
}
