//! What a feature flag decides for whom. Pure: the flag, its segments and the context come in,
//! a value and the reason go out. Reasons and errors are those of OpenFeature (specification
//! §1.4 and OFREP 0.2).

use nexus_sdk::prelude::*;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

nexus_sdk::refusals! {
    FlagKey = 422, "a key takes 1 to 128 of a-z, 0-9, dot, dash and underscore";
    NoVariants = 422, "a flag needs at least one variant and at most 50";
    MixedVariants = 422, "all variants of a flag have the same JSON type";
    UnknownVariant = 422, "this is not one of the flag's variants";
    SplitWeights = 422, "the weights of a split are positive and add up to 100000";
    TooManyRules = 422, "a flag takes at most 100 rules of at most 20 conditions each"
}

/// Weights are in thousandths of a percent: fine enough for a first careful step.
const WEIGHTS_TOTAL: u64 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlagState {
    Off,
    On,
    Archived,
}

impl ToParam for FlagState {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// The part of a flag that decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name to value; all of one JSON type.
    pub variants: BTreeMap<String, Value>,
    /// Served when the flag is on and no rule matches.
    pub default_variant: String,
    /// Served when the flag is off.
    pub off_variant: String,
    /// The first rule that matches decides.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// All must hold; none at all matches everybody.
    #[serde(default)]
    pub when: Vec<Condition>,
    pub serve: Serve,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Serve {
    Variant(String),
    /// By a stable hash of flag and targeting key.
    Split(Vec<Share>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub variant: String,
    /// Of 100000.
    pub weight: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The context is in a segment.
    Segment(String),
    /// An attribute of the context compares so with one of the values.
    Attribute { name: String, is: Comparison, values: Vec<Value> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    In,
    NotIn,
    StartsWith,
    EndsWith,
    Contains,
    LessThan,
    GreaterThan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    Static,
    Default,
    TargetingMatch,
    Split,
    Disabled,
}

/// What a flag decided.
#[derive(Debug, PartialEq)]
pub struct Decision<'a> {
    pub variant: &'a str,
    pub value: &'a Value,
    pub reason: Reason,
}

/// A split needs somebody to be stable for.
#[derive(Debug, PartialEq, Eq)]
pub struct TargetingKeyMissing;

/// Conditions of each segment, by key.
pub type Segments = BTreeMap<String, Vec<Condition>>;

pub fn is_key(key: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=128).contains(&key.len()) && key.starts_with(first) && key.chars().all(inner)
}

/// Refuses a definition that could not decide.
pub fn check(definition: &Definition) -> Result<(), Refusal> {
    if !(1..=50).contains(&definition.variants.len()) {
        return Err(NoVariants.at("variants"));
    }
    let kinds = definition.variants.values().map(std::mem::discriminant);
    if !kinds.clone().all(|kind| Some(kind) == kinds.clone().next()) {
        return Err(MixedVariants.at("variants"));
    }
    let known = |variant: &String, at: &str| match definition.variants.contains_key(variant) {
        true => Ok(()),
        false => Err(UnknownVariant.at(at)),
    };
    known(&definition.default_variant, "default_variant")?;
    known(&definition.off_variant, "off_variant")?;
    if definition.rules.len() > 100 || definition.rules.iter().any(|rule| rule.when.len() > 20) {
        return Err(TooManyRules.at("rules"));
    }
    for (number, rule) in definition.rules.iter().enumerate() {
        match &rule.serve {
            Serve::Variant(variant) => known(variant, &format!("rules/{number}/serve/variant"))?,
            Serve::Split(shares) => {
                let total: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
                if total != WEIGHTS_TOTAL || shares.iter().any(|share| share.weight == 0) {
                    return Err(SplitWeights.at(format!("rules/{number}/serve/split")));
                }
                for share in shares {
                    known(&share.variant, &format!("rules/{number}/serve/split"))?;
                }
            }
        }
    }
    Ok(())
}

/// Evaluates one flag. `context` is OpenFeature's evaluation context, `targetingKey` included.
pub fn evaluate<'a>(
    key: &str,
    state: FlagState,
    definition: &'a Definition,
    segments: &Segments,
    context: &serde_json::Map<String, Value>,
) -> Result<Decision<'a>, TargetingKeyMissing> {
    let decide = |variant: &'a str, reason| Decision {
        variant,
        value: definition.variants.get(variant).unwrap_or(&Value::Null),
        reason,
    };
    if state != FlagState::On {
        return Ok(decide(&definition.off_variant, Reason::Disabled));
    }
    for rule in &definition.rules {
        if !rule.when.iter().all(|condition| holds(condition, segments, context)) {
            continue;
        }
        return match &rule.serve {
            Serve::Variant(variant) => Ok(decide(variant, Reason::TargetingMatch)),
            Serve::Split(shares) => {
                let target = context.get("targetingKey").and_then(Value::as_str);
                let target = target.filter(|t| !t.is_empty()).ok_or(TargetingKeyMissing)?;
                Ok(decide(share_of(shares, key, target), Reason::Split))
            }
        };
    }
    let reason = if definition.rules.is_empty() { Reason::Static } else { Reason::Default };
    Ok(decide(&definition.default_variant, reason))
}

/// Stable: the same flag and target always fall into the same share while the weights stand, and
/// widening the first share moves nobody out of it.
fn share_of<'a>(shares: &'a [Share], key: &str, target: &str) -> &'a str {
    let digest = Sha256::digest(format!("{key}\0{target}"));
    let head = digest.first_chunk::<8>().expect("SHA-256 gives 32 bytes");
    let mut point = u64::from_be_bytes(*head) % WEIGHTS_TOTAL;
    for share in shares {
        match point.checked_sub(u64::from(share.weight)) {
            Some(rest) => point = rest,
            None => return &share.variant,
        }
    }
    shares.last().map_or("", |share| &share.variant)
}

fn holds(
    condition: &Condition,
    segments: &Segments,
    context: &serde_json::Map<String, Value>,
) -> bool {
    match condition {
        Condition::Segment(key) => segments.get(key).is_some_and(|conditions| {
            // A segment is made of attributes alone, so there is no loop to fall into.
            conditions.iter().all(|inner| match inner {
                Condition::Segment(_) => false,
                attribute @ Condition::Attribute { .. } => holds(attribute, segments, context),
            })
        }),
        Condition::Attribute { name, is, values } => {
            let Some(found) = context.get(name) else { return *is == Comparison::NotIn };
            let any = |test: fn(&Value, &Value) -> bool| values.iter().any(|v| test(found, v));
            match is {
                Comparison::In => any(equal),
                Comparison::NotIn => !any(equal),
                Comparison::StartsWith => any(|f, v| text(f, v, |f, v| f.starts_with(v))),
                Comparison::EndsWith => any(|f, v| text(f, v, |f, v| f.ends_with(v))),
                Comparison::Contains => any(|f, v| text(f, v, |f, v| f.contains(v))),
                Comparison::LessThan => any(|f, v| number(f, v, |f, v| f < v)),
                Comparison::GreaterThan => any(|f, v| number(f, v, |f, v| f > v)),
            }
        }
    }
}

/// 1 and 1.0 are the same number to whoever wrote the rule.
fn equal(found: &Value, value: &Value) -> bool {
    found == value || number(found, value, |f, v| f == v)
}

fn text(found: &Value, value: &Value, test: fn(&str, &str) -> bool) -> bool {
    matches!((found.as_str(), value.as_str()), (Some(f), Some(v)) if test(f, v))
}

fn number(found: &Value, value: &Value, test: fn(f64, f64) -> bool) -> bool {
    matches!((found.as_f64(), value.as_f64()), (Some(f), Some(v)) if test(f, v))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(rules: Value) -> Definition {
        serde_json::from_value(json!({
            "variants": { "old": false, "new": true },
            "default_variant": "old",
            "off_variant": "old",
            "rules": rules,
        }))
        .unwrap()
    }

    fn decide(rules: Value, context: Value) -> (String, Reason) {
        let definition = definition(rules);
        check(&definition).unwrap();
        let segments = Segments::from([(
            "staff".to_string(),
            serde_json::from_value(json!([{
                "attribute": { "name": "email", "is": "ends_with", "values": ["@nexus.test"] }
            }]))
            .unwrap(),
        )]);
        let context = context.as_object().unwrap();
        let decision = evaluate("player", FlagState::On, &definition, &segments, context).unwrap();
        (decision.variant.to_string(), decision.reason)
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = json!([
            { "when": [{ "segment": "staff" }], "serve": { "variant": "new" } },
            { "when": [{ "attribute": { "name": "plan", "is": "in", "values": ["FREE"] } }],
              "serve": { "variant": "old" } },
        ]);
        for (context, variant, reason) in [
            (json!({ "email": "a@nexus.test", "plan": "FREE" }), "new", Reason::TargetingMatch),
            (json!({ "email": "a@other.test", "plan": "FREE" }), "old", Reason::TargetingMatch),
            (json!({ "email": "a@other.test" }), "old", Reason::Default),
            (json!({}), "old", Reason::Default),
        ] {
            assert_eq!(decide(rules.clone(), context), (variant.to_string(), reason));
        }
        assert_eq!(decide(json!([]), json!({})), ("old".to_string(), Reason::Static));
    }

    #[test]
    fn a_flag_that_is_off_serves_its_off_variant_whatever_the_rules_say() {
        let definition = definition(json!([{ "serve": { "variant": "new" } }]));
        let none = serde_json::Map::new();
        let decision =
            evaluate("player", FlagState::Off, &definition, &Segments::new(), &none).unwrap();
        assert_eq!((decision.variant, decision.reason), ("old", Reason::Disabled));
    }

    #[test]
    fn attributes_compare_as_their_type_says() {
        let rule = |is: &str, values: Value| {
            json!([{ "when": [{ "attribute": { "name": "x", "is": is, "values": values } }],
                     "serve": { "variant": "new" } }])
        };
        for (is, values, x, matches) in [
            ("in", json!([1]), json!(1.0), true),
            ("in", json!(["1"]), json!(1), false),
            ("not_in", json!(["a"]), json!("b"), true),
            ("not_in", json!(["a"]), json!("a"), false),
            ("starts_with", json!(["ab", "cd"]), json!("cde"), true),
            ("contains", json!(["b"]), json!("abc"), true),
            ("contains", json!(["b"]), json!(7), false),
            ("less_than", json!([5]), json!(4.9), true),
            ("greater_than", json!([5]), json!(5), false),
        ] {
            let (variant, _) = decide(rule(is, values.clone()), json!({ "x": x }));
            assert_eq!(variant == "new", matches, "{x} {is} {values}");
        }
        let (variant, _) = decide(rule("not_in", json!(["a"])), json!({}));
        assert_eq!(variant, "new", "an absent attribute is in nothing");
    }

    #[test]
    fn a_split_is_stable_close_to_its_weights_and_widening_moves_nobody_back() {
        let shares = |new: u32| {
            vec![
                Share { variant: "new".into(), weight: new },
                Share { variant: "old".into(), weight: 100_000 - new },
            ]
        };
        let (narrow, wide) = (shares(20_000), shares(50_000));
        let targets: Vec<String> = (0..20_000).map(|n| format!("viewer-{n}")).collect();
        let in_new = |shares: &[Share], target: &str| share_of(shares, "player", target) == "new";
        let count = targets.iter().filter(|t| in_new(&narrow, t)).count();
        assert!((3_700..=4_300).contains(&count), "20 % of 20000 is not {count}");
        for target in &targets {
            assert_eq!(in_new(&narrow, target), in_new(&narrow, target));
            assert!(!in_new(&narrow, target) || in_new(&wide, target), "{target} fell back");
        }
    }

    #[test]
    fn a_split_without_a_targeting_key_says_so() {
        let definition = definition(json!([{ "serve": { "split": [
            { "variant": "new", "weight": 50_000 }, { "variant": "old", "weight": 50_000 },
        ] } }]));
        let none = serde_json::Map::new();
        let refused = evaluate("player", FlagState::On, &definition, &Segments::new(), &none);
        assert_eq!(refused, Err(TargetingKeyMissing));
    }

    #[test]
    fn a_definition_that_could_not_decide_is_refused() {
        let refused = |change: fn(&mut Definition)| {
            let mut definition = definition(json!([]));
            change(&mut definition);
            check(&definition).unwrap_err().name
        };
        assert_eq!(refused(|d| d.variants.clear()), "NoVariants");
        assert_eq!(
            refused(|d| drop(d.variants.insert("x".into(), json!("text")))),
            "MixedVariants"
        );
        assert_eq!(refused(|d| d.default_variant = "gone".into()), "UnknownVariant");
        let split = |weight| Rule {
            when: vec![],
            serve: Serve::Split(vec![Share { variant: "old".into(), weight }]),
        };
        assert!(
            check(&Definition { rules: vec![split(100_000)], ..definition(json!([])) }).is_ok()
        );
        let short = Definition { rules: vec![split(99_999)], ..definition(json!([])) };
        assert_eq!(check(&short).unwrap_err().name, "SplitWeights");
    }

    #[test]
    fn a_key_is_lower_case_and_starts_with_a_letter_or_digit() {
        for (key, fits) in [
            ("player.v2", true),
            ("a", true),
            ("", false),
            ("-a", false),
            ("A", false),
            ("ü", false),
        ] {
            assert_eq!(is_key(key), fits, "{key:?}");
        }
        assert!(!is_key(&"a".repeat(129)));
    }
}
