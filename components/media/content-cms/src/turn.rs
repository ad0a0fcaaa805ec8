//! One turn of a title: what is said of it or where it stands changes, and with it perhaps what
//! viewers see and which asset they may play. All of it is one commit on the title as it was read,
//! and on its assets, so that of two titles that show one asset only one decides at a time; who was
//! slower reads again.

use crate::change::Change;
use crate::content::{Content, Kind};
use crate::history::Record;
use crate::rights;
use crate::store;
use crate::store::assets::Asset;
use crate::store::titles::Title;
use crate::workflow::{
    Action, Facts, NotPlayable, ReviewRequired, Stand, State, Terms, WrongState,
};
use crate::{Manage, Review};
use media_contract::AssetId;
use media_contract::content_cms::{
    ContentPublished, ContentUnpublished, TitleId, TitleListed, TitleUnlisted,
};
use nexus_sdk::Permission;
use nexus_sdk::chrono::TimeDelta;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    AssetUnknown = 422, "there is no asset of the title's owner with this id";
    SeriesUnknown = 422, "there is no series of the same owner with this id";
    SlugTaken = 409, "another title has this slug";
    EpisodeTaken = 409, "another episode has this place in the series"
}

/// Titles that show one asset, and the minute's look, meet seldom; more than these never.
const RACES_MAX: usize = 8;
/// Episodes that follow their series at once; the minute's look takes the others along.
const FOLLOWING_MAX: usize = 200;

/// What is to happen to a title.
#[derive(Debug)]
pub struct Order<'a> {
    pub action: Action,
    pub terms: Terms,
    pub note: Option<String>,
    pub change: Option<&'a Change>,
    /// The version that whoever asks has seen.
    pub version: Option<IfMatch>,
    /// Whose it must be; anybody's, where absent.
    pub owner: Option<Uuid>,
}

/// What a title depends on.
struct Around {
    asset: Option<Asset>,
    /// Whether viewers see its series; none of what is no episode.
    series_is_live: Option<bool>,
    review_required: bool,
}

impl Around {
    async fn read(ctx: &Ctx, title: &Title) -> Result<Around> {
        let asset = match title.content.asset {
            Some(id) => store::assets::find(ctx.db(), id).await?,
            None => None,
        };
        let series_is_live = match title.content.series {
            Some(id) => store::titles::series(ctx.db(), id).await?.map(|it| it.is_live),
            None => None,
        };
        let settings = store::settings::of(ctx.db()).await?;
        Ok(Around { asset, series_is_live, review_required: settings.review_required })
    }

    fn facts(&self, ctx: &Ctx, title: &Title) -> Facts {
        let is_series = title.kind == Kind::Series;
        let there = self.asset.as_ref().filter(|asset| !asset.is_deleted);
        let may = |permission: &str| ctx.principal().may(permission);
        Facts {
            has_asset: is_series || there.is_some(),
            is_playable: is_series || there.is_some_and(|asset| asset.is_playable),
            may_publish: !self.review_required || may(Review::NAME) || may(Manage::NAME),
            now: ctx.now(),
        }
    }

    /// Whether viewers see a title.
    fn shows(&self, title: &Title, facts: &Facts) -> bool {
        title.state == State::Published
            && facts.is_playable
            && rights::is_open(&title.content.rights, facts.now)
            && (title.content.series.is_none() || self.series_is_live == Some(true))
    }
}

/// Reads, changes, commits; again when somebody else was faster.
///
/// # Errors
/// What the change or the step is refused for; 412 for another version than the one named.
pub async fn turn(ctx: &Ctx, id: TitleId, order: &Order<'_>) -> Result<Title> {
    for _ in 0..RACES_MAX {
        let before = store::titles::find(ctx.db(), id, order.owner).await?;
        // What has no form is refused whatever version it means.
        let changed = order.change.map(|change| change.onto(&before.content)).transpose()?;
        if let Some(version) = &order.version {
            version.allow(&Etag::of_version(before.version))?;
        }
        let mut after = before.clone();
        if let Some(changed) = changed {
            after.content = changed.checked(before.kind)?;
        }
        check_links(ctx, &before.content, &after).await?;
        let around = Around::read(ctx, &after).await?;
        let facts = around.facts(ctx, &after);
        match order.change {
            Some(_) => permit_edit(&before, &after, &facts)?,
            None => after.stand(before.stands().step(order.action, &order.terms, &facts)?),
        }
        let record = Record::of(ctx, &before, &after, order.action, order.note.clone());
        let writes = writes(ctx, &before, &mut after, &around, Some(record)).await?;
        match ctx.commit(writes).await {
            Err(error) if error.is(&standard::Conflict) => {}
            Err(error) => return Err(error),
            Ok(NoContent) => {
                follow(ctx, &before, &after).await;
                return store::titles::find(ctx.db(), id, None).await;
            }
        }
    }
    Err(standard::Conflict.into())
}

/// What has become due, or has come to be shown otherwise than it should be.
pub async fn look(ctx: &Ctx, id: TitleId) -> Result<NoContent> {
    for _ in 0..RACES_MAX {
        let Some(before) = store::titles::find_if_any(ctx.db(), id).await? else {
            return Ok(NoContent);
        };
        let mut after = before.clone();
        let around = Around::read(ctx, &after).await?;
        let facts = around.facts(ctx, &after);
        let due = before.stands().due(&facts);
        let record = due.map(|(action, stand)| {
            after.stand(stand);
            if action == Action::LoseAsset {
                after.content.asset = None;
            }
            Record::of(ctx, &before, &after, action, None)
        });
        if record.is_none() && around.shows(&after, &facts) == before.is_live {
            return Ok(NoContent);
        }
        let writes = writes(ctx, &before, &mut after, &around, record).await?;
        match ctx.commit(writes).await {
            Err(error) if error.is(&standard::Conflict) => {}
            Err(error) => return Err(error),
            Ok(NoContent) => {
                follow(ctx, &before, &after).await;
                return Ok(NoContent);
            }
        }
    }
    Err(standard::Conflict.into())
}

/// Episodes are seen with their series. What fails here, the minute's look makes good.
async fn follow(ctx: &Ctx, before: &Title, after: &Title) {
    if after.kind != Kind::Series || before.is_live == after.is_live {
        return;
    }
    let episodes = store::titles::published_episodes(ctx.db(), after.id).await;
    let episodes = episodes.map_err(|why| format!("{why:?}")).or_log("read episodes");
    for id in episodes.unwrap_or_default().into_iter().take(FOLLOWING_MAX) {
        // A request's key or an event's inbox went with the series itself.
        let looked = Box::pin(look(&ctx.aside(), id)).await;
        looked.map_err(|why| format!("{why:?}")).or_log("show an episode with its series");
    }
}

/// An asset and a series belong to whoever owns the title.
pub async fn check_links(ctx: &Ctx, before: &Content, after: &Title) -> Result<()> {
    if let Some(id) = after.content.asset
        && before.asset != Some(id)
    {
        let found = store::assets::find(ctx.db(), id).await?;
        let own = |asset: &Asset| !asset.is_deleted && asset.owner_id == Some(after.owner);
        found.filter(own).ok_or_else(|| AssetUnknown.at("asset"))?;
    }
    if let Some(id) = after.content.series
        && before.series != Some(id)
    {
        let found = store::titles::series(ctx.db(), id).await?;
        found.filter(|it| it.owner == after.owner).ok_or_else(|| SeriesUnknown.at("series"))?;
    }
    Ok(())
}

/// What was approved stays what it was; what is published stays something to play.
fn permit_edit(before: &Title, after: &Title, facts: &Facts) -> Result<(), Refusal> {
    if before.state == State::Archived {
        return Err(WrongState.because("an archived title is restored before it is changed"));
    }
    let judged = matches!(before.state, State::Review | State::Scheduled | State::Published);
    if judged && !facts.may_publish {
        return Err(ReviewRequired);
    }
    let waits = matches!(before.state, State::Scheduled | State::Published);
    if waits && before.content.asset != after.content.asset && !facts.is_playable {
        return Err(NotPlayable);
    }
    Ok(())
}

/// The title as it is now, what happened, and what others must know of it.
async fn writes(
    ctx: &Ctx,
    before: &Title,
    after: &mut Title,
    around: &Around,
    record: Option<Record>,
) -> Result<Vec<Write>> {
    let now = ctx.now();
    after.is_live = around.shows(after, &around.facts(ctx, after));
    if after.is_live {
        after.listed_at = after.listed_at.or(Some(now));
    }
    let mut writes = vec![saved(after, now)];
    writes.extend(record.map(|record| store::history::insert(&record)));
    if let (Some(series), Some(season)) = (after.content.series, after.content.season) {
        writes.push(store::seasons::know(series, season));
    }
    let (was, is) = (seen(before), seen(after));
    if was != is {
        if let Some(id) = was {
            writes.extend(left(ctx, id, after.id).await?);
        }
        if let (Some(_), Some(asset)) = (is, &around.asset) {
            writes.extend(enter(asset, after.id, now));
        }
    }
    writes.extend(listing(before, after, now));
    Ok(writes)
}

/// The asset that viewers may play because of a title.
fn seen(title: &Title) -> Option<AssetId> {
    title.content.asset.filter(|_| title.is_live)
}

fn saved(title: &Title, now: Time) -> Write {
    store::titles::save(title, now)
        .on_conflict_refuse("title_slug", SlugTaken.at("slug"))
        .on_conflict_refuse("title_place", EpisodeTaken.at("number"))
}

/// When a decision about an asset is made: later than the one before, whatever the clocks say.
fn decided(asset: &Asset, now: Time) -> Time {
    let later = asset.decided_at.map(|at| at + TimeDelta::microseconds(1));
    later.map_or(now, |later| later.max(now))
}

fn enter(asset: &Asset, title: TitleId, now: Time) -> Vec<Write> {
    let at = decided(asset, now);
    let told = ContentPublished { asset: asset.id, at, title: Some(title) };
    vec![store::assets::decide(asset, at), emit(told)]
}

/// A title does not show an asset any more. The asset is read before others are asked for: whoever
/// begins to show it in between has changed its version.
async fn left(ctx: &Ctx, asset: AssetId, title: TitleId) -> Result<Vec<Write>> {
    let Some(asset) = store::assets::find(ctx.db(), asset).await? else { return Ok(Vec::new()) };
    let shown = store::titles::is_shown_elsewhere(ctx.db(), asset.id, title).await?;
    Ok(leave(&asset, title, shown, ctx.now()))
}

fn leave(asset: &Asset, title: TitleId, shown_elsewhere: bool, now: Time) -> Vec<Write> {
    let at = decided(asset, now);
    let mut writes = vec![store::assets::decide(asset, at)];
    if !shown_elsewhere {
        writes.push(emit(ContentUnpublished { asset: asset.id, at, title: Some(title) }));
    }
    writes
}

fn listing(before: &Title, after: &Title, at: Time) -> Option<Write> {
    let (title, kind) = (after.id, after.kind.name().to_owned());
    match (before.is_live, after.is_live) {
        (false, true) => {
            let (asset, name) = (after.content.asset, after.content.name.clone());
            Some(emit(TitleListed { title, kind, asset, name, at }))
        }
        (true, false) => Some(emit(TitleUnlisted { title, kind, asset: before.content.asset, at })),
        _ => None,
    }
}

/// All that remains to be said of a title that goes.
pub async fn removal(ctx: &Ctx, title: &Title) -> Result<Vec<Write>> {
    let mut writes = vec![
        store::titles::delete(title),
        store::history::forget(title.id),
        store::collections::forget_title(title.id),
        store::seasons::forget(title.id),
    ];
    if let Some(id) = seen(title) {
        writes.extend(left(ctx, id, title.id).await?);
    }
    let gone = Title { is_live: false, ..title.clone() };
    writes.extend(listing(title, &gone, ctx.now()));
    Ok(writes)
}

impl Title {
    pub fn stands(&self) -> Stand {
        let Title { state, publish_at, unpublish_at, .. } = *self;
        Stand { state, publish_at, unpublish_at }
    }

    fn stand(&mut self, stand: Stand) {
        self.state = stand.state;
        self.publish_at = stand.publish_at;
        self.unpublish_at = stand.unpublish_at;
    }
}
