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

/// Quick work; None when nobody is wanted for it.
pub(crate) fn quick(settings: &Settings) -> Option<Settings> {
    shift(settings, |kind| QUICK.contains(&kind), QUICK_PLACES, &[])
}

/// Early work, and everything that is neither; those that nobody is wanted for are left out.
pub(crate) fn films(settings: &Settings) -> Vec<Settings> {
    let early = shift(settings, |kind| EARLY.contains(&kind), 1, &EARLY_LANES);
    let all = shift(settings, |kind| !QUICK.contains(&kind), settings.most, &ALL_LANES);
    early.into_iter().chain(all).collect()
}

fn shift(
    settings: &Settings,
    keep: fn(&str) -> bool,
    most: usize,
    lanes: &[&'static str],
) -> Option<Settings> {
    let kinds: Vec<String> = settings.kinds.iter().flatten().cloned().collect();
    let kinds: Vec<String> = kinds.into_iter().filter(|kind| keep(kind)).collect();
    let mut offers = settings.offers.clone();
    if !lanes.is_empty() {
        offer(&mut offers, LANE, lanes.iter().copied());
    }
    let wanted = !kinds.is_empty();
    wanted.then(|| Settings { kinds: Some(kinds), offers, most, ..settings.clone() })
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
            idle_exit: None,
        }
    }

    #[test]
    fn mail_and_first_versions_of_films_do_not_wait_behind_ladders() {
        let all = settings(&["mail", "probe", "thumbnail", "transcode"]);
        let kinds = |shift: &Settings| shift.kinds.clone().unwrap().join(" ");
        let (quick, films) = (quick(&all).unwrap(), films(&all));
        assert_eq!((kinds(&quick).as_str(), quick.most), ("mail probe", 2));
        assert!(films.iter().all(|shift| kinds(shift) == "thumbnail transcode"));
        assert_eq!(films[0].offers[LANE], serde_json::json!(["fast", "remux"]));
        assert_eq!(films[1].offers[LANE], serde_json::json!(["fast", "ladder", "remux"]));
        assert_eq!((films[0].most, films[1].most, films.len()), (1, 3, 2));
        assert!(super::films(&settings(&["mail"])).is_empty());
    }
}
