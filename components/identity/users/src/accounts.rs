//! Accounts as administrators see them: found, made, edited, kept out, forgotten.

use crate::permission::within;
use crate::refused::named;
use crate::roles::Role;
use crate::standing::{Order, Standing, follow};
use crate::{Manage, Organisation, View, bindings, fields, store};
use identity_contract::UserId;
use identity_contract::users::{
    UserCreated, UserDeactivated, UserErased, UserInvited, UserReinstated, UserSuspended,
    UserUpdated,
};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::refusals! {
    SearchLength = 400, "a search takes 1 to 100 characters"
}

pub fn router() -> Router {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{id}", get(show).patch(edit).delete(erase))
        .route("/users/{id}/suspend", post(suspend))
        .route("/users/{id}/reinstate", post(reinstate))
        .route("/users/{id}/deactivate", post(deactivate))
}

/// An account as it is kept.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    pub id: UserId,
    pub status: Standing,
    pub status_reason: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub user_name: Option<String>,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub last_login_at: Option<Time>,
    pub projected: Option<Vec<String>>,
    /// What its organisations lend it.
    pub lent: Vec<String>,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

/// An account as it is shown.
#[derive(Serialize, JsonSchema)]
pub struct Person {
    pub id: UserId,
    pub status: Standing,
    pub status_reason: Option<String>,
    /// Null when the account is erased.
    pub email: Option<String>,
    pub email_verified: bool,
    pub user_name: Option<String>,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub last_login_at: Option<Time>,
    /// What the account may do in the tenant, besides what it may for its organisations.
    pub permissions: Vec<String>,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<Account> for Person {
    fn from(a: Account) -> Person {
        Person {
            id: a.id,
            status: a.status,
            status_reason: a.status_reason,
            email: a.email,
            email_verified: a.email_verified,
            user_name: a.user_name,
            external_id: a.external_id,
            display_name: a.display_name,
            locale: a.locale,
            last_login_at: a.last_login_at,
            permissions: a.projected.unwrap_or_default(),
            version: a.version,
            created_at: a.created_at,
            updated_at: a.updated_at,
        }
    }
}

impl Account {
    /// As a version over HTTP.
    pub fn tagged(self) -> Tagged<Json<Person>> {
        Tagged(Etag::of_version(self.version), Json(self.into()))
    }

    /// Proves that whoever asks may change this account: only somebody who holds all that it
    /// holds, for itself and for organisations. Who could change the address of an administrator
    /// would soon be one. Deciding about an organisation is below deciding about accounts.
    pub fn within(&self, by: &Ctx) -> Result<(), Refusal> {
        let lent = self.lent.iter().filter(|word| *word != Organisation::NAME);
        within(by.principal(), self.projected.iter().flatten().chain(lent))
    }
}

/// An account that is about to be made.
pub struct NewAccount {
    pub id: UserId,
    pub status: Standing,
    pub email: Option<String>,
    pub email_verified: bool,
    pub user_name: String,
    pub external_id: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub attributes: Value,
    pub at: Time,
}

/// What is to be another; none leaves, an empty text clears.
#[derive(Default)]
pub struct Changes {
    pub email: Option<String>,
    pub email_verified: Option<bool>,
    pub display_name: Option<String>,
    pub locale: Option<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        let Changes { email, email_verified, display_name, locale } = self;
        email_verified.is_none() && [email, display_name, locale].iter().all(|it| it.is_none())
    }
}

/// All that makes an account, its roles included.
pub fn creation(by: &Ctx, new: &NewAccount, roles: &[Role]) -> Vec<Write> {
    let created = UserCreated {
        id: new.id,
        display_name: new.display_name.clone(),
        locale: new.locale.clone(),
    };
    let mut writes = vec![named(store::accounts::insert(new)), emit(created)];
    if new.status == Standing::Invited {
        writes.push(emit(UserInvited { id: new.id }));
    }
    for role in roles {
        writes.extend(bindings::grant(by, new.id, role, None, None));
    }
    writes
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    status: Option<Standing>,
    /// A part of an address or of a name.
    q: Option<String>,
}

/// All but the erased, unless asked for by that status.
async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Person>> {
    if search.q.as_ref().is_some_and(|text| !(1..=100).contains(&text.chars().count())) {
        return Err(SearchLength.into());
    }
    let page = store::accounts::list(by.db(), search.status, search.q.as_deref(), &cursor).await?;
    Ok(page.map(Person::from))
}

async fn show(by: Allowed<View>, Path(id): Path<UserId>) -> Result<Tagged<Json<Person>>> {
    store::accounts::find(by.db(), id).await.map(Account::tagged)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    email: String,
    display_name: Option<String>,
    locale: Option<String>,
    /// Names of roles of the tenant; what everybody has comes by itself.
    #[serde(default)]
    roles: Vec<String>,
}

/// The person gets a letter and can come in when the address is proven.
async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<Person>> {
    let email = fields::email(&draft.email)?;
    let new = NewAccount {
        id: by.new_id(),
        status: Standing::Invited,
        user_name: email.clone(),
        email: Some(email),
        email_verified: false,
        external_id: None,
        display_name: draft.display_name.as_deref().map(fields::display_name).transpose()?,
        locale: draft.locale.as_deref().map(fields::locale).transpose()?,
        attributes: json!({}),
        at: by.now(),
    };
    let mut roles = bindings::roles_named(&by, &draft.roles).await?;
    for role in &roles {
        bindings::may_give(&by, role, None)?;
    }
    roles.push(store::roles::first(by.db()).await?);
    by.commit(creation(&by, &new, &roles)).await?;
    let made = store::accounts::find(by.db(), new.id).await?;
    Ok(Created(made.into()))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Another address is unproven.
    email: Option<String>,
    /// Empty clears it.
    display_name: Option<String>,
    /// Empty clears it.
    locale: Option<String>,
}

impl Edit {
    fn changes(&self) -> Result<Changes, Refusal> {
        Ok(Changes {
            email: self.email.as_deref().map(fields::email).transpose()?,
            email_verified: None,
            display_name: fields::or_clear(self.display_name.as_deref(), fields::display_name)?,
            locale: fields::or_clear(self.locale.as_deref(), fields::locale)?,
        })
    }
}

async fn edit(
    by: Allowed<Manage>,
    Path(id): Path<UserId>,
    version: Option<IfMatch>,
    Json(edit): Json<Edit>,
) -> Result<Tagged<Json<Person>>> {
    let account = store::accounts::find(by.db(), id).await?;
    account.within(&by)?;
    if let Some(version) = version {
        version.allow(&Etag::of_version(account.version))?;
    }
    let changes = edit.changes()?;
    let write = store::accounts::edit(id, Some(account.version), &changes, by.now());
    by.commit([named(write), emit(UserUpdated { id })]).await?;
    store::accounts::find(by.db(), id).await.map(Account::tagged)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Reason {
    reason: Option<String>,
}

async fn suspend(
    by: Allowed<Manage>,
    Path(id): Path<UserId>,
    Json(Reason { reason }): Json<Reason>,
) -> Result<Tagged<Json<Person>>> {
    order(&by, id, Order::Suspend, fields::reason(reason)?).await
}

async fn reinstate(by: Allowed<Manage>, Path(id): Path<UserId>) -> Result<Tagged<Json<Person>>> {
    order(&by, id, Order::Reinstate, None).await
}

async fn deactivate(by: Allowed<Manage>, Path(id): Path<UserId>) -> Result<Tagged<Json<Person>>> {
    order(&by, id, Order::Deactivate, None).await
}

/// Only the id is left, and whoever keeps something about the person is told to remove it.
async fn erase(by: Allowed<Manage>, Path(id): Path<UserId>) -> Result<NoContent> {
    let account = store::accounts::find(by.db(), id).await?;
    account.within(&by)?;
    by.commit(ordered(&account, Order::Erase, None, by.now())?).await
}

async fn order(
    by: &Ctx,
    id: UserId,
    order: Order,
    reason: Option<String>,
) -> Result<Tagged<Json<Person>>> {
    let account = store::accounts::find(by.db(), id).await?;
    account.within(by)?;
    by.commit(ordered(&account, order, reason, by.now())?).await?;
    store::accounts::find(by.db(), id).await.map(Account::tagged)
}

/// The writes that carry out an order.
pub fn ordered(
    account: &Account,
    order: Order,
    reason: Option<String>,
    at: Time,
) -> Result<Vec<Write>, Refusal> {
    let (id, seen) = (account.id, account.version);
    let standing = follow(account.status, order)?;
    let write = match order {
        Order::Erase => store::accounts::erase(id, Some(seen), at),
        _ => store::accounts::set_standing(id, Some(seen), standing, reason.as_deref(), at),
    };
    let told = match order {
        Order::Suspend => emit(UserSuspended { id, reason }),
        Order::Reinstate => emit(UserReinstated { id }),
        Order::Deactivate => emit(UserDeactivated { id }),
        Order::Erase => emit(UserErased { id }),
    };
    Ok(vec![named(write), told])
}
