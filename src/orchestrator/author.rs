//! The effect that asks a model for a source patch: whether it may be asked at all, and about which files.

use std::sync::Arc;

use sre_space_agents::{brain, sources};
use sre_space_domain::catalogue::ServiceRules;
use sre_space_domain::incident::{Event, Incident};
use sre_space_domain::patch::{Authored, SourceFile};
use ulid::Ulid;

use super::effects::allowed;
use super::orient::today;
use super::retry::{Fallible, Turn};

/// Asks for it. Nothing that is missing, late or wrong is more than the reason why there is none.
pub(super) async fn write_patch(turn: &Turn<'_>, incident: &Incident) -> Event {
    let (authored, cost) = match ready(turn, incident).await {
        Ok((adviser, rules, files)) => {
            let call = || Ulid::generate().to_string();
            brain::write_patch(&adviser, incident, (&rules, &files), (today(turn), &call)).await
        }
        Err(why) => (Authored::Lacking { why }, incident.cost),
    };
    Event::Authored { authored: Box::new(authored), cost }
}

type Ready = (Arc<brain::Adviser>, ServiceRules, Vec<SourceFile>);

/// A model, owners who let it be asked, and files to show it.
async fn ready(turn: &Turn<'_>, incident: &Incident) -> Fallible<Ready> {
    let adviser = turn.parts.adviser.as_ref().ok_or("no model is configured any more")?;
    let (head, mut catalogue) = allowed(turn).await?;
    let rules = catalogue.services.remove(&incident.service).ok_or("the owners do not name the service")?;
    brain::may_be_asked(&rules)?;
    let repository = turn.parts.repository.as_ref();
    let files = turn.retried(|| sources::shown(repository, &head, &rules)).await?;
    Ok((Arc::clone(adviser), rules, files))
}
