//! Messages: asked for by components and programs, looked at, sent again, cancelled.

use crate::address::Address;
use crate::compose::{Envelope, compose};
use crate::domain::{self, Category, Message, Standing, State};
use crate::render::{self, Frame, Model, Rendered};
use crate::senders::{self, Sender};
use crate::store::messages::Hidden;
use crate::{Anyone, Manage, Send, View, objects, seal, store, templates, unsubscribe, words};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration_contract::MessageId;
use integration_contract::email::EmailSuppressed;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};
use nexus_sdk::spin_sdk::wasip3::random::random::get_random_bytes;

nexus_sdk::refusals! {
    DedupKey = 422, "a dedup_key takes 1 to 150 characters";
    /// Somebody else has just sent it; never told to a client.
    DedupRace = 409, "a message with this dedup_key is being made at this moment";
    MessageNotQueued = 409, "only a message that waits can be cancelled";
    MessageNotFailed = 409, "only a message that was given up can be sent again";
    MessageErased = 409, "what this message said was erased; ask for a new one"
}

const DEDUP_CHARS: std::ops::RangeInclusive<usize> = 1..=150;
const CALLER_CHARS_MAX: usize = 120;
/// Tries of a worker; with their pauses they last longer than any message is wanted.
const ATTEMPTS_MAX: u32 = 30;
/// One conversation with a server.
const WALL_MS: u32 = 180_000;
/// The topic on which the platform tells how a job has ended.
const SETTLED: &str = "notify.mail_job.settled.v1";

pub fn router() -> Router {
    Router::new()
        .route("/internal/messages", post(accept))
        .route("/messages", get(list).post(send))
        .route("/messages/{id}", get(show))
        .route("/messages/{id}/retry", post(retry))
        .route("/messages/{id}/cancel", post(cancel))
}

/// A message that somebody wants to be sent.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    to: String,
    /// A built-in template, or one of the tenant's own.
    template: String,
    /// BCP 47; the nearest language there is.
    #[serde(default)]
    locale: Option<String>,
    /// What the template says: `name`, `link`, `expires_in_minutes`, `address`, `device`,
    /// `organisation`, `inviter`, and whatever an own template asks for.
    #[serde(default)]
    model: Map<String, Value>,
    category: Category,
    /// Of all orders with one key only the first is sent.
    #[serde(default)]
    dedup_key: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Receipt {
    id: MessageId,
    state: State,
    /// Whether this is an earlier message with the same `dedup_key`.
    deduplicated: bool,
}

async fn accept(by: Called<Anyone>, Json(order): Json<Order>) -> Result<Accepted<Receipt>> {
    let caller = by.caller().to_owned();
    place(&by, &caller, order).await
}

async fn send(by: Allowed<Send>, Json(order): Json<Order>) -> Result<Accepted<Receipt>> {
    let caller = by.principal().subject.clone();
    place(&by, &caller, order).await
}

/// Renders, seals and hands over; the answer says nothing about whether the address exists.
async fn place(ctx: &Ctx, caller: &str, order: Order) -> Result<Accepted<Receipt>> {
    let to = Address::read(&order.to).map_err(|why| why.at("to"))?;
    let locale = order.locale.as_deref().unwrap_or("en");
    if !words::is_locale(locale) {
        return Err(words::LocaleForm.at("locale").into());
    }
    if let Some(key) = &order.dedup_key {
        if !DEDUP_CHARS.contains(&key.chars().count()) {
            return Err(DedupKey.at("dedup_key").into());
        }
        if let Some(first) = store::messages::of_key(ctx.db(), key).await? {
            return Ok(Accepted(Receipt { id: first.id, state: first.state, deduplicated: true }));
        }
    }
    let sender = senders::of(ctx).await?;
    let model = Model::read(order.model)?;
    let link = (order.category == Category::Notice).then(|| unsubscribe::link(&sender));
    let frame = Frame {
        brand: sender.name().to_owned(),
        locale: locale.to_owned(),
        unsubscribe: link.as_ref().map(|link| link.url.clone()),
    };
    let chosen = templates::choose(ctx.db(), &order.template, locale).await?;
    let rendered = match &chosen {
        Some(template) => render::own(&template.source(), &model, &frame)?,
        None => render::built_in(&order.template, &model, &frame)?,
    };
    let message = Message {
        id: ctx.new_id(),
        address: to.folded(),
        template: order.template,
        template_version: chosen.as_ref().map_or(0, |template| template.version),
        locale: locale.to_owned(),
        category: order.category,
        caller: caller.chars().take(CALLER_CHARS_MAX).collect(),
        state: State::Queued,
        reason: None,
        attempts: 0,
        smtp_code: None,
        created_at: ctx.now(),
        expires_at: ctx.now() + order.category.lasts(),
        finished_at: None,
    };
    let draft = Draft { message, dedup_key: order.dedup_key, to, link };
    match standing(ctx, &draft, &sender).await? {
        Some(reason) => suppress(ctx, draft, reason).await,
        None => queue(ctx, draft, &sender, &rendered).await,
    }
}

/// A message that is ready but for its words.
struct Draft {
    message: Message,
    dedup_key: Option<String>,
    to: Address,
    link: Option<unsubscribe::Link>,
}

async fn standing(ctx: &Ctx, draft: &Draft, sender: &Sender) -> Result<Option<&'static str>> {
    let Message { address, category, .. } = &draft.message;
    let reasons = store::suppressions::reasons(ctx.db(), address).await?;
    let recent = store::messages::recent(ctx.db(), address, ctx.now() - hours(1)).await?;
    let standing = Standing { reasons, recent };
    Ok(domain::stopped(*category, address, &standing, &sender.allowance()))
}

async fn suppress(ctx: &Ctx, draft: Draft, reason: &str) -> Result<Accepted<Receipt>> {
    let mut message = draft.message;
    message.state = State::Suppressed;
    message.reason = Some(reason.to_owned());
    message.finished_at = Some(ctx.now());
    let told = emit(EmailSuppressed {
        id: message.id,
        template: message.template.clone(),
        category: message.category.name().into(),
        reason: reason.to_owned(),
    });
    let key = draft.dedup_key.as_deref();
    let hidden = Hidden { dedup_key: key, ..Hidden::default() };
    let insert = store::messages::insert(&message, &hidden);
    let insert = insert.on_conflict_refuse("message_dedup", DedupRace);
    settled(ctx, ctx.commit([insert, told]).await, &message, key).await
}

async fn queue(
    ctx: &Ctx,
    draft: Draft,
    sender: &Sender,
    words: &Rendered,
) -> Result<Accepted<Receipt>> {
    let Draft { message, dedup_key, to, link } = draft;
    let whole = compose(
        &Envelope {
            id: message.id,
            from: &sender.from,
            from_name: sender.name(),
            reply_to: sender.reply_to.as_ref(),
            to: &to,
            at: ctx.now(),
            locale: words::language(&message.locale).code,
            unsubscribe: link.as_ref().map(|link| link.url.as_str()),
        },
        words,
    )?;
    let seal_key = random::<{ seal::KEY_BYTES }>();
    let sealed = seal::seal(&seal_key, &message.id.to_string(), &whole)?;
    let object = objects::key(ctx.tenant(), message.id);
    objects::put(&object, sealed).await?;
    let job = ctx.new_id::<MessageId>().into();
    let args = args(ctx.tenant(), &message, &seal_key, sender, to.as_str());
    let key = dedup_key.as_deref();
    let hidden = Hidden {
        dedup_key: key,
        job: Some(job),
        seal_key: Some(seal_key.to_vec()),
        unsubscribe_digest: link.map(|link| link.digest),
    };
    let insert = store::messages::insert(&message, &hidden);
    let insert = insert.on_conflict_refuse("message_dedup", DedupRace);
    let submit = store::messages::submit(job, &args, &options(&message));
    let committed = ctx.commit([insert, submit]).await;
    if committed.is_err() {
        // Nobody has the key; what is left here nevertheless is swept by `purge`.
        objects::remove(&object).await.or_log("remove a sealed message that was not sent");
    }
    settled(ctx, committed, &message, key).await
}

/// The receipt; of two orders with one key that come at once, both get the first one's.
async fn settled(
    ctx: &Ctx,
    committed: Result<NoContent>,
    message: &Message,
    key: Option<&str>,
) -> Result<Accepted<Receipt>> {
    match (committed, key) {
        (Err(error), Some(key)) if error.is(&DedupRace) => {
            let first = store::messages::of_key(ctx.db(), key).await?.ok_or(DedupRace)?;
            Ok(Accepted(Receipt { id: first.id, state: first.state, deduplicated: true }))
        }
        (Err(error), _) => Err(error),
        (Ok(_), _) => {
            Ok(Accepted(Receipt { id: message.id, state: message.state, deduplicated: false }))
        }
    }
}

pub fn random<const N: usize>() -> [u8; N] {
    get_random_bytes(N as u64).try_into().expect("as many bytes come as were asked for")
}

/// What the worker is told; `media-native/mail` reads it. It names whom the message goes to and the
/// key that opens it, which is worth nothing once the object is gone.
fn args(tenant: TenantId, message: &Message, seal_key: &[u8], sender: &Sender, to: &str) -> Value {
    json!({
        "id": message.id,
        "object": { "bucket": objects::BUCKET, "key": objects::key(tenant, message.id) },
        "key": STANDARD.encode(seal_key),
        "from": sender.return_path.as_str(),
        "to": to,
    })
}

fn options(message: &Message) -> Value {
    // Among what waits, somebody who wants to get in comes first.
    let priority = match message.category {
        Category::Security => 20,
        Category::Account => 10,
        Category::Notice => 0,
    };
    json!({
        "priority": priority, "attempts_max": ATTEMPTS_MAX, "wall_ms": WALL_MS,
        "result_topic": SETTLED,
    })
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    state: Option<State>,
    /// Whole.
    address: Option<String>,
    template: Option<String>,
}

/// Newest first. What a message says is shown to nobody.
async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Message>> {
    let address = search.address.map(|address| address.to_ascii_lowercase());
    let (address, template) = (address.as_deref(), search.template.as_deref());
    store::messages::list(by.db(), search.state, address, template, &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<MessageId>) -> Result<Json<Message>> {
    store::messages::find(by.db(), id).await.map(Json)
}

/// Sends what was given up again, as it was.
async fn retry(by: Allowed<Manage>, Path(id): Path<MessageId>) -> Result<NoContent> {
    let mut message = store::messages::find(by.db(), id).await?;
    if message.state != State::Failed {
        return Err(MessageNotFailed.into());
    }
    let seal_key = store::messages::seal_key(by.db(), id).await?.ok_or(MessageErased)?;
    let sender = senders::of(&by).await?;
    message.expires_at = by.now() + message.category.lasts();
    let job = by.new_id::<MessageId>().into();
    let args = args(by.tenant(), &message, &seal_key, &sender, &message.address);
    let requeue = store::messages::requeue(id, job, message.expires_at);
    let submit = store::messages::submit(job, &args, &options(&message));
    by.commit([requeue.or_refuse(MessageErased), submit]).await
}

/// A message that a worker is sending at this moment may still go out.
async fn cancel(by: Allowed<Manage>, Path(id): Path<MessageId>) -> Result<NoContent> {
    store::messages::find(by.db(), id).await?;
    by.commit(store::messages::cancel_job(id).or_refuse(MessageNotQueued)).await
}
