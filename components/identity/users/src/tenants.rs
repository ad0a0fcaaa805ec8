//! The tenants of the installation, what each allows, and how much of it. Tenants and their quotas
//! are made from the first tenant; the policy is each tenant's own.

use crate::permission::within;
use crate::refused::named;
use crate::{Manage, Tenants, View, fields, store};
use identity_contract::{BindingId, RoleId, UserId};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    TenantsElsewhere = 403, "tenants are made from the first tenant of the installation";
    TenantSlug = 422, "a slug takes 1 to 63 of a-z, 0-9 and dash and begins with a letter";
    TenantName = 422, "a name takes 1 to 120 characters on one line";
    TenantSlugTaken = 409, "a tenant with this slug exists";
    HostForm = 422, "a host is a name without port, scheme or path; at most 20 of them";
    HostTaken = 409, "a host belongs to another tenant";
    FirstTenant = 409, "the first tenant stays active: all others are made from it";
    DomainForm = 422, "a domain is a name such as example.com; at most 100 of them";
    RegistrationClosed = 403, "this tenant takes no registrations";
    InvitationNeeded = 403, "this tenant takes registrations by invitation";
    DomainNotAdmitted = 422, "this tenant takes no addresses of this domain";
    QuotaAmount = 422, "an amount is not negative"
}

/// The tenant that every installation has (migration 0007 of the platform).
const FIRST: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0001);

pub fn router() -> Router {
    Router::new()
        .route("/tenants", get(list).post(create))
        .route("/tenants/{id}", get(show).put(edit))
        .route("/tenants/{id}/administrators", post(appoint))
        .route("/tenants/{id}/quotas", get(quotas))
        .route("/tenants/{id}/quotas/{name}", put(set_quota).delete(lift_quota))
        .route("/policy", get(show_policy).put(set_policy))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Tenant {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub hosts: Vec<String>,
    pub status: Status,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Suspended,
}

impl ToParam for Status {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub slug: String,
    pub name: String,
    /// Host names under which it is known.
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default = "active")]
    pub status: Status,
}

fn active() -> Status {
    Status::Active
}

impl Draft {
    fn check(self) -> Result<Draft, Refusal> {
        let slug = fields::slug(&self.slug).map_err(|_| TenantSlug.at("slug"))?;
        if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(TenantSlug.at("slug"));
        }
        let name = fields::display_name(&self.name).map_err(|_| TenantName.at("name"))?;
        if self.hosts.len() > 20 {
            return Err(HostForm.at("hosts"));
        }
        let mut hosts = Vec::new();
        for (at, host) in self.hosts.iter().enumerate() {
            let host = host.to_ascii_lowercase();
            if !is_host(&host) {
                return Err(HostForm.at(format!("hosts/{at}")));
            }
            hosts.push(host);
        }
        hosts.sort();
        hosts.dedup();
        Ok(Draft { slug, name, hosts, status: self.status })
    }
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn from_the_first(by: &Ctx) -> Result<(), Refusal> {
    match Uuid::from(by.tenant()) == FIRST {
        true => Ok(()),
        false => Err(TenantsElsewhere),
    }
}

async fn list(by: Allowed<Tenants>, cursor: Cursor) -> Result<Page<Tenant>> {
    from_the_first(&by)?;
    store::tenants::list(by.db(), &cursor).await
}

async fn show(by: Allowed<Tenants>, Path(id): Path<TenantId>) -> Result<Tagged<Json<Tenant>>> {
    from_the_first(&by)?;
    let tenant = store::tenants::find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(tenant.version), Json(tenant)))
}

/// The write, with what it may violate.
fn putting(id: TenantId, seen: Option<i64>, draft: &Draft, at: Time) -> Write {
    store::tenants::put(id, seen, draft, at)
        .on_conflict_refuse("tenant_slug", TenantSlugTaken)
        .on_conflict_refuse("tenant_slug_key", TenantSlugTaken)
        .on_conflict_refuse("tenant_host_pkey", HostTaken)
        .on_conflict_refuse("tenant_changed", standard::PreconditionFailed)
}

async fn create(by: Allowed<Tenants>, Json(draft): Json<Draft>) -> Result<Created<Tenant>> {
    from_the_first(&by)?;
    let (id, draft) = (by.new_id(), draft.check()?);
    by.commit(putting(id, None, &draft, by.now())).await?;
    store::tenants::find(by.db(), id).await.map(Created)
}

async fn edit(
    by: Allowed<Tenants>,
    Path(id): Path<TenantId>,
    version: IfMatch,
    Json(draft): Json<Draft>,
) -> Result<Tagged<Json<Tenant>>> {
    from_the_first(&by)?;
    let old = store::tenants::find(by.db(), id).await?;
    version.allow(&Etag::of_version(old.version))?;
    let draft = draft.check()?;
    if Uuid::from(id) == FIRST && draft.status != Status::Active {
        return Err(FirstTenant.at("status").into());
    }
    by.commit(putting(id, Some(old.version), &draft, by.now())).await?;
    let tenant = store::tenants::find(by.db(), id).await?;
    Ok(Tagged(Etag::of_version(tenant.version), Json(tenant)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Appointment {
    email: String,
    display_name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Appointed {
    id: UserId,
    email: String,
}

/// The account is of that tenant, and the person proves the address there.
async fn appoint(
    by: Allowed<Tenants>,
    Path(id): Path<TenantId>,
    Json(draft): Json<Appointment>,
) -> Result<Created<Appointed>> {
    from_the_first(&by)?;
    // Nobody appoints to more than they are.
    within(by.principal(), [&"*".to_owned()])?;
    store::tenants::find(by.db(), id).await?;
    let email = fields::email(&draft.email)?;
    let name = draft.display_name.as_deref().map(fields::display_name).transpose()?;
    let account: UserId = by.new_id();
    let ids = (by.new_id::<BindingId>(), by.new_id::<TenantId>().into());
    let giver = &by.principal().subject;
    let write = store::tenants::appoint(id, account, &email, name.as_deref(), ids, by.now(), giver);
    by.commit(named(write)).await?;
    Ok(Created(Appointed { id: account, email }))
}

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Accounts that are not erased; bounded here.
    Users,
    /// Bytes of objects; bounded by whoever takes uploads.
    StorageBytes,
    /// Requests from outside; bounded by whoever counts them.
    RequestsPerDay,
}

impl ToParam for Measure {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    pub name: Measure,
    /// Null does not bound.
    pub amount: Option<i64>,
    /// How much of it is taken, where this service knows it.
    pub used: Option<i64>,
}

/// One quota of the tenant that asks.
pub async fn quota(by: &Ctx, name: Measure) -> Result<Quota> {
    let amount = store::tenants::quota(by.db(), name).await?;
    let used = match name {
        Measure::Users => Some(store::tenants::accounts(by.db()).await?),
        Measure::StorageBytes | Measure::RequestsPerDay => None,
    };
    Ok(Quota { name, amount, used })
}

async fn quotas(by: Allowed<Tenants>, Path(id): Path<TenantId>) -> Result<Json<Vec<Quota>>> {
    from_the_first(&by)?;
    store::tenants::find(by.db(), id).await?;
    store::tenants::quotas_of(by.db(), id).await.map(Json)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Amount {
    amount: i64,
}

async fn set_quota(
    by: Allowed<Tenants>,
    Path((id, name)): Path<(TenantId, Measure)>,
    Json(Amount { amount }): Json<Amount>,
) -> Result<NoContent> {
    from_the_first(&by)?;
    store::tenants::find(by.db(), id).await?;
    if amount < 0 {
        return Err(QuotaAmount.at("amount").into());
    }
    let subject = &by.principal().subject;
    by.commit(store::tenants::put_quota(id, name, amount, by.now(), subject)).await
}

async fn lift_quota(
    by: Allowed<Tenants>,
    Path((id, name)): Path<(TenantId, Measure)>,
) -> Result<NoContent> {
    from_the_first(&by)?;
    by.commit(store::tenants::lift_quota(id, name).expect_rows(1).or_refuse(standard::NotFound))
        .await
}

/// What a tenant allows.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    pub registration: Registration,
    /// Addresses that may register or be invited; empty is any.
    pub email_domains: Vec<String>,
    /// What everybody has from the beginning.
    pub default_role_id: RoleId,
    /// Whose holders must come in with two factors.
    pub mfa_role_ids: Vec<RoleId>,
    /// Whether everybody may make organisations.
    pub organisations_open: bool,
    pub version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    Open,
    Invite,
    Closed,
}

impl ToParam for Registration {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// Proves that the policy takes an address.
pub fn admits(policy: &Policy, email: &str) -> Result<(), Refusal> {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let named = policy.email_domains.iter().any(|admitted| admitted == domain);
    match policy.email_domains.is_empty() || named {
        true => Ok(()),
        false => Err(DomainNotAdmitted.at("email")),
    }
}

/// Proves that the policy lets somebody register.
pub fn opens(policy: &Policy, invited: bool) -> Result<(), Refusal> {
    match policy.registration {
        Registration::Open => Ok(()),
        Registration::Invite if invited => Ok(()),
        Registration::Invite => Err(InvitationNeeded),
        Registration::Closed => Err(RegistrationClosed),
    }
}

async fn show_policy(by: Allowed<View>) -> Result<Tagged<Json<Policy>>> {
    let policy = store::tenants::policy(by.db()).await?;
    Ok(Tagged(Etag::of_version(policy.version), Json(policy)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDraft {
    pub registration: Registration,
    #[serde(default)]
    pub email_domains: Vec<String>,
    pub default_role_id: RoleId,
    #[serde(default)]
    pub mfa_role_ids: Vec<RoleId>,
    pub organisations_open: bool,
}

async fn set_policy(
    by: Allowed<Manage>,
    version: IfMatch,
    Json(draft): Json<PolicyDraft>,
) -> Result<Tagged<Json<Policy>>> {
    crate::bindings::not_for_an_organisation(&by)?;
    let old = store::tenants::policy(by.db()).await?;
    version.allow(&Etag::of_version(old.version))?;
    let domains: Vec<String> =
        draft.email_domains.iter().map(|domain| domain.to_lowercase()).collect();
    if domains.len() > 100 || !domains.iter().all(|domain| is_host(domain)) {
        return Err(DomainForm.at("email_domains").into());
    }
    // What everybody will be given must be one's own to give.
    let role = store::roles::find(by.db(), draft.default_role_id).await?;
    within(by.principal(), &role.permissions)?;
    let draft = PolicyDraft { email_domains: domains, ..draft };
    let subject = &by.principal().subject;
    let write = store::tenants::put_policy(old.version, &draft, by.now(), subject);
    let write = write.on_conflict_refuse("policy_changed", standard::PreconditionFailed);
    by.commit(named(write)).await?;
    let policy = store::tenants::policy(by.db()).await?;
    Ok(Tagged(Etag::of_version(policy.version), Json(policy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(registration: Registration, domains: &[&str]) -> Policy {
        Policy {
            registration,
            email_domains: domains.iter().map(|&domain| domain.into()).collect(),
            default_role_id: Uuid::nil().into(),
            mfa_role_ids: Vec::new(),
            organisations_open: true,
            version: 1,
        }
    }

    #[test]
    fn a_tenant_takes_whom_its_policy_lets_in() {
        let open = policy(Registration::Open, &["example.com"]);
        assert!(admits(&open, "ada@example.com").is_ok());
        assert!(admits(&open, "ada@evil.example.com").is_err());
        assert!(admits(&open, "ada@notexample.com").is_err());
        assert!(admits(&policy(Registration::Open, &[]), "ada@anywhere.org").is_ok());
        assert_eq!(opens(&policy(Registration::Closed, &[]), true), Err(RegistrationClosed));
        assert_eq!(opens(&policy(Registration::Invite, &[]), false), Err(InvitationNeeded));
        assert!(opens(&policy(Registration::Invite, &[]), true).is_ok());
    }

    #[test]
    fn a_host_is_a_name_and_nothing_else() {
        for good in ["localhost", "tv.example.com", "a-b.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "example.com:80", "https://example.com", "exa mple", "-a.com", "a..b", "*"]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
