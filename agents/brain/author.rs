//! Asks a model for a source patch, where no declared remedy is left. What comes back is a stranger's text in the agreed form, or a
//! reason why there is none.

use sre_space_domain::catalogue::{Autonomy, ServiceRules};
use sre_space_domain::incident::{Cost, Incident};
use sre_space_domain::patch::{Assignment, Authored, SourceFile, SourcePatch, read};
use sre_space_ports::llm::Question;

use super::counsel::{Adviser, answer, paid};
use crate::patch;

/// What a call is counted under: the day, from the Unix epoch (UTC), and a name for it, each time another.
pub type Booking<'a> = (i64, &'a (dyn Fn() -> String + Sync));

/// Whether the owners let a model write a source patch for their service: they declared sources, and let proposals be opened.
///
/// # Errors
/// Why not.
pub fn may_be_asked(rules: &ServiceRules) -> Result<(), &'static str> {
    let may_propose = match rules.autonomy {
        Autonomy::Observe => false,
        Autonomy::Suggest | Autonomy::Approve | Autonomy::Auto => true,
    };
    match (may_propose, rules.sources.is_empty()) {
        (false, _) => Err("the owners let the service be observed only"),
        (true, true) => Err("the owners declare no sources for the service"),
        (true, false) => Ok(()),
    }
}

/// Asks about a diagnosed incident, showing these files of the owners' sources. Also answers what the incident has cost so far.
pub async fn write_patch(
    adviser: &Adviser,
    incident: &Incident,
    (rules, files): (&ServiceRules, &[SourceFile]),
    booking: Booking<'_>,
) -> (Authored, Cost) {
    let (written, cost) = paid(adviser, incident, written(adviser, incident, (rules, files), booking)).await;
    (written.map_or_else(|why| Authored::Lacking { why }, Authored::Written), cost)
}

async fn written(
    adviser: &Adviser,
    incident: &Incident,
    (rules, files): (&ServiceRules, &[SourceFile]),
    (day, call): Booking<'_>,
) -> Result<SourcePatch, String> {
    let assignment = Assignment::of(incident, files).ok_or("none of the declared sources can be shown to a model")?;
    let text = answer(adviser, &question(&assignment, adviser.answer_tokens), (&incident.id, day), call).await?;
    let patch = read(&text, &assignment, adviser.llm.name()).map_err(|refusal| refusal.to_string())?;
    let fits = patch::changes(rules, &patch.edits, &patch.files, assignment.files());
    fits.map_err(|unfit| format!("its patch does not fit: {unfit}"))?;
    Ok(patch)
}

/// What is sent: the prompt beside this file, and the assignment. Room for an answer grows with the files, which it may have to
/// write out: a token stands for two bytes of a program or more.
fn question(assignment: &Assignment, answer_tokens: u32) -> Question {
    let bytes: usize = assignment.files().values().map(String::len).sum();
    let contents = u32::try_from(bytes / 2).unwrap_or(u32::MAX);
    Question {
        task: include_str!("author.md").to_owned(),
        evidence: assignment.text.clone(),
        schema: assignment.schema.clone(),
        most_tokens: answer_tokens.saturating_add(contents),
    }
}
