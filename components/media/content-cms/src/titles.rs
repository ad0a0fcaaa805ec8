//! Titles as their creators see and change them.

use crate::change::Change;
use crate::content::{Artwork, Content, Kind};
use crate::history::Record;
use crate::store::titles::{Search, Title};
use crate::turn::{self, EpisodeTaken, Order, SlugTaken};
use crate::workflow::{Action, Stand, State, Terms};
use crate::{Create, Manage, changed_by, person, seen_by, slug, store};
use identity_contract::users::UserErased;
use media_contract::AssetId;
use media_contract::content_cms::{ContentCreated, TitleId};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

nexus_sdk::refusals! {
    StillInUse = 409, "what is published, waits for it, or has episodes is not deleted"
}

/// Titles of the same name find a slug of their own; more of them give one themselves.
const NAMESAKES_MAX: usize = 20;
const RACES_MAX: usize = 5;

pub fn router() -> Router {
    Router::new()
        .route("/titles", get(list).post(create))
        .route("/titles/{id}", get(show).patch(edit).delete(remove))
}

/// A title as its creator sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    id: TitleId,
    kind: Kind,
    owner: Uuid,
    #[serde(flatten)]
    content: Content,
    state: State,
    publish_at: Option<Time>,
    unpublish_at: Option<Time>,
    /// Of its asset.
    duration_ms: i64,
    /// Viewers see it: it is published, within its rights, and so is its series.
    live: bool,
    /// Its asset can be played.
    playable: bool,
    listed_at: Option<Time>,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

impl From<Title> for Shown {
    fn from(title: Title) -> Shown {
        let Artwork { poster, backdrop } =
            title.content.artwork.clone().or(title.poster, title.backdrop);
        Shown {
            id: title.id,
            kind: title.kind,
            owner: title.owner,
            content: Content { artwork: Artwork { poster, backdrop }, ..title.content },
            state: title.state,
            publish_at: title.publish_at,
            unpublish_at: title.unpublish_at,
            duration_ms: title.duration_ms,
            live: title.is_live,
            playable: title.is_playable,
            listed_at: title.listed_at,
            version: title.version,
            created_at: title.created_at,
            updated_at: title.updated_at,
        }
    }
}

pub fn tagged(title: Title) -> Tagged<Json<Shown>> {
    Tagged(Etag::of_version(title.version), Json(title.into()))
}

#[derive(Deserialize, JsonSchema)]
struct Filter {
    state: Option<State>,
    kind: Option<Kind>,
    /// Words, each of which must be there.
    q: Option<String>,
    asset: Option<AssetId>,
    series: Option<TitleId>,
    /// For those who may see everybody's.
    owner: Option<Uuid>,
}

/// Newest first.
async fn list(by: SignedIn, cursor: Cursor, Query(filter): Query<Filter>) -> Result<Page<Shown>> {
    let search = Search {
        owner: seen_by(&by)?.or(filter.owner),
        state: filter.state,
        kind: filter.kind,
        asset: filter.asset,
        series: filter.series,
        patterns: patterns(filter.q.as_deref().unwrap_or_default()),
    };
    let page = store::titles::list(by.db(), &search, &cursor).await?;
    Ok(page.map(Shown::from))
}

/// Each word of a question, as `like` takes it.
pub fn patterns(question: &str) -> Vec<String> {
    let words = question.to_lowercase();
    let escaped = |word: &str| word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    words.split_whitespace().take(10).map(|word| format!("%{}%", escaped(word))).collect()
}

async fn show(by: SignedIn, Path(id): Path<TitleId>) -> Result<Tagged<Json<Shown>>> {
    Ok(tagged(store::titles::find(by.db(), id, seen_by(&by)?).await?))
}

/// A new title: its kind, and all that can be changed later.
#[derive(Deserialize, JsonSchema)]
struct Draft {
    /// A film, where absent.
    #[serde(default)]
    kind: Kind,
    #[serde(flatten)]
    change: Fields,
}

/// As a change, without the kind.
#[derive(Deserialize)]
#[serde(transparent)]
struct Fields(serde_json::Map<String, Value>);

impl JsonSchema for Fields {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TitleFields".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Change::json_schema(generator)
    }
}

async fn create(by: Allowed<Create>, Json(draft): Json<Draft>) -> Result<Created<Shown>> {
    let owner = person(&by)?;
    make(&by, owner, draft.kind, &Change(draft.change.0)).await
}

/// A title of somebody's; with a slug of its own where none was asked for.
pub async fn make(by: &Ctx, owner: Uuid, kind: Kind, change: &Change) -> Result<Created<Shown>> {
    let told = change.onto(&Content::default())?;
    let chosen = !told.slug.is_empty();
    let mut content = told.checked(kind)?;
    for _ in 0..RACES_MAX {
        if !chosen {
            content.slug = free_slug(by.db(), &slug::slug_of(&content.name)).await?;
        }
        let title = begun(by, owner, kind, content.clone());
        turn::check_links(by, &Content::default(), &title).await?;
        let insert = store::titles::insert(&title)
            .on_conflict_refuse("title_slug", SlugTaken.at("slug"))
            .on_conflict_refuse("title_place", EpisodeTaken.at("number"));
        let record = Record { from: None, ..Record::of(by, &title, &title, Action::Create, None) };
        let told = ContentCreated {
            title: title.id,
            kind: kind.name().to_owned(),
            owner,
            name: title.content.name.clone(),
        };
        let mut writes = vec![insert, store::history::insert(&record), emit(told)];
        if let (Some(series), Some(season)) = (title.content.series, title.content.season) {
            writes.push(store::seasons::know(series, season));
        }
        match by.commit(writes).await {
            // Another title took it in between.
            Err(error) if !chosen && error.is(&SlugTaken) => {}
            Err(error) => return Err(error),
            Ok(NoContent) => {
                let made = store::titles::find(by.db(), title.id, None).await?;
                return Ok(Created(made.into()));
            }
        }
    }
    Err(SlugTaken.at("slug").into())
}

async fn free_slug(db: &Db, wanted: &str) -> Result<String> {
    let taken = store::titles::slugs_like(db, wanted).await?;
    let numbered = (2..NAMESAKES_MAX).map(|number| slug::numbered(wanted, number));
    let mut all = std::iter::once(wanted.to_owned()).chain(numbered);
    let free = all.find(|slug| !taken.contains(slug));
    Ok(free.ok_or_else(|| SlugTaken.at("slug"))?)
}

fn begun(by: &Ctx, owner: Uuid, kind: Kind, content: Content) -> Title {
    let Stand { state, publish_at, unpublish_at } = Stand::DRAFT;
    Title {
        id: by.new_id(),
        kind,
        owner,
        content,
        state,
        publish_at,
        unpublish_at,
        is_live: false,
        listed_at: None,
        version: 1,
        created_at: by.now(),
        updated_at: by.now(),
        is_playable: false,
        duration_ms: 0,
        poster: None,
        backdrop: None,
    }
}

async fn edit(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: IfMatch,
    Json(change): Json<Change>,
) -> Result<Tagged<Json<Shown>>> {
    permit(&by)?;
    let order = Order {
        action: Action::Edit,
        terms: Terms::default(),
        note: None,
        change: Some(&change),
        version: Some(version),
        owner: changed_by(&by)?,
    };
    Ok(tagged(turn::turn(&by, id, &order).await?))
}

/// Whoever changes titles may make some, or may change everybody's.
///
/// # Errors
/// 403 `forbidden`.
pub fn permit(by: &Ctx) -> Result<(), Refusal> {
    let may = |permission| by.principal().may(permission);
    match may(Create::NAME) || may(Manage::NAME) {
        true => Ok(()),
        false => Err(standard::Forbidden.because(format!("this needs {}", Create::NAME))),
    }
}

async fn remove(
    by: SignedIn,
    Path(id): Path<TitleId>,
    version: Option<IfMatch>,
) -> Result<NoContent> {
    let title = store::titles::find(by.db(), id, changed_by(&by)?).await?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(title.version))?;
    }
    let waits = matches!(title.state, State::Review | State::Scheduled | State::Published);
    if waits || store::titles::has_episodes(by.db(), id).await? {
        return Err(StillInUse.into());
    }
    by.commit(turn::removal(&by, &title).await?).await
}

/// Somebody is gone, and what was theirs goes with them, each title by itself; what they did to
/// others' stays without their name.
pub async fn on_erased(ctx: Ctx, event: UserErased) -> Result<NoContent> {
    let owner: Uuid = event.id.into();
    let aside = ctx.aside();
    loop {
        let some = store::titles::of_owner(ctx.db(), owner).await?;
        if some.is_empty() {
            return ctx.commit(store::history::forget_subject(&owner.to_string())).await;
        }
        for id in some {
            if let Some(title) = store::titles::find_if_any(ctx.db(), id).await? {
                aside.commit(turn::removal(&aside, &title).await?).await?;
            }
        }
    }
}

#[test]
fn a_question_is_taken_word_by_word_and_literally() {
    assert_eq!(patterns(" The  100%_ "), ["%the%", "%100\\%\\_%"]);
    assert!(patterns("  ").is_empty());
}
