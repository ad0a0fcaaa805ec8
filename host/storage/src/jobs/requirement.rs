//! Whether a worker has what a job requires. Pure.

use serde_json::{Map, Value};

/// Whether `offers` meet `requires`, name by name: a number is a least amount, a text must be
/// among the worker's words, a list of texts all of them, `true` must be `true`. What asks for
/// nothing (`false`, `null`, 0) is met by everybody; what cannot be understood, by nobody.
pub fn meets(requires: &Value, offers: &Map<String, Value>) -> bool {
    let Value::Object(requires) = requires else { return false };
    requires.iter().all(|(name, wanted)| one(wanted, offers.get(name)))
}

fn one(wanted: &Value, offered: Option<&Value>) -> bool {
    match wanted {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => offered == Some(&Value::Bool(true)),
        Value::Number(least) => {
            let least = least.as_f64().unwrap_or(f64::INFINITY);
            let amount = offered.and_then(Value::as_f64).unwrap_or(0.0);
            least <= amount
        }
        Value::String(word) => has(offered, word),
        Value::Array(words) => {
            words.iter().all(|word| word.as_str().is_some_and(|word| has(offered, word)))
        }
        Value::Object(_) => false,
    }
}

fn has(offered: Option<&Value>, word: &str) -> bool {
    match offered {
        Some(Value::String(only)) => only == word,
        Some(Value::Array(words)) => words.iter().any(|other| other.as_str() == Some(word)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_worker_gets_what_it_can_do() {
        let offers = json!({ "gpu": 1, "vram_mib": 24000, "codec": ["av1", "h264"], "os": "linux",
            "nvdec": true });
        let offers = offers.as_object().unwrap();
        for (requires, met) in [
            (json!({}), true),
            (json!({ "gpu": 1 }), true),
            (json!({ "gpu": 2 }), false),
            (json!({ "gpu": 0, "tpu": 0 }), true),
            (json!({ "tpu": 1 }), false),
            (json!({ "codec": "av1", "gpu": 1, "vram_mib": 23999.5 }), true),
            (json!({ "codec": "vp9" }), false),
            (json!({ "codec": ["av1", "h264"] }), true),
            (json!({ "codec": ["av1", "vp9"] }), false),
            (json!({ "os": "linux" }), true),
            (json!({ "os": ["linux"] }), true),
            (json!({ "nvdec": true, "vulkan": false }), true),
            (json!({ "vulkan": true }), false),
            (json!({ "gpu": "1" }), false),
            (json!({ "gpu": { "least": 1 } }), false),
            (json!([]), false),
        ] {
            assert_eq!(meets(&requires, offers), met, "{requires}");
        }
    }
}
