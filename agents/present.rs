//! Present values of the owners' knobs, read from the repository.

use std::collections::BTreeMap;

use serde_json::Value;
use sre_space_domain::catalogue::Catalogue;
use sre_space_domain::proposal::KnobValue;
use sre_space_domain::rca::Current;
use sre_space_ports::forge::{ForgeError, Repository};

use crate::config_file;

/// Reads every knob's value at the head. A knob whose file or path is not there has no value.
pub async fn values(repository: &dyn Repository, rules: &Catalogue) -> Result<Current, ForgeError> {
    let head = repository.head().await?;
    let mut files: BTreeMap<&str, Option<Value>> = BTreeMap::new();
    let mut current = Current::default();
    for (service, rules) in &rules.services {
        for knob in &rules.knobs {
            if !files.contains_key(knob.file.as_str()) {
                let text = repository.file(&head, &knob.file).await.ok();
                files.insert(&knob.file, text.and_then(|text| config_file::read(&knob.file, &text)));
            }
            let parsed = files.get(knob.file.as_str()).and_then(Option::as_ref);
            if let Some(value) = parsed.and_then(|file| at(file, &knob.path)) {
                current.0.insert((service.clone(), knob.name.clone()), value);
            }
        }
    }
    Ok(current)
}

fn at(file: &Value, path: &str) -> Option<KnobValue> {
    let value = path.split('.').try_fold(file, |value, key| value.get(key))?;
    let text = || value.as_str().map(|text| KnobValue::Text(text.to_owned()));
    value.as_i64().map(KnobValue::Int).or_else(|| value.as_bool().map(KnobValue::Bool)).or_else(text)
}
