//! What the forge in memory knows, and the rules it keeps.

use std::collections::{BTreeMap, BTreeSet};

use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::{IncidentId, Sha};
use sre_space_domain::path;
use sre_space_domain::permit::Covers;
use sre_space_domain::proposal::{FileChange, digest};

use super::Call;
use super::history::{Files, History, Node, between, changed, merged};
use crate::forge::{Checks, CommitRequest, ForgeError, Issue, PullRequest, PullRequestDraft};

const MAIN: &str = "main";

#[derive(Debug)]
struct Pull {
    incident: IncidentId,
    view: PullRequest,
}

#[derive(Debug)]
struct Ticket {
    incident: IncidentId,
    keys: BTreeSet<String>,
    view: Issue,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) checks: BTreeMap<Sha, Checks>,
    pub(super) default_checks: Checks,
    pub(super) lose_answer: Option<usize>,
    history: History,
    branches: BTreeMap<String, Sha>,
    pulls: Vec<Pull>,
    tickets: Vec<Ticket>,
}

impl State {
    pub(super) fn with_files(files: &[(&str, &str)]) -> Self {
        let files: Files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let mut history = History::default();
        let root = history.add(Node { parents: Vec::new(), files, message: "Begin".to_owned(), at_ms: 0 });
        Self {
            calls: Vec::new(),
            checks: BTreeMap::new(),
            default_checks: Checks::Pending,
            lose_answer: None,
            history,
            branches: BTreeMap::from([(MAIN.to_owned(), root)]),
            pulls: Vec::new(),
            tickets: Vec::new(),
        }
    }

    pub(super) fn main(&self) -> Result<Sha, ForgeError> {
        self.tip(MAIN)
    }

    pub(super) fn file(&self, at: &Sha, path: &str) -> Result<String, ForgeError> {
        let found = self.history.node(at)?.files.get(path).cloned();
        found.ok_or_else(|| ForgeError::Missing(format!("{path} at {at}")))
    }

    pub(super) fn list(&self, at: &Sha, folder: &str) -> Result<Vec<String>, ForgeError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let files = self.history.node(at)?.files.keys();
        let inside = files.filter_map(|path| path.strip_prefix(&prefix).filter(|rest| !rest.contains('/')));
        Ok(inside.map(str::to_owned).collect())
    }

    pub(super) fn log(&self, limit: usize) -> Result<Vec<CommitInfo>, ForgeError> {
        let mut next = Some(self.main()?);
        let mut line = Vec::new();
        while let Some(sha) = next.filter(|_| line.len() < limit) {
            let node = self.history.node(&sha)?;
            next = node.parents.first().cloned();
            let files =
                between(&self.history.before(node), &node.files).into_iter().map(|change| change.path).collect();
            line.push(CommitInfo { sha, parents: node.parents.clone(), at_ms: node.at_ms, files });
        }
        Ok(line)
    }

    pub(super) fn revert_of(&self, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, ForgeError> {
        let changes = between(&self.history.node(onto)?.files, &self.history.reverted(commit, onto)?);
        if changes.is_empty() { Err(ForgeError::Conflict("nothing to undo".to_owned())) } else { Ok(changes) }
    }

    pub(super) fn checks_of(&self, commit: &Sha) -> Checks {
        self.checks.get(commit).unwrap_or(&self.default_checks).clone()
    }

    pub(super) fn at_ms(&self, commit: &Sha) -> Result<i64, ForgeError> {
        Ok(self.history.node(commit)?.at_ms)
    }

    pub(super) fn push(&mut self, branch: &str, message: &str, changes: &[FileChange]) -> Result<Sha, ForgeError> {
        let tip = self.tip(branch)?;
        let before = self.history.node(&tip)?;
        let (files, at_ms) = (changed(&before.files, changes), before.at_ms + 1_000);
        let made = self.history.add(Node { parents: vec![tip], files, message: message.to_owned(), at_ms });
        self.branches.insert(branch.to_owned(), made.clone());
        Ok(made)
    }

    pub(super) fn create_branch(&mut self, branch: &str, base: &Sha) -> Result<(), ForgeError> {
        if !branch.starts_with("sre-space/") {
            return Err(ForgeError::NotPermitted(format!("branch {branch:?} is not under sre-space/")));
        }
        self.deployed(base)?;
        let Some(tip) = self.branches.get(branch) else {
            self.branches.insert(branch.to_owned(), base.clone());
            return Ok(());
        };
        if tip == base || self.history.node(tip)?.parents == [base.clone()] {
            return Ok(());
        }
        Err(ForgeError::Conflict(format!("branch {branch} is already at {tip}")))
    }

    pub(super) fn commit(&mut self, covers: &Covers, request: &CommitRequest) -> Result<Sha, ForgeError> {
        let base = self.history.node(&request.base)?;
        let node = Node {
            parents: vec![request.base.clone()],
            files: changed(&base.files, &request.changes),
            message: request.message.clone(),
            at_ms: request.at.as_millisecond(),
        };
        self.covered(covers, &request.incident, &node)?;
        let found = self.tip(&request.branch)?;
        if found != request.base && found != node.sha() {
            return Err(ForgeError::HeadMoved { expected: request.base.clone(), found });
        }
        let made = self.history.add(node);
        self.branches.insert(request.branch.clone(), made.clone());
        Ok(made)
    }

    pub(super) fn open_pull_request(
        &mut self,
        covers: &Covers,
        draft: &PullRequestDraft,
    ) -> Result<PullRequest, ForgeError> {
        if let Some(pull) = self.pulls.iter().find(|pull| pull.view.branch == draft.branch) {
            return Ok(pull.view.clone());
        }
        let head = self.tip(&draft.branch)?;
        self.covered(covers, &draft.incident, self.history.node(&head)?)?;
        let number = self.next_number();
        let view = PullRequest {
            number,
            url: format!("memory:/pulls/{number}"),
            title: draft.title.clone(),
            body: draft.body.clone(),
            branch: draft.branch.clone(),
            head,
            state: "open".to_owned(),
            merged_as: None,
        };
        self.pulls.push(Pull { incident: draft.incident.clone(), view: view.clone() });
        Ok(view)
    }

    pub(super) fn describe(&mut self, covers: &Covers, number: u64, body: &str) -> Result<(), ForgeError> {
        let missing = || ForgeError::Missing(format!("pull request {number}"));
        let pull = self.pulls.iter().find(|pull| pull.view.number == number).ok_or_else(missing)?;
        self.covered(covers, &pull.incident, self.history.node(&pull.view.head)?)?;
        for pull in self.pulls.iter_mut().filter(|pull| pull.view.number == number) {
            body.clone_into(&mut pull.view.body);
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, covers: &Covers, number: u64, judged: &Sha) -> Result<Sha, ForgeError> {
        let missing = || ForgeError::Missing(format!("pull request {number}"));
        let pull = self.pulls.iter().find(|pull| pull.view.number == number).ok_or_else(missing)?;
        let (incident, branch) = (pull.incident.clone(), pull.view.branch.clone());
        let (title, merged_as) = (pull.view.title.clone(), pull.view.merged_as.clone());
        self.unmoved(&pull.view.head, judged)?;
        self.covered(covers, &incident, self.history.node(judged)?)?;
        if let Some(revision) = merged_as {
            return Ok(revision);
        }
        self.unmoved(&self.tip(&branch)?, judged)?;
        self.green(judged)?;
        let revision =
            self.merge_onto_main(judged, &format!("Merge pull request #{number} from {branch}\n\n{title}"))?;
        for pull in self.pulls.iter_mut().filter(|pull| pull.view.number == number) {
            pull.view.merged_as = Some(revision.clone());
            "merged".clone_into(&mut pull.view.state);
        }
        Ok(revision)
    }

    pub(super) fn open_issue(&mut self, incident: &IncidentId, title: &str, body: &str) -> Issue {
        if let Some(ticket) = self.tickets.iter().find(|ticket| ticket.incident == *incident) {
            return ticket.view.clone();
        }
        let number = self.next_number();
        let view = Issue {
            number,
            url: format!("memory:/issues/{number}"),
            title: title.to_owned(),
            state: "open".to_owned(),
            body: body.to_owned(),
            comments: Vec::new(),
        };
        self.tickets.push(Ticket { incident: incident.clone(), keys: BTreeSet::new(), view: view.clone() });
        view
    }

    pub(super) fn comment(&mut self, number: u64, key: &str, body: &str) -> Result<(), ForgeError> {
        let ticket = self.ticket(number)?;
        if ticket.keys.insert(key.to_owned()) {
            ticket.view.comments.push(body.to_owned());
        }
        Ok(())
    }

    pub(super) fn close(&mut self, number: u64) -> Result<(), ForgeError> {
        "closed".clone_into(&mut self.ticket(number)?.view.state);
        Ok(())
    }

    pub(super) fn activity(&self, limit: usize) -> (Vec<PullRequest>, Vec<Issue>) {
        (
            self.pulls.iter().rev().take(limit).map(|pull| pull.view.clone()).collect(),
            self.tickets.iter().rev().take(limit).map(|ticket| ticket.view.clone()).collect(),
        )
    }

    fn tip(&self, branch: &str) -> Result<Sha, ForgeError> {
        self.branches.get(branch).cloned().ok_or_else(|| ForgeError::Missing(format!("branch {branch}")))
    }

    fn next_number(&self) -> u64 {
        1 + (self.pulls.len() + self.tickets.len()) as u64
    }

    fn ticket(&mut self, number: u64) -> Result<&mut Ticket, ForgeError> {
        let found = self.tickets.iter_mut().find(|ticket| ticket.view.number == number);
        found.ok_or_else(|| ForgeError::Missing(format!("ticket {number}")))
    }

    fn deployed(&self, commit: &Sha) -> Result<(), ForgeError> {
        self.history.node(commit)?;
        if self.history.contains(&self.main()?, commit) {
            return Ok(());
        }
        Err(ForgeError::NotPermitted("the base is not part of the deployed branch".to_owned()))
    }

    fn unmoved(&self, found: &Sha, judged: &Sha) -> Result<(), ForgeError> {
        if found == judged {
            return Ok(());
        }
        Err(ForgeError::HeadMoved { expected: judged.clone(), found: found.clone() })
    }

    fn green(&self, head: &Sha) -> Result<(), ForgeError> {
        match self.checks_of(head) {
            Checks::Passed(_) => Ok(()),
            Checks::Pending => Err(ForgeError::Conflict("the checks have not finished".to_owned())),
            Checks::Failed(summary) => Err(ForgeError::Conflict(format!("the checks are red: {summary}"))),
        }
    }

    fn covered(&self, covers: &Covers, incident: &IncidentId, made: &Node) -> Result<(), ForgeError> {
        let [base] = made.parents.as_slice() else {
            return Err(ForgeError::NotPermitted("the head is no single commit on the base".to_owned()));
        };
        self.deployed(base)?;
        let changes = between(&self.history.before(made), &made.files);
        for change in &changes {
            path::check(&change.path).map_err(|bad| ForgeError::NotPermitted(bad.to_string()))?;
        }
        let matches = match covers {
            Covers::Proposal(judged) => digest(incident, base, &changes) == *judged,
            Covers::RevertOf(undone) => self.history.reverted(undone, base)? == made.files,
        };
        if matches { Ok(()) } else { Err(ForgeError::NotPermitted("this is not what was judged".to_owned())) }
    }

    fn merge_onto_main(&mut self, head: &Sha, message: &str) -> Result<Sha, ForgeError> {
        let main = self.main()?;
        let (ours, theirs) = (self.history.node(&main)?, self.history.node(head)?);
        let files = merged(&self.history.before(theirs), &ours.files, &theirs.files)?;
        // No clock here: the merge is a second after the later of the two, as if done at once.
        let at_ms = ours.at_ms.max(theirs.at_ms) + 1_000;
        let parents = vec![main, head.clone()];
        let made = self.history.add(Node { parents, files, message: message.to_owned(), at_ms });
        self.branches.insert(MAIN.to_owned(), made.clone());
        Ok(made)
    }
}
