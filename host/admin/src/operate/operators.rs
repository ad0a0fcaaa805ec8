//! Who may operate besides root. A token is shown to whoever makes it, once; of it only the digest
//! is kept.

use super::asked::{Asked, json};
use super::{Stores, failure, instant};
use crate::{problems, routes};
use http::StatusCode;
use nexus_runtime::{Problem, Response, full};
use nexus_storage::audit::{Operator, Role, digest_of, hex};
use serde::Deserialize;
use serde_json::{Value, json as object};

pub(super) async fn list(stores: &Stores) -> Result<Response, Problem> {
    let found = stores.operators.list().await.map_err(|e| failure(&e))?;
    let operators: Vec<Value> = found.iter().map(describe).collect();
    Ok(json(&object!({ "operators": operators, "cursor": null })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    role: String,
}

pub(super) async fn add(stores: &Stores, asked: &Asked) -> Result<Response, Problem> {
    let draft: Draft = asked.order()?;
    let role =
        Role::of(&draft.role).ok_or(problems::BODY.detail("role is viewer, operator or admin"))?;
    if !is_name(&draft.name) {
        return Err(problems::OPERATOR_NAME);
    }
    let bits: [u128; 2] = rand::random();
    let token = format!("nx-operator-{:032x}{:032x}", bits[0], bits[1]);
    let by = &asked.actor.name;
    let added = stores.operators.add(&draft.name, role, &digest_of(&token), by).await;
    if !added.map_err(|e| failure(&e))? {
        let detail = format!("there is an operator {} already", draft.name);
        return Err(problems::OPERATOR_TAKEN.detail(detail));
    }
    tracing::info!(by, operator = draft.name, role = role.as_str(), "an operator was let in");
    let mut shown = object!({ "name": draft.name, "role": role.as_str(), "token": token });
    shown["credential"] = hex(&digest_of(&token)[..8]).into();
    Ok(routes::json(StatusCode::CREATED, &shown))
}

/// As the table's check has it.
fn is_name(name: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 63
        && name != "root"
        && name.bytes().all(sound)
}

pub(super) async fn remove(
    stores: &Stores,
    name: &str,
    asked: &Asked,
) -> Result<Response, Problem> {
    if !stores.operators.remove(name).await.map_err(|e| failure(&e))? {
        return Err(problems::NO_OPERATOR.detail(format!("there is no operator {name}")));
    }
    tracing::info!(by = asked.actor.name, operator = name, "an operator was shut out");
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn describe(operator: &Operator) -> Value {
    object!({
        "name": operator.name,
        "role": operator.role.as_str(),
        "credential": hex(&operator.digest[..8]),
        "created_at": instant::text(operator.created_at),
        "created_by": operator.created_by,
        "last_used_at": instant::maybe(operator.last_used_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain_and_never_roots() {
        for (name, sound) in [
            ("ada", true),
            ("ci.deploy-2", true),
            ("", false),
            ("root", false),
            ("Ada", false),
            ("2nd", false),
            ("a b", false),
            ("a/b", false),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(is_name(name), sound, "{name}");
        }
    }
}
