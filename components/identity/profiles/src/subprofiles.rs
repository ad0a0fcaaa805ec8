//! Who watches in a household: up to five people under one account, each with a picture, a limit of
//! what is shown, and a PIN if they want one. What a child is kept from, only whoever has just
//! proven to be the account's owner changes.

use crate::{fields, own, store};
use identity_contract::UserId;
use identity_contract::profiles::SubprofileId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    SubprofilesMax = 409, "a household has at most five profiles";
    SubprofileName = 422, "a name takes 1 to 40 characters on one line";
    SubprofileNameTaken = 409, "somebody in this household has this name";
    SubprofilePicture = 422, "a picture is named by 1 to 32 of a-z, 0-9 and dash";
    Maturity = 422, "a limit is 0, 6, 12, 16 or 18 years, and at most 12 for a kid"
}

/// How fresh the proof must be for what protects children.
pub const PROVEN_WITHIN_MINUTES: i32 = 10;
const LIMITS: [i32; 5] = [0, 6, 12, 16, 18];
const KID_MAX: i32 = 12;

pub fn router() -> Router {
    Router::new()
        .route("/me/subprofiles", get(list).post(create))
        .route("/me/subprofiles/{id}", get(show).patch(edit).delete(remove))
}

/// One who watches.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Subprofile {
    pub id: SubprofileId,
    pub name: String,
    /// One of the pictures that every player has.
    pub picture: String,
    /// Years of age that the strongest content shown is made for.
    pub maturity_max: i32,
    pub kid: bool,
    pub language: Option<String>,
    /// Whether it asks for a PIN.
    pub locked: bool,
    pub version: i64,
    pub created_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    #[serde(default = "first_picture")]
    picture: String,
    /// 0, 6, 12, 16 or 18; 12 for a kid and 18 otherwise, when absent.
    maturity_max: Option<i32>,
    #[serde(default)]
    kid: bool,
    language: Option<String>,
}

fn first_picture() -> String {
    "default".into()
}

/// What a change may be; what is absent stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    picture: Option<String>,
    maturity_max: Option<i32>,
    kid: Option<bool>,
    /// Empty clears it.
    language: Option<String>,
}

/// What is kept, checked.
#[derive(Debug, PartialEq)]
pub struct Person {
    pub name: String,
    pub picture: String,
    pub maturity_max: i32,
    pub kid: bool,
    pub language: Option<String>,
}

impl Person {
    fn checked(self) -> Result<Person, Refusal> {
        let name = fields::one_line(&self.name, 40).ok_or_else(|| SubprofileName.at("name"))?;
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let named = (1..=32).contains(&self.picture.len())
            && self.picture.bytes().all(letter)
            && self.picture.starts_with(|c: char| c.is_ascii_lowercase());
        if !named {
            return Err(SubprofilePicture.at("picture"));
        }
        let limit = self.maturity_max;
        if !LIMITS.contains(&limit) || (self.kid && limit > KID_MAX) {
            return Err(Maturity.at("maturity_max"));
        }
        let language = self.language.filter(|tag| !tag.is_empty());
        let language = language.map(|tag| fields::locale(&tag, "language")).transpose()?;
        Ok(Person { name, language, ..self })
    }
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Subprofile>> {
    store::subprofiles::list(by.db(), own::id(&by)?, &cursor).await
}

async fn show(by: SignedIn, Path(id): Path<SubprofileId>) -> Result<Tagged<Json<Subprofile>>> {
    answer(&by, own::id(&by)?, id).await
}

async fn answer(by: &Ctx, owner: UserId, id: SubprofileId) -> Result<Tagged<Json<Subprofile>>> {
    let found = store::subprofiles::find(by.db(), owner, id).await?;
    Ok(Tagged(Etag::of_version(found.version), Json(found)))
}

async fn create(by: SignedIn, Json(draft): Json<Draft>) -> Result<Created<Subprofile>> {
    let usual = if draft.kid { KID_MAX } else { 18 };
    let person = Person {
        name: draft.name,
        picture: draft.picture,
        maturity_max: draft.maturity_max.unwrap_or(usual),
        kid: draft.kid,
        language: draft.language,
    };
    let (owner, id, person) = (own::id(&by)?, by.new_id(), person.checked()?);
    let write = store::subprofiles::insert(owner, id, &person, by.now());
    by.commit(named(write.expect_rows(1).or_refuse(SubprofilesMax))).await?;
    store::subprofiles::find(by.db(), owner, id).await.map(Created)
}

async fn edit(
    by: SignedIn,
    Path(id): Path<SubprofileId>,
    version: Option<IfMatch>,
    Json(change): Json<Change>,
) -> Result<Tagged<Json<Subprofile>>> {
    let owner = own::id(&by)?;
    let before = store::subprofiles::find(by.db(), owner, id).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(before.version))?;
    }
    let guarded = change.maturity_max.is_some_and(|limit| limit > before.maturity_max)
        || change.kid.is_some_and(|kid| before.kid && !kid);
    if guarded {
        by.recently(minutes(PROVEN_WITHIN_MINUTES))?;
    }
    let after = Person {
        name: change.name.unwrap_or(before.name),
        picture: change.picture.unwrap_or(before.picture),
        maturity_max: change.maturity_max.unwrap_or(before.maturity_max),
        kid: change.kid.unwrap_or(before.kid),
        language: change.language.or(before.language),
    };
    let write = store::subprofiles::update(owner, id, before.version, &after.checked()?, by.now());
    by.commit(named(write.expect_rows(1))).await?;
    answer(&by, owner, id).await
}

/// One with a PIN goes only with a proof: otherwise a child removes the lock with the profile.
async fn remove(by: SignedIn, Path(id): Path<SubprofileId>) -> Result<NoContent> {
    let owner = own::id(&by)?;
    let before = store::subprofiles::find(by.db(), owner, id).await?;
    if before.locked || before.kid {
        by.recently(minutes(PROVEN_WITHIN_MINUTES))?;
    }
    let write = store::subprofiles::delete(owner, id);
    by.commit(write.expect_rows(1).or_refuse(standard::NotFound)).await
}

fn named(write: Write) -> Write {
    write
        .on_conflict_refuse("subprofile_name", SubprofileNameTaken.at("name"))
        .on_conflict_refuse("subprofile_slot", standard::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(maturity_max: i32, kid: bool) -> Result<Person, Refusal> {
        let (name, picture) = (" Mia ".to_owned(), "fox".to_owned());
        Person { name, picture, maturity_max, kid, language: None }.checked()
    }

    #[test]
    fn a_kid_is_shown_nothing_made_for_more_than_twelve_years() {
        for (limit, kid, fits) in
            [(18, false, true), (12, true, true), (16, true, false), (13, false, false)]
        {
            assert_eq!(person(limit, kid).is_ok(), fits, "{limit} {kid}");
        }
        assert_eq!(person(0, true).unwrap().name, "Mia");
    }
}
