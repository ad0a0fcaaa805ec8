//! Invitations: a letter with a link, accepted or declined by the owner of the address. The secret
//! of the link is made when the letter is written and kept as a digest only.

use crate::refused::named;
use crate::{Manage, bindings, fields, organisations, store, tenants};
use identity_contract::users::{InviteAccepted, InviteDue};
use identity_contract::{InviteId, OrganisationId, RoleId};
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::wasip3::random::random::get_random_bytes;
use nexus_sdk::uuid;
use sha2::{Digest, Sha256};

nexus_sdk::refusals! {
    InviteForAnother = 403, "this invitation is for another address than that of your account";
    InviteOver = 404, "this invitation was answered, withdrawn or is too old";
    AddressUnproven = 403, "prove the address of your account first"
}

/// As long as a letter may lie.
const VALID_DAYS: i32 = 14;
const SECRET_BYTES: u64 = 32;

pub fn router() -> Router {
    Router::new()
        .route("/invites", get(list).post(create))
        .route("/invites/{id}", delete(withdraw))
        .route("/invites/lookup", post(look_up))
        .route("/invites/accept", post(accept))
        .route("/invites/decline", post(decline))
        .route("/organisations/{id}/invites", get(list_of).post(create_of))
        .route("/organisations/{id}/invites/{invite}", delete(withdraw_of))
        .route("/me/invites", get(mine))
        .route("/me/invites/{id}/accept", post(accept_mine))
        .route("/me/invites/{id}/decline", post(decline_mine))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Pending,
    Accepted,
    Declined,
    Withdrawn,
    Expired,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Invite {
    pub id: InviteId,
    /// Null: to register in the tenant.
    pub organisation_id: Option<OrganisationId>,
    /// Its name.
    pub organisation: Option<String>,
    pub email: String,
    pub role_id: Option<RoleId>,
    /// The language of the letter.
    pub locale: Option<String>,
    pub state: State,
    pub created_at: Time,
    pub created_by: String,
    pub expires_at: Time,
    pub settled_at: Option<Time>,
}

/// What stands for a link's secret.
pub struct Sealed {
    pub digest: Vec<u8>,
}

fn digest_of(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    email: String,
    /// Of the organisation; absent is `member`.
    role_id: Option<RoleId>,
    /// The language of the letter.
    locale: Option<String>,
}

async fn list(by: Allowed<Manage>, cursor: Cursor) -> Result<Page<Invite>> {
    store::organisations::invites(by.db(), None, &cursor).await
}

/// To register, where registration is by invitation.
async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<Invite>> {
    if draft.role_id.is_some() {
        return Err(crate::refused::RoleScope.at("role_id").into());
    }
    invite(&by, None, draft).await
}

async fn withdraw(by: Allowed<Manage>, Path(id): Path<InviteId>) -> Result<NoContent> {
    let invite = store::organisations::invite(by.db(), id).await?;
    settle(&by, &invite, "withdrawn", Vec::new()).await
}

async fn list_of(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    cursor: Cursor,
) -> Result<Page<Invite>> {
    organisations::administered(&by, id).await?;
    store::organisations::invites(by.db(), Some(id), &cursor).await
}

async fn create_of(
    by: SignedIn,
    Path(id): Path<OrganisationId>,
    Json(draft): Json<Draft>,
) -> Result<Created<Invite>> {
    organisations::administered(&by, id).await?;
    invite(&by, Some(id), draft).await
}

async fn withdraw_of(
    by: SignedIn,
    Path((id, invite)): Path<(OrganisationId, InviteId)>,
) -> Result<NoContent> {
    organisations::administered(&by, id).await?;
    let invite = store::organisations::invite(by.db(), invite).await?;
    if invite.organisation_id != Some(id) {
        return Err(standard::NotFound.into());
    }
    settle(&by, &invite, "withdrawn", Vec::new()).await
}

async fn invite(
    by: &Ctx,
    organisation: Option<OrganisationId>,
    draft: Draft,
) -> Result<Created<Invite>> {
    let email = fields::email(&draft.email)?;
    tenants::admits(&store::tenants::policy(by.db()).await?, &email)?;
    let locale = draft.locale.as_deref().map(fields::locale).transpose()?;
    if let Some(organisation) = organisation {
        let role = draft.role_id.unwrap_or_else(organisations::plain_member);
        let role = store::roles::find(by.db(), role).await?;
        let own = role.organisation_id.is_none_or(|own| own == organisation);
        if role.scope != crate::roles::Scope::Organisation || !own {
            return Err(crate::refused::RoleScope.at("role_id").into());
        }
        bindings::may_give(by, &role, Some(organisation))?;
    }
    let id = by.new_id();
    let invite = Invite {
        id,
        organisation_id: organisation,
        organisation: None,
        email,
        role_id: draft.role_id,
        locale,
        state: State::Pending,
        created_at: by.now(),
        created_by: by.principal().subject.clone(),
        expires_at: by.now() + days(VALID_DAYS),
        settled_at: None,
    };
    let insert = store::organisations::insert_invite(&invite);
    by.commit([named(insert), emit(InviteDue { id })]).await?;
    store::organisations::invite(by.db(), id).await.map(Created)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Link {
    token: String,
}

/// What a link would open, for the page that it leads to.
#[derive(Serialize, JsonSchema)]
struct Opened {
    organisation: Option<String>,
    email: String,
    expires_at: Time,
}

async fn look_up(by: Public, Json(link): Json<Link>) -> Result<Json<Opened>> {
    let invite = behind(&by, &link).await?;
    let Invite { organisation, email, expires_at, .. } = invite;
    Ok(Json(Opened { organisation, email, expires_at }))
}

async fn behind(by: &Ctx, link: &Link) -> Result<Invite> {
    let digest = digest_of(&link.token);
    let invite = store::organisations::invite_of_link(by.db(), &digest, by.now()).await;
    invite.map_err(|error| if error.is(&standard::NotFound) { InviteOver.into() } else { error })
}

async fn accept(by: SignedIn, Json(link): Json<Link>) -> Result<NoContent> {
    by.in_person()?;
    let invite = behind(&by, &link).await?;
    take(&by, invite, false).await
}

async fn decline(by: Public, Json(link): Json<Link>) -> Result<NoContent> {
    let invite = behind(&by, &link).await?;
    settle(&by, &invite, "declined", Vec::new()).await
}

/// What waits for the owner of a proven address.
async fn mine(by: SignedIn) -> Result<Json<Vec<Invite>>> {
    let account = store::accounts::find(by.db(), organisations::own_id(&by)?).await?;
    match account.email.filter(|_| account.email_verified) {
        Some(email) => store::organisations::invites_for(by.db(), &email, by.now()).await.map(Json),
        None => Ok(Json(Vec::new())),
    }
}

async fn accept_mine(by: SignedIn, Path(id): Path<InviteId>) -> Result<NoContent> {
    by.in_person()?;
    let invite = store::organisations::invite(by.db(), id).await?;
    take(&by, invite, true).await
}

async fn decline_mine(by: SignedIn, Path(id): Path<InviteId>) -> Result<NoContent> {
    by.in_person()?;
    let invite = store::organisations::invite(by.db(), id).await?;
    own(&by, &invite, true).await?;
    settle(&by, &invite, "declined", Vec::new()).await
}

/// Proves that the invitation is for whoever asks. A link proves the address by itself; without
/// one it must have been proven before.
async fn own(by: &Ctx, invite: &Invite, needs_proof: bool) -> Result<()> {
    let own = store::accounts::find(by.db(), organisations::own_id(by)?).await?;
    if own.email.as_deref() != Some(invite.email.as_str()) {
        let refusal = if needs_proof { standard::NotFound } else { InviteForAnother };
        return Err(refusal.into());
    }
    if needs_proof && !own.email_verified {
        return Err(AddressUnproven.into());
    }
    Ok(())
}

async fn take(by: &Ctx, invite: Invite, needs_proof: bool) -> Result<NoContent> {
    own(by, &invite, needs_proof).await?;
    let user = organisations::own_id(by)?;
    let mut writes = Vec::new();
    if let Some(organisation) = invite.organisation_id {
        let role = invite.role_id.unwrap_or_else(organisations::plain_member);
        writes.extend(organisations::joined(by, organisation, user, role, None));
    }
    let (id, organisation) = (invite.id, invite.organisation_id);
    writes.push(emit(InviteAccepted { id, user, organisation }));
    settle(by, &invite, "accepted", writes).await
}

async fn settle(by: &Ctx, invite: &Invite, state: &str, more: Vec<Write>) -> Result<NoContent> {
    if invite.state != State::Pending || invite.expires_at <= by.now() {
        return Err(InviteOver.into());
    }
    let settle = store::organisations::settle_invite(invite.id, state, by.now());
    let mut writes = vec![settle.or_refuse(InviteOver)];
    writes.extend(more);
    by.commit(writes).await
}

/// Writes the letter. The secret is new at every try, so that one that was sent but not recorded
/// opens nothing, and the next one does.
pub async fn on_due(ctx: Ctx, due: InviteDue) -> Result<NoContent> {
    let invite = store::organisations::invite(ctx.db(), due.id).await?;
    if invite.state != State::Pending || invite.expires_at <= ctx.now() {
        return ctx.commit([]).await;
    }
    let secret = spelled(&get_random_bytes(SECRET_BYTES));
    let sealed = Sealed { digest: digest_of(&secret) };
    // First the digest, then the letter: a link must open something when it arrives.
    ctx.aside().commit(store::organisations::seal_invite(invite.id, &sealed)).await?;
    let origin = ctx.variable("public_url").await?;
    let inviter = match invite.created_by.parse() {
        Ok(id) => store::accounts::find_if_any(ctx.db(), id).await?,
        Err(uuid::Error { .. }) => None,
    };
    let letter = json!({
        "to": invite.email,
        "template": "invite",
        "category": "account",
        "locale": invite.locale,
        "dedup_key": format!("invite-{}-{}", invite.id, &hex(&sealed.digest)[..16]),
        "model": {
            "link": format!("{origin}/account/invites?token={secret}"),
            "organisation": invite.organisation,
            "inviter": inviter.and_then(|account| account.display_name),
            "expires_in_minutes": (invite.expires_at - ctx.now()).num_minutes(),
        },
    });
    let sent: serde_json::Value =
        call("email").post("/api/email/v1/internal/messages").json(&letter).read().await?;
    drop(sent);
    ctx.commit([]).await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `nxi_` and the bytes, fit for a link.
fn spelled(bytes: &[u8]) -> String {
    format!("nxi_{}", hex(bytes))
}
