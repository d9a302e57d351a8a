//! Policy by Cedar: deny by default, forbid beats permit, everything checked at load.
//!
//! Cedar *skips* a policy that fails while it is evaluated, so a broken `forbid` would quietly vanish. Two doors are
//! therefore shut here: a set that is not valid in every part is refused whole, naming the file; and a ruling during
//! which anything failed is a denial that says what failed.

mod load;
#[cfg(test)]
mod tests;

use std::path::Path;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Context, Decision, Effect, Entities, EntityId, EntityTypeName,
    EntityUid, Policy as CedarRule, PolicySet, Request, Response, RestrictedExpression, Schema,
};
use sre_space_domain::catalogue::Autonomy;
use sre_space_ports::policy::{Action, Policy, PolicyError, Question, Rule, Ruling};

pub use self::load::texts_in;

/// A validated set of Cedar policies and the schema it was validated against.
#[derive(Debug)]
pub struct CedarPolicy {
    schema: Schema,
    set: PolicySet,
    /// In the order of the files, which is the order rulings name them in.
    rules: Vec<CedarRule>,
}

impl CedarPolicy {
    /// Reads a schema and policy texts, each with the name its errors are reported under.
    ///
    /// # Errors
    /// [`PolicyError::Refused`] when a text does not parse, does not fit the schema, holds no policy, or holds one without
    /// `@id` and `@reason`; [`PolicyError::Empty`] when there is no text at all.
    pub fn from_texts(schema: &str, files: &[(&str, &str)]) -> Result<Self, PolicyError> {
        let schema = load::schema(schema)?;
        let (set, rules) = load::set(&schema, files)?;
        Ok(Self { schema, set, rules })
    }

    /// Reads `schema.cedarschema` and every `*.cedar` of a folder, in the order of their names.
    ///
    /// # Errors
    /// As [`CedarPolicy::from_texts`]; a file that cannot be read is refused too.
    pub fn from_dir(path: &Path) -> Result<Self, PolicyError> {
        let schema = load::text(&path.join(load::SCHEMA_FILE))?;
        let files = texts_in(path)?;
        if files.is_empty() {
            return Err(PolicyError::Empty(path.display().to_string()));
        }
        let borrowed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Self::from_texts(&schema, &borrowed)
    }

    fn answer(&self, action: Action, question: &Question, response: &Response) -> Ruling {
        if response.diagnostics().errors().next().is_some() {
            return failed(response);
        }
        let decided: Vec<&CedarRule> =
            self.rules.iter().filter(|rule| response.diagnostics().reason().any(|id| id == rule.id())).collect();
        if decided.is_empty() {
            return Ruling { allowed: false, rules: vec![], reasons: vec![self.what_is_missing(action, question)] };
        }
        Ruling {
            allowed: response.decision() == Decision::Allow,
            rules: decided.iter().map(|rule| rule.id().to_string()).collect(),
            reasons: decided.iter().map(|rule| reason(rule)).collect(),
        }
    }

    /// Says which permits exist for an action when none of them applied.
    fn what_is_missing(&self, action: Action, question: &Question) -> String {
        let wanted: Vec<String> = self
            .rules
            .iter()
            .filter(|rule| rule.effect() == Effect::Permit && is_about(rule, action))
            .map(|rule| format!("{} ({})", rule.id(), reason(rule)))
            .collect();
        let doing = format!("no rule permits to {} this {} of {}", word(action), question.remedy, question.service);
        match wanted.as_slice() {
            [] => format!("{doing}, and no permit for that exists"),
            some => format!("{doing}; needed is one of: {}", some.join("; ")),
        }
    }
}

impl Policy for CedarPolicy {
    fn rule(&self, action: Action, question: &Question) -> Ruling {
        match request(action, question, &self.schema) {
            Ok(request) => {
                let response = Authorizer::new().is_authorized(&request, &self.set, &Entities::empty());
                self.answer(action, question, &response)
            }
            Err(why) => Ruling { allowed: false, rules: vec![], reasons: vec![why] },
        }
    }

    fn rules(&self) -> Vec<Rule> {
        self.rules
            .iter()
            .map(|rule| Rule {
                id: rule.id().to_string(),
                effect: rule.effect().to_string(),
                reason: reason(rule),
                source: rule.to_string(),
            })
            .collect()
    }
}

fn failed(response: &Response) -> Ruling {
    let (rules, reasons) = response
        .diagnostics()
        .errors()
        .map(|error| match error {
            AuthorizationError::PolicyEvaluationError(failure) => {
                (failure.policy_id().to_string(), format!("denied because a rule failed: {error}"))
            }
        })
        .unzip();
    Ruling { allowed: false, rules, reasons }
}

fn reason(rule: &CedarRule) -> String {
    rule.annotation(load::REASON).unwrap_or_default().to_owned()
}

fn is_about(rule: &CedarRule, action: Action) -> bool {
    let named = |uid: &EntityUid| uid.id().unescaped() == word(action);
    match rule.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(uids) => uids.iter().any(named),
        ActionConstraint::Eq(uid) => named(&uid),
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Propose => "propose",
        Action::Merge => "merge",
    }
}

/// The question in Cedar's terms, checked against the schema: a value it does not know is an error, thus a denial.
fn request(action: Action, question: &Question, schema: &Schema) -> Result<Request, String> {
    let uid = |kind: &str, id: &str| -> Result<EntityUid, String> {
        let kind: EntityTypeName = kind.parse().map_err(|error| format!("{kind} is no entity type: {error}"))?;
        Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
    };
    let named = |kind: &str, id: &str| uid(kind, id).map(RestrictedExpression::new_entity_uid);
    let mut facts = vec![
        ("remedy", named("Remedy", &question.remedy)?),
        ("fault", named("Fault", &question.fault)?),
        ("autonomy", named("Autonomy", autonomy(question.autonomy))?),
        ("declared", RestrictedExpression::new_bool(question.declared)),
        ("bounded", RestrictedExpression::new_bool(question.bounded)),
        ("cooling", RestrictedExpression::new_bool(question.cooling)),
    ];
    let vetoes: Result<Vec<_>, String> = question.vetoes.iter().map(|veto| named("Veto", veto)).collect();
    facts.push(("vetoes", RestrictedExpression::new_set(vetoes?)));
    facts.extend(numbers(question).map(|(name, value)| (name, RestrictedExpression::new_long(value))));
    facts.extend(files(&question.files));
    let context = Context::from_pairs(facts.into_iter().map(|(name, value)| (name.to_owned(), value)))
        .map_err(|error| format!("denied because the facts cannot be put to the policies: {error}"))?;
    let (principal, resource) = (uid("Agent", "fixer")?, uid("Service", &question.service)?);
    Request::new(principal, uid("Action", word(action))?, resource, context, Some(schema))
        .map_err(|error| format!("denied because the question does not fit the schema: {error}"))
}

fn autonomy(autonomy: Autonomy) -> &'static str {
    match autonomy {
        Autonomy::Observe => "observe",
        Autonomy::Suggest => "suggest",
        Autonomy::Approve => "approve",
        Autonomy::Auto => "auto",
    }
}

fn numbers(question: &Question) -> [(&'static str, i64); 8] {
    [
        ("confidence_e9", question.confidence_e9),
        ("trust_e9", question.trust_e9),
        ("threshold_e9", question.threshold_e9),
        ("lines", question.lines),
        ("sources", question.sources),
        ("incidents_last_hour", question.incidents_last_hour),
        ("incidents_per_hour", question.incidents_per_hour),
        ("active_on_service", question.active_on_service),
    ]
}

/// Cedar cannot count a set or look at its members by pattern, so the files also go as a count and as one fenced text.
/// A `|` inside a name only adds fences: it can match more forbids, never fewer.
fn files(files: &[String]) -> [(&'static str, RestrictedExpression); 3] {
    let set = files.iter().cloned().map(RestrictedExpression::new_string);
    let paths = files.iter().fold(String::from("|"), |all, file| all + &file.to_lowercase() + "|");
    [
        ("files", RestrictedExpression::new_set(set)),
        ("file_count", RestrictedExpression::new_long(i64::try_from(files.len()).unwrap_or(i64::MAX))),
        ("paths", RestrictedExpression::new_string(paths)),
    ]
}
