//! What other components of identity ask: who an address belongs to, a new account, a proven
//! address. The routes are not there for anybody else.

use crate::accounts::{Account, Changes, NewAccount, creation};
use crate::refused::named;
use crate::standing::Standing;
use crate::{bindings, fields, store, tenants};
use identity_contract::UserId;
use identity_contract::users::UserUpdated;
use nexus_sdk::prelude::*;

nexus_sdk::callers! {
    Identity = ["user-auth", "auth", "profiles", "email"];
    LoginFlows = ["user-auth"];
    Anyone = ["*"]
}

pub fn router() -> Router {
    Router::new()
        .route("/internal/users", post(create))
        .route("/internal/users/by-email", get(by_email))
        .route("/internal/users/{id}", get(show).patch(edit))
        .route("/internal/administrators", post(create_administrator))
        .route("/internal/policy", get(policy))
        .route("/internal/quotas/{name}", get(quota))
}

/// An account as the login flows need it.
#[derive(Serialize, JsonSchema)]
struct Known {
    id: UserId,
    status: Standing,
    email: Option<String>,
    email_verified: bool,
    display_name: Option<String>,
    locale: Option<String>,
    /// Whether a role is held that asks for two factors.
    mfa_required: bool,
    last_login_at: Option<Time>,
    created_at: Time,
}

async fn known(by: &Ctx, account: Account) -> Result<Known> {
    Ok(Known {
        mfa_required: store::accounts::needs_two_factors(by.db(), account.id).await?,
        id: account.id,
        status: account.status,
        email: account.email,
        email_verified: account.email_verified,
        display_name: account.display_name,
        locale: account.locale,
        last_login_at: account.last_login_at,
        created_at: account.created_at,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    email: String,
    #[serde(default)]
    email_verified: bool,
    display_name: Option<String>,
    locale: Option<String>,
    /// Names of roles of the tenant, besides the one that everybody has.
    #[serde(default)]
    roles: Vec<String>,
}

impl Draft {
    fn account(&self, by: &Ctx) -> Result<NewAccount, Refusal> {
        let email = fields::email(&self.email)?;
        Ok(NewAccount {
            id: by.new_id(),
            status: Standing::Active,
            user_name: email.clone(),
            email: Some(email),
            email_verified: self.email_verified,
            external_id: None,
            display_name: self.display_name.as_deref().map(fields::display_name).transpose()?,
            locale: self.locale.as_deref().map(fields::locale).transpose()?,
            attributes: json!({}),
            at: by.now(),
        })
    }
}

/// Somebody registers. The tenant's policy decides whether they may.
async fn create(by: Called<Identity>, Json(draft): Json<Draft>) -> Result<Created<Known>> {
    let new = draft.account(&by)?;
    let policy = store::tenants::policy(by.db()).await?;
    let email = new.email.as_deref().unwrap_or_default();
    tenants::admits(&policy, email)?;
    let invited = store::organisations::is_invited(by.db(), email, by.now()).await?;
    tenants::opens(&policy, invited)?;
    let mut roles = bindings::roles_named(&by, &draft.roles).await?;
    roles.push(store::roles::first(by.db()).await?);
    by.commit(creation(&by, &new, &roles)).await?;
    let account = store::accounts::find(by.db(), new.id).await?;
    known(&by, account).await.map(Created)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Administrator {
    email: String,
    display_name: Option<String>,
}

/// The first administrator, with the one-time link of the installation. No policy closes this way,
/// and the address counts as proven: there is nobody yet who could be mistaken for another.
async fn create_administrator(
    by: Called<LoginFlows>,
    Json(first): Json<Administrator>,
) -> Result<Created<Known>> {
    let draft = Draft {
        email: first.email,
        email_verified: true,
        display_name: first.display_name,
        locale: None,
        roles: Vec::new(),
    };
    let new = draft.account(&by)?;
    let mut roles = bindings::roles_named(&by, &["administrator".to_owned()]).await?;
    roles.retain(|role| role.built_in);
    by.commit(creation(&by, &new, &roles)).await?;
    let account = store::accounts::find(by.db(), new.id).await?;
    known(&by, account).await.map(Created)
}

#[derive(Deserialize, JsonSchema)]
struct Address {
    email: String,
}

async fn by_email(by: Called<Identity>, Query(address): Query<Address>) -> Result<Json<Known>> {
    // What is no address belongs to nobody.
    let email = fields::email(&address.email).map_err(|_| standard::NotFound)?;
    let account = store::accounts::by_email(by.db(), &email).await?;
    known(&by, account).await.map(Json)
}

async fn show(by: Called<Identity>, Path(id): Path<UserId>) -> Result<Json<Known>> {
    let account = store::accounts::find(by.db(), id).await?;
    known(&by, account).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    email: Option<String>,
    /// True makes an invited account active.
    email_verified: Option<bool>,
    /// Empty clears it.
    display_name: Option<String>,
    /// Empty clears it.
    locale: Option<String>,
    last_login_at: Option<Time>,
}

async fn edit(
    by: Called<Identity>,
    Path(id): Path<UserId>,
    Json(edit): Json<Edit>,
) -> Result<Json<Known>> {
    store::accounts::find(by.db(), id).await?;
    let changes = Changes {
        email: edit.email.as_deref().map(fields::email).transpose()?,
        email_verified: edit.email_verified,
        display_name: fields::or_clear(edit.display_name.as_deref(), fields::display_name)?,
        locale: fields::or_clear(edit.locale.as_deref(), fields::locale)?,
    };
    let mut writes = Vec::new();
    if !changes.is_empty() {
        writes.push(named(store::accounts::edit(id, None, &changes, by.now())));
        writes.push(emit(UserUpdated { id }));
    }
    if let Some(at) = edit.last_login_at {
        writes.push(store::accounts::came_in(id, at));
    }
    by.commit(writes).await?;
    let account = store::accounts::find(by.db(), id).await?;
    known(&by, account).await.map(Json)
}

async fn policy(by: Called<Identity>) -> Result<Json<tenants::Policy>> {
    store::tenants::policy(by.db()).await.map(Json)
}

async fn quota(
    by: Called<Anyone>,
    Path(name): Path<tenants::Measure>,
) -> Result<Json<tenants::Quota>> {
    tenants::quota(&by, name).await.map(Json)
}
