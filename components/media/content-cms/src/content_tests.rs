//! What a title may say, and how it is changed.

use super::*;
use crate::change::Change;
use proptest::prelude::*;

fn named(name: &str) -> Content {
    Content { name: name.into(), ..Content::default() }
}

fn changed(content: &Content, change: Value) -> Result<Content, String> {
    let change = serde_json::from_value::<Change>(change).unwrap();
    change.onto(content).map_err(|why| format!("{why:?}"))
}

fn refused(change: Value) -> &'static str {
    let content = changed(&named("The Sea"), change).unwrap();
    content.checked(Kind::Film).unwrap_err().name
}

#[test]
fn a_name_is_enough() {
    let title = named("  The Sea ").checked(Kind::Film).unwrap();
    assert_eq!((title.name.as_str(), title.slug.as_str()), ("The Sea", "the-sea"));
}

#[test]
fn a_change_touches_what_it_names_and_null_clears() {
    let before = Content {
        tagline: Some("wet".into()),
        localisations: BTreeMap::from([(
            "de".into(),
            Localised { name: "Die See".into(), synopsis: "nass".into() },
        )]),
        ..named("The Sea")
    };
    let after = changed(
        &before,
        json!({ "year": 2020, "tagline": null, "localisations": { "fr": { "name": "La mer" } } }),
    )
    .unwrap();
    assert_eq!((after.year, after.tagline.as_deref()), (Some(2020), None));
    assert_eq!(after.localisations.len(), 2);
    assert_eq!(before.changed(&after), ["localisations", "tagline", "year"]);
    let gone = changed(&after, json!({ "localisations": { "de": null } })).unwrap();
    assert_eq!(gone.localisations.keys().collect::<Vec<_>>(), ["fr"]);
}

#[test]
fn what_a_title_does_not_have_is_refused_and_not_swallowed() {
    let unknown = changed(&named("x"), json!({ "state": "published" })).unwrap_err();
    assert!(unknown.contains("state"), "{unknown}");
    assert!(changed(&named("x"), json!({ "year": "soon" })).is_err());
}

#[test]
fn what_cannot_be_true_is_refused_by_name() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (change, name) in [
        (json!({ "name": "\n" }), "NameLength"),
        (json!({ "name": "x".repeat(201) }), "NameLength"),
        (json!({ "slug": "The Sea" }), "SlugForm"),
        (json!({ "synopsis": "x".repeat(5001) }), "SynopsisLength"),
        (json!({ "year": 1492 }), "YearRange"),
        (json!({ "language": "german, mostly" }), "LanguageTag"),
        (json!({ "genres": ["x".repeat(41)] }), "GenreForm"),
        (json!({ "credits": [{ "role": "", "person": "A" }] }), "CreditForm"),
        (json!({ "rights": [{ "territories": [] }] }), "RightsForm"),
        (json!({ "localisations": { "d": { "name": "x" } } }), "LocalisationForm"),
        (json!({ "artwork": { "poster": "//elsewhere/x.jpg" } }), "ArtworkForm"),
        (json!({ "artwork": { "poster": "javascript:x" } }), "ArtworkForm"),
        (json!({ "artwork": { "backdrop": "https://a/\"x" } }), "ArtworkForm"),
        (json!({ "cues": [{ "kind": "intro", "start_ms": 5, "end_ms": 5 }] }), "CueForm"),
        (json!({ "season": 1 }), "EpisodePlace"),
        (json!({ "series": id, "season": 1, "number": 1 }), "EpisodePlace"),
    ] {
        assert_eq!(refused(change.clone()), name, "{change}");
    }
}

#[test]
fn an_episode_has_its_place_and_a_series_nothing_to_play() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let place = json!({ "series": id, "season": 0, "number": 1 });
    let episode = changed(&named("Pilot"), place).unwrap();
    assert!(episode.clone().checked(Kind::Episode).is_ok());
    assert_eq!(named("Pilot").checked(Kind::Episode).unwrap_err().name, "EpisodePlace");
    let series = changed(&named("Show"), json!({ "asset": id })).unwrap();
    assert_eq!(series.checked(Kind::Series).unwrap_err().name, "AssetUnwanted");
}

#[test]
fn labels_are_in_lower_case_and_there_once() {
    let told = json!({ "genres": ["Drama", " drama ", "Sci-Fi"] });
    let title = changed(&named("x"), told).unwrap().checked(Kind::Film).unwrap();
    assert_eq!(title.genres, ["drama", "sci-fi"]);
    assert!(title.words().contains("sci-fi"));
}

#[test]
fn a_language_falls_back_on_what_it_is_a_variety_of() {
    let all = BTreeMap::from([
        ("de".to_owned(), Localised { name: "See".into(), synopsis: String::new() }),
        ("pt-BR".to_owned(), Localised { name: "Mar".into(), synopsis: String::new() }),
    ]);
    for (language, expected) in
        [("de-AT", Some("See")), ("DE", Some("See")), ("pt-br", Some("Mar")), ("pt", None)]
    {
        let found = localised(&all, language).map(|it| it.name.as_str());
        assert_eq!(found, expected, "{language}");
    }
}

#[test]
fn a_change_is_described_as_it_is_taken() {
    let document = crate::service().openapi();
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let null = json!({ "type": "null" });
    for name in ["TitleChange", "Draft"] {
        let described = schema(name);
        let fields = described["properties"].as_object().unwrap();
        let clears = |field: &str| fields[field]["anyOf"].as_array().unwrap().contains(&null);
        assert!(clears("synopsis") && clears("rights"), "{described:#}");
        assert_eq!(described["required"], Value::Null, "{described:#}");
    }
    assert!(schema("Draft")["properties"]["kind"].is_object());
}

proptest! {
    #[test]
    fn what_was_checked_passes_again_unchanged(
        name in "\\PC{1,200}", genres in prop::collection::vec("[A-Za-z ]{0,12}", 0..8),
        year in prop::option::of(1800..2300i32),
    ) {
        let content = Content { year, genres, ..named(&name) };
        if let Ok(kept) = content.checked(Kind::Clip) {
            prop_assert_eq!(kept.clone().checked(Kind::Clip).unwrap(), kept);
        }
    }

    #[test]
    fn an_empty_change_changes_nothing(name in ".{0,40}", year in prop::option::of(0..9999i32)) {
        let content = Content { year, ..named(&name) };
        let same = changed(&content, json!({})).unwrap();
        prop_assert!(content.changed(&same).is_empty());
    }
}
