//! Subtitles of an asset: sent in by its owner, kept as clean WebVTT whatever becomes of its
//! packages, and put into each package that is played.

use crate::store::subtitles::{Placed, Subtitle};
use crate::subtitle::{BYTES_MAX, SubtitleTooLarge, Subtitles};
use crate::{changed_by, objects, seen_by, store};
use media_contract::AssetId;
use media_contract::asset_pipeline::TextsChanged;
use nexus_sdk::axum::extract::{FromRequest, Request};
use nexus_sdk::prelude::*;
use nexus_sdk::{Input, Operation, Output};
use sha2::{Digest as _, Sha256};

nexus_sdk::refusals! {
    SubtitleLanguage = 422, "a language is a tag such as de or pt-BR";
    LanguagesMax = 409, "an asset has subtitles in at most 60 languages"
}

const LANGUAGES_MAX: usize = 60;
/// Of the digest of a text: it tells the texts of one language of one asset apart.
const DIGEST_BYTES: usize = 8;

pub fn router() -> Router {
    Router::new()
        .route("/assets/{id}/subtitles", get(list).post(add))
        .route("/assets/{id}/subtitles/{language}", get(show).post(set).put(set).delete(remove))
}

/// A whole file as the body, of whatever type a client takes it for.
struct File(Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for File {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self> {
        let body = nexus_sdk::axum::body::to_bytes(request.into_body(), BYTES_MAX).await;
        Ok(File(body.map_err(|_| SubtitleTooLarge)?.to_vec()))
    }
}

impl Input for File {
    fn describe(operation: &mut Operation) {
        let schema = json!({ "type": "string" });
        operation.request_body("text/vtt", schema);
        [413, 422].into_iter().for_each(|status| operation.problem(status));
    }
}

/// What is known of the subtitles of one language.
#[derive(Serialize, JsonSchema)]
struct Shown {
    /// The language.
    id: String,
    #[serde(flatten)]
    subtitle: Subtitle,
}

impl From<Subtitle> for Shown {
    fn from(subtitle: Subtitle) -> Shown {
        Shown { id: subtitle.language.clone(), subtitle }
    }
}

/// 201, under the address that was asked.
struct Stored(Shown);

impl IntoResponse for Stored {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl Output for Stored {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<Shown>();
        operation.response(StatusCode::CREATED, "application/json", schema);
    }
}

#[derive(Serialize, JsonSchema)]
struct List {
    /// By language.
    items: Vec<Shown>,
}

async fn list(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<List>> {
    store::assets::find(by.db(), id, seen_by(&by)?).await?;
    let all = store::subtitles::list(by.db(), id).await?;
    Ok(Json(List { items: all.into_iter().map(Shown::from).collect() }))
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    /// BCP 47.
    language: String,
}

/// Takes the place of what there was in this language.
async fn add(
    by: SignedIn,
    Path(id): Path<AssetId>,
    Query(named): Query<Named>,
    file: File,
) -> Result<Created<Shown>> {
    keep(&by, id, &named.language, &file.0).await.map(Created)
}

/// Takes the place of what there was in this language.
async fn set(
    by: SignedIn,
    Path((id, language)): Path<(AssetId, String)>,
    file: File,
) -> Result<Stored> {
    keep(&by, id, &language, &file.0).await.map(Stored)
}

async fn keep(by: &Ctx, id: AssetId, language: &str, file: &[u8]) -> Result<Shown> {
    let language = tag(language).ok_or_else(|| SubtitleLanguage.at("language"))?;
    store::assets::find(by.db(), id, changed_by(by)?).await?;
    let read = Subtitles::read(file)?;
    let vtt = read.vtt();
    let others = store::subtitles::list(by.db(), id).await?;
    let is_new = others.iter().all(|it| it.language != language);
    if is_new && others.len() >= LANGUAGES_MAX {
        return Err(LanguagesMax.into());
    }
    let subtitle = Subtitle {
        language,
        digest: digest(&vtt),
        source_format: read.format,
        encoding: read.encoding,
        cues: i32::try_from(read.len()).unwrap_or(i32::MAX),
        bytes: i64::try_from(vtt.len()).unwrap_or(i64::MAX),
        last_ms: read.end_ms(),
        updated_at: by.now(),
    };
    by.commit(store::subtitles::put(id, &subtitle, &vtt)).await?;
    // The row is what counts: the minute's sweep puts it where it could not be put now.
    let placed = place(&by.aside(), id).await;
    placed.map_err(|why| format!("{why:?}")).or_log("put subtitles into a package");
    Ok(subtitle.into())
}

/// WebVTT.
async fn show(by: SignedIn, Path((id, language)): Path<(AssetId, String)>) -> Result<Text> {
    let language = tag(&language).ok_or(standard::NotFound)?;
    store::assets::find(by.db(), id, seen_by(&by)?).await?;
    store::subtitles::text(by.db(), id, &language).await.map(Text)
}

struct Text(String);

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        let head = [(header::CONTENT_TYPE, "text/vtt; charset=utf-8")];
        (head, self.0).into_response()
    }
}

impl Output for Text {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::OK, "text/vtt", json!({ "type": "string" }));
    }
}

async fn remove(by: SignedIn, Path((id, language)): Path<(AssetId, String)>) -> Result<NoContent> {
    let language = tag(&language).ok_or(standard::NotFound)?;
    store::assets::find(by.db(), id, changed_by(&by)?).await?;
    let removal = store::subtitles::remove(id, &language).or_refuse(standard::NotFound);
    by.commit(removal).await?;
    let placed = place(&by.aside(), id).await;
    placed.map_err(|why| format!("{why:?}")).or_log("take subtitles out of a package");
    Ok(NoContent)
}

/// Puts the subtitles of an asset into each of its packages that is played or being made, and takes
/// out what is none any more. Doing it twice does nothing.
///
/// # Errors
/// 503 while the store is away.
pub async fn place(ctx: &Ctx, asset: AssetId) -> Result<()> {
    let all = store::subtitles::list(ctx.db(), asset).await?;
    for package in store::subtitles::packages(ctx.db(), asset).await? {
        let placed = store::subtitles::placed(ctx.db(), package).await?;
        let is_there = |it: &&Subtitle| {
            placed.iter().any(|p| p.language == it.language && p.digest == it.digest)
        };
        let missing: Vec<&Subtitle> = all.iter().filter(|it| !is_there(it)).collect();
        let is_wanted =
            |it: &&Placed| all.iter().any(|s| s.language == it.language && s.digest == it.digest);
        let gone: Vec<&Placed> = placed.iter().filter(|it| !is_wanted(it)).collect();
        if missing.is_empty() && gone.is_empty() {
            continue;
        }
        let mut writes = Vec::new();
        for subtitle in missing {
            let Some(vtt) = store::subtitles::text_if_any(ctx.db(), asset, subtitle).await? else {
                continue;
            };
            objects::put_text(package, &name(&subtitle.language, &subtitle.digest), vtt).await?;
            writes.push(store::subtitles::place(package, asset, subtitle));
        }
        for it in gone {
            objects::remove_text(package, &name(&it.language, &it.digest)).await?;
            writes.push(store::subtitles::unplace(package, it));
        }
        writes.push(emit(TextsChanged { asset, package }));
        ctx.commit(writes).await?;
    }
    Ok(())
}

/// Of an object, without its ending: each text has its own, so that a cache is never wrong.
fn name(language: &str, digest: &str) -> String {
    format!("{language}--{digest}")
}

fn digest(vtt: &str) -> String {
    let digest = Sha256::digest(vtt.as_bytes());
    digest[..DIGEST_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tag as it is usually written (RFC 5646 section 2.1.1): `pt-BR`, `zh-Hant`; none of what is no
/// tag.
fn tag(told: &str) -> Option<String> {
    let plain =
        |it: &str| (1..=8).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric());
    let subtags: Vec<&str> = told.split('-').collect();
    let primary = subtags[0];
    let fits = told.len() <= 35
        && (2..=8).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.iter().all(|it| plain(it));
    let written = subtags.iter().enumerate().map(|(at, subtag)| {
        let letters = subtag.bytes().all(|byte| byte.is_ascii_alphabetic());
        match (at, subtag.len()) {
            (1.., 2) if letters => subtag.to_ascii_uppercase(),
            (1.., 4) if letters => {
                let (first, rest) = subtag.split_at(1);
                first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
            }
            _ => subtag.to_ascii_lowercase(),
        }
    });
    fits.then(|| written.collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_written_in_one_way() {
        for (told, written) in [
            ("de", Some("de")),
            ("PT-br", Some("pt-BR")),
            ("zh-hant-tw", Some("zh-Hant-TW")),
            ("es-419", Some("es-419")),
            ("", None),
            ("d", None),
            ("de-", None),
            ("de--AT", None),
            ("../x", None),
            ("german_", None),
        ] {
            assert_eq!(tag(told).as_deref(), written, "{told}");
        }
    }

    #[test]
    fn another_text_has_another_name() {
        assert_eq!(name("de", &digest("a")), name("de", &digest("a")));
        assert_ne!(digest("a"), digest("b"));
        assert_eq!(digest("a").len(), 16);
    }
}
