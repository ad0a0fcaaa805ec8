//! Who waits for whom: nobody who is quickly served waits behind an hour of film. Each shift has
//! kinds and places of its own, in the same process.

use nexus_media_protocol::Settings;
use nexus_media_protocol::wire::Offers;

/// Kinds that take moments.
const QUICK: [&str; 3] = ["image", "mail", "probe"];
/// Mail that waits for a slow server leaves one for the rest.
const QUICK_PLACES: usize = 2;
/// Kinds with work that somebody waits for.
const EARLY: [&str; 2] = ["thumbnail", "transcode"];
/// What `transcode` calls its lanes: jobs that require a lane get one that offers it.
const LANE: &str = "lane";
const EARLY_LANES: [&str; 2] = ["fast", "remux"];
const ALL_LANES: [&str; 3] = ["fast", "ladder", "remux"];

/// Adds what this machine has, unless somebody has said it.
pub(crate) fn offer(
    offers: &mut Offers,
    name: &str,
    words: impl IntoIterator<Item = &'static str>,
) {
    if !offers.contains_key(name) {
        offers.insert(name.to_owned(), words.into_iter().collect());
    }
}

/// Quick work, early work, and everything that is neither; those that nobody is wanted for are
/// left out.
pub(crate) fn of(settings: &Settings) -> Vec<Settings> {
    let kinds = settings.kinds.clone().unwrap_or_default();
    let shift = |keep: &dyn Fn(&str) -> bool, most, lanes: &[&'static str]| {
        let mut offers = settings.offers.clone();
        offer(&mut offers, LANE, lanes.iter().copied());
        let kinds = kinds.iter().filter(|kind| keep(kind)).cloned().collect();
        Settings { kinds: Some(kinds), offers, most, ..settings.clone() }
    };
    let shifts = [
        shift(&|kind| QUICK.contains(&kind), QUICK_PLACES, &[]),
        shift(&|kind| EARLY.contains(&kind), 1, &EARLY_LANES),
        shift(&|kind| !QUICK.contains(&kind), settings.most, &ALL_LANES),
    ];
    let is_wanted = |shift: &Settings| shift.kinds.as_ref().is_some_and(|it| !it.is_empty());
    shifts.into_iter().filter(is_wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_media_protocol::Token;

    fn settings(kinds: &[&str]) -> Settings {
        Settings {
            host: String::new(),
            token: Token::new("t").unwrap(),
            name: String::new(),
            scratch: Default::default(),
            kinds: Some(kinds.iter().map(|it| (*it).to_owned()).collect()),
            offers: Offers::new(),
            most: 3,
            drain: Default::default(),
        }
    }

    #[test]
    fn mail_and_first_versions_of_films_do_not_wait_behind_ladders() {
        let shifts = of(&settings(&["mail", "probe", "thumbnail", "transcode"]));
        let kinds: Vec<_> = shifts.iter().map(|it| it.kinds.clone().unwrap().join(" ")).collect();
        assert_eq!(kinds, ["mail probe", "thumbnail transcode", "thumbnail transcode"]);
        assert_eq!(shifts[1].offers[LANE], serde_json::json!(["fast", "remux"]));
        assert_eq!(shifts[2].offers[LANE], serde_json::json!(["fast", "ladder", "remux"]));
        assert_eq!((shifts[0].most, shifts[1].most, shifts[2].most), (2, 1, 3));
        assert_eq!(of(&settings(&["mail"])).len(), 1);
    }
}
