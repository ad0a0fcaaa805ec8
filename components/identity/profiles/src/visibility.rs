//! Who may see which part of a profile. Pure. Knows four circles of people; refuses to know how it
//! was found out in which of them somebody stands.

use nexus_sdk::prelude::*;

/// A circle of people, widest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody, signed in or not.
    Public,
    /// People who follow. This installation has no service that knows them yet: until it has,
    /// what is for followers is shown to its owner only.
    Followers,
    /// People of an organisation to which the owner belongs as well.
    Organisation,
    /// The owner.
    Private,
}

/// Where somebody who looks stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    Anybody,
    Colleague,
    Owner,
}

impl Audience {
    pub fn includes(self, viewer: Viewer) -> bool {
        match self {
            Audience::Public => true,
            Audience::Organisation => viewer != Viewer::Anybody,
            Audience::Followers | Audience::Private => viewer == Viewer::Owner,
        }
    }
}

/// Who may see what. The handle and the badge are everybody's: they are how one is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Visibility {
    pub display_name: Audience,
    pub bio: Audience,
    pub avatar: Audience,
    pub links: Audience,
    pub locale: Audience,
    pub time_zone: Audience,
}

impl Default for Visibility {
    /// What one writes to be read is public; where and how one lives is not.
    fn default() -> Self {
        Self {
            display_name: Audience::Public,
            bio: Audience::Public,
            avatar: Audience::Public,
            links: Audience::Public,
            locale: Audience::Private,
            time_zone: Audience::Private,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_circle_lets_in_who_stands_in_it() {
        use Audience::*;
        for (audience, anybody, colleague) in [
            (Public, true, true),
            (Followers, false, false),
            (Organisation, false, true),
            (Private, false, false),
        ] {
            assert_eq!(audience.includes(Viewer::Anybody), anybody, "{audience:?}");
            assert_eq!(audience.includes(Viewer::Colleague), colleague, "{audience:?}");
            assert!(audience.includes(Viewer::Owner), "{audience:?}");
        }
    }

    #[test]
    fn nobody_learns_where_somebody_lives_who_has_said_nothing() {
        let quiet: Visibility = serde_json::from_value(json!({})).unwrap();
        assert_eq!(quiet, Visibility::default());
        assert!(!quiet.time_zone.includes(Viewer::Colleague));
        assert!(serde_json::from_value::<Visibility>(json!({ "email": "public" })).is_err());
    }
}
