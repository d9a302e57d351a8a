//! The effects that look for the cause: CAG is asked first, then Brain, until the evidence is enough, the time is up, or what
//! failed is seen well again.

use sre_space_agents::{brain, cag, curator, present};
use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::counsel::Counsel;
use sre_space_domain::evidence::Evidence;
use sre_space_domain::incident::{Event, Incident};
use sre_space_domain::rca::{Current, Gap};
use tokio::time::{Duration, Instant};
use ulid::Ulid;

use super::context::{Listening, looks};
use super::effects::allowed;
use super::retry::{Fallible, Turn};
use super::trust;
use super::verify::Calm;

/// Earlier incidents that are shown with their scores.
const NEAREST: usize = 3;
/// Seconds of a day.
const DAY_S: i64 = 86_400;
/// A look that takes longer had to wait for the forge: in between nobody looked.
const HELD_UP: Duration = Duration::from_secs(15);
/// Those that are looked at: enough that what was planted near does not hide what was verified.
const NEAR: usize = 50;

/// Evidence of one moment, with the owners' rules and what they changed lately.
struct Reading {
    evidence: Evidence,
    catalogue: Option<Catalogue>,
    current: Current,
}

/// The evidence comes last: a forge that is waited for does not make it old.
async fn read(turn: &Turn<'_>, incident: &Incident) -> Reading {
    let repository = turn.parts.repository.as_ref();
    let changes = turn.retried(|| repository.log(200)).await.unwrap_or_default();
    let catalogue = allowed(turn).await.ok().map(|(_, catalogue)| catalogue);
    let current = match &catalogue {
        Some(catalogue) => turn.retried(|| present::values(repository, catalogue)).await.unwrap_or_default(),
        None => Default::default(),
    };
    let evidence = turn.scout().evidence(&incident.signal, turn.now_ms());
    Reading { evidence: Evidence { changes, vetoes: turn.vetoes(), ..evidence }, catalogue, current }
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
    turn: &Turn<'_>,
    incident: &Incident,
    answer: impl Fn(&Reading) -> Result<Answer, Gap>,
) -> Look<Answer> {
    let mut waiting = Listening::lasting(turn.patience.evidence);
    let mut look = looks(turn.patience.look * 2);
    let (mut calm, began) = (Calm::begins(), Instant::now());
    loop {
        look.tick().await;
        if turn.is_deaf() {
            // What is not heard is neither evidence nor calm, and what is missing now may come for a while.
            (waiting, calm) = (Listening::lasting(turn.patience.evidence), Calm::begins());
            continue;
        }
        let looked = Instant::now();
        let reading = read(turn, incident).await;
        if looked.elapsed() > HELD_UP {
            calm = Calm::begins();
            // A forge that is slow every time does not put the end off for ever.
            if began.elapsed() <= turn.patience.rest {
                waiting = Listening::lasting(turn.patience.evidence);
            }
        }
        match answer(&reading) {
            Ok(answer) => return Look::Enough(answer, Box::new(reading)),
            Err(_) if calm.passed(turn, incident) => return Look::Passed,
            Err(gap) if gap.is_early() && !waiting.is_over(turn) => {}
            Err(gap) => return Look::Lacking(gap),
        }
    }
}

/// Asks CAG.
pub(super) async fn recall(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let asked = |seen: &Reading| cag::read(&seen.evidence, seen.catalogue.as_ref());
    let (question, reading) = match look(turn, incident, asked).await {
        Look::Enough(question, reading) => (question, reading),
        Look::Lacking(_) => return Ok(Event::Recalled { found: None, similar: Vec::new(), doubt: None }),
        Look::Passed => return Ok(Event::Faded),
    };
    let Reading { catalogue, current, .. } = *reading;
    let (signature, parts) = (question.signature(), &turn.parts);
    let fingerprint = signature.fingerprint();
    let lessons = turn.patience.outlasted(|| parts.recollection.lookup(&fingerprint)).await?;
    let near =
        turn.patience.outlasted(|| curator::recall_similar(parts.recollection.as_ref(), &signature, NEAR)).await?;
    let known = cag::Remembered { lessons: &lessons, near: &near, key: &parts.seal };
    let bound = |rules: Catalogue| Some((question.bind(&rules, &current, &incident.tried())?, rules));
    let answer = match catalogue.and_then(bound) {
        Some((bound, rules)) => {
            let (what, threshold) = ((&bound.remedy, bound.kind), turn.rules.confidence_threshold);
            let standing = || trust::standing(parts.store.as_ref(), &rules, what, threshold);
            let standing = turn.patience.outlasted(standing).await?;
            question.recall(bound, &known, standing)
        }
        None => Err(None),
    };
    let similar = known.similar(NEAREST);
    Ok(match answer {
        Ok(found) => Event::Recalled { found: Some(Box::new(found)), similar, doubt: None },
        Err(doubt) => Event::Recalled { found: None, similar, doubt },
    })
}

/// Asks Brain.
pub(super) async fn diagnose(turn: &Turn<'_>, incident: &Incident) -> Event {
    let tried = incident.tried();
    let asked = |seen: &Reading| brain::diagnose(&seen.evidence, seen.catalogue.as_ref(), &seen.current, &tried);
    match look(turn, incident, asked).await {
        Look::Enough(finding, _) => Event::Diagnosed(Box::new(finding)),
        Look::Lacking(gap) => Event::GaveUp(gap.to_string()),
        Look::Passed => Event::Faded,
    }
}

/// Asks a model what it makes of the diagnosis.
pub(super) async fn counsel(turn: &Turn<'_>, incident: &Incident) -> Event {
    let (counsel, cost) = match &turn.parts.adviser {
        Some(adviser) => brain::counsel(adviser, incident, today(turn), &|| Ulid::generate().to_string()).await,
        None => (Counsel::Lacking { why: "no model is configured any more".to_owned() }, incident.cost),
    };
    Event::Counselled { counsel: Box::new(counsel), cost }
}

/// The day budgets are kept for, counted from the Unix epoch (UTC).
pub(super) fn today(turn: &Turn<'_>) -> i64 {
    turn.now().as_second().div_euclid(DAY_S)
}
