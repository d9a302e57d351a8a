//! Human. ESCALATE.
//!
//! Mission: call a person, once, with what they need to decide. Trigger: doubt, denial, or attempts used up. Authority:
//! tickets. Output: the incident's ticket and the escalation on it.

use sre_space_domain::incident::Incident;
use sre_space_domain::plain;
use sre_space_ports::forge::{ForgeError, Issues};

/// Opens the incident's ticket, or finds it; answers its number.
pub async fn open_ticket(issues: &dyn Issues, incident: &Incident) -> Result<u64, ForgeError> {
    let signal = &incident.signal;
    let title =
        format!("{}: {} {}", incident.id, plain::bare_name(&signal.service), plain::bare_name(&signal.operation));
    let body = format!(
        "{:.0} % of {} requests bad (baseline {:.2} %), statistic {:.1} over threshold {:.1}, seen by {} source(s).",
        signal.observed * 100.0,
        signal.samples,
        signal.baseline * 100.0,
        signal.statistic,
        signal.threshold,
        signal.sources.len(),
    );
    issues.open(&incident.id, &title, &body).await.map(|issue| issue.number)
}

/// Calls a person: one comment per attempt, however often it is asked for.
pub async fn page(issues: &dyn Issues, incident: &Incident) -> Result<(), ForgeError> {
    let number = open_ticket(issues, incident).await?;
    let key = format!("escalation-{}-{}", incident.id, incident.attempt());
    issues.comment(number, &key, &call(incident)).await
}

fn call(incident: &Incident) -> String {
    let why = incident.escalation.as_ref().map_or("no reason was recorded", |call| call.detail.as_str());
    let pull = incident.change.as_ref().and_then(|change| change.pr);
    let pull = pull.map_or_else(String::new, |number| format!(" Pull request #{number} waits for your decision."));
    let tried = incident.attempts.len();
    format!("A person is needed: {}. {tried} attempt(s) were made and reverted.{pull}", plain::sentence(why))
}

/// Closes the ticket with the story of the incident.
pub async fn close_ticket(issues: &dyn Issues, incident: &Incident, story: &str) -> Result<(), ForgeError> {
    let number = open_ticket(issues, incident).await?;
    issues.comment(number, &format!("postmortem-{}", incident.id), story).await?;
    issues.close(number).await
}
