//! Tickets: one per incident, comments once per key.

use serde::{Deserialize, Serialize};
use sre_space_domain::ids::IncidentId;
use sre_space_ports::forge::{ForgeError, Issue};

use super::git::{Git, Trouble};
use super::meta::{self, Page};

const KIND: &str = "issues";

#[derive(Clone, Serialize, Deserialize)]
struct Ticket {
    incident: IncidentId,
    title: String,
    body: String,
    state: TicketState,
    comments: Vec<Comment>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TicketState {
    Open,
    Closed,
}

#[derive(Clone, Serialize, Deserialize)]
struct Comment {
    key: String,
    body: String,
}

pub(super) fn open(git: &Git, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, Trouble> {
    meta::update(git, &format!("ticket for {incident}"), |git| {
        if find(git, incident)?.is_some() {
            return Ok(None);
        }
        let fresh = Ticket {
            incident: incident.clone(),
            title: title.to_owned(),
            body: body.to_owned(),
            state: TicketState::Open,
            comments: Vec::new(),
        };
        meta::page(KIND, meta::next_number(git)?, &fresh).map(Some)
    })?;
    let (number, ticket) = find(git, incident)?.ok_or_else(|| missing(&format!("ticket of {incident}")))?;
    Ok(view(git, number, ticket))
}

pub(super) fn comment(git: &Git, number: u64, key: &str, body: &str) -> Result<(), Trouble> {
    edit(git, number, "comment on", |mut ticket| {
        let known = ticket.comments.iter().any(|comment| comment.key == key);
        ticket.comments.push(Comment { key: key.to_owned(), body: body.to_owned() });
        (!known).then_some(ticket)
    })
}

pub(super) fn close(git: &Git, number: u64) -> Result<(), Trouble> {
    edit(git, number, "close", |ticket| {
        let is_open = ticket.state == TicketState::Open;
        is_open.then_some(Ticket { state: TicketState::Closed, ..ticket })
    })
}

pub(super) fn newest(git: &Git, limit: usize) -> Result<Vec<Issue>, Trouble> {
    let tickets = meta::all::<Ticket>(git, KIND)?;
    Ok(tickets.into_iter().rev().take(limit).map(|(number, ticket)| view(git, number, ticket)).collect())
}

fn edit<F>(git: &Git, number: u64, what: &str, change: F) -> Result<(), Trouble>
where
    F: Fn(Ticket) -> Option<Ticket>,
{
    meta::update(git, &format!("{what} ticket {number}"), |git| {
        let ticket = meta::one::<Ticket>(git, KIND, number)?.ok_or_else(|| missing(&format!("ticket {number}")))?;
        change(ticket).map(|changed| meta::page(KIND, number, &changed)).transpose() as Result<Option<Page>, Trouble>
    })
}

fn find(git: &Git, incident: &IncidentId) -> Result<Option<(u64, Ticket)>, Trouble> {
    Ok(meta::all::<Ticket>(git, KIND)?.into_iter().find(|(_, ticket)| ticket.incident == *incident))
}

fn missing(what: &str) -> ForgeError {
    ForgeError::Missing(what.to_owned())
}

fn view(git: &Git, number: u64, ticket: Ticket) -> Issue {
    let state = match ticket.state {
        TicketState::Open => "open",
        TicketState::Closed => "closed",
    };
    Issue {
        number,
        url: format!("{}/issues/{number}", git.url),
        title: ticket.title,
        state: state.to_owned(),
        body: ticket.body,
        comments: ticket.comments.into_iter().map(|comment| comment.body).collect(),
    }
}
