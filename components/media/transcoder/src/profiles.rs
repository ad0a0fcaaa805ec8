//! Profiles: the built-in ones, to be read, and a tenant's own.

use crate::ladder::{self, Ladder};
use crate::{Manage, View, store};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    ProfileName = 422, "a name takes 1 to 40 of a-z, 0-9 and -, the first of them a letter";
    ProfileNameTaken = 409, "there is a profile of this name";
    DefaultTaken = 409, "somebody else has just made another profile the default"
}

pub fn router() -> Router {
    Router::new()
        .route("/profiles", get(list).post(create))
        .route("/profiles/{id}", get(show).put(replace).delete(remove))
        .route("/built-in-profiles", get(built_in))
}

/// A tenant's own sizes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    pub id: Uuid,
    pub name: String,
    pub ladder: Ladder,
    /// Used where nobody says anything else.
    pub is_default: bool,
    pub version: i64,
    pub updated_at: Time,
    pub updated_by: String,
}

/// What a source is made into: a name and its sizes.
pub async fn chosen(db: &Db) -> Result<(String, Ladder)> {
    if let Some(own) = store::profiles::default(db).await? {
        return Ok((own.name, own.ladder));
    }
    let [standard, ..] = ladder::BUILT_IN;
    let ladder = ladder::built_in(standard);
    Ok((standard.to_owned(), ladder.ok_or_else(|| Failure::msg("there is no standard profile"))?))
}

#[derive(Serialize, JsonSchema)]
struct List {
    items: Vec<Profile>,
}

async fn list(by: Allowed<View>) -> Result<Json<List>> {
    Ok(Json(List { items: store::profiles::all(by.db()).await? }))
}

#[derive(Serialize, JsonSchema)]
struct BuiltIn {
    name: String,
    ladder: Ladder,
}

#[derive(Serialize, JsonSchema)]
struct BuiltIns {
    /// The first is used where a tenant has no default of its own.
    items: Vec<BuiltIn>,
}

async fn built_in(by: Allowed<View>) -> Json<BuiltIns> {
    // The door is all that is needed of it: what is built in is the same for every tenant.
    drop(by);
    let named = |name: &str| Some(BuiltIn { name: name.into(), ladder: ladder::built_in(name)? });
    Json(BuiltIns { items: ladder::BUILT_IN.iter().filter_map(|name| named(name)).collect() })
}

async fn show(by: Allowed<View>, Path(id): Path<Uuid>) -> Result<Tagged<Json<Profile>>> {
    let profile = store::profiles::find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(profile.version), Json(profile)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    ladder: Ladder,
    #[serde(default)]
    is_default: bool,
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(fits)
}

async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<Profile>> {
    if !is_name(&draft.name) {
        return Err(ProfileName.at("name").into());
    }
    if ladder::built_in(&draft.name).is_some() {
        return Err(ProfileNameTaken.at("name").into());
    }
    draft.ladder.check()?;
    let profile = Profile {
        id: Uuid::from(by.new_id::<media_contract::AssetId>()),
        name: draft.name,
        ladder: draft.ladder,
        is_default: draft.is_default,
        version: 1,
        updated_at: by.now(),
        updated_by: by.principal().subject.clone(),
    };
    let insert = store::profiles::insert(&profile)
        .on_conflict_refuse("profile_name", ProfileNameTaken.at("name"))
        .on_conflict_refuse("profile_default", DefaultTaken);
    let mut writes = Vec::new();
    writes.extend(profile.is_default.then(|| store::profiles::yield_default(profile.id)));
    writes.push(insert);
    by.commit(writes).await?;
    Ok(Created(profile))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Replacement {
    ladder: Ladder,
    #[serde(default)]
    is_default: bool,
}

/// What is being made at this moment is made as it was begun.
async fn replace(
    by: Allowed<Manage>,
    Path(id): Path<Uuid>,
    wanted: Option<IfMatch>,
    Json(draft): Json<Replacement>,
) -> Result<NoContent> {
    draft.ladder.check()?;
    let profile = store::profiles::find(by.db(), id).await?;
    if let Some(wanted) = wanted {
        wanted.allow(&Etag::of_version(profile.version))?;
    }
    let subject = &by.principal().subject;
    let replace = store::profiles::replace(
        id,
        profile.version,
        &draft.ladder,
        draft.is_default,
        subject,
        by.now(),
    );
    let mut writes = Vec::new();
    writes.extend(draft.is_default.then(|| store::profiles::yield_default(id)));
    writes.push(replace.on_conflict_refuse("profile_default", DefaultTaken));
    by.commit(writes).await
}

async fn remove(by: Allowed<Manage>, Path(id): Path<Uuid>) -> Result<NoContent> {
    by.commit(store::profiles::remove(id).or_refuse(standard::NotFound)).await
}
