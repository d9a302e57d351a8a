//! Loading: parse, name, validate; refuse the whole set for one fault in it.

use std::fs;
use std::path::Path;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use sre_space_ports::policy::PolicyError;

pub(super) const SCHEMA_FILE: &str = "schema.cedarschema";
pub(super) const REASON: &str = "reason";
const ID: &str = "id";

/// Every `*.cedar` of a folder as (file name, text), in the order of the names.
///
/// # Errors
/// [`PolicyError::Refused`] when the folder or one of the files cannot be read.
pub fn texts_in(dir: &Path) -> Result<Vec<(String, String)>, PolicyError> {
    let unreadable = |error: std::io::Error| refused(&dir.display().to_string(), format!("cannot be read: {error}"));
    let mut texts = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            texts.push((name, text(&path)?));
        }
    }
    texts.sort();
    Ok(texts)
}

pub(super) fn text(path: &Path) -> Result<String, PolicyError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    fs::read_to_string(path).map_err(|error| refused(&name, format!("cannot be read: {error}")))
}

pub(super) fn schema(text: &str) -> Result<Schema, PolicyError> {
    let (schema, warnings) =
        Schema::from_cedarschema_str(text).map_err(|error| refused(SCHEMA_FILE, error.to_string()))?;
    let warnings: Vec<String> = warnings.map(|warning| warning.to_string()).collect();
    if warnings.is_empty() { Ok(schema) } else { Err(refused(SCHEMA_FILE, warnings.join("; "))) }
}

/// All files as one set, each policy under its own `@id`.
pub(super) fn set(schema: &Schema, files: &[(&str, &str)]) -> Result<(PolicySet, Vec<Policy>), PolicyError> {
    let mut whole = PolicySet::new();
    let mut rules = Vec::new();
    for (file, text) in files {
        for rule in named(file, text)? {
            let id = rule.id().clone();
            whole.add(rule.clone()).map_err(|_taken| refused(file, format!("the id {id} is used twice")))?;
            rules.push(rule);
        }
        validate(schema, file, &whole)?;
    }
    if rules.is_empty() { Err(PolicyError::Empty("the policy texts".to_owned())) } else { Ok((whole, rules)) }
}

/// The policies of one file in the order they are written.
fn named(file: &str, text: &str) -> Result<Vec<Policy>, PolicyError> {
    let parsed: PolicySet = text.parse().map_err(|error| refused(file, format!("{error}")))?;
    if parsed.templates().next().is_some() {
        return Err(refused(file, "a template decides nothing by itself".to_owned()));
    }
    let mut written: Vec<&Policy> = parsed.policies().collect();
    // The parser numbers them `policy0`, `policy1`, …: by length first, so that 10 comes after 9.
    written.sort_by_key(|rule| (rule.id().to_string().len(), rule.id().to_string()));
    if written.is_empty() {
        return Err(refused(file, "it holds no policy".to_owned()));
    }
    written.into_iter().map(|rule| name(file, rule)).collect()
}

fn name(file: &str, rule: &Policy) -> Result<Policy, PolicyError> {
    let filled = |key: &str| rule.annotation(key).map(str::trim).filter(|value| !value.is_empty());
    let Some(id) = filled(ID) else {
        return Err(refused(file, format!("a policy has no @{ID}: {rule}")));
    };
    if filled(REASON).is_none() {
        return Err(refused(file, format!("the policy {id} has no @{REASON}")));
    }
    Ok(rule.new_id(PolicyId::new(id)))
}

/// Warnings refuse as well: they tell of rules that can never apply, and of names that look like other names.
fn validate(schema: &Schema, file: &str, set: &PolicySet) -> Result<(), PolicyError> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    if result.validation_passed_without_warnings() {
        return Ok(());
    }
    let errors = result.validation_errors().map(ToString::to_string);
    let told: Vec<String> = errors.chain(result.validation_warnings().map(ToString::to_string)).collect();
    Err(refused(file, told.join("; ")))
}

fn refused(file: &str, why: String) -> PolicyError {
    PolicyError::Refused { file: file.to_owned(), why }
}
