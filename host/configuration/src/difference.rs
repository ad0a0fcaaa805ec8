//! What is different between a component's configuration at two numbers. Of secrets it says only
//! that.

/// What has become of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
    Changed,
    /// Set again, to the same.
    Same,
}

impl Change {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Same => "same",
        }
    }
}

/// One name that was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub name: String,
    pub secret: bool,
    pub change: Change,
    /// None where there was nothing, and of a secret.
    pub before: Option<String>,
    /// None where there is nothing, and of a secret.
    pub after: Option<String>,
}

/// A value on one side: whether it is a secret, and what it says.
pub(crate) type Side<'a> = Option<(bool, &'a str)>;

/// Compares one name; None when neither side has it.
pub(crate) fn compare(name: &str, before: Side<'_>, after: Side<'_>) -> Option<Difference> {
    let change = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => Change::Added,
        (Some(_), None) => Change::Removed,
        (Some(one), Some(other)) if one == other => Change::Same,
        (Some(_), Some(_)) => Change::Changed,
    };
    let secret = [before, after].into_iter().flatten().any(|(secret, _)| secret);
    let shown = |side: Side<'_>| side.filter(|_| !secret).map(|(_, value)| value.to_owned());
    let (before, after) = (shown(before), shown(after));
    Some(Difference { name: name.to_owned(), secret, change, before, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_changed_or_the_same_and_never_shown() {
        let secret = |value| Some((true, value));
        for (before, after, change) in [
            (secret("one"), secret("other"), Change::Changed),
            (secret("one"), secret("one"), Change::Same),
            (None, secret("one"), Change::Added),
            (secret("one"), None, Change::Removed),
            (Some((false, "one")), secret("one"), Change::Changed),
        ] {
            let found = compare("api_key", before, after).unwrap();
            assert_eq!((found.change, found.secret), (change, true));
            assert_eq!((found.before, found.after), (None, None));
        }
        let plain = compare("a", Some((false, "1")), Some((false, "2"))).unwrap();
        assert_eq!((plain.before.as_deref(), plain.after.as_deref()), (Some("1"), Some("2")));
        assert_eq!(compare("a", None, None), None);
    }
}
