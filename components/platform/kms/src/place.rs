//! Where a key stands: whose it is, and what its owner calls it.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    KeyName = 422, "a key's name takes 1 to 128 letters, digits, `.`, `_` and `-`, and begins \
                    with a letter or digit"
}

/// A name within one owner's keys. Made only from what the host has proven about the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Nil is the platform itself.
    pub tenant: Uuid,
    /// `tenant`, `service/<component>` or `user/<subject>`.
    pub owner: String,
    pub name: String,
}

impl Place {
    /// A key of the caller's tenant.
    pub fn of_tenant(by: &Ctx, name: &str) -> Place {
        Place { tenant: by.tenant().into(), owner: "tenant".into(), name: name.into() }
    }

    /// A key of a component: one for all tenants, or one for the tenant it asks for.
    pub fn of_service(by: &Ctx, caller: &str, within_tenant: bool, name: &str) -> Place {
        let tenant = if within_tenant { by.tenant().into() } else { Uuid::nil() };
        Place { tenant, owner: format!("service/{caller}"), name: name.into() }
    }

    /// A key of the person who asks.
    pub fn of_person(by: &Ctx, name: &str) -> Place {
        let owner = owner_of(&by.principal().subject);
        Place { tenant: by.tenant().into(), owner, name: name.into() }
    }

    /// The component whose key it is.
    pub fn service(&self) -> Option<&str> {
        self.owner.strip_prefix("service/")
    }

    pub fn is_persons(&self) -> bool {
        self.owner.starts_with("user/")
    }

    /// Refuses a name that a new key may not have.
    pub fn check(&self) -> Result<(), Refusal> {
        match is_name(&self.name) {
            true => Ok(()),
            false => Err(KeyName.at("name")),
        }
    }
}

/// The owner of a person's keys.
pub fn owner_of(subject: &str) -> String {
    format!("user/{subject}")
}

pub fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner)
}

#[test]
fn a_name_is_one_segment_of_a_path() {
    for (name, fits) in [
        ("signing", true),
        ("Card_numbers.v2-eu", true),
        ("", false),
        (".hidden", false),
        ("a/b", false),
        ("a b", false),
        ("ä", false),
    ] {
        assert_eq!(is_name(name), fits, "{name}");
    }
    assert!(is_name(&"a".repeat(128)) && !is_name(&"a".repeat(129)));
}
