//! A profile as others see it: by handle, by a former handle, by the account's id.

use crate::fields::Link;
use crate::own::{Profile, Standing};
use crate::visibility::Viewer;
use crate::{avatars, handle, own, store};
use identity_contract::UserId;
use nexus_sdk::prelude::*;
use nexus_sdk::{Operation, Output};

pub fn router() -> Router {
    Router::new().route("/profiles/{name}", get(show))
}

/// What of a profile is shown to whoever asks.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Shown {
    pub user: UserId,
    pub handle: Option<String>,
    pub verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub links: Vec<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

impl Shown {
    pub fn to(viewer: Viewer, profile: Profile) -> Shown {
        let may = profile.visibility;
        Shown {
            user: profile.user_id,
            handle: profile.handle,
            verified: profile.verified_at.is_some(),
            display_name: profile.display_name.filter(|_| may.display_name.includes(viewer)),
            bio: profile.bio.filter(|_| may.bio.includes(viewer)),
            avatar: profile.avatar_id.filter(|_| may.avatar.includes(viewer)).map(avatars::path),
            links: if may.links.includes(viewer) { profile.links } else { Vec::new() },
            locale: profile.locale.filter(|_| may.locale.includes(viewer)),
            time_zone: profile.time_zone.filter(|_| may.time_zone.includes(viewer)),
        }
    }
}

/// A profile, or where it is now.
struct Seen(Response);

impl IntoResponse for Seen {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for Seen {
    fn describe(operation: &mut Operation) {
        Json::<Shown>::describe(operation);
        operation.empty_response(StatusCode::NOT_MODIFIED);
        operation.empty_response(StatusCode::PERMANENT_REDIRECT);
    }
}

/// `@handle`, or the id of an account.
async fn show(anyone: Public, Path(name): Path<String>) -> Result<Seen> {
    let profile = match name.strip_prefix('@') {
        Some(_) => {
            let key = handle::key(&name).ok_or(standard::NotFound)?;
            store::handles::holder(anyone.db(), &key, anyone.now()).await?
        }
        None => {
            let user: UserId = name.parse().map_err(|_| standard::NotFound)?;
            store::profiles::find(anyone.db(), user).await?
        }
    };
    let profile = profile.ok_or(standard::NotFound)?;
    let viewer = viewer(&anyone, profile.user_id).await?;
    // One of an account that may not be used is there for nobody else, as one without a name is:
    // ids alone are no way to find people.
    if viewer != Viewer::Owner && (profile.status != Standing::Active || profile.handle.is_none()) {
        return Err(standard::NotFound.into());
    }
    if let (Some(asked), Some(present)) = (name.strip_prefix('@'), &profile.handle)
        && !asked.eq_ignore_ascii_case(present)
    {
        return Ok(Seen(moved(present)));
    }
    // What one sees depends on who one is.
    let headers = [(header::CACHE_CONTROL, "private, no-cache"), (header::VARY, "authorization")];
    let etag = Etag::of_version(profile.version);
    let shown = Json(Shown::to(viewer, profile));
    Ok(Seen(match viewer {
        // The same version shows others something else.
        Viewer::Anybody => (headers, Tagged(etag, shown)).into_response(),
        _ => (headers, shown).into_response(),
    }))
}

/// 308: the method stays, and who keeps addresses may keep the new one.
fn moved(handle: &str) -> Response {
    let headers = [
        (header::LOCATION, format!("/api/profiles/v1/profiles/@{handle}")),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (StatusCode::PERMANENT_REDIRECT, headers).into_response()
}

async fn viewer(by: &Ctx, owner: UserId) -> Result<Viewer> {
    let Ok(viewer) = own::id(by) else { return Ok(Viewer::Anybody) };
    if viewer == owner {
        return Ok(Viewer::Owner);
    }
    match store::profiles::belong_together(by.db(), viewer, owner).await? {
        true => Ok(Viewer::Colleague),
        false => Ok(Viewer::Anybody),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visibility::{Audience, Visibility};

    #[test]
    fn a_field_is_shown_to_its_circle_and_left_out_for_everybody_else() {
        let profile = Profile {
            user_id: Uuid::nil().into(),
            status: Standing::Active,
            handle: Some("ada".into()),
            handle_changed_at: None,
            display_name: Some("Ada".into()),
            bio: Some("Numbers.".into()),
            avatar_id: None,
            links: Vec::new(),
            locale: Some("en".into()),
            time_zone: Some("Europe/London".into()),
            visibility: Visibility {
                bio: Audience::Organisation,
                locale: Audience::Followers,
                ..Visibility::default()
            },
            verified_at: None,
            version: 1,
        };
        let shown = |viewer| Shown::to(viewer, profile.clone());
        let stranger = shown(Viewer::Anybody);
        assert_eq!((stranger.display_name.as_deref(), stranger.bio), (Some("Ada"), None));
        let colleague = shown(Viewer::Colleague);
        assert_eq!((colleague.bio.as_deref(), colleague.locale), (Some("Numbers."), None));
        let owner = shown(Viewer::Owner);
        assert!(owner.bio.is_some() && owner.locale.is_some() && owner.time_zone.is_some());
    }
}
