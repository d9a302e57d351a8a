//! Human, ESCALATE.
//!
//! Mission: tell people what happens, and call one when the loop may not or cannot go on by itself.
//! Trigger: an incident that is confirmed, one that needs a person, one that is resolved.
//! Authority: tickets and notices alone. It touches no code, and its words decide nothing.
//! Output: one ticket an incident, one comment a call, the post-mortem at the end; all in numbers, ids and our own
//! sentences, names from telemetry cleaned.

mod notice;
#[cfg(test)]
mod tests;
mod text;

use sre_space_domain::incident::Incident;
use sre_space_ports::forge::{ForgeError, Issues};

pub use self::notice::notices;

/// Opens the incident's ticket, or finds it; returns its number.
///
/// # Errors
/// [`ForgeError`] when the forge does not do it.
pub async fn open_ticket(issues: &dyn Issues, incident: &Incident) -> Result<u64, ForgeError> {
    let issue = issues.open(&incident.id, &text::title(incident), &text::body(incident)).await?;
    Ok(issue.number)
}

/// Calls a person on the incident's ticket; returns its number. However often it is repeated, one escalation makes one
/// call: the comment's key is made of incident, attempt and reason.
///
/// # Errors
/// [`ForgeError`] when the forge does not do it.
pub async fn page(issues: &dyn Issues, incident: &Incident) -> Result<u64, ForgeError> {
    let number = match incident.ticket {
        Some(number) => number,
        None => open_ticket(issues, incident).await?,
    };
    issues.comment(number, &text::escalation_key(incident), &text::escalation(incident)).await?;
    Ok(number)
}

/// Puts the post-mortem on the ticket and closes it; repeating it changes nothing.
///
/// # Errors
/// [`ForgeError`] when the forge does not do it; [`ForgeError::Missing`] when the incident never had a ticket.
pub async fn close_ticket(issues: &dyn Issues, incident: &Incident, postmortem: &str) -> Result<(), ForgeError> {
    let number = incident.ticket.ok_or_else(|| ForgeError::Missing(format!("the ticket of {}", incident.id)))?;
    issues.comment(number, &format!("postmortem-{}", incident.id), postmortem).await?;
    issues.close(number).await
}
