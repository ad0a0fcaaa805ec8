//! Other names of APIs: `/api/<alias>/…` leads to `/api/<service>/…`. A client is sent there (308
//! keeps method and body) instead of being spoken for: in another component's name it would pass
//! doors that are open to components only.

use crate::naming::is_segment;
use crate::{Manage, View, registry, store};
use nexus_sdk::axum::http::{HeaderValue, Uri};
use nexus_sdk::prelude::*;
use nexus_sdk::{Operation, Output};
use platform_contract::gateway::AliasChanged;

nexus_sdk::refusals! {
    AliasName = 422, "an alias takes 1 to 63 of a-z, 0-9 and dash and begins with a letter";
    AliasIsService = 409, "a service has this name";
    AliasReserved = 422, "this name is kept for the platform";
    AliasTarget = 422, "there is no such service";
    AliasNote = 422, "a note takes at most 200 characters";
    AliasesMax = 409, "a tenant has at most 200 aliases"
}

/// What stands after `/api/` without being a service.
const RESERVED: [&str; 3] = ["health", "docs", "internal"];

pub fn router() -> Router {
    Router::new()
        .route("/aliases", get(list))
        .route("/aliases/{alias}", get(show).put(set).delete(remove))
}

/// Whatever no service claims.
pub fn followed() -> Router {
    let any = get(follow).post(follow).put(follow).patch(follow).delete(follow);
    Router::new().route("/api/{alias}/{*rest}", any)
}

/// Another name of a service's API.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Alias {
    pub name: String,
    pub service: String,
    /// Why there is one.
    pub note: String,
    pub version: i64,
    pub updated_at: Time,
    pub updated_by: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    service: String,
    #[serde(default)]
    note: String,
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Alias>> {
    store::aliases::list(by.db(), &cursor).await
}

async fn show(by: Allowed<View>, Path(name): Path<String>) -> Result<Tagged<Json<Alias>>> {
    answer(&by, &name).await
}

async fn answer(by: &Ctx, name: &str) -> Result<Tagged<Json<Alias>>> {
    let alias = store::aliases::find(by.db(), name).await?.ok_or(standard::NotFound)?;
    Ok(Tagged(Etag::of_version(alias.version), Json(alias)))
}

async fn set(
    by: Allowed<Manage>,
    Path(name): Path<String>,
    version: Option<IfMatch>,
    Json(draft): Json<Draft>,
) -> Result<Tagged<Json<Alias>>> {
    registry::ensure_fresh(&by).await?;
    let before = store::aliases::find(by.db(), &name).await?;
    if let Some(version) = version {
        let known = before.as_ref().map_or(0, |alias| alias.version);
        version.allow(&Etag::of_version(known))?;
    }
    check(&by, &name, &draft).await?;
    let who = by.principal().subject.clone();
    let changed =
        AliasChanged { alias: name.clone(), service: Some(draft.service.clone()), by: who.clone() };
    let seen = before.map_or(0, |alias| alias.version);
    let write = store::aliases::put(&name, &draft.service, &draft.note, seen, &who, by.now());
    by.commit([write.expect_rows(1), emit(changed)]).await?;
    answer(&by, &name).await
}

/// At most so many: each is looked at for requests that nobody claims.
const ALIASES_MAX: i64 = 200;

async fn check(by: &Ctx, name: &str, draft: &Draft) -> Result<()> {
    if !is_segment(name) {
        return Err(AliasName.into());
    }
    if RESERVED.contains(&name) {
        return Err(AliasReserved.into());
    }
    if draft.note.chars().count() > 200 {
        return Err(AliasNote.at("note").into());
    }
    if store::is_service(by.db(), name).await? {
        return Err(AliasIsService.into());
    }
    if !store::is_service(by.db(), &draft.service).await? {
        return Err(AliasTarget.at("service").into());
    }
    if store::aliases::count(by.db()).await? >= ALIASES_MAX {
        return Err(AliasesMax.into());
    }
    Ok(())
}

async fn remove(by: Allowed<Manage>, Path(name): Path<String>) -> Result<NoContent> {
    let who = by.principal().subject.clone();
    let write = store::aliases::remove(&name).expect_rows(1).or_refuse(standard::NotFound);
    by.commit([write, emit(AliasChanged { alias: name, service: None, by: who })]).await
}

/// 308 to the same path of the service that is meant.
struct Moved(HeaderValue);

impl IntoResponse for Moved {
    fn into_response(self) -> Response {
        // Where it leads is an administrator's to change: nobody keeps it.
        let headers = [
            (header::LOCATION, self.0),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (StatusCode::PERMANENT_REDIRECT, headers).into_response()
    }
}

impl Output for Moved {
    fn describe(operation: &mut Operation) {
        operation.empty_response(StatusCode::PERMANENT_REDIRECT);
        operation.problem(404);
    }
}

async fn follow(anyone: Public, Path(parts): Path<(String, String)>, asked: Uri) -> Result<Moved> {
    let (name, _) = parts;
    if !is_segment(&name) {
        return Err(standard::NotFound.into());
    }
    let service = match store::aliases::find(anyone.db(), &name).await? {
        Some(alias) => alias.service,
        None => {
            registry::ensure_fresh(&anyone).await?;
            store::aliases::of_the_platform(anyone.db(), &name).await?
        }
    };
    if service == name {
        return Err(standard::NotFound.into());
    }
    let location = led(asked.path(), asked.query(), &name, &service);
    let location = location.and_then(|it| HeaderValue::try_from(it).ok());
    Ok(Moved(location.ok_or(standard::NotFound)?))
}

/// The path as it was sent, with the other name.
fn led(path: &str, query: Option<&str>, alias: &str, service: &str) -> Option<String> {
    let rest = path.trim_start_matches('/').strip_prefix("api/")?.strip_prefix(alias)?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    rest.starts_with('/').then(|| format!("/api/{service}{rest}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_name_stays_as_it_was_sent() {
        let led = |path, query| led(path, query, "pv-keys", "kms");
        assert_eq!(
            led("/api/pv-keys/v1/keys/a%2Fb", Some("limit=2&x=%20")).as_deref(),
            Some("/api/kms/v1/keys/a%2Fb?limit=2&x=%20")
        );
        assert_eq!(led("/api/pv-keys-2/v1", None), None);
        assert_eq!(
            led("/api/pv-keys//evil.example/", None).as_deref(),
            Some("/api/kms//evil.example/"),
            "it stays a path of this origin"
        );
    }
}
