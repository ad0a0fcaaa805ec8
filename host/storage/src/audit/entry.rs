//! One entry of the journal, and the one way to write it down. Refuses to know where it goes.

use super::TEXT_CHARS_MAX;
use serde_json::Value;
use std::collections::BTreeMap;

/// How it ended, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is about to be carried out; another entry says how it ended.
    Begun,
    Done,
    /// It was said no to: by a role, or by a rule.
    Refused,
    Failed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What somebody did. What is not known is left out of the journal.
#[derive(Debug, Clone)]
pub struct Entry {
    /// RFC 3339 in UTC, by the clock of the host that writes.
    pub at: String,
    /// The name of an operator, or of the part of the host that acts by itself.
    pub actor: String,
    pub role: Option<String>,
    /// Which of the actor's credentials: the beginning of its digest, or `root`.
    pub credential: Option<String>,
    /// Where it came from.
    pub address: Option<String>,
    /// `POST components/{id}/deploy`, `rollout.aborted`, …: of few, so that it can be filtered by.
    pub action: String,
    /// What it was done to: a component, a queue, an operator.
    pub subject: Option<String>,
    /// The path as it was asked.
    pub path: Option<String>,
    /// SHA-256 of the body, hex.
    pub body_sha256: Option<String>,
    pub outcome: Outcome,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// Why: what the operator said, or what said no.
    pub reason: Option<String>,
    /// Ties the entries of one call together.
    pub call: Option<String>,
    /// More of it, such as digests before and after.
    pub facts: Option<Value>,
}

impl Entry {
    /// An entry of what `actor` did `at` a time, with nothing else known.
    pub fn new(at: impl Into<String>, actor: &str, action: &str, outcome: Outcome) -> Self {
        Self {
            at: at.into(),
            actor: actor.to_owned(),
            role: None,
            credential: None,
            address: None,
            action: action.to_owned(),
            subject: None,
            path: None,
            body_sha256: None,
            outcome,
            status: None,
            reason: None,
            call: None,
            facts: None,
        }
    }

    /// JSON with sorted keys and without spaces: `json.dumps(entry, sort_keys=True,
    /// separators=(",", ":"), ensure_ascii=False)` gives the same bytes.
    pub fn canonical(&self) -> String {
        let mut members: BTreeMap<&str, Value> = BTreeMap::new();
        members.insert("at", self.at.as_str().into());
        members.insert("outcome", self.outcome.as_str().into());
        for (name, text) in [
            ("actor", Some(&self.actor)),
            ("action", Some(&self.action)),
            ("role", self.role.as_ref()),
            ("credential", self.credential.as_ref()),
            ("address", self.address.as_ref()),
            ("subject", self.subject.as_ref()),
            ("path", self.path.as_ref()),
            ("body_sha256", self.body_sha256.as_ref()),
            ("reason", self.reason.as_ref()),
            ("call", self.call.as_ref()),
        ] {
            if let Some(text) = text {
                members.insert(name, cleaned(text).into());
            }
        }
        if let Some(status) = self.status {
            members.insert("status", status.into());
        }
        if let Some(facts) = &self.facts {
            members.insert("facts", sorted(facts));
        }
        serde_json::to_string(&members).expect("texts and numbers are JSON")
    }
}

/// PostgreSQL has no NUL in a text; the journal is no place for documents.
fn cleaned(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(TEXT_CHARS_MAX).collect()
}

/// With the keys of every object in order, whatever map is behind [`Value`].
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<String, Value> =
                members.iter().map(|(name, value)| (cleaned(name), sorted(value))).collect();
            ordered.into_iter().collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::String(text) => cleaned(text).into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_is_written_in_one_way_only() {
        let mut entry = Entry::new("2027-01-31T03:15:00Z", "ada", "POST freezes", Outcome::Done);
        entry.status = Some(201);
        entry.reason = Some("a \"release\"\0 of ours: ü".into());
        entry.facts = Some(json!({ "z": 1, "a": { "y": [true], "b": "x" } }));
        let written = "{\"action\":\"POST freezes\",\"actor\":\"ada\",\
                       \"at\":\"2027-01-31T03:15:00Z\",\
                       \"facts\":{\"a\":{\"b\":\"x\",\"y\":[true]},\"z\":1},\
                       \"outcome\":\"done\",\"reason\":\"a \\\"release\\\" of ours: ü\",\
                       \"status\":201}";
        assert_eq!(entry.canonical(), written);
    }

    #[test]
    fn a_long_word_does_not_fill_the_journal() {
        let mut entry = Entry::new("now", "ada", "x", Outcome::Begun);
        entry.reason = Some("é".repeat(10 * TEXT_CHARS_MAX));
        assert!(entry.canonical().len() < 3 * TEXT_CHARS_MAX);
    }
}
