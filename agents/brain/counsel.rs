//! Asks a model about a diagnosis by rules. It holds the budget, and gives up rather than let an incident wait.

use std::sync::Arc;
use std::time::Duration;

use sre_space_domain::budget::{Limits, Prices};
use sre_space_domain::counsel::{Advice, Brief, Counsel, read};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::{Cost, Incident};
use sre_space_ports::ledger::{Claim, Ledger};
use sre_space_ports::llm::{Llm, LlmError, Question};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// An incident waits no longer for a model than this, tries and turns included.
const PATIENCE: Duration = Duration::from_secs(75);
/// Before the second try, and before the third, unless the server says when.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// A server that wants to be left alone for longer is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A model, and what it may cost.
pub struct Adviser {
    /// The model.
    pub llm: Arc<dyn Llm>,
    /// The books.
    pub ledger: Arc<dyn Ledger>,
    /// Budgets.
    pub limits: Limits,
    /// Prices.
    pub prices: Prices,
    /// Most tokens of an answer.
    pub answer_tokens: u32,
}

/// Asks about a diagnosed incident. `day` is counted from the Unix epoch (UTC); `call` names a call, each time another.
/// Whatever goes wrong, rules go on alone, and the counsel says why. Also answers what the incident has cost so far.
pub async fn counsel(
    adviser: &Adviser,
    incident: &Incident,
    day: i64,
    call: &(dyn Fn() -> String + Sync),
) -> (Counsel, Cost) {
    let (advice, cost) = paid(adviser, incident, advice(adviser, incident, day, call)).await;
    let counsel = advice.map_or_else(|why| Counsel::Lacking { why }, Counsel::Given);
    (counsel, cost)
}

/// What comes of asking within [`PATIENCE`], or why nothing does; and what the incident has cost so far.
pub(super) async fn paid<T>(
    adviser: &Adviser,
    incident: &Incident,
    asking: impl Future<Output = Result<T, String>>,
) -> (Result<T, String>, Cost) {
    let late = |_| Err(format!("the model did not answer within {} s", PATIENCE.as_secs()));
    let asked = timeout(PATIENCE, asking).await.unwrap_or_else(late);
    if let Err(why) = &asked {
        info!(incident = %incident.id, why, "it goes on without the model");
    }
    let cost = adviser.ledger.cost(&incident.id).await.unwrap_or_else(|error| {
        warn!(incident = %incident.id, %error, "what the model cost cannot be read");
        incident.cost
    });
    (asked, cost)
}

async fn advice(
    adviser: &Adviser,
    incident: &Incident,
    day: i64,
    call: &(dyn Fn() -> String + Sync),
) -> Result<Advice, String> {
    let brief = Brief::of(incident).ok_or("there is no diagnosis to ask about")?;
    let question = question(&brief, adviser.answer_tokens);
    let text = answer(adviser, &question, (&incident.id, day), call).await?;
    read(&text, &brief, adviser.llm.name()).map_err(|refusal| refusal.to_string())
}

/// The answer to a question, as a stranger's text.
pub(super) async fn answer(
    adviser: &Adviser,
    question: &Question,
    (incident, day): (&IncidentId, i64),
    call: &(dyn Fn() -> String + Sync),
) -> Result<String, String> {
    let worst = adviser.prices.of(question.most_input_tokens(), u64::from(question.most_tokens));
    let mut waits = WAITS.into_iter();
    loop {
        let claim = Claim { call: call(), incident: incident.clone(), day, worst };
        let asked = within_budget(adviser, question, &claim).await?;
        let wait = match asked {
            Ok(text) => return Ok(text),
            Err(error) => again(&error, &mut waits).ok_or_else(|| format!("the model was no help: {error}"))?,
        };
        sleep(wait).await;
    }
}

/// What is sent: the prompt beside this file, and the brief.
pub(super) fn question(brief: &Brief, most_tokens: u32) -> Question {
    Question {
        task: include_str!("prompt.md").to_owned(),
        evidence: brief.text.clone(),
        schema: brief.schema.clone(),
        most_tokens,
    }
}

/// One try: counted at its worst before it, and as it was after it. What nobody knows the cost of stays at its worst.
async fn within_budget(
    adviser: &Adviser,
    question: &Question,
    claim: &Claim,
) -> Result<Result<String, LlmError>, String> {
    let books = adviser.ledger.as_ref();
    let claimed = books.claim(claim, &adviser.limits).await;
    claimed
        .map_err(|error| format!("the books of the budget cannot be kept: {error}"))?
        .map_err(|out| out.to_string())?;
    let answered = adviser.llm.ask(question).await;
    let settled = match &answered {
        Ok(answer) => match answer.usage {
            Some(usage) => books.settle(&claim.call, Some(adviser.prices.of(usage.input, usage.output))).await,
            None => Ok(()),
        },
        Err(error) if error.may_have_cost() => Ok(()),
        Err(_) => books.settle(&claim.call, None).await,
    };
    if let Err(error) = settled {
        warn!(incident = %claim.incident, %error, "a call stays in the books at its worst");
    }
    Ok(answered.map(|answer| answer.text))
}

/// How long to wait before the next try; `None` when there is none.
fn again(error: &LlmError, waits: &mut impl Iterator<Item = Duration>) -> Option<Duration> {
    let told = if let LlmError::Unavailable { wait, .. } = error { *wait } else { None };
    let wait = error.is_transient().then(|| waits.next()).flatten()?;
    Some(told.unwrap_or(wait)).filter(|wait| *wait <= LONGEST_WAIT)
}
