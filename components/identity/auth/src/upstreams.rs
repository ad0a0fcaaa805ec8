//! Providers: who else may say who somebody is. Set up by administrators; the secret that a
//! provider gave us is sealed by kms. Refuses to know what becomes of people who come from there
//! (`upstream_login`).

use crate::outside::{self, Silence};
use crate::{Manage, View, origin, peers, provider, store};
use identity_contract::auth::UpstreamId;
use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::refusals! {
    UpstreamName = 422, "a provider's name is 1 to 60 characters";
    UpstreamAddress = 422,
        "an issuer is https://name, without query, exactly as the provider writes it";
    UpstreamClient = 422, "the client id is what the provider gave, up to 255 characters";
    UpstreamSecret = 422, "a client secret is 1 to 1024 characters of ASCII, without line ends";
    UpstreamScopes = 422, "scopes are openid and at most 20 words more";
    UpstreamClaims = 422, "a claim is named by 1 to 100 visible characters";
    UpstreamDomains = 422, "at most 100 domains, each like example.org";
    /// With what is wrong about it.
    UpstreamUnusable = 422, "the provider cannot be used";
    UpstreamAway = 424, "the provider does not answer at the moment; try again";
    UpstreamKnown = 409, "this client of this issuer is set up already";
    UpstreamsMax = 409, "a tenant has at most 20 providers"
}

pub const UPSTREAMS_MAX: i64 = 20;

pub fn router() -> Router {
    Router::new()
        .route("/upstreams", get(list).post(create))
        .route("/upstreams/{id}", get(show).put(replace).delete(remove))
        .route("/providers", get(offered))
}

/// What happens to somebody new whose address has an account here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Its owner connects the two while signed in.
    #[default]
    Confirm,
    /// That, unless nobody can come into the account yet.
    Unclaimed,
}

impl ToParam for Link {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// A provider without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    pub id: UpstreamId,
    pub name: String,
    pub issuer: String,
    pub client_id: String,
    pub scopes: Vec<String>,
    pub claim_email: String,
    pub claim_email_verified: String,
    pub claim_name: String,
    pub email_domains: Vec<String>,
    pub link: Link,
    pub registers: bool,
    pub created_at: Time,
    pub disabled_at: Option<Time>,
    pub version: i32,
}

/// What only the way to the provider needs.
#[derive(Deserialize)]
pub struct Inside {
    pub client_secret: Option<String>,
    pub metadata: Option<Value>,
    pub metadata_at: Option<Time>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    /// As people read it on the button.
    name: String,
    issuer: String,
    client_id: String,
    /// Of a change: the one that is known stays where it is absent.
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default = "usual_scopes")]
    scopes: Vec<String>,
    /// Which claims of the provider say what.
    #[serde(default)]
    claims: Claims,
    /// Addresses that may come by this way; empty is any.
    #[serde(default)]
    email_domains: Vec<String>,
    #[serde(default)]
    link: Link,
    /// Whether somebody new gets an account, if the tenant's policy allows it.
    #[serde(default)]
    registers: bool,
}

fn usual_scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Claims {
    email: String,
    email_verified: String,
    name: String,
}

impl Default for Claims {
    fn default() -> Self {
        let [email, email_verified, name] = ["email", "email_verified", "name"].map(str::to_owned);
        Self { email, email_verified, name }
    }
}

impl Draft {
    fn check(&self, origin: &str) -> Result<(), Refusal> {
        if !(1..=60).contains(&self.name.trim().chars().count())
            || self.name.contains(char::is_control)
        {
            return Err(UpstreamName.at("name"));
        }
        if !is_issuer(&self.issuer, origin) {
            return Err(UpstreamAddress.at("issuer"));
        }
        let visible = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if !visible(&self.client_id, 255) {
            return Err(UpstreamClient.at("client_id"));
        }
        // RFC 6749 appendix A.2: blanks are part of it.
        let secret = |secret: &str| {
            (1..=1024).contains(&secret.len()) && secret.bytes().all(|b| matches!(b, b' '..=b'~'))
        };
        if !self.client_secret.as_deref().is_none_or(secret) {
            return Err(UpstreamSecret.at("client_secret"));
        }
        let openid = self.scopes.iter().any(|scope| scope == "openid");
        let fits = self.scopes.iter().all(|scope| visible(scope, 200));
        if !openid || !fits || self.scopes.len() > 21 {
            return Err(UpstreamScopes.at("scopes"));
        }
        let claims = [&self.claims.email, &self.claims.email_verified, &self.claims.name];
        if claims.iter().any(|claim| !visible(claim, 100)) {
            return Err(UpstreamClaims.at("claims"));
        }
        let domains = self.email_domains.iter().all(|domain| is_domain(domain));
        match domains && self.email_domains.len() <= 100 {
            true => Ok(()),
            false => Err(UpstreamDomains.at("email_domains")),
        }
    }

    fn into_upstream(self, id: UpstreamId, created_at: Time) -> Upstream {
        Upstream {
            id,
            name: self.name.trim().to_owned(),
            issuer: self.issuer,
            client_id: self.client_id,
            scopes: self.scopes,
            claim_email: self.claims.email,
            claim_email_verified: self.claims.email_verified,
            claim_name: self.claims.name,
            email_domains: self.email_domains.iter().map(|it| it.to_ascii_lowercase()).collect(),
            link: self.link,
            registers: self.registers,
            created_at,
            disabled_at: None,
            version: 1,
        }
    }
}

/// An issuer is compared as it is written, so it has one spelling (OpenID Connect Discovery §3).
fn is_issuer(issuer: &str, origin: &str) -> bool {
    outside::may_ask(issuer, origin) && !issuer.contains(['?', '#'])
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label)
}

/// A provider as administrators see it.
#[derive(Serialize, JsonSchema)]
struct Shown {
    #[serde(flatten)]
    upstream: Upstream,
    /// To be registered at the provider, letter for letter.
    redirect_uri: String,
}

/// Where a provider sends people back to. Each has an address of its own, so that the answer of one
/// is never taken for another's (RFC 9700 §4.4.2.1).
pub fn redirect_uri(origin: &str, id: UpstreamId) -> String {
    format!("{origin}/account/sign-in/provider/{id}/callback")
}

async fn shown(by: &Ctx, upstream: Upstream) -> Result<Shown> {
    let redirect_uri = redirect_uri(&origin(by).await?, upstream.id);
    Ok(Shown { upstream, redirect_uri })
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Upstream>> {
    store::upstreams::list(by.db(), &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<UpstreamId>) -> Result<Json<Shown>> {
    let upstream = store::upstreams::find(by.db(), id).await?;
    shown(&by, upstream).await.map(Json)
}

/// The provider is asked at once, so that whoever sets it up learns what is wrong.
async fn create(by: Allowed<Manage>, Json(draft): Json<Draft>) -> Result<Created<Shown>> {
    let origin = origin(&by).await?;
    draft.check(&origin)?;
    let metadata = described(&draft.issuer, &origin).await?;
    let id: UpstreamId = by.new_id();
    let sealed = sealed(id, draft.client_secret.as_deref()).await?;
    let upstream = draft.into_upstream(id, by.now());
    let subject = by.principal().subject.clone();
    let insert = store::upstreams::insert(&upstream, sealed, &metadata, &subject, UPSTREAMS_MAX);
    by.commit([insert.or_refuse(UpstreamsMax).on_conflict_refuse("upstream_known", UpstreamKnown)])
        .await?;
    shown(&by, upstream).await.map(Created)
}

async fn replace(
    by: Allowed<Manage>,
    Path(id): Path<UpstreamId>,
    Json(draft): Json<Draft>,
) -> Result<Json<Shown>> {
    let origin = origin(&by).await?;
    draft.check(&origin)?;
    let known = store::upstreams::find(by.db(), id).await?;
    if known.issuer != draft.issuer {
        // Whom its `sub` names would be somebody else.
        return Err(standard::Conflict.because("an issuer stays; set up another provider").into());
    }
    let metadata = described(&draft.issuer, &origin).await?;
    let sealed = sealed(id, draft.client_secret.as_deref()).await?;
    let changed = draft.into_upstream(id, known.created_at);
    let replace = store::upstreams::replace(&changed, sealed, &metadata, by.now(), known.version);
    by.commit([replace.on_conflict_refuse("upstream_known", UpstreamKnown)]).await?;
    let upstream = store::upstreams::find(by.db(), id).await?;
    shown(&by, upstream).await.map(Json)
}

/// Nobody comes by it any more; who is who stays known.
async fn remove(by: Allowed<Manage>, Path(id): Path<UpstreamId>) -> Result<NoContent> {
    store::upstreams::find(by.db(), id).await?;
    by.commit([store::upstreams::disable(id, by.now())]).await
}

async fn sealed(id: UpstreamId, secret: Option<&str>) -> Result<Option<String>> {
    match secret {
        Some(secret) => peers::seal(id, secret).await.map(Some),
        None => Ok(None),
    }
}

async fn described(issuer: &str, origin: &str) -> Result<Value> {
    let described = provider::describe(issuer, origin).await;
    described.map_err(|silence| unusable(&silence).into())
}

/// What is told of a provider that does not say what it should.
pub fn unusable(silence: &Silence) -> Refusal {
    match silence {
        Silence::Away(_) => UpstreamAway,
        Silence::Wrong(why) => {
            UpstreamUnusable.because(format!("{}: {why}", UpstreamUnusable.sentence))
        }
    }
}

/// A button on the sign-in page.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Offered {
    pub id: UpstreamId,
    pub name: String,
}

/// Few, so there is no cursor.
async fn offered(by: Public) -> Result<Json<Vec<Offered>>> {
    store::upstreams::offered(by.db()).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(changed: Value) -> Draft {
        let mut draft = json!({
            "name": "Example", "issuer": "https://id.example", "client_id": "nexus",
        });
        draft.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        serde_json::from_value(draft).unwrap()
    }

    #[test]
    fn a_provider_is_set_up_with_what_it_can_be_known_by() {
        let check = |changed| draft(changed).check("https://nexus.example").map_err(|it| it.name);
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(check(json!({ "email_domains": ["example.org"] })), Ok(()));
        assert_eq!(check(json!({ "client_secret": "two words: 1/+" })), Ok(()));
        for (changed, refusal) in [
            (json!({ "name": " " }), "UpstreamName"),
            (json!({ "name": "a\r\nb" }), "UpstreamName"),
            (json!({ "issuer": "http://id.example" }), "UpstreamAddress"),
            (json!({ "issuer": "https://id.example?tenant=1" }), "UpstreamAddress"),
            (json!({ "issuer": "https://169.254.169.254" }), "UpstreamAddress"),
            (json!({ "issuer": "file:///etc/passwd" }), "UpstreamAddress"),
            (json!({ "client_id": "" }), "UpstreamClient"),
            (json!({ "client_secret": "a\nb" }), "UpstreamSecret"),
            (json!({ "scopes": ["email"] }), "UpstreamScopes"),
            (json!({ "claims": { "email": "" } }), "UpstreamClaims"),
            (json!({ "email_domains": ["example"] }), "UpstreamDomains"),
            (json!({ "email_domains": ["@example.org"] }), "UpstreamDomains"),
        ] {
            assert_eq!(check(changed.clone()), Err(refusal), "{changed}");
        }
    }

    #[test]
    fn nobody_is_connected_in_silence_where_nothing_is_said() {
        let draft = draft(json!({}));
        assert_eq!(draft.link, Link::Confirm);
        assert!(!draft.registers);
    }
}
