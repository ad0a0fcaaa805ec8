//! What relations mean: which are said directly, which follow from others, and which come from a
//! related object. Pure: a check is a walk, and this says where each step leads.

use nexus_sdk::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

nexus_sdk::refusals! {
    RelationForm = 422, "write kind:id, kind:id#relation, and names of a-z, 0-9, _ and -";
    RelationModelForm = 422, "a model names at most 50 relations with at most 20 rules each";
    UnknownRelation = 422, "the model of this kind has no such relation"
}

/// One way to have a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Somebody was said to have it.
    This,
    /// Whoever has another relation to the same object has this one, too.
    Computed(String),
    /// Whoever has `relation` to what stands in `of`: editors of a folder for its documents.
    From { of: String, relation: String },
}

/// All relations of a kind of object; each holds when one of its rules does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Model(pub BTreeMap<String, Vec<Rule>>);

/// Models by kind.
pub type Models = HashMap<String, Model>;

/// A thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Object {
    pub kind: String,
    pub id: String,
}

/// All who have a relation to a thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    pub object: Object,
    pub relation: String,
}

/// Somebody: a thing itself, or all who have a relation to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    pub object: Object,
    /// Empty for the thing itself.
    pub relation: String,
}

fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-'))
}

fn is_id(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@/=+".contains(c);
    (1..=128).contains(&text.len()) && text.chars().all(fits)
}

/// `kind:id`.
pub fn object(text: &str) -> Result<Object, Refusal> {
    match text.split_once(':') {
        Some((kind, id)) if is_name(kind) && is_id(id) => {
            Ok(Object { kind: kind.into(), id: id.into() })
        }
        _ => Err(RelationForm.because(format!("{text:?} is not of the form kind:id"))),
    }
}

/// `kind:id` or `kind:id#relation`.
pub fn subject(text: &str) -> Result<Subject, Refusal> {
    let (thing, relation) = text.split_once('#').unwrap_or((text, ""));
    if text.contains('#') && !is_name(relation) {
        return Err(RelationForm.because(format!("{text:?} is not of the form kind:id#relation")));
    }
    Ok(Subject { object: object(thing)?, relation: relation.into() })
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.relation.as_str() {
            "" => write!(f, "{}", self.object),
            relation => write!(f, "{}#{relation}", self.object),
        }
    }
}

impl Model {
    /// # Errors
    /// A relation or rule of another form, or too many.
    pub fn check(&self) -> Result<(), Refusal> {
        let rule = |rule: &Rule| match rule {
            Rule::This => true,
            Rule::Computed(relation) => self.0.contains_key(relation),
            Rule::From { of, relation } => self.0.contains_key(of) && is_name(relation),
        };
        if self.0.is_empty() || self.0.len() > 50 {
            return Err(RelationModelForm.at("relations"));
        }
        for (name, rules) in &self.0 {
            let fits = is_name(name) && (1..=20).contains(&rules.len()) && rules.iter().all(rule);
            if !fits {
                return Err(RelationModelForm.at(format!("relations/{name}")));
            }
        }
        Ok(())
    }
}

/// Proves that a relation can be said of an object.
pub fn sayable(models: &Models, object: &Object, relation: &str) -> Result<(), Refusal> {
    let rules = models.get(&object.kind).and_then(|model| model.0.get(relation));
    match rules {
        Some(rules) if rules.contains(&Rule::This) => Ok(()),
        Some(_) => Err(UnknownRelation.because(format!("{relation} only follows from others"))),
        None => Err(UnknownRelation.because(format!("{} has no {relation}", object.kind))),
    }
}

/// What is to be read for a step of a walk.
#[derive(Debug, Default, PartialEq)]
pub struct Step {
    /// Whoever is said to have these has the relation that is asked about.
    pub direct: Vec<Node>,
    /// Whatever stands here leads on, by the relation beside it.
    pub through: Vec<(Node, String)>,
}

/// Follows the rules that need no reading. What was `seen` leads nowhere new.
pub fn step(models: &Models, frontier: Vec<Node>, seen: &mut HashSet<Node>) -> Step {
    let (mut step, mut left) = (Step::default(), frontier);
    while let Some(node) = left.pop() {
        if !seen.insert(node.clone()) {
            continue;
        }
        let model = models.get(&node.object.kind);
        for rule in model.and_then(|model| model.0.get(&node.relation)).into_iter().flatten() {
            let at = |relation: &String| Node {
                object: node.object.clone(),
                relation: relation.clone(),
            };
            match rule {
                Rule::This => step.direct.push(node.clone()),
                Rule::Computed(relation) => left.push(at(relation)),
                Rule::From { of, relation } => step.through.push((at(of), relation.clone())),
            }
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> Models {
        let model = |json| serde_json::from_value::<Model>(json).unwrap();
        let doc = model(json!({
            "parent": ["this"],
            "owner": ["this"],
            "editor": ["this", { "computed": "owner" }],
            "viewer": ["this", { "computed": "editor" },
                { "from": { "of": "parent", "relation": "viewer" } }],
        }));
        let folder = model(json!({ "viewer": ["this"] }));
        doc.check().unwrap();
        Models::from([("doc".into(), doc), ("folder".into(), folder)])
    }

    fn node(text: &str) -> Node {
        let subject = subject(text).unwrap();
        Node { object: subject.object, relation: subject.relation }
    }

    #[test]
    fn a_step_follows_all_rules_that_need_no_reading() {
        let mut seen = HashSet::new();
        let step = step(&models(), vec![node("doc:1#viewer")], &mut seen);
        let mut direct = step.direct.clone();
        direct.sort_by_key(|node| node.relation.clone());
        assert_eq!(direct, ["editor", "owner", "viewer"].map(|r| node(&format!("doc:1#{r}"))));
        assert_eq!(step.through, [(node("doc:1#parent"), "viewer".to_owned())]);
    }

    #[test]
    fn a_circle_is_walked_once() {
        let circle: Model = serde_json::from_value(json!({
            "a": [{ "computed": "b" }], "b": [{ "computed": "a" }, "this"],
        }))
        .unwrap();
        circle.check().unwrap();
        let models = Models::from([("x".to_owned(), circle)]);
        let mut seen = HashSet::new();
        let first = step(&models, vec![node("x:1#a")], &mut seen);
        assert_eq!(first.direct, [node("x:1#b")]);
        assert_eq!(step(&models, vec![node("x:1#a")], &mut seen), Step::default());
    }

    #[test]
    fn forms_are_held_to() {
        assert_eq!(subject("group:eng#member").unwrap().to_string(), "group:eng#member");
        for bad in ["", "doc", "doc:", ":1", "Doc:1", "doc:1#", "doc:a b", "doc:1#A", "doc:1#a#b"] {
            assert!(subject(bad).is_err(), "{bad}");
        }
        for bad in [json!({}), json!({ "a": [] }), json!({ "a": [{ "computed": "b" }] })] {
            let model: Model = serde_json::from_value(bad).unwrap();
            assert!(model.check().is_err(), "{model:?}");
        }
    }

    #[test]
    fn what_only_follows_cannot_be_said() {
        let models = Models::from([(
            "doc".to_owned(),
            serde_json::from_value(json!({ "o": ["this"], "v": [{ "computed": "o" }] })).unwrap(),
        )]);
        let doc = object("doc:1").unwrap();
        assert!(sayable(&models, &doc, "o").is_ok());
        assert!(sayable(&models, &doc, "v").is_err());
        assert!(sayable(&models, &object("cat:1").unwrap(), "o").is_err());
    }
}
