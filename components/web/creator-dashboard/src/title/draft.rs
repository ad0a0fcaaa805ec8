//! A title as it stands in its form: texts, out of the title or out of what was sent, and the
//! change that services are asked for. Pure.

use super::lists::{self, credits_text, cues_text, moment_text};
use super::{Title, Words};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};
use web_kit::prelude::*;

/// As typed.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub name: String,
    pub slug: String,
    pub tagline: String,
    pub synopsis: String,
    pub year: String,
    pub language: String,
    pub maturity: String,
    pub genres: Vec<String>,
    pub more_genres: String,
    pub tags: String,
    pub credits: String,
    pub cues: String,
    pub asset: String,
    pub poster: String,
    pub backdrop: String,
    /// Places, from, until.
    pub rights: Vec<[String; 3]>,
    /// Language, name, synopsis.
    pub words: Vec<[String; 3]>,
    pub version: String,
}

/// What a tick stands for; others are written beside them.
pub const GENRES: [&str; 14] = [
    "action",
    "animation",
    "comedy",
    "crime",
    "documentary",
    "drama",
    "education",
    "family",
    "fantasy",
    "horror",
    "music",
    "romance",
    "sport",
    "thriller",
];

impl From<&Title> for Draft {
    fn from(title: &Title) -> Draft {
        let (known, more): (Vec<String>, Vec<String>) =
            title.genres.iter().cloned().partition(|genre| GENRES.contains(&genre.as_str()));
        let right = |right: &super::Right| {
            [right.territories.join(", "), moment_text(right.from), moment_text(right.until)]
        };
        let words = |(language, words): (&String, &Words)| {
            [language.clone(), words.name.clone(), words.synopsis.clone()]
        };
        Draft {
            name: title.name.clone(),
            slug: title.slug.clone(),
            tagline: title.tagline.clone().unwrap_or_default(),
            synopsis: title.synopsis.clone(),
            year: title.year.map(|year| year.to_string()).unwrap_or_default(),
            language: title.language.clone(),
            maturity: title.maturity.clone(),
            genres: known,
            more_genres: more.join(", "),
            tags: title.tags.join(", "),
            credits: credits_text(&title.credits),
            cues: cues_text(&title.cues),
            asset: title.asset.map(|asset| asset.to_string()).unwrap_or_default(),
            poster: String::new(),
            backdrop: String::new(),
            rights: title.rights.iter().map(right).collect(),
            words: title.localisations.iter().map(words).collect(),
            version: title.version.to_string(),
        }
    }
}

impl Draft {
    pub fn posted(posted: &Posted) -> Draft {
        let text = |name| posted.text(name).to_owned();
        let rows = |names: [&str; 3]| {
            let columns = names
                .map(|name| posted.all(name).map(|it| it.trim().to_owned()).collect::<Vec<_>>());
            let length = columns.iter().map(Vec::len).max().unwrap_or(0);
            let cell = |column: &Vec<String>, at| column.get(at).cloned().unwrap_or_default();
            let row = |at| [cell(&columns[0], at), cell(&columns[1], at), cell(&columns[2], at)];
            (0..length).map(row).filter(|row| row.iter().any(|it| !it.is_empty())).collect()
        };
        Draft {
            name: text("name"),
            slug: text("slug"),
            tagline: text("tagline"),
            synopsis: text("synopsis").replace("\r\n", "\n"),
            year: text("year"),
            language: text("language"),
            maturity: text("maturity"),
            genres: posted.all("genres").map(str::to_owned).collect(),
            more_genres: text("more_genres"),
            tags: text("tags"),
            credits: text("credits"),
            cues: text("cues"),
            asset: text("asset"),
            poster: text("poster"),
            backdrop: text("backdrop"),
            rights: rows(["right_places", "right_from", "right_until"]),
            words: rows(["words_language", "words_name", "words_synopsis"]),
            version: text("version"),
        }
    }

    /// The change, as a merge patch (RFC 7396); what the form does not show is left alone.
    ///
    /// # Errors
    /// What could not be read, beside its field.
    pub fn patch(&self, was: &Title) -> Result<Value, Complaints> {
        let mut wrong = Complaints::none();
        let mut patch = Map::new();
        let mut set = |name: &str, value: Value| patch.insert(name.to_owned(), value);
        set("name", json!(self.name));
        set("synopsis", json!(self.synopsis));
        set("tagline", or_null(&self.tagline));
        set("language", json!(self.language));
        set("maturity", json!(self.maturity));
        if !self.slug.is_empty() {
            set("slug", json!(self.slug));
        }
        let mut genres = self.genres.clone();
        genres.extend(lists::words(&self.more_genres.to_lowercase()));
        set("genres", json!(genres));
        set("tags", json!(lists::words(&self.tags)));
        match self.year.parse::<i32>() {
            Ok(year) => drop(set("year", json!(year))),
            Err(_) if self.year.is_empty() => drop(set("year", Value::Null)),
            Err(_) => wrong = wrong.at("year", "A year is a number, such as 2026."),
        }
        match lists::credits(&self.credits) {
            Ok(credits) => drop(set("credits", json!(credits))),
            Err(words) => wrong = wrong.at("credits", words),
        }
        match lists::cues(&self.cues) {
            Ok(cues) => drop(set("cues", json!(cues))),
            Err(words) => wrong = wrong.at("cues", words),
        }
        if !was.is_series() {
            set("asset", or_null(&self.asset));
        }
        match self.windows() {
            Ok(rights) => drop(set("rights", rights)),
            Err(words) => wrong = wrong.at("rights", words),
        }
        set("localisations", self.localisations(was));
        if let Some(artwork) = self.artwork() {
            set("artwork", artwork);
        }
        if wrong.is_empty() { Ok(Value::Object(patch)) } else { Err(wrong) }
    }

    fn windows(&self) -> Result<Value, String> {
        let mut rights = Vec::new();
        for [places, from, until] in &self.rights {
            rights.extend(lists::right(places, from, until)?);
        }
        Ok(json!(rights))
    }

    /// Languages that were there and are no longer are taken away by name.
    fn localisations(&self, was: &Title) -> Value {
        let gone = was.localisations.keys().map(|language| (language.clone(), Value::Null));
        let mut all: Map<String, Value> = gone.collect();
        for [language, name, synopsis] in &self.words {
            if !language.is_empty() && !(name.is_empty() && synopsis.is_empty()) {
                all.insert(language.clone(), json!({ "name": name, "synopsis": synopsis }));
            }
        }
        Value::Object(all)
    }

    /// Pictures that were named; where none is, those of the film stay.
    fn artwork(&self) -> Option<Value> {
        let named = [("poster", &self.poster), ("backdrop", &self.backdrop)];
        let named: Map<String, Value> = named
            .into_iter()
            .filter(|(_, path)| !path.is_empty())
            .map(|(name, path)| match path.as_str() {
                // The film's own again.
                "-" => (name.to_owned(), Value::Null),
                path => (name.to_owned(), json!(path)),
            })
            .collect();
        (!named.is_empty()).then_some(Value::Object(named))
    }
}

fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title() -> Title {
        let told = json!({
            "name": "The Sea", "kind": "film", "language": "en", "maturity": "12", "year": 2026,
            "genres": ["drama", "sailing"], "tags": ["sea"], "version": 3,
            "credits": [{ "role": "director", "person": "A. B." }],
            "cues": [{ "kind": "intro", "start_ms": 5000, "end_ms": 35000 }],
            "rights": [{ "territories": ["DE", "AT"], "from": "2026-03-12T10:00:00Z" }],
            "localisations": { "de": { "name": "Die See", "synopsis": "" } },
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn a_form_that_nobody_touched_changes_nothing() {
        let was = title();
        let patch = Draft::from(&was).patch(&was).unwrap();
        assert_eq!(patch["name"], "The Sea");
        assert_eq!(patch["genres"], json!(["drama", "sailing"]));
        assert_eq!(patch["rights"][0]["territories"], json!(["DE", "AT"]));
        assert_eq!(patch["rights"][0]["from"], "2026-03-12T10:00:00Z");
        assert_eq!(patch["localisations"], json!({ "de": { "name": "Die See", "synopsis": "" } }));
        assert_eq!(patch["cues"][0]["end_ms"], 35_000);
        assert!(patch.get("artwork").is_none(), "{patch}");
    }

    #[test]
    fn what_was_emptied_is_cleared() {
        let was = title();
        let draft = Draft {
            year: String::new(),
            words: Vec::new(),
            poster: "-".into(),
            ..Draft::from(&was)
        };
        let patch = draft.patch(&was).unwrap();
        assert_eq!(patch["year"], Value::Null);
        assert_eq!(patch["localisations"], json!({ "de": null }));
        assert_eq!(patch["artwork"], json!({ "poster": null }));
    }

    #[test]
    fn everything_that_cannot_be_read_is_said_at_once() {
        let was = title();
        let draft = Draft {
            year: "soon".into(),
            credits: "nobody".into(),
            cues: "later".into(),
            ..Draft::from(&was)
        };
        let wrong = draft.patch(&was).unwrap_err();
        for field in ["year", "credits", "cues"] {
            assert!(wrong.of_field(field).is_some(), "{field}");
        }
    }
}
