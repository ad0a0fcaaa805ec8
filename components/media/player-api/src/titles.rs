//! What `content-cms` says of a title, as far as a player must know it.

use media_contract::AssetId;
use nexus_sdk::prelude::*;

/// What may be skipped, or is where the end begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cue {
    /// `intro`, `recap` or `credits`.
    pub kind: String,
    pub start_ms: i64,
    pub end_ms: i64,
}

/// What comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Next {
    pub id: Uuid,
    pub name: String,
    #[serde(default)]
    pub season: Option<i32>,
    #[serde(default)]
    pub number: Option<i32>,
}

/// A title that the viewer may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Title {
    pub id: Uuid,
    pub name: String,
    /// None of a series.
    #[serde(default)]
    pub asset: Option<AssetId>,
    #[serde(default)]
    pub cues: Vec<Cue>,
    #[serde(default)]
    pub next: Option<Next>,
}

/// How viewers ask.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// An id or a slug.
    pub title: &'a str,
    /// One of the household; empty for the account itself.
    pub profile: &'a str,
    pub language: &'a str,
}

/// Letters that a slug, an id or a language takes: nothing that ends a path.
fn is_plain(text: &str) -> bool {
    text.len() <= 200 && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

fn path(asked: Asked<'_>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("profile", asked.profile), ("language", asked.language)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    format!("/api/content-cms/v1/browse/titles/{}?{}", asked.title, query.finish())
}

/// Asks as whoever asks us.
///
/// # Errors
/// 404 for a title that they may not see, 503 while nobody answers.
pub async fn find(asked: Asked<'_>) -> Result<Title> {
    let parts = [asked.title, asked.profile, asked.language];
    if asked.title.is_empty() || !parts.into_iter().all(is_plain) {
        return Err(standard::NotFound.into());
    }
    let reply = call("content-cms").get(path(asked)).send().await?;
    match reply.status.as_u16() {
        200 => Ok(serde_json::from_slice(&reply.body).context("read a title")?),
        400..=499 => Err(standard::NotFound.into()),
        status => {
            let failure = Failure::msg(format!("content-cms answered {status} to a title"));
            Err(Error::unavailable(failure))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_read_from_what_content_cms_says_whatever_else_it_says() {
        let said = json!({
            "id": Uuid::from_u128(1), "slug": "pilot", "kind": "episode", "name": "Pilot",
            "asset": Uuid::from_u128(2), "season": 1, "number": 1, "maturity": "12",
            "cues": [{ "kind": "intro", "start_ms": 0, "end_ms": 5000 }],
            "next": { "id": Uuid::from_u128(3), "name": "Two", "season": 1, "number": 2,
                "artwork": { "poster": null } },
        });
        let title: Title = serde_json::from_value(said).unwrap();
        assert_eq!(title.cues[0].end_ms, 5000);
        assert_eq!(title.next.unwrap().number, Some(2));
        let bare: Title =
            serde_json::from_value(json!({ "id": Uuid::nil(), "name": "A", "asset": null }))
                .unwrap();
        assert!(bare.asset.is_none() && bare.cues.is_empty());
    }

    #[test]
    fn nothing_that_leads_elsewhere_is_asked_for() {
        for (text, is) in [("the-sea", true), ("../titles", false), ("a?b", false), ("a%2f", false)]
        {
            assert_eq!(is_plain(text), is, "{text}");
        }
    }
}
