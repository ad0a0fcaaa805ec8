//! What a message is and when it is not sent. Pure: no clock, no database, no HTTP.

use integration_contract::MessageId;
use nexus_sdk::prelude::*;

/// How much somebody wants or must have a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// About who may get in: sent even to those who want no mail.
    Security,
    /// About something the person has or did.
    Account,
    /// All else; can be unsubscribed from.
    Notice,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Rendered, sealed, and waiting for a worker, for the first time or again.
    Queued,
    /// The next server has it.
    Sent,
    /// It lies in the mailbox.
    Delivered,
    Bounced,
    Complained,
    /// Given up: out of attempts or too old.
    Failed,
    /// Not sent, for its address wants or takes none.
    Suppressed,
    Cancelled,
}

/// Why an address gets no mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A server has said that there is no such mailbox.
    HardBounce,
    /// Somebody there has called a message unwanted.
    Complaint,
    /// Somebody there wants no notices.
    Unsubscribed,
    /// An operator has put it on the list.
    Manual,
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl ToParam for $kind {
            fn to_param(&self) -> Param {
                word(self)
            }
        }
    )*};
}

words! { Category, State, Reason }

impl Category {
    pub fn name(self) -> &'static str {
        match self {
            Category::Security => "security",
            Category::Account => "account",
            Category::Notice => "notice",
        }
    }

    /// Whether an address on the list for this reason gets no message of this category. Where no
    /// mailbox is, nothing can be sent; for all else security comes first.
    pub fn is_stopped_by(self, reason: Reason) -> bool {
        match (self, reason) {
            (_, Reason::HardBounce) => true,
            (Category::Security, _) => false,
            (Category::Account, Reason::Unsubscribed) => false,
            (Category::Account | Category::Notice, _) => true,
        }
    }

    /// How long somebody may still want to read it.
    pub fn lasts(self) -> nexus_sdk::chrono::TimeDelta {
        match self {
            // The links in it are good for less.
            Category::Security => days(1),
            Category::Account | Category::Notice => days(3),
        }
    }
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::HardBounce => "hard_bounce",
            Reason::Complaint => "complaint",
            Reason::Unsubscribed => "unsubscribed",
            Reason::Manual => "manual",
        }
    }
}

/// A message without what it says.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    pub id: MessageId,
    pub address: String,
    pub template: String,
    /// 0 is the built-in one.
    pub template_version: i32,
    pub locale: String,
    pub category: Category,
    /// Which component or program asked for it.
    pub caller: String,
    pub state: State,
    /// Why it is where it is, in a word.
    pub reason: Option<String>,
    pub attempts: i32,
    /// Reply code of the last attempt.
    pub smtp_code: Option<i32>,
    pub created_at: Time,
    /// After this instant it is not sent any more.
    pub expires_at: Time,
    pub finished_at: Option<Time>,
}

/// What stands against sending to an address.
#[derive(Debug, Default)]
pub struct Standing {
    pub reasons: Vec<Reason>,
    /// Messages to it within the last hour.
    pub recent: i64,
}

/// What a tenant allows.
#[derive(Debug)]
pub struct Allowance<'a> {
    pub recipient_hour_max: i32,
    /// None: it is no sandbox.
    pub sandbox_allow: Option<&'a [String]>,
}

/// Why a message is not sent, if it is not.
pub fn stopped(
    category: Category,
    address: &str,
    standing: &Standing,
    allowance: &Allowance<'_>,
) -> Option<&'static str> {
    if let Some(allowed) = allowance.sandbox_allow
        && !allowed.iter().any(|pattern| covers(pattern, address))
    {
        return Some("sandbox");
    }
    let listed = standing.reasons.iter().find(|reason| category.is_stopped_by(**reason));
    match listed {
        Some(reason) => Some(reason.name()),
        None if standing.recent >= i64::from(allowance.recipient_hour_max) => Some("rate"),
        None => None,
    }
}

/// Whether a sandbox's pattern, an address or `@domain`, is about this address.
fn covers(pattern: &str, address: &str) -> bool {
    match pattern.strip_prefix('@') {
        Some(domain) => address.rsplit_once('@').is_some_and(|(_, own)| own == domain),
        None => pattern == address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(category: Category, reasons: &[Reason], recent: i64) -> Option<&'static str> {
        let standing = Standing { reasons: reasons.to_vec(), recent };
        let allowance = Allowance { recipient_hour_max: 3, sandbox_allow: None };
        stopped(category, "ada@example.org", &standing, &allowance)
    }

    #[test]
    fn security_reaches_everybody_who_has_a_mailbox() {
        let listed = [Reason::Complaint, Reason::Unsubscribed, Reason::Manual];
        assert_eq!(check(Category::Security, &listed, 0), None);
        assert_eq!(check(Category::Security, &[Reason::HardBounce], 0), Some("hard_bounce"));
    }

    #[test]
    fn who_unsubscribes_still_hears_of_what_is_theirs() {
        assert_eq!(check(Category::Account, &[Reason::Unsubscribed], 0), None);
        assert_eq!(check(Category::Account, &[Reason::Complaint], 0), Some("complaint"));
        for reason in [Reason::Complaint, Reason::Unsubscribed, Reason::Manual] {
            assert_eq!(check(Category::Notice, &[reason], 0), Some(reason.name()));
        }
    }

    #[test]
    fn nobody_is_flooded() {
        assert_eq!(check(Category::Security, &[], 2), None);
        assert_eq!(check(Category::Security, &[], 3), Some("rate"));
    }

    #[test]
    fn a_sandbox_writes_to_those_it_names_alone() {
        let allowed = ["ada@example.org".to_owned(), "@test.example".to_owned()];
        let allowance = Allowance { recipient_hour_max: 9, sandbox_allow: Some(&allowed) };
        let ask = |address| stopped(Category::Security, address, &Standing::default(), &allowance);
        assert_eq!(ask("ada@example.org"), None);
        assert_eq!(ask("anybody@test.example"), None);
        assert_eq!(ask("eve@example.org"), Some("sandbox"));
        assert_eq!(ask("ada@evil-test.example"), Some("sandbox"));
        assert_eq!(ask("ada@example.org@x"), Some("sandbox"));
    }
}
