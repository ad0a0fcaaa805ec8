//! The states of an account and how one follows another. Pure.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    Transition = 409, "an account in this state cannot go there"
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Made by somebody else; the address is not proven yet.
    Invited,
    Active,
    /// Kept out for the time being.
    Suspended,
    /// Left; may come back.
    Deactivated,
    /// Only the id is left.
    Erased,
}

impl ToParam for Standing {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// What can be done to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Suspend,
    Reinstate,
    Deactivate,
    Erase,
}

/// Where `order` leads from `standing`.
///
/// # Errors
/// 409 where it leads nowhere.
pub fn follow(standing: Standing, order: Order) -> Result<Standing, Refusal> {
    use {Order::*, Standing::*};
    match (order, standing) {
        (Suspend, Active | Invited) => Ok(Suspended),
        (Reinstate, Suspended | Deactivated) => Ok(Active),
        (Deactivate, Active | Invited | Suspended) => Ok(Deactivated),
        (Erase, Invited | Active | Suspended | Deactivated) => Ok(Erased),
        _ => Err(Transition.because(format!(
            "an account that is {} cannot be told to {}",
            format!("{standing:?}").to_lowercase(),
            format!("{order:?}").to_lowercase(),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Order::*, Standing::*, *};

    #[test]
    fn what_is_erased_never_comes_back() {
        for order in [Suspend, Reinstate, Deactivate, Erase] {
            assert!(follow(Erased, order).is_err(), "{order:?}");
        }
    }

    #[test]
    fn every_other_account_can_be_erased_and_nobody_is_suspended_twice() {
        for standing in [Invited, Active, Suspended, Deactivated] {
            assert_eq!(follow(standing, Erase), Ok(Erased));
        }
        assert!(follow(Suspended, Suspend).is_err());
        assert!(follow(Active, Reinstate).is_err());
        assert_eq!(follow(Deactivated, Reinstate), Ok(Active));
    }
}
