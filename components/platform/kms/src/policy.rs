//! Who may do what with one key, beyond the permissions of this service.

use nexus_sdk::Principal;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    KeyPolicy = 403, "this key's own policy does not allow you to do that with it";
    PolicyTooLong = 422, "a policy takes at most 50 grants"
}

const GRANTS_MAX: usize = 50;

/// What is done with a key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Encrypt,
    Decrypt,
    Rewrap,
    Datakey,
    Sign,
    Verify,
    Hmac,
    Export,
}

impl ToParam for Operation {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// Somebody, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub to: Grantee,
    /// None is everything.
    #[serde(default)]
    pub operations: Vec<Operation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Grantee {
    /// A person or a program by its id.
    Subject(String),
    /// Whoever acts for an organisation.
    Organisation(String),
    /// Whoever holds a permission, of any service.
    Permission(String),
}

pub fn check(policy: &[Grant]) -> Result<(), Refusal> {
    match policy.len() <= GRANTS_MAX {
        true => Ok(()),
        false => Err(PolicyTooLong.at("policy")),
    }
}

/// A key without a policy leaves it to permissions.
pub fn allow(policy: &[Grant], by: &Principal, operation: Operation) -> Result<(), Refusal> {
    let covers = |grant: &Grant| {
        let all = grant.operations.is_empty();
        (all || grant.operations.contains(&operation)) && is_meant(&grant.to, by)
    };
    match policy.is_empty() || policy.iter().any(covers) {
        true => Ok(()),
        false => Err(KeyPolicy),
    }
}

fn is_meant(to: &Grantee, by: &Principal) -> bool {
    match to {
        Grantee::Subject(subject) => *subject == by.subject,
        Grantee::Organisation(id) => by.organisation.as_ref() == Some(id),
        Grantee::Permission(name) => by.may(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Principal {
        serde_json::from_value(json!({
            "subject": "ada", "kind": "user", "tenant": Uuid::nil(), "organisation": "studio",
            "permissions": ["billing:*"],
        }))
        .unwrap()
    }

    #[test]
    fn a_grant_covers_those_it_names_for_what_it_names() {
        for (grant, operation, allowed) in [
            (json!({ "to": { "subject": "ada" } }), Operation::Sign, true),
            (json!({ "to": { "subject": "bob" } }), Operation::Sign, false),
            (
                json!({ "to": { "subject": "ada" }, "operations": ["verify"] }),
                Operation::Sign,
                false,
            ),
            (json!({ "to": { "subject": "ada" }, "operations": ["sign"] }), Operation::Sign, true),
            (json!({ "to": { "organisation": "studio" } }), Operation::Decrypt, true),
            (json!({ "to": { "organisation": "other" } }), Operation::Decrypt, false),
            (json!({ "to": { "permission": "billing:refund" } }), Operation::Hmac, true),
            (json!({ "to": { "permission": "kms:use" } }), Operation::Hmac, false),
        ] {
            let policy = [serde_json::from_value(grant.clone()).unwrap()];
            assert_eq!(allow(&policy, &ada(), operation).is_ok(), allowed, "{grant}");
        }
        assert!(allow(&[], &ada(), Operation::Export).is_ok());
    }

    #[test]
    fn a_policy_is_bounded() {
        let grant = Grant { to: Grantee::Subject("ada".into()), operations: vec![] };
        assert!(check(&vec![grant.clone(); 50]).is_ok());
        assert!(check(&vec![grant; 51]).is_err());
    }
}
