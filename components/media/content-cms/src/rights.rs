//! Where and when something may be shown: windows of time, each for some territories. Pure; what
//! the database is asked by (`content_cms.is_open`) says the same.

use nexus_sdk::chrono::Datelike as _;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    RightsForm = 422, "a window names 1 to 250 territories (ISO 3166-1 alpha-2, or *) and ends \
                       after it begins; there are at most 50"
}

/// Every territory.
pub const EVERYWHERE: &str = "*";
const WINDOWS_MAX: usize = 50;
const TERRITORIES_MAX: usize = 250;

/// One window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Right {
    /// Two capital letters each, or `*` for all.
    pub territories: Vec<String>,
    /// From the beginning of time, where absent.
    #[serde(default)]
    pub from: Option<Time>,
    /// Not any more at this instant.
    #[serde(default)]
    pub until: Option<Time>,
}

impl Right {
    fn covers(&self, at: Time) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

pub fn is_territory(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Whether an instant is one that people mean and that the database can read.
pub fn is_date(at: Time) -> bool {
    (1900..=9999).contains(&at.year())
}

/// # Errors
/// 422 `rights-form`, pointing at the window.
pub fn check(rights: &[Right]) -> Result<(), Refusal> {
    if rights.len() > WINDOWS_MAX {
        return Err(RightsForm.at("rights"));
    }
    for (number, right) in rights.iter().enumerate() {
        let known = |it: &String| it == EVERYWHERE || is_territory(it);
        let named = (1..=TERRITORIES_MAX).contains(&right.territories.len())
            && right.territories.iter().all(known);
        let lasts = match (right.from, right.until) {
            (Some(from), Some(until)) => from < until,
            _ => true,
        };
        let told = [right.from, right.until].into_iter().flatten().all(is_date);
        if !named || !lasts || !told {
            return Err(RightsForm.at(format!("rights/{number}")));
        }
    }
    Ok(())
}

/// Whether something may be shown anywhere at `at`. Whoever names no window has all rights.
pub fn is_open(rights: &[Right], at: Time) -> bool {
    rights.is_empty() || rights.iter().any(|right| right.covers(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Time {
        nexus_sdk::chrono::DateTime::from_timestamp(second, 0).unwrap()
    }

    fn right(territories: &[&str], from: Option<i64>, until: Option<i64>) -> Right {
        let territories = territories.iter().map(|it| (*it).to_owned()).collect();
        Right { territories, from: from.map(at), until: until.map(at) }
    }

    #[test]
    fn a_window_begins_at_its_first_instant_and_is_over_at_its_last() {
        let rights = [right(&["DE"], Some(10), Some(20))];
        for (second, open) in [(9, false), (10, true), (19, true), (20, false)] {
            assert_eq!(is_open(&rights, at(second)), open, "{second}");
        }
        assert!(is_open(&[], at(0)));
        assert!(is_open(&[right(&["*"], None, Some(1)), right(&["US"], Some(5), None)], at(7)));
    }

    #[test]
    fn a_window_without_a_place_or_without_a_length_is_refused() {
        for wrong in [
            right(&[], None, None),
            right(&["de"], None, None),
            right(&["DEU"], None, None),
            right(&["**"], None, None),
            right(&["DE"], Some(5), Some(5)),
            right(&["DE"], Some(6), Some(5)),
        ] {
            let refused = check(&[right(&["*"], None, None), wrong.clone()]).unwrap_err();
            assert!(format!("{refused:?}").contains("#/rights/1"), "{wrong:?}");
        }
        assert!(check(&vec![right(&["*"], None, None); 51]).is_err());
        assert!(check(&vec![right(&["DE", "AT", "*"], Some(1), None); 50]).is_ok());
    }

    proptest! {
        #[test]
        fn one_window_more_never_closes_anything(
            from in prop::option::of(0..100i64), length in 1..50i64, second in 0..200i64,
        ) {
            let first = right(&["*"], from, from.map(|from| from + length));
            let more = right(&["FR"], Some(300), None);
            let (alone, both) = ([first.clone()], [first, more]);
            prop_assert_eq!(is_open(&alone, at(second)), is_open(&both, at(second)));
            prop_assert!(is_open(&both, at(300 + second)));
        }
    }
}
