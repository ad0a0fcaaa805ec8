//! Clients: the programs that let people sign in here. Made and changed by those who may; a secret
//! is shown once and exchanged with an overlap.

use crate::oauth::{Denied, OauthError, Parameters, invalid_client};
use crate::redirects::{self, RedirectForm};
use crate::{Manage, View, jose, origin, outside, proofs, secrets, store};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity_contract::ClientId;
use identity_contract::auth::ClientRegistered;
use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::refusals! {
    ClientName = 422, "a client's name is 1 to 120 characters";
    GrantTypes = 422,
        "grant types are authorization_code, refresh_token, client_credentials, \
         urn:ietf:params:oauth:grant-type:device_code and \
         urn:ietf:params:oauth:grant-type:token-exchange; only a confidential client acts for \
         itself or exchanges tokens";
    ListTooLong = 422, "at most 20 addresses, and 100 scopes or permissions";
    ScopeForm = 422, "a scope is service:verb, service:* or *";
    ScopeNotHeld = 403, "a client may not be given what you may not do yourself";
    PublicClient = 409, "this client has no secret";
    ClientProof = 422,
        "a public client proves itself by none; a confidential one by client_secret_basic, \
         client_secret_post or private_key_jwt";
    ClientKeys = 422,
        "private_key_jwt takes either jwks (1 to 10 public keys for ES256, EdDSA or RS256) or \
         jwks_uri (https, by name)"
}

pub const AUTHORIZATION_CODE: &str = "authorization_code";
pub const REFRESH_TOKEN: &str = "refresh_token";
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const GRANT_TYPES: [&str; 5] =
    [AUTHORIZATION_CODE, REFRESH_TOKEN, CLIENT_CREDENTIALS, DEVICE_CODE, TOKEN_EXCHANGE];
/// What a client is given by somebody who may, and never takes by itself.
pub const NEEDS_LEAVE: [&str; 2] = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE];

const ADDRESSES_MAX: usize = 20;
const WORDS_MAX: usize = 100;
const KEYS_MAX: usize = 10;

pub fn router() -> Router {
    Router::new()
        .route("/clients", get(list).post(create))
        .route("/clients/{id}", get(show).put(replace).delete(remove))
        .route("/clients/{id}/secret", post(exchange_secret))
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    Confidential,
    Public,
}

impl ToParam for ClientKind {
    fn to_param(&self) -> nexus_sdk::Param {
        word(self)
    }
}

/// How a client proves that it is itself (RFC 7591 §2, OpenID Connect Core §9). Of the two ways to
/// send a secret either is taken from whoever has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

impl AuthMethod {
    pub fn has_secret(self) -> bool {
        matches!(self, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
    }
}

impl ToParam for AuthMethod {
    fn to_param(&self) -> nexus_sdk::Param {
        word(self)
    }
}

/// How a client's ID tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum IdTokenAlg {
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "RS256")]
    Rs256,
}

impl IdTokenAlg {
    pub fn name(self) -> &'static str {
        match self {
            IdTokenAlg::Es256 => "ES256",
            IdTokenAlg::Rs256 => "RS256",
        }
    }
}

impl ToParam for IdTokenAlg {
    fn to_param(&self) -> nexus_sdk::Param {
        word(self)
    }
}

/// A client without its secret.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Client {
    pub id: ClientId,
    pub name: String,
    pub kind: ClientKind,
    pub redirect_uris: Vec<String>,
    pub post_logout_redirect_uris: Vec<String>,
    pub grant_types: Vec<String>,
    pub scopes: Vec<String>,
    pub permissions: Vec<String>,
    pub trusted: bool,
    pub require_pushed: bool,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub terms_uri: Option<String>,
    pub logout_uri: Option<String>,
    pub auth_method: AuthMethod,
    pub jwks: Option<Value>,
    pub jwks_uri: Option<String>,
    pub id_token_alg: IdTokenAlg,
    pub dpop_bound: bool,
    pub created_at: Time,
    pub disabled_at: Option<Time>,
    pub version: i32,
}

/// What proves that a confidential client is itself.
#[derive(Deserialize)]
pub struct Proof {
    pub secret_digest: Option<Vec<u8>>,
    pub old_secret_digest: Option<Vec<u8>>,
    pub old_secret_until: Option<Time>,
    /// Of the token by which it looks after itself (RFC 7592).
    pub registration_digest: Option<Vec<u8>>,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub name: String,
    pub kind: ClientKind,
    /// Compared letter for letter; on the loopback address the port is free.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    #[serde(default = "code_and_refresh")]
    pub grant_types: Vec<String>,
    /// Permissions that it may ask people for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What it may do by itself.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// The installation's own: people are not asked whether they agree.
    #[serde(default)]
    pub trusted: bool,
    /// Only requests that were pushed (RFC 9126) are taken.
    #[serde(default)]
    pub require_pushed: bool,
    #[serde(default)]
    pub logo_uri: Option<String>,
    #[serde(default)]
    pub policy_uri: Option<String>,
    #[serde(default)]
    pub terms_uri: Option<String>,
    /// Where it is told that a session is over (OpenID Connect Back-Channel Logout).
    #[serde(default)]
    pub logout_uri: Option<String>,
    /// Where it is absent: a secret for a confidential client, nothing for a public one.
    #[serde(default)]
    pub auth_method: Option<AuthMethod>,
    /// Public keys (RFC 7517) by which it proves itself.
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Where they are.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    #[serde(default)]
    pub id_token_alg: IdTokenAlg,
    /// It gets tokens only with a proof of its key (RFC 9449).
    #[serde(default)]
    pub dpop_bound: bool,
}

fn code_and_refresh() -> Vec<String> {
    vec![AUTHORIZATION_CODE.into(), REFRESH_TOKEN.into()]
}

impl Draft {
    pub fn method(&self) -> AuthMethod {
        self.auth_method.unwrap_or(match self.kind {
            ClientKind::Public => AuthMethod::None,
            ClientKind::Confidential => AuthMethod::ClientSecretBasic,
        })
    }

    /// Refuses what no client may be, and what whoever makes it `may` not give.
    pub fn check(&self, may: impl Fn(&str) -> bool, origin: &str) -> Result<()> {
        if !(1..=120).contains(&self.name.trim().chars().count()) {
            return Err(ClientName.at("name").into());
        }
        let needs_proof = self.grant_types.iter().any(|it| NEEDS_LEAVE.contains(&it.as_str()));
        let unknown = self.grant_types.iter().any(|grant| !GRANT_TYPES.contains(&grant.as_str()));
        if unknown || self.grant_types.is_empty() || needs_proof && self.kind == ClientKind::Public
        {
            return Err(GrantTypes.at("grant_types").into());
        }
        self.check_addresses()?;
        self.check_keys(origin)?;
        for (field, words) in [("scopes", &self.scopes), ("permissions", &self.permissions)] {
            if words.len() > WORDS_MAX {
                return Err(ListTooLong.at(field).into());
            }
            if words.iter().any(|word| !is_permission(word)) {
                return Err(ScopeForm.at(field).into());
            }
            if words.iter().any(|word| !may(word)) {
                return Err(ScopeNotHeld.at(field).into());
            }
        }
        Ok(())
    }

    fn check_keys(&self, origin: &str) -> Result<(), Refusal> {
        let public = self.kind == ClientKind::Public;
        if public != (self.method() == AuthMethod::None) {
            return Err(ClientProof.at("auth_method"));
        }
        let keys = self.jwks.as_ref().is_none_or(|set| jose::is_key_set(set, KEYS_MAX));
        let address = self.jwks_uri.as_ref().is_none_or(|uri| outside::may_ask(uri, origin));
        let some = usize::from(self.jwks.is_some()) + usize::from(self.jwks_uri.is_some());
        let fits = match self.method() {
            AuthMethod::PrivateKeyJwt => some == 1,
            _ => some <= 1,
        };
        match (keys, address && fits) {
            (true, true) => Ok(()),
            (false, _) => Err(ClientKeys.at("jwks")),
            (_, false) => Err(ClientKeys.at("jwks_uri")),
        }
    }

    fn check_addresses(&self) -> Result<()> {
        let lists = [
            ("redirect_uris", &self.redirect_uris),
            ("post_logout_redirect_uris", &self.post_logout_redirect_uris),
        ];
        for (field, addresses) in lists {
            if addresses.len() > ADDRESSES_MAX {
                return Err(ListTooLong.at(field).into());
            }
            if !addresses.iter().all(|address| redirects::is_registrable(address)) {
                return Err(RedirectForm.at(field).into());
            }
        }
        let shown = [
            ("logo_uri", &self.logo_uri),
            ("policy_uri", &self.policy_uri),
            ("terms_uri", &self.terms_uri),
            ("logout_uri", &self.logout_uri),
        ];
        for (field, address) in shown {
            let https = |address: &String| {
                address.starts_with("https://") && redirects::is_registrable(address)
            };
            if address.as_ref().is_some_and(|address| !https(address)) {
                return Err(RedirectForm.at(field).into());
            }
        }
        Ok(())
    }

    pub fn into_client(self, id: ClientId, created_at: Time) -> Client {
        let auth_method = self.method();
        Client {
            id,
            name: self.name.trim().to_owned(),
            kind: self.kind,
            redirect_uris: self.redirect_uris,
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            grant_types: self.grant_types,
            scopes: self.scopes,
            permissions: self.permissions,
            trusted: self.trusted,
            require_pushed: self.require_pushed,
            logo_uri: self.logo_uri,
            policy_uri: self.policy_uri,
            terms_uri: self.terms_uri,
            logout_uri: self.logout_uri,
            auth_method,
            jwks: self.jwks,
            jwks_uri: self.jwks_uri,
            id_token_alg: self.id_token_alg,
            dpop_bound: self.dpop_bound,
            created_at,
            disabled_at: None,
            version: 1,
        }
    }
}

/// As the platform writes permissions.
fn is_permission(word: &str) -> bool {
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text.len() <= 62
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b))
    };
    word == "*"
        || word.split_once(':').is_some_and(|(service, verb)| {
            plain(service, b"-") && (verb == "*" || plain(verb, b"_.:-"))
        })
}

/// A client that was made, with its secret.
#[derive(Serialize, JsonSchema)]
pub struct NewClient {
    #[serde(flatten)]
    pub client: Client,
    /// It is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Client>> {
    store::clients::list(by.db(), &cursor).await
}

async fn show(by: Allowed<View>, Path(id): Path<ClientId>) -> Result<Json<Client>> {
    store::clients::find(by.db(), id).await.map(Json)
}

async fn create(
    by: Allowed<Manage>,
    Json(draft): Json<Draft>,
) -> Result<Secret<Created<NewClient>>> {
    register(&by, draft, None).await.map(|client| Secret(Created(client)))
}

/// Makes a client for whoever may. With `registration`, whoever knows that can change it.
pub async fn register(by: &Ctx, draft: Draft, registration: Option<Vec<u8>>) -> Result<NewClient> {
    draft.check(|word| by.principal().may(word), &origin(by).await?)?;
    let client = draft.into_client(by.new_id(), by.now());
    let secret = client.auth_method.has_secret().then(|| secrets::fresh("nxc_"));
    let digest = secret.as_deref().map(secrets::digest);
    let event = ClientRegistered { client: client.id, name: client.name.clone() };
    let insert = store::clients::insert(&client, digest, registration, &by.principal().subject);
    by.commit([insert, emit(event)]).await?;
    Ok(NewClient { client, client_secret: secret })
}

async fn replace(
    by: Allowed<Manage>,
    Path(id): Path<ClientId>,
    Json(draft): Json<Draft>,
) -> Result<Json<Client>> {
    draft.check(|word| by.principal().may(word), &origin(&by).await?)?;
    let known = store::clients::find(by.db(), id).await?;
    if known.kind != draft.kind {
        return Err(standard::Conflict.because("a client stays of its kind").into());
    }
    let changed = draft.into_client(id, known.created_at);
    by.commit([store::clients::replace(&changed, known.version)]).await?;
    store::clients::find(by.db(), id).await.map(Json)
}

async fn remove(by: Allowed<Manage>, Path(id): Path<ClientId>) -> Result<NoContent> {
    store::clients::find(by.db(), id).await?;
    by.commit([store::clients::disable(id, by.now())]).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Exchange {
    /// For how long the secret before this one is taken, too: 0 to 168.
    overlap_hours: i32,
}

impl Default for Exchange {
    fn default() -> Self {
        Self { overlap_hours: 24 }
    }
}

async fn exchange_secret(
    by: Allowed<Manage>,
    Path(id): Path<ClientId>,
    Json(exchange): Json<Exchange>,
) -> Result<Secret<Json<NewClient>>> {
    let client = store::clients::find(by.db(), id).await?;
    if !client.auth_method.has_secret() {
        return Err(PublicClient.into());
    }
    let secret = secrets::fresh("nxc_");
    let until = by.now() + hours(exchange.overlap_hours.clamp(0, 168));
    by.commit([store::clients::exchange_secret(id, &secrets::digest(&secret), until)]).await?;
    Ok(Secret(Json(NewClient { client, client_secret: Some(secret) })))
}

/// Who a protocol request comes from (RFC 6749 §2.3): a header, fields of the form, or an
/// assertion; never two of them.
///
/// # Errors
/// `invalid_client`, without telling an unknown client from a wrong secret.
pub async fn authenticate(
    by: &Ctx,
    headers: &HeaderMap,
    form: &Parameters,
) -> Result<Client, Denied> {
    let refused = || invalid_client("the client is unknown, or has not proven that it is itself");
    if let Some((id, token)) = proofs::claimed_by(form)? {
        if form.get("client_secret").is_some() || basic(headers).is_some() {
            return Err(invalid_client("the client proves itself in one way only").into());
        }
        let known = store::clients::find_active(by.db(), id).await?;
        let client = known.filter(|client| client.auth_method == AuthMethod::PrivateKeyJwt);
        let client = client.ok_or_else(refused)?;
        proofs::assertion(by, &client, &token).await?;
        return Ok(client);
    }
    let (id, secret) = credentials(headers, form)?;
    let id: ClientId = id.parse().map_err(|_| refused())?;
    let known = store::clients::find_active(by.db(), id).await?;
    let Some(client) = known else { return Err(refused().into()) };
    let proof = store::clients::proof(by.db(), id).await?;
    let secretly = client.auth_method.has_secret();
    match (client.auth_method, secret) {
        (AuthMethod::None, None) => Ok(client),
        (_, Some(secret)) if secretly && proof.takes(&secret, by.now()) => Ok(client),
        _ => Err(refused().into()),
    }
}

impl Proof {
    pub fn takes(&self, secret: &str, now: Time) -> bool {
        let old = self.old_secret_digest.as_ref();
        let old = old.filter(|_| self.old_secret_until.is_some_and(|until| now < until));
        // Both are compared, so that time does not tell which one it was.
        let mut right = false;
        for digest in [self.secret_digest.as_ref(), old].into_iter().flatten() {
            right |= secrets::is(secret, digest);
        }
        right
    }
}

/// What follows `Basic` in the header.
fn basic(headers: &HeaderMap) -> Option<&str> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(rest.trim())
}

fn credentials(
    headers: &HeaderMap,
    form: &Parameters,
) -> Result<(String, Option<String>), OauthError> {
    let Some(basic) = basic(headers) else {
        let id = form.get("client_id").ok_or_else(|| invalid_client("client_id is missing"))?;
        return Ok((id.to_owned(), form.get("client_secret").map(str::to_owned)));
    };
    if form.get("client_secret").is_some() {
        return Err(invalid_client("the client proves itself in one way only"));
    }
    let unreadable = || invalid_client("the authorization header cannot be read");
    let decoded = STANDARD.decode(basic).map_err(|_| unreadable())?;
    let decoded = String::from_utf8(decoded).map_err(|_| unreadable())?;
    let (id, secret) = decoded.split_once(':').ok_or_else(unreadable)?;
    // Both are form-encoded before they are joined (RFC 6749 §2.3.1).
    let plain = |text: &str| {
        let text = text.replace('+', "%20");
        form_urlencoded::parse(format!("v={text}").replace('&', "%26").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let (id, secret) = (plain(id), plain(secret));
    if form.get("client_id").is_some_and(|named| named != id) {
        return Err(invalid_client("client_id names another client"));
    }
    Ok((id, Some(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_basic(text: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(text));
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_client_names_itself_in_the_header_or_in_the_form_but_not_in_both() {
        let empty = Parameters::default();
        let (id, secret) = credentials(&with_basic("a%2Bb:s%3A%26+1"), &empty).unwrap();
        assert_eq!((id.as_str(), secret.as_deref()), ("a+b", Some("s:& 1")));
        let form = Parameters::parse(b"client_id=a&client_secret=s").unwrap();
        assert_eq!(credentials(&HeaderMap::new(), &form), Ok(("a".into(), Some("s".into()))));
        let public = Parameters::parse(b"client_id=a").unwrap();
        assert_eq!(credentials(&HeaderMap::new(), &public), Ok(("a".into(), None)));
        for (headers, form) in [
            (with_basic("a:s"), &b"client_secret=s"[..]),
            (with_basic("a:s"), b"client_id=b"),
            (with_basic("a"), b""),
            (HeaderMap::new(), b""),
        ] {
            let form = Parameters::parse(form).unwrap();
            assert_eq!(credentials(&headers, &form).unwrap_err().code, "invalid_client");
        }
    }

    #[test]
    fn the_secret_before_is_taken_until_its_overlap_ends() {
        let now: Time = "2026-01-01T00:00:00Z".parse().unwrap();
        let proof = Proof {
            secret_digest: Some(secrets::digest("new")),
            old_secret_digest: Some(secrets::digest("old")),
            old_secret_until: Some(now),
            registration_digest: None,
        };
        assert!(proof.takes("new", now) && proof.takes("old", now - hours(1)));
        assert!(!proof.takes("old", now) && !proof.takes("other", now - hours(1)));
    }

    #[test]
    fn a_client_with_a_key_shows_exactly_one_place_where_its_public_half_is() {
        let check = |changed: Value| {
            let mut draft = json!({ "name": "Shop", "kind": "confidential" });
            draft.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            let draft: Draft = serde_json::from_value(draft).unwrap();
            match draft.check(|_| true, "https://nexus.example") {
                Ok(()) => None,
                Err(Error::Refused(refusal)) => Some(refusal.name),
                Err(other) => panic!("{other}"),
            }
        };
        let key = json!({ "kty": "OKP", "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let set = json!({ "keys": [key] });
        let by_key = |more: Value| {
            let mut draft = json!({ "auth_method": "private_key_jwt" });
            draft.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            draft
        };
        assert_eq!(check(by_key(json!({ "jwks": set }))), None);
        assert_eq!(check(by_key(json!({ "jwks_uri": "https://shop.example/jwks" }))), None);
        let mut private = key.clone();
        private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
        for (changed, refusal) in [
            (by_key(json!({})), "ClientKeys"),
            (by_key(json!({ "jwks": set, "jwks_uri": "https://shop.example/jwks" })), "ClientKeys"),
            (by_key(json!({ "jwks_uri": "https://127.0.0.1/jwks" })), "ClientKeys"),
            (by_key(json!({ "jwks": { "keys": [] } })), "ClientKeys"),
            (by_key(json!({ "jwks": { "keys": [private] } })), "ClientKeys"),
            (json!({ "auth_method": "none" }), "ClientProof"),
            (json!({ "kind": "public", "auth_method": "client_secret_basic" }), "ClientProof"),
            (json!({ "kind": "public", "grant_types": [TOKEN_EXCHANGE] }), "GrantTypes"),
        ] {
            assert_eq!(check(changed.clone()), Some(refusal), "{changed}");
        }
    }

    #[test]
    fn scopes_are_written_as_permissions_are() {
        for good in ["*", "catalog:*", "catalog:view", "session-mgr:manage", "a:b_c.d:e"] {
            assert!(is_permission(good), "{good}");
        }
        for bad in ["", "catalog", ":view", "catalog:", "Catalog:view", "catalog:vi*", "a b:c"] {
            assert!(!is_permission(bad), "{bad}");
        }
    }
}
