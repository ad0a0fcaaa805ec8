//! How somebody likes things: one document with a schema, the same on every device. Each change
//! names the version that it changes.

use crate::merge_patch::Patch;
use crate::{fields, own, store};
use identity_contract::profiles::ProfileUpdated;
use nexus_sdk::prelude::*;
use nexus_sdk::schemars::schema_for;
use serde_json::Value;
use std::collections::BTreeMap;

nexus_sdk::refusals! {
    PreferencesSize = 422, "preferences take at most 16 KiB of JSON";
    PreferencesApp = 422, "an app is named by 1 to 64 of a-z, 0-9, dash and dot; at most 32 of them"
}

const BYTES_MAX: usize = 16 * 1024;
const APPS_MAX: usize = 32;

pub fn router() -> Router {
    Router::new()
        .route("/me/preferences", get(show).put(replace).patch(change))
        .route("/preferences/schema", get(schema))
}

/// What is absent is left to whoever shows something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// A BCP 47 tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_motion: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playback: Option<Playback>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,
    /// What an app remembers for somebody, under the app's name: anything it likes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    System,
    Light,
    Dark,
    HighContrast,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Playback {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoplay: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<bool>,
    /// A BCP 47 tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption_language: Option<String>,
    /// Lines of the best picture that is asked for; absent: what the line can carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height_max: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_saver: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notifications {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marketing: Option<bool>,
}

#[derive(Deserialize, Default)]
pub struct Kept {
    pub preferences: Preferences,
    pub preferences_version: i64,
}

fn checked(preferences: Preferences) -> Result<Preferences> {
    if let Some(tag) = &preferences.language {
        fields::locale(tag, "language")?;
    }
    if let Some(tag) = preferences.playback.as_ref().and_then(|it| it.caption_language.as_deref()) {
        fields::locale(tag, "playback/caption_language")?;
    }
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let named = |app: &String| (1..=64).contains(&app.len()) && app.bytes().all(letter);
    if preferences.apps.len() > APPS_MAX || !preferences.apps.keys().all(named) {
        return Err(PreferencesApp.at("apps").into());
    }
    let bytes = serde_json::to_vec(&preferences).context("write preferences")?;
    if bytes.len() > BYTES_MAX {
        return Err(PreferencesSize.into());
    }
    Ok(preferences)
}

async fn kept(by: &Ctx) -> Result<Kept> {
    let found = store::preferences(by.db(), own::id(by)?).await?;
    Ok(found.unwrap_or_default())
}

type Answer = Result<Tagged<Json<Preferences>>>;

async fn show(by: SignedIn) -> Answer {
    let kept = kept(&by).await?;
    Ok(Tagged(Etag::of_version(kept.preferences_version), Json(kept.preferences)))
}

async fn replace(by: SignedIn, version: IfMatch, Json(new): Json<Preferences>) -> Answer {
    let kept = kept(&by).await?;
    version.allow(&Etag::of_version(kept.preferences_version))?;
    save(&by, kept.preferences_version, checked(new)?).await
}

async fn change(by: SignedIn, version: Option<IfMatch>, patch: Patch<Preferences>) -> Answer {
    let kept = kept(&by).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(kept.preferences_version))?;
    }
    save(&by, kept.preferences_version, checked(patch.apply(&kept.preferences)?)?).await
}

async fn save(by: &Ctx, seen: i64, preferences: Preferences) -> Answer {
    let user = own::id(by)?;
    let write = store::put_preferences(user, seen, &preferences, by.now());
    let told = emit(ProfileUpdated { user, fields: vec!["preferences".into()] });
    by.commit([write.expect_rows(1), told]).await?;
    Ok(Tagged(Etag::of_version(seen + 1), Json(preferences)))
}

async fn schema(_anyone: Public) -> Json<Value> {
    Json(schema_for!(Preferences).to_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Preferences> {
        let read = serde_json::from_value(value);
        checked(read.map_err(|why| standard::InvalidBody.because(why.to_string()))?)
    }

    #[test]
    fn what_the_schema_does_not_know_belongs_under_an_app() {
        assert!(read(json!({ "theme": "dark", "apps": { "player": { "volume": 7 } } })).is_ok());
        for bad in [
            json!({ "volume": 7 }),
            json!({ "theme": "pink" }),
            json!({ "language": "english" }),
            json!({ "apps": { "Not An App": 1 } }),
            json!({ "playback": { "caption_language": "x" } }),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn sixteen_kibibytes_are_the_most() {
        let sized = |n| read(json!({ "apps": { "a": "x".repeat(n) } }));
        assert!(sized(16_000).is_ok());
        assert!(sized(16_384).unwrap_err().is(&PreferencesSize));
    }

    #[test]
    fn the_schema_names_every_field() {
        let schema = schema_for!(Preferences).to_value();
        for field in ["theme", "language", "playback", "notifications", "apps"] {
            assert!(schema["properties"][field].is_object(), "{field}");
        }
    }
}
