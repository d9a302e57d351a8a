//! The model that Brain asks.

use std::sync::Arc;

use anyhow::Result;
use sre_space_adapters::database::Database;
use sre_space_adapters::ledger::SqlLedger;
use sre_space_adapters::llm::openai::{self, OpenAi};
use sre_space_adapters::upstream::Upstream;
use sre_space_agents::brain::Adviser;
use sre_space_domain::plain;

use crate::config::{self, Settings};

fn model(model: &config::Model) -> Result<OpenAi> {
    let terms = openai::Terms {
        base_url: model.base_url.clone(),
        key: model.key.as_ref().map(|key| key.bare().to_owned()),
        model: model.name.clone(),
        concurrency: model.concurrency,
    };
    Ok(OpenAi::new(terms)?)
}

/// The model with its books, and its breaker.
pub(super) fn adviser(settings: &Settings, database: Arc<Database>) -> Result<Option<(Arc<Adviser>, Arc<Upstream>)>> {
    let Some(named) = &settings.model else { return Ok(None) };
    let llm = model(named)?;
    let upstream = llm.upstream();
    if let Some(note) = named.unbounded() {
        tracing::warn!("{note}");
    }
    let adviser = Adviser {
        llm: Arc::new(llm),
        ledger: Arc::new(SqlLedger::new(database)),
        limits: named.limits,
        prices: named.prices,
        answer_tokens: named.answer_tokens,
    };
    Ok(Some((Arc::new(adviser), upstream)))
}

/// What the server of the model says of itself, or what is wrong with it and which setting to look at.
pub async fn look_at_model(settings: &Settings) -> Result<String, String> {
    let Some(named) = &settings.model else {
        return Ok("none: Brain goes by rules alone; OPENAI_MODEL names one".to_owned());
    };
    let (model, at) = (model(named).map_err(|error| error.to_string())?, config::without_password(&named.base_url));
    let listed = model.models().await;
    let listed =
        listed.map_err(|error| format!("{at}: {error}; start it, or mend OPENAI_BASE_URL and OPENAI_API_KEY"))?;
    let note = named.unbounded().map_or_else(String::new, |note| format!("; {note}"));
    match listed {
        Some(names) if names.contains(&named.name) => Ok(format!("{} at {at}{note}", named.name)),
        Some(names) => {
            let some: Vec<String> = names.iter().take(5).map(|name| plain::bare_name(name)).collect();
            Err(format!("{at} has no {}: set OPENAI_MODEL to what it has, such as {}", named.name, some.join(", ")))
        }
        None => Ok(format!("{at} answers and lists no models; {} is not looked for{note}", named.name)),
    }
}
