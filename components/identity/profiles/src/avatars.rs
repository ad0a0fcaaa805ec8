//! Pictures: taken whole, known by their bytes, kept in the bucket `avatars`, and shown under an
//! address that never shows anything else. Re-encoding is another service's.

use crate::picture::{self, PictureSize};
use crate::{own, store};
use bindings::nexus::blob::buckets::{
    Bucket, Checksums, Error as BlobError, GetOptions, ListOptions, PutOptions,
};
use bindings::wit_stream;
use identity_contract::profiles::{AvatarId, ProfileUpdated};
use nexus_sdk::axum::extract::{FromRequest, Request};
use nexus_sdk::prelude::*;
use nexus_sdk::{Input, Operation, Output};

#[allow(missing_docs, unreachable_pub, dead_code)]
mod bindings {
    use nexus_sdk::spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../wit/nexus-blob@0.1.0",
        world: "nexus:blob/blob",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

const BUCKET: &str = "avatars";
/// Entries of one look at the bucket.
const LISTED_MAX: u32 = 1000;
/// A picture that nobody has after a day is one whose change did not come about.
const ORPHANED_AFTER_HOURS: i32 = 24;

pub fn router() -> Router {
    Router::new().route("/me/avatar", put(replace).delete(remove)).route("/avatars/{id}", get(show))
}

/// Where a picture is.
pub fn path(id: AvatarId) -> String {
    format!("/api/profiles/v1/avatars/{id}")
}

fn key(tenant: TenantId, id: AvatarId) -> String {
    format!("{tenant}/{id}")
}

/// A whole picture as the body; what kind it is, its bytes say.
struct Picture {
    bytes: Vec<u8>,
    media_type: &'static str,
}

impl<S: Send + Sync> FromRequest<S> for Picture {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self> {
        let body = nexus_sdk::axum::body::to_bytes(request.into_body(), picture::BYTES_MAX).await;
        let bytes = body.map_err(|_| PictureSize)?.to_vec();
        let media_type = picture::media_type(&bytes)?;
        Ok(Picture { bytes, media_type })
    }
}

impl Input for Picture {
    fn describe(operation: &mut Operation) {
        operation.request_body("image/*", json!({}));
        [413, 415, 422].into_iter().for_each(|status| operation.problem(status));
    }
}

/// Where the picture is now.
#[derive(Serialize, JsonSchema)]
struct Avatar {
    avatar: String,
}

async fn replace(by: SignedIn, picture: Picture) -> Result<Json<Avatar>> {
    let before = own::find(&by).await?;
    let id: AvatarId = by.new_id();
    put_object(&key(by.tenant(), id), picture).await?;
    set(&by, before, Some(id)).await?;
    Ok(Json(Avatar { avatar: path(id) }))
}

async fn remove(by: SignedIn) -> Result<NoContent> {
    let before = own::find(&by).await?;
    match before.avatar_id {
        Some(_) => set(&by, before, None).await,
        None => Err(standard::NotFound.into()),
    }
}

async fn set(by: &Ctx, before: own::Profile, avatar: Option<AvatarId>) -> Result<NoContent> {
    let user = before.user_id;
    let write = store::profiles::set_avatar(user, before.version, avatar, by.now());
    let told = emit(ProfileUpdated { user, fields: vec!["avatar".into()] });
    by.commit([write.expect_rows(1), told]).await?;
    forget(by.tenant(), before.avatar_id).await;
    Ok(NoContent)
}

/// What is not removed now, the sweep finds.
pub async fn forget(tenant: TenantId, avatar: Option<AvatarId>) {
    if let Some(id) = avatar {
        remove_object(&key(tenant, id)).await.or_log("remove a former avatar");
    }
}

/// A picture on its way out.
struct Image {
    media_type: String,
    bytes: Vec<u8>,
}

impl IntoResponse for Image {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.media_type.as_str()),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
            (header::CONTENT_DISPOSITION, "inline"),
        ];
        // Pages of other brands on this installation show it, too.
        let more = [("cross-origin-resource-policy", "cross-origin")];
        (headers, more, self.bytes).into_response()
    }
}

impl Output for Image {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::OK, "image/*", json!({}));
        operation.response_header("cache-control");
    }
}

/// A picture that is opened by itself does nothing, whatever its bytes are.
const CONTENT_POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// Everybody who has the address may see it: where it is shown, the profile says.
async fn show(anyone: Public, Path(id): Path<AvatarId>) -> Result<Image> {
    let found = read_object(&key(anyone.tenant(), id)).await?;
    let (media_type, bytes) = found.ok_or(standard::NotFound)?;
    Ok(Image { media_type, bytes })
}

async fn open() -> Result<Bucket> {
    let opened = Bucket::open(BUCKET.to_owned()).await;
    opened.map_err(|why| failed("open the bucket of avatars", &why))
}

async fn put_object(key: &str, picture: Picture) -> Result<()> {
    let bucket = open().await?;
    let (mut writer, reader) = wit_stream::new();
    let Picture { bytes, media_type } = picture;
    let options = PutOptions {
        size: Some(bytes.len() as u64),
        content_type: Some(media_type.to_owned()),
        metadata: Vec::new(),
        condition: None,
        expected: Checksums { crc32c: None, sha256: None },
    };
    let writing = async move {
        // What the store did not take, it says itself.
        let _left = writer.write_all(bytes).await;
        drop(writer);
    };
    let (stored, ()) = futures::join!(bucket.put(key.to_owned(), reader, options), writing);
    stored.map(drop).map_err(|why| failed("store an avatar", &why))
}

async fn read_object(key: &str) -> Result<Option<(String, Vec<u8>)>> {
    let options = GetOptions { range: None, if_match: None };
    let (object, stream, ended) = match open().await?.get(key.to_owned(), options).await {
        Ok(found) => found,
        Err(BlobError::NoSuchKey) => return Ok(None),
        Err(why) => return Err(failed("read an avatar", &why)),
    };
    let bytes = stream.collect().await;
    ended.await.map_err(|why| failed("read an avatar to its end", &why))?;
    let plain = || "application/octet-stream".to_owned();
    Ok(Some((object.content_type.unwrap_or_else(plain), bytes)))
}

async fn remove_object(key: &str) -> Result<()> {
    let removed = open().await?.delete(key.to_owned()).await;
    removed.map_err(|why| failed("remove an avatar", &why))
}

/// Removes pictures that no profile has: their change did not come about, or their owner is gone.
pub async fn sweep(system: System) -> Result<NoContent> {
    let bucket = open().await?;
    let before = system.now() - hours(ORPHANED_AFTER_HOURS);
    let before = u64::try_from(before.timestamp_millis()).unwrap_or(0);
    let mut cursor = None;
    loop {
        let options =
            ListOptions { prefix: String::new(), delimiter: None, cursor, limit: LISTED_MAX };
        let page = bucket.list(options).await.map_err(|why| failed("list avatars", &why))?;
        let old = page.entries.into_iter().filter(|entry| entry.modified_ms < before);
        let keys: Vec<String> = old.map(|entry| entry.key).collect();
        for key in store::profiles::orphans(system.db(), &keys).await? {
            remove_object(&key).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(NoContent);
        }
    }
}

fn failed(doing: &str, why: &BlobError) -> Error {
    let failure = Failure::msg(format!("{doing}: {why:?}"));
    match why {
        BlobError::Unavailable(_) => Error::unavailable(failure),
        _ => failure.into(),
    }
}
