//! Assets as they can be played: what others tell of them, and who may play them.

use crate::domain::EndReason;
use crate::{Manage, store};
use media_contract::asset_pipeline::AssetDeleted;
use media_contract::step::{Outcome, Step, StepDone};
use media_contract::{AssetId, PackageId};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/assets/{id}/publication", get(show).put(decide))
}

/// Whether everybody of the tenant may play an asset.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Publication {
    published: bool,
}

/// Whose assets somebody may publish: their own, or everybody's (`None`).
fn published_by(by: &Ctx) -> Result<Option<Uuid>> {
    match by.principal().may(Manage::NAME) {
        true => Ok(None),
        false => crate::viewer(by).map(Some),
    }
}

async fn show(by: SignedIn, Path(id): Path<AssetId>) -> Result<Json<Publication>> {
    let published = store::assets::is_published(by.db(), id, published_by(&by)?).await?;
    Ok(Json(Publication { published }))
}

async fn decide(
    by: SignedIn,
    Path(id): Path<AssetId>,
    Json(wanted): Json<Publication>,
) -> Result<NoContent> {
    store::assets::is_published(by.db(), id, published_by(&by)?).await?;
    by.commit(publication(id, wanted.published, by.now(), by.now())).await
}

/// Everybody may play it, or nobody but its owner any more: players of others end at once.
pub fn publication(asset: AssetId, published: bool, at: Time, now: Time) -> Vec<Write> {
    let mut writes = vec![store::assets::publish(asset, published, at)];
    if !published {
        // What was decided later stands; then nobody is sent away.
        writes.push(store::sessions::end_of_unpublished(asset, now));
    }
    writes
}

pub async fn on_deleted(ctx: Ctx, event: AssetDeleted) -> Result<NoContent> {
    ctx.commit([
        store::assets::delete(event.asset, event.owner),
        store::sessions::end_of_asset(event.asset, EndReason::Deleted, ctx.now()),
        store::progress::forget_of(event.asset),
        store::assets::forget_pictures(event.asset),
    ])
    .await
}

/// What `thumbnailer` says of the pictures of a package, as far as it is read here.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    posters: Vec<Named>,
    #[serde(default)]
    sprites: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    key: String,
}

impl Named {
    /// The package and the name of a picture in it.
    fn parts(&self) -> Option<(PackageId, &str)> {
        let (package, name) = self.key.strip_prefix("packages/")?.split_once("/images/")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        let sane = (1..=100).contains(&name.len()) && name.bytes().all(plain);
        sane.then_some((package.parse().ok()?, name))
    }
}

pub async fn on_pictures(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    if event.step != Step::Thumbnail || event.outcome != Outcome::Succeeded {
        return ctx.commit([]).await;
    }
    let said = serde_json::from_value::<Said>(event.result.clone());
    let said = said.map_err(|why| Failure::new(why).context("read which pictures there are"))?;
    let poster = said.posters.first().and_then(Named::parts);
    let sprite = said.sprites.first().and_then(Named::parts);
    let Some((package, _)) = poster.or(sprite) else { return ctx.commit([]).await };
    let name = poster.map(|(_, name)| name);
    let put = store::assets::put_pictures(package, event.asset, name, sprite.is_some());
    ctx.commit(put).await
}

#[test]
fn a_picture_is_named_by_its_package_and_its_plain_name() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let of = |key: String| {
        let named = Named { key };
        named.parts().map(|(package, name)| (package.to_string(), name.to_owned()))
    };
    let poster = of(format!("packages/{id}/images/poster-0.jpg"));
    assert_eq!(poster, Some((id.to_owned(), "poster-0.jpg".to_owned())));
    assert_eq!(of(format!("packages/{id}/images/a?b.jpg")), None);
    assert_eq!(of("packages/x/images/poster-0.jpg".into()), None);
}
