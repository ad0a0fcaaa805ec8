//! Assets: begun by an upload, looked at, renamed, deleted.

use crate::domain::{self, AssetState, RunState, StepRow};
use crate::flow::{RACES_MAX, Standing};
use crate::store::assets::Asset;
use crate::store::runs::Run;
use crate::{changed_by, seen_by, store};
use identity_contract::users::UserErased;
use media_contract::asset_pipeline::{AssetCreated, AssetDeleted, StepWithdrawn};
use media_contract::facts::Facts;
use media_contract::step::Step;
use media_contract::uploader::UploadCompleted;
use media_contract::{AssetId, BUCKET, Object, PackageId, Reason, RunId, UploadId};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    TitleLength = 422, "a title takes 1 to 200 characters";
    UploadUnknown = 422, "there is no finished upload of yours with this id";
    /// Somebody else has just made it; never told to a client.
    AssetExists = 409, "this upload is being made an asset at this moment"
}

/// What an upload is for that becomes an asset by itself.
const PURPOSE: &str = "asset";

pub fn router() -> Router {
    Router::new()
        .route("/assets", get(list).post(create))
        .route("/assets/{id}", get(show).patch(rename).delete(remove))
}

/// An asset as its owner sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    pub id: AssetId,
    pub owner_id: Uuid,
    pub upload_id: UploadId,
    pub title: String,
    pub file_name: String,
    pub bytes: i64,
    pub media_type: String,
    pub state: AssetState,
    /// What is played; there from `playable_at` on.
    pub package_id: Option<PackageId>,
    pub run_id: RunId,
    pub duration_ms: i64,
    /// What was found inside; none before it was looked at.
    pub facts: Option<Facts>,
    /// Less than the whole came about: fewer sizes, or no pictures.
    pub degraded: bool,
    /// Why the last run made nothing.
    pub failure: Option<Reason>,
    pub created_at: Time,
    pub updated_at: Time,
    pub playable_at: Option<Time>,
    pub ready_at: Option<Time>,
}

impl From<Asset> for Shown {
    fn from(asset: Asset) -> Shown {
        let detail = asset.failure_detail.unwrap_or_default();
        Shown {
            id: asset.id,
            owner_id: asset.owner_id,
            upload_id: asset.upload_id,
            title: asset.title,
            file_name: asset.file_name,
            bytes: asset.bytes,
            media_type: asset.media_type,
            state: asset.state,
            package_id: asset.package_id,
            run_id: asset.run_id,
            duration_ms: asset.duration_ms,
            facts: asset.facts,
            degraded: asset.is_degraded,
            failure: asset.failure_code.map(|code| Reason { code, detail }),
            created_at: asset.created_at,
            updated_at: asset.updated_at,
            playable_at: asset.playable_at,
            ready_at: asset.ready_at,
        }
    }
}

/// A file that is to be an asset.
struct Draft {
    upload: UploadId,
    owner: Uuid,
    file_name: String,
    title: Option<String>,
    bytes: i64,
    sha256: String,
    media_type: String,
    source: Object,
}

pub async fn on_uploaded(ctx: Ctx, event: UploadCompleted) -> Result<NoContent> {
    let known = store::assets::of_upload(ctx.db(), event.upload).await?.is_some();
    if event.purpose != PURPOSE || known {
        return ctx.commit([]).await;
    }
    let told = event.metadata.get("title").and_then(|title| title.as_str());
    let draft = Draft {
        upload: event.upload,
        owner: event.owner,
        // A title that does not fit is no reason to lose an upload.
        title: told.and_then(|told| title(told).ok()),
        file_name: event.file_name,
        bytes: event.bytes,
        sha256: event.sha256,
        media_type: event.media_type,
        source: event.object,
    };
    let (_, writes) = begin(&ctx, draft);
    ctx.commit(writes).await
}

/// The asset and its first run, with the order for its first step.
fn begin(ctx: &Ctx, draft: Draft) -> (Asset, Vec<Write>) {
    let (now, run_id) = (ctx.now(), ctx.new_id());
    let asset = Asset {
        id: ctx.new_id(),
        owner_id: draft.owner,
        upload_id: draft.upload,
        title: draft.title.unwrap_or_else(|| domain::title_of(&draft.file_name)),
        file_name: draft.file_name.chars().filter(|c| *c != '\0').take(255).collect(),
        source: draft.source,
        bytes: draft.bytes,
        sha256: draft.sha256,
        media_type: draft.media_type,
        state: AssetState::Processing,
        run_id,
        package_id: None,
        duration_ms: 0,
        facts: None,
        is_degraded: false,
        failure_code: None,
        failure_detail: None,
        version: 1,
        created_at: now,
        updated_at: now,
        playable_at: None,
        ready_at: None,
    };
    let insert = store::assets::insert(&asset).on_conflict_refuse("asset_upload", AssetExists);
    let created = AssetCreated {
        asset: asset.id,
        owner: asset.owner_id,
        upload: asset.upload_id,
        title: asset.title.clone(),
    };
    let mut writes = vec![insert, emit(created)];
    writes.extend(first_step(ctx, asset.clone(), 1));
    (asset, writes)
}

/// A run of `asset.run_id` with the order for its first step.
pub fn first_step(ctx: &Ctx, asset: Asset, number: i32) -> Vec<Write> {
    let run = Run {
        id: asset.run_id,
        asset_id: asset.id,
        package_id: ctx.new_id(),
        number,
        state: RunState::Running,
        priority: 0,
        created_at: ctx.now(),
        finished_at: None,
        retired_at: None,
    };
    let probe = StepRow::requested(Step::Probe, None, ctx.now());
    let standing = Standing { asset, run, steps: Vec::new() };
    vec![
        store::runs::insert(&standing.run).on_conflict_refuse("run_number", standard::Conflict),
        store::steps::put(standing.run.id, &probe),
        emit(standing.order(&probe)),
    ]
}

fn title(told: &str) -> Result<String, Refusal> {
    let told = told.trim();
    let fits = (1..=200).contains(&told.chars().count()) && !told.contains('\0');
    if fits { Ok(told.to_owned()) } else { Err(TitleLength.at("title")) }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    /// A finished upload of one's own.
    upload_id: UploadId,
    /// The file's name, if there is none.
    #[serde(default)]
    title: Option<String>,
}

/// What `uploader` says of an upload, as far as it is read here.
#[derive(Deserialize)]
struct Upload {
    owner: Uuid,
    state: String,
    file_name: String,
    bytes: Option<i64>,
    sha256: Option<String>,
    media_type: Option<String>,
    /// The earlier upload under which the same bytes lie.
    same_as: Option<UploadId>,
}

/// Makes an upload an asset that was uploaded for something else, or gives the one that it is.
async fn create(by: SignedIn, Json(order): Json<Order>) -> Result<Created<Shown>> {
    let named = order.title.as_deref().map(title).transpose()?;
    if let Some(asset) = store::assets::of_upload(by.db(), order.upload_id).await? {
        let owner = changed_by(&by)?;
        let own = owner.is_none_or(|owner| owner == asset.owner_id);
        return match own && asset.state != AssetState::Deleted {
            true => Ok(Created(asset.into())),
            false => Err(UploadUnknown.at("upload_id").into()),
        };
    }
    let draft = finished(order.upload_id, named).await?;
    let (asset, writes) = begin(&by, draft);
    by.commit(writes).await?;
    Ok(Created(asset.into()))
}

/// A finished upload, asked for in the voice of whoever asks here: they see their own only.
async fn finished(id: UploadId, title: Option<String>) -> Result<Draft> {
    let reply = call("uploader").get(format!("/api/uploader/v1/objects/{id}")).send().await?;
    if reply.status.is_client_error() {
        return Err(UploadUnknown.at("upload_id").into());
    }
    let upload: Upload = match serde_json::from_slice(&reply.body) {
        Ok(upload) if reply.status.is_success() => upload,
        _ => {
            let failure = Failure::msg(format!("uploader answered {}", reply.status));
            return Err(Error::unavailable(failure));
        }
    };
    let (Some(sha256), Some(bytes), "completed") =
        (upload.sha256, upload.bytes, upload.state.as_str())
    else {
        return Err(UploadUnknown.at("upload_id").into());
    };
    let key = format!("uploads/{}", upload.same_as.unwrap_or(id));
    Ok(Draft {
        upload: id,
        owner: upload.owner,
        file_name: upload.file_name,
        title,
        bytes,
        sha256,
        media_type: upload.media_type.unwrap_or_default(),
        source: Object { bucket: BUCKET.into(), key },
    })
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    state: Option<AssetState>,
    /// For those who may see everybody's.
    owner_id: Option<Uuid>,
}

/// Newest first.
async fn list(by: SignedIn, cursor: Cursor, Query(search): Query<Search>) -> Result<Page<Shown>> {
    let owner = seen_by(&by)?.or(search.owner_id);
    let page = store::assets::list(by.db(), owner, search.state, &cursor).await?;
    Ok(Page { items: page.items.into_iter().map(Shown::from).collect(), next: page.next })
}

async fn show(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<Shown>> {
    let asset = store::assets::find(by.db(), id, seen_by(&by)?).await?;
    Ok(Json(asset.into()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    title: String,
}

async fn rename(
    by: SignedIn,
    Path(id): Path<AssetId>,
    Json(change): Json<Change>,
) -> Result<NoContent> {
    let title = title(&change.title)?;
    store::assets::find(by.db(), id, changed_by(&by)?).await?;
    by.commit(store::assets::rename(id, &title, by.now()).or_refuse(standard::NotFound)).await
}

/// Nobody may play it from now on; its objects are collected soon after.
async fn remove(by: SignedIn, Path(id): Path<AssetId>) -> Result<NoContent> {
    let owner = changed_by(&by)?;
    for _ in 0..RACES_MAX {
        let asset = store::assets::find(by.db(), id, owner).await?;
        match delete_one(&by, asset).await {
            // A step has just ended.
            Err(error) if error.is(&standard::Conflict) => {}
            deleted => return deleted,
        }
    }
    Err(standard::Conflict.into())
}

async fn delete_one(ctx: &Ctx, mut asset: Asset) -> Result<NoContent> {
    let runs = store::runs::of_asset(ctx.db(), asset.id).await?;
    asset.state = AssetState::Deleted;
    let mut writes = vec![
        store::assets::save(&asset, ctx.now()),
        store::runs::retire_others(asset.id, None, ctx.now()),
        store::subtitles::forget(asset.id),
        emit(AssetDeleted {
            asset: asset.id,
            owner: asset.owner_id,
            upload: asset.upload_id,
            packages: runs.iter().map(|run| run.package_id).collect(),
        }),
    ];
    for run in runs.iter().filter(|run| run.state == RunState::Running) {
        writes.push(store::runs::save(run.id, RunState::Cancelled, Some(ctx.now())));
        writes.push(store::steps::cancel(run.id, ctx.now()));
        writes.push(emit(StepWithdrawn { asset: asset.id, run: run.id }));
    }
    ctx.commit(writes).await
}

/// Somebody is gone, and what was theirs goes with them, each asset by itself: the event is
/// acknowledged when none is left.
pub async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let aside = ctx.aside();
    let owner: Uuid = event.id.into();
    loop {
        let some = store::assets::of_owner(ctx.db(), owner).await?;
        if some.is_empty() {
            return ctx.commit([]).await;
        }
        for id in some {
            let asset = store::assets::find(ctx.db(), id, None).await?;
            delete_one(&aside, asset).await?;
        }
    }
}
