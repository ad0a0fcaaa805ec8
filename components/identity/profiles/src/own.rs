//! One's own profile: what it says, who may see it, and the name one goes by.

use crate::fields::{self, Link};
use crate::handle::{self, HandleTaken, HandleTooSoon};
use crate::merge_patch::Patch;
use crate::visibility::Visibility;
use crate::{avatars, store};
use identity_contract::UserId;
use identity_contract::profiles::{AvatarId, HandleChanged, ProfileUpdated};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NoAccount = 403, "only somebody with an account has a profile";
    ProfileGone = 409, "this account is gone"
}

/// How long a handle is kept before another may take its place.
const HANDLE_KEPT_DAYS: i32 = 30;

pub fn router() -> Router {
    Router::new()
        .route("/me", get(show).patch(change))
        .route("/me/handle", put(take_handle))
        .route("/handles/{handle}", get(is_free))
}

/// The account that asks.
pub fn id(by: &Ctx) -> Result<UserId, Refusal> {
    by.principal().subject.parse().map_err(|_| NoAccount)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Active,
    Hidden,
    Erased,
}

/// A profile as it is kept.
#[derive(Debug, Clone, Deserialize)]
pub struct Profile {
    pub user_id: UserId,
    pub status: Standing,
    pub handle: Option<String>,
    pub handle_changed_at: Option<Time>,
    pub display_name: Option<String>,
    pub bio: Option<String>,
    pub avatar_id: Option<AvatarId>,
    pub links: Vec<Link>,
    pub locale: Option<String>,
    pub time_zone: Option<String>,
    pub visibility: Visibility,
    pub verified_at: Option<Time>,
    pub version: i64,
}

/// One's own profile.
#[derive(Serialize, JsonSchema)]
struct Own {
    user: UserId,
    handle: Option<String>,
    /// From when on the handle may be another; absent: at once.
    handle_changeable_at: Option<Time>,
    display_name: Option<String>,
    bio: Option<String>,
    /// Where the picture is.
    avatar: Option<String>,
    links: Vec<Link>,
    locale: Option<String>,
    time_zone: Option<String>,
    visibility: Visibility,
    verified: bool,
    /// Whether this installation knows who follows whom. While it does not, what is for followers
    /// is shown to nobody else.
    followers_known: bool,
    version: i64,
}

impl Own {
    fn of(profile: Profile, now: Time) -> Own {
        let again = profile.handle_changed_at.map(|at| at + days(HANDLE_KEPT_DAYS));
        Own {
            user: profile.user_id,
            handle: profile.handle,
            handle_changeable_at: again.filter(|at| *at > now),
            display_name: profile.display_name,
            bio: profile.bio,
            avatar: profile.avatar_id.map(avatars::path),
            links: profile.links,
            locale: profile.locale,
            time_zone: profile.time_zone,
            visibility: profile.visibility,
            verified: profile.verified_at.is_some(),
            followers_known: false,
            version: profile.version,
        }
    }
}

/// The profile of an account that has not said anything yet is empty and has version 0.
pub async fn find(by: &Ctx) -> Result<Profile> {
    let user_id = id(by)?;
    let found = store::profiles::find(by.db(), user_id).await?;
    Ok(found.unwrap_or_else(|| Profile {
        user_id,
        status: Standing::Active,
        handle: None,
        handle_changed_at: None,
        display_name: None,
        bio: None,
        avatar_id: None,
        links: Vec::new(),
        locale: None,
        time_zone: None,
        visibility: Visibility::default(),
        verified_at: None,
        version: 0,
    }))
}

/// What its owner may change about a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Editable {
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub bio: Option<String>,
    /// At most ten.
    #[serde(default)]
    pub links: Vec<Link>,
    #[serde(default)]
    pub locale: Option<String>,
    /// A name of the IANA database.
    #[serde(default)]
    pub time_zone: Option<String>,
    #[serde(default)]
    pub visibility: Visibility,
}

impl From<&Profile> for Editable {
    fn from(profile: &Profile) -> Self {
        Self {
            display_name: profile.display_name.clone(),
            bio: profile.bio.clone(),
            links: profile.links.clone(),
            locale: profile.locale.clone(),
            time_zone: profile.time_zone.clone(),
            visibility: profile.visibility,
        }
    }
}

impl Editable {
    /// Empty texts clear, as `null` does.
    fn checked(self) -> Result<Editable, Refusal> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Editable {
            display_name: given(self.display_name)
                .map(|it| fields::display_name(&it))
                .transpose()?,
            bio: given(self.bio).map(|it| fields::bio(&it)).transpose()?,
            links: fields::links(self.links)?,
            locale: given(self.locale).map(|it| fields::locale(&it, "locale")).transpose()?,
            time_zone: given(self.time_zone).map(|it| fields::time_zone(&it)).transpose()?,
            visibility: self.visibility,
        })
    }
}

type Answer = Result<Tagged<Json<Own>>>;

async fn answer(by: &Ctx) -> Answer {
    let profile = find(by).await?;
    Ok(Tagged(Etag::of_version(profile.version), Json(Own::of(profile, by.now()))))
}

async fn show(by: SignedIn) -> Answer {
    answer(&by).await
}

async fn change(by: SignedIn, version: Option<IfMatch>, patch: Patch<Editable>) -> Answer {
    let profile = find(&by).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(profile.version))?;
    }
    let before = Editable::from(&profile);
    let after = patch.apply(&before)?.checked()?;
    if let Some(zone) = &after.time_zone
        && !store::profiles::is_time_zone(by.db(), zone).await?
    {
        return Err(fields::TimeZoneForm.at("time_zone").into());
    }
    let user = profile.user_id;
    let write = store::profiles::edit(user, profile.version, &after, by.now());
    let told = emit(ProfileUpdated { user, fields: patch.fields() });
    by.commit([write.expect_rows(1), told]).await?;
    answer(&by).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    handle: String,
}

async fn take_handle(by: SignedIn, Json(wish): Json<Wish>) -> Answer {
    let wanted = handle::parse(wish.handle.trim())?;
    let before = find(&by).await?;
    let user = before.user_id;
    let write = store::handles::take(user, &wanted, by.now())
        .on_conflict_refuse("handle_taken", HandleTaken.at("handle"))
        .on_conflict_refuse("handle_pkey", HandleTaken.at("handle"))
        .on_conflict_refuse("handle_skeleton", HandleTaken.at("handle"))
        .on_conflict_refuse("handle_too_soon", HandleTooSoon.at("handle"))
        .on_conflict_refuse("profile_gone", ProfileGone);
    let former = before.handle.filter(|former| *former != wanted.spelled);
    let told = emit(HandleChanged { user, handle: wanted.spelled, former });
    by.commit([write, told]).await?;
    answer(&by).await
}

/// Whether a handle could be had.
#[derive(Serialize, JsonSchema)]
struct Availability {
    handle: String,
    available: bool,
    /// What stands in the way, in words; empty when nothing does.
    reason: String,
}

async fn is_free(by: SignedIn, Path(name): Path<String>) -> Result<Json<Availability>> {
    let user = id(&by)?;
    let reason = match handle::parse(&name) {
        Err(refusal) => refusal.sentence,
        Ok(wanted) if store::handles::is_free(by.db(), user, &wanted, by.now()).await? => "",
        Ok(_) => HandleTaken.sentence,
    };
    let (available, reason) = (reason.is_empty(), reason.to_owned());
    Ok(Json(Availability { handle: name, available, reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editable(value: serde_json::Value) -> Result<Editable, Refusal> {
        serde_json::from_value::<Editable>(value).unwrap().checked()
    }

    #[test]
    fn an_empty_text_clears_as_null_does() {
        let cleared = editable(json!({ "display_name": " ", "bio": "", "locale": null })).unwrap();
        assert_eq!((cleared.display_name, cleared.bio, cleared.locale), (None, None, None));
    }

    #[test]
    fn each_wrong_field_is_pointed_at() {
        for (field, value) in [
            ("display_name", json!("x".repeat(121))),
            ("bio", json!("x".repeat(1001))),
            ("locale", json!("english")),
            ("time_zone", json!("+02:00")),
        ] {
            let refused = editable(json!({ field: value })).unwrap_err();
            assert!(format!("{refused:?}").contains(&format!("#/{field}")), "{refused:?}");
        }
    }
}
