//! What a model is told that is asked for a source patch: the brief of the incident, and files of the owners' sources.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{SourceFile, may_show};
use crate::counsel::Brief;
use crate::incident::Incident;

/// A question for a source patch.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The evidence and the files, as text.
    pub text: String,
    /// What an answer has to look like, as JSON Schema.
    pub schema: Value,
    /// The files it may rewrite, as they are.
    pub(super) files: BTreeMap<String, String>,
}

impl Assignment {
    /// The assignment of an incident that was diagnosed by rules, with as many of the files as may be shown, the first ones first;
    /// `None` of any other, and where no file may be shown.
    pub fn of(incident: &Incident, files: &[SourceFile]) -> Option<Self> {
        let brief = Brief::of(incident)?;
        let mut shown: Vec<SourceFile> = Vec::new();
        for file in files {
            if may_show(&shown, &file.text) && shown.iter().all(|other| other.path != file.path) {
                shown.push(file.clone());
            }
        }
        if shown.is_empty() {
            return None;
        }
        let as_json = |file: &SourceFile| Listed { path: &file.path, content: &file.text }.line();
        let listed: Vec<String> = shown.iter().map(as_json).collect();
        Some(Self {
            // As JSON no text can end its own frame.
            text: format!("{}\nFILES THAT MAY BE REWRITTEN\n{}\n", brief.text, listed.join("\n")),
            schema: schema(shown.iter().map(|file| file.path.as_str()).collect()),
            files: shown.into_iter().map(|file| (file.path, file.text)).collect(),
        })
    }

    /// The files it may rewrite, as they are, by their paths.
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }
}

/// A file as it is told, in the form of an answer.
#[derive(Serialize)]
struct Listed<'a> {
    path: &'a str,
    content: &'a str,
}

impl Listed<'_> {
    fn line(&self) -> String {
        // Two texts have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The agreed form of an answer. Bounds of numbers and lengths are not written here, since not every server's grammar knows
/// them; they are checked when the answer is read.
fn schema(paths: Vec<&str>) -> Value {
    let file = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["path", "content"],
        "properties": {"path": {"type": "string", "enum": paths}, "content": {"type": "string"}},
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["files", "why"],
        "properties": {"files": {"type": "array", "items": file}, "why": {"type": "string"}},
    })
}
