//! The effects that look for the cause: CAG is asked first, then Brain, until the evidence is enough, the time is up, or what
//! failed is seen well again.

use sre_space_agents::{brain, cag, curator, present};
use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::counsel::Counsel;
use sre_space_domain::evidence::Evidence;
use sre_space_domain::incident::{Event, Incident};
use sre_space_domain::knowledge::{Signature, Similar};
use sre_space_domain::rca::{Current, Gap};
use tokio::time::interval;
use ulid::Ulid;

use super::Context;
use super::context::Listening;
use super::effects::{Fallible, allowed, outlasted};
use super::verify::Calm;

/// Earlier incidents that are recalled with their scores.
const NEAREST: usize = 3;
/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// Evidence of one moment, with the owners' rules and what they changed lately.
struct Reading {
    evidence: Evidence,
    catalogue: Option<Catalogue>,
    current: Current,
}

async fn read(context: &Context, incident: &Incident) -> Reading {
    let repository = context.parts.repository.as_ref();
    let now_ms = context.now_ms();
    let mut evidence = context.scout().evidence(&incident.signal, now_ms);
    evidence.changes = repository.log(200).await.unwrap_or_default();
    let catalogue = allowed(context).await.ok().map(|(_, catalogue)| catalogue);
    let current = match &catalogue {
        Some(catalogue) => present::values(repository, catalogue).await.unwrap_or_default(),
        None => Default::default(),
    };
    Reading { evidence, catalogue, current }
}

/// What looking came to.
enum Look<Answer> {
    /// The evidence answers.
    Enough(Answer, Box<Reading>),
    /// It does not, and waiting will not help.
    Lacking(Gap),
    /// There is nothing left to explain.
    Passed,
}

async fn look<Answer>(
    context: &Context,
    incident: &Incident,
    answer: impl Fn(&Reading) -> Result<Answer, Gap>,
) -> Look<Answer> {
    let mut waiting = Listening::lasting(context.patience.evidence);
    let mut look = interval(context.patience.look * 2);
    let mut calm = Calm::begins();
    loop {
        look.tick().await;
        if context.is_deaf() {
            // What is not heard is neither evidence nor calm, and what is missing now may come for a while.
            (waiting, calm) = (Listening::lasting(context.patience.evidence), Calm::begins());
            continue;
        }
        let reading = read(context, incident).await;
        match answer(&reading) {
            Ok(answer) => return Look::Enough(answer, Box::new(reading)),
            Err(_) if calm.passed(context, incident) => return Look::Passed,
            Err(gap) if gap.is_early() && !waiting.is_over(context) => {}
            Err(gap) => return Look::Lacking(gap),
        }
    }
}

/// Asks CAG.
pub(super) async fn recall(context: &Context, incident: &Incident) -> Fallible<Event> {
    let asked = |seen: &Reading| cag::read(&seen.evidence, seen.catalogue.as_ref());
    let (question, reading) = match look(context, incident, asked).await {
        Look::Enough(question, reading) => (question, reading),
        Look::Lacking(_) => return Ok(Event::Recalled { found: None, similar: Vec::new() }),
        Look::Passed => return Ok(Event::Faded),
    };
    let Reading { catalogue, current, .. } = *reading;
    let fingerprint = question.signature().fingerprint();
    let lessons = outlasted(context, || context.parts.recollection.lookup(&fingerprint)).await?;
    let found = catalogue.and_then(|rules| question.recall(&rules, &current, &incident.tried(), &lessons));
    let similar = similar(context, &question.signature()).await?;
    Ok(Event::Recalled { found: found.map(Box::new), similar })
}

async fn similar(context: &Context, signature: &Signature) -> Fallible<Vec<Similar>> {
    let recollection = context.parts.recollection.as_ref();
    let nearest = outlasted(context, || curator::recall_similar(recollection, signature, NEAREST)).await?;
    Ok(nearest.iter().map(|found| Similar::to(&found.lesson, found.score)).collect())
}

/// Asks Brain.
pub(super) async fn diagnose(context: &Context, incident: &Incident) -> Event {
    let tried = incident.tried();
    let asked = |seen: &Reading| brain::diagnose(&seen.evidence, seen.catalogue.as_ref(), &seen.current, &tried);
    match look(context, incident, asked).await {
        Look::Enough(finding, _) => Event::Diagnosed(Box::new(finding)),
        Look::Lacking(gap) => Event::GaveUp(gap.to_string()),
        Look::Passed => Event::Faded,
    }
}

/// Asks a model what it makes of the diagnosis.
pub(super) async fn counsel(context: &Context, incident: &Incident) -> Event {
    let (counsel, cost) = match &context.parts.adviser {
        Some(adviser) => {
            let day = context.now().as_second().div_euclid(DAY_S);
            brain::counsel(adviser, incident, day, &|| Ulid::generate().to_string()).await
        }
        None => (Counsel::Lacking { why: "no model is configured any more".to_owned() }, incident.cost),
    };
    Event::Counselled { counsel: Box::new(counsel), cost }
}
