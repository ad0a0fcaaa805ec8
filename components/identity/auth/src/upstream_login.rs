//! Signing in by a provider: people are sent there with a question that only their own browser can
//! bring the answer to, and come back as somebody. Who that is here is decided once, in the open:
//! an address alone connects nobody to an account that somebody else can come into.

use crate::outside::Silence;
use crate::peers::{self, Entered};
use crate::provider::{self, Expected, Metadata, Registered};
use crate::upstreams::{Link, Upstream, UpstreamAway, redirect_uri, unusable};
use crate::{origin, outside, redirects, secrets, store};
use identity_contract::auth::{UpstreamId, UpstreamLinked};
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

nexus_sdk::refusals! {
    ProviderUnknown = 404, "there is no such provider";
    FlowOver = 410,
        "this sign-in began in another browser, took too long, or is over already: start again";
    ProviderDenied = 403, "the provider has not let you in";
    /// With what is wrong about it.
    AnswerUnbelieved = 403, "what the provider answered cannot be believed";
    EmailUnproven = 403,
        "the provider does not vouch for an e-mail address that may be used here";
    AccountExists = 409,
        "there is an account with this address: sign in to it, and connect the provider under \
         Security";
    AccountNeeded = 403, "there is no account for you yet: create one first";
    AlreadyLinked = 409, "this is connected already, to this account or another one";
    SessionNeeded = 403, "this is done by a person who is signed in"
}

/// As long as it takes to find a password at the provider.
const FLOW_MINUTES: i32 = 10;
/// Discovery documents change with moves, which are announced.
const METADATA_HOURS: i32 = 1;
/// A proof that is older connects no account to another.
const RECENT_MINUTES: i32 = 10;
const RETURN_BYTES_MAX: usize = 1024;

pub fn router() -> Router {
    Router::new()
        .route("/providers/{id}/sign-ins", post(begin))
        .route("/providers/{id}/links", post(begin_link))
        .route("/providers/{id}/callback", post(callback))
}

/// Somebody who was sent to a provider.
#[derive(Deserialize)]
pub struct Flow {
    pub upstream_id: UpstreamId,
    pub browser_digest: Vec<u8>,
    pub subject: Option<String>,
    pub return_to: Option<String>,
    pub expires_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// A path of ours.
    #[serde(default)]
    return_to: Option<String>,
}

impl Wish {
    fn path(self) -> Option<String> {
        let own = |path: &String| {
            path.starts_with('/')
                && !path.starts_with("//")
                && path.len() <= RETURN_BYTES_MAX
                && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        };
        self.return_to.filter(own)
    }
}

#[derive(Serialize, JsonSchema)]
struct Onward {
    /// Where the browser goes next: to the provider.
    redirect_to: String,
}

async fn begin(by: Public, Path(id): Path<UpstreamId>, Json(wish): Json<Wish>) -> Result<Response> {
    sent(&by, id, None, wish.path()).await
}

/// Only somebody who has just proven to be the owner of an account connects it.
async fn begin_link(
    by: SignedIn,
    Path(id): Path<UpstreamId>,
    Json(wish): Json<Wish>,
) -> Result<Response> {
    let subject = by.in_person()?.to_owned();
    if by.principal().session.is_none() {
        return Err(SessionNeeded.into());
    }
    by.recently(minutes(RECENT_MINUTES))?;
    sent(&by, id, Some(subject), wish.path()).await
}

/// Sends a browser to a provider (RFC 9700 §2.1): `state` is known here by its digest alone, and
/// what the answer is checked by follows from it and from the secret in the browser's cookie.
async fn sent(
    by: &Ctx,
    id: UpstreamId,
    subject: Option<String>,
    return_to: Option<String>,
) -> Result<Response> {
    let origin = origin(by).await?;
    let upstream = store::upstreams::find_active(by.db(), id).await?.ok_or(ProviderUnknown)?;
    let metadata = metadata(by, &upstream, &origin).await?;
    let (state, browser) = (secrets::fresh(""), secrets::fresh(""));
    let flow = Flow {
        upstream_id: id,
        browser_digest: secrets::digest(&browser),
        subject,
        return_to,
        expires_at: by.now() + minutes(FLOW_MINUTES),
    };
    by.commit([store::upstreams::insert_flow(&secrets::digest(&state), &flow)]).await?;
    let verifier = secrets::derived(&browser, "verifier", &state);
    let address = redirect_uri(&origin, id);
    let redirect_to = redirects::with(
        &metadata.authorization_endpoint,
        &[
            ("response_type", "code"),
            ("client_id", &upstream.client_id),
            ("redirect_uri", &address),
            ("scope", &upstream.scopes.join(" ")),
            ("state", &state),
            ("nonce", &secrets::derived(&browser, "nonce", &state)),
            ("code_challenge", &secrets::challenge_of(&verifier)),
            ("code_challenge_method", "S256"),
        ],
    );
    let mut response = Secret(Json(Onward { redirect_to })).into_response();
    let cookie = cookie(&origin, &browser, i64::from(FLOW_MINUTES) * 60)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// What the provider says of itself; asked again once an hour.
async fn metadata(by: &Ctx, upstream: &Upstream, origin: &str) -> Result<Metadata> {
    let inside = store::upstreams::inside(by.db(), upstream.id).await?;
    let fresh = inside.metadata_at.is_some_and(|at| by.now() < at + hours(METADATA_HOURS));
    let document = match inside.metadata.filter(|_| fresh) {
        Some(document) => document,
        None => {
            let told = provider::describe(&upstream.issuer, origin).await;
            let document = told.map_err(|silence| unusable(&silence))?;
            let keep = store::upstreams::keep_metadata(upstream.id, &document, by.now());
            by.aside().commit([keep]).await?;
            document
        }
    };
    let metadata = Metadata::read(&document, &upstream.issuer, origin);
    Ok(metadata.map_err(|silence| unusable(&silence))?)
}

fn cookie_name(origin: &str) -> &'static str {
    // `__Host-`: only over TLS, only for this host, not to be planted by a neighbour.
    match origin.starts_with("https:") {
        true => "__Host-nexus-provider",
        false => "nexus-provider",
    }
}

/// `Lax`: it comes along when the provider sends the person back, and with nothing else of its.
fn cookie(origin: &str, secret: &str, seconds: i64) -> Result<HeaderValue> {
    let name = cookie_name(origin);
    let secure = if origin.starts_with("https:") { "; Secure" } else { "" };
    let text =
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={seconds}");
    Ok(HeaderValue::try_from(text).context("write a cookie")?)
}

/// The secret of this browser; none where there are several, which somebody else has planted.
fn browser_secret<'h>(headers: &'h HeaderMap, origin: &str) -> Option<&'h str> {
    let name = cookie_name(origin);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs =
        values.flat_map(|value| value.split(';')).filter_map(|it| it.trim().split_once('='));
    let mut ours = pairs.filter(|(known, _)| *known == name).map(|(_, secret)| secret);
    match (ours.next(), ours.next()) {
        (Some(secret), None) => Some(secret),
        _ => None,
    }
}

/// What the provider sent along with the person (RFC 6749 §4.1.2, RFC 9207).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Brought {
    state: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

async fn callback(
    by: Public,
    headers: HeaderMap,
    Path(id): Path<UpstreamId>,
    Json(brought): Json<Brought>,
) -> Result<Response> {
    let origin = origin(&by).await?;
    let browser = browser_secret(&headers, &origin).ok_or(FlowOver)?;
    let flow = taken(&by, id, browser, &brought.state).await?;
    let upstream = store::upstreams::find_active(by.db(), id).await?.ok_or(ProviderUnknown)?;
    let metadata = metadata(&by, &upstream, &origin).await?;
    // Before anything else is looked at: whose answer it is (mix-up, RFC 9207 §2.4).
    match brought.iss.as_deref() {
        Some(issuer) if issuer != upstream.issuer => {
            return Err(unbelieved("it came from another issuer").into());
        }
        None if metadata.authorization_response_iss_parameter_supported => {
            return Err(unbelieved("it does not say whose it is").into());
        }
        _ => {}
    }
    let code = brought.code.filter(|_| brought.error.is_none()).ok_or(ProviderDenied)?;
    let asked = Asked { origin: &origin, browser, state: &brought.state };
    let claims = claims(&by, &upstream, &metadata, &asked, &code).await?;
    let sub = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    let mut response = match &flow.subject {
        Some(subject) => linked(&by, &upstream, sub, subject).await?,
        None => entered(&by, &headers, &upstream, sub, &claims).await?,
    };
    response.value.insert("return_to".into(), json!(flow.return_to));
    let mut answer = Secret(Json(response.value)).into_response();
    for cookie in response.cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer.headers_mut().append(header::SET_COOKIE, cookie(&origin, "", 0)?);
    Ok(answer)
}

fn unbelieved(why: &str) -> Refusal {
    AnswerUnbelieved.because(format!("{}: {why}", AnswerUnbelieved.sentence))
}

/// The flow of this browser and this provider, spent.
async fn taken(by: &Ctx, id: UpstreamId, browser: &str, state: &str) -> Result<Flow> {
    let digest = secrets::digest(state);
    let flow = store::upstreams::flow(by.db(), &digest, by.now()).await?;
    let ours = |flow: &Flow| flow.upstream_id == id && secrets::is(browser, &flow.browser_digest);
    let flow = flow.filter(ours).ok_or(FlowOver)?;
    by.aside().commit([store::upstreams::take_flow(&digest).or_refuse(FlowOver)]).await?;
    Ok(flow)
}

/// What the question was made of.
struct Asked<'a> {
    origin: &'a str,
    browser: &'a str,
    state: &'a str,
}

async fn claims(
    by: &Ctx,
    upstream: &Upstream,
    metadata: &Metadata,
    asked: &Asked<'_>,
    code: &str,
) -> Result<Map<String, Value>> {
    let inside = store::upstreams::inside(by.db(), upstream.id).await?;
    let client_secret = match &inside.client_secret {
        Some(sealed) => Some(peers::unseal(upstream.id, sealed).await?),
        None => None,
    };
    let registered = Registered {
        client_id: &upstream.client_id,
        client_secret: client_secret.as_deref(),
        redirect_uri: &redirect_uri(asked.origin, upstream.id),
    };
    let verifier = secrets::derived(asked.browser, "verifier", asked.state);
    let tokens = provider::redeem(metadata, &registered, code, &verifier, asked.origin);
    let tokens = tokens.await.map_err(|silence| unanswered(&silence))?;
    let keys = provider::keys(metadata, asked.origin);
    let keys = keys.await.map_err(|silence| unanswered(&silence))?;
    let expected = Expected {
        issuer: &upstream.issuer,
        client_id: &upstream.client_id,
        nonce: &secrets::derived(asked.browser, "nonce", asked.state),
        access_token: tokens.access_token.as_deref(),
        now: by.now().timestamp(),
    };
    let mut claims = provider::believed(&tokens.id_token, &keys, &expected).map_err(unbelieved)?;
    if let (Some(endpoint), Some(token), false) = (
        &metadata.userinfo_endpoint,
        &tokens.access_token,
        claims.contains_key(&upstream.claim_email),
    ) {
        let more = outside::read_as(endpoint, asked.origin, token).await;
        add(&mut claims, more.map_err(|silence| unanswered(&silence))?);
    }
    Ok(claims)
}

/// What the provider's userinfo adds, if it is about the same person (OpenID Connect Core §5.3.2).
fn add(claims: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more
        && more.get("sub") == claims.get("sub")
    {
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
    }
}

fn unanswered(silence: &Silence) -> Refusal {
    match silence {
        Silence::Away(_) => UpstreamAway,
        Silence::Wrong(why) => unbelieved(why),
    }
}

/// An address that the provider vouches for and that may come by this way.
fn proven_email<'c>(upstream: &Upstream, claims: &'c Map<String, Value>) -> Option<&'c str> {
    let email = claims.get(&upstream.claim_email)?.as_str()?;
    // Some write the word.
    let verified = claims
        .get(&upstream.claim_email_verified)
        .is_some_and(|it| *it == Value::Bool(true) || it == "true");
    let (_, domain) = email.rsplit_once('@')?;
    let domain = domain.to_ascii_lowercase();
    let admitted = upstream.email_domains.is_empty()
        || upstream.email_domains.iter().any(|known| *known == domain);
    (verified && admitted).then_some(email)
}

/// Whoever signs in: known from before, new, or with an address that has an account already.
async fn entered(
    by: &Ctx,
    headers: &HeaderMap,
    upstream: &Upstream,
    sub: &str,
    claims: &Map<String, Value>,
) -> Result<Entered> {
    let email = proven_email(upstream, claims);
    if !upstream.email_domains.is_empty() && email.is_none() {
        return Err(EmailUnproven.into());
    }
    if let Some(subject) = store::upstreams::subject_of(by.db(), upstream.id, sub).await? {
        let entered = peers::enter(&subject, headers, false).await?;
        by.commit([store::upstreams::used(upstream.id, sub, by.now())]).await?;
        return Ok(entered);
    }
    let email = email.ok_or(EmailUnproven)?;
    let (subject, unclaimed) = match peers::person_of_address(email).await? {
        None if upstream.registers => {
            let name = claims.get(&upstream.claim_name).and_then(Value::as_str);
            (peers::register(email, name).await?, false)
        }
        None => return Err(AccountNeeded.into()),
        Some(known) => {
            let open = upstream.link == Link::Unclaimed
                && !store::upstreams::is_linked(by.db(), &known).await?;
            (Some(known).filter(|_| open).ok_or(AccountExists)?, true)
        }
    };
    let entered = peers::enter(&subject, headers, unclaimed).await?;
    by.commit(link(by, upstream, sub, &subject)).await?;
    Ok(entered)
}

fn link(by: &Ctx, upstream: &Upstream, sub: &str, subject: &str) -> [Write; 2] {
    [
        store::upstreams::link(upstream.id, sub, subject, by.now())
            .on_conflict_refuse("identity_sub", AlreadyLinked)
            .on_conflict_refuse("identity_subject", AlreadyLinked),
        emit(UpstreamLinked { upstream: upstream.id, subject: subject.to_owned() }),
    ]
}

/// The owner of an account, still signed in to it, has come back from the provider.
async fn linked(by: &Ctx, upstream: &Upstream, sub: &str, subject: &str) -> Result<Entered> {
    if by.principal().session.is_none() || by.principal().subject != subject {
        return Err(FlowOver.into());
    }
    by.commit(link(by, upstream, sub, subject)).await?;
    let value = Map::from_iter([("state".to_owned(), "linked".into())]);
    Ok(Entered { value, cookies: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(domains: &[&str]) -> Upstream {
        serde_json::from_value(json!({
            "id": Uuid::nil(), "name": "Example", "issuer": "https://id.example",
            "client_id": "nexus", "scopes": ["openid"], "claim_email": "email",
            "claim_email_verified": "email_verified", "claim_name": "name",
            "email_domains": domains, "link": "confirm", "registers": true,
            "created_at": "2026-01-01T00:00:00Z", "disabled_at": null, "version": 1,
        }))
        .unwrap()
    }

    #[test]
    fn only_an_address_that_the_provider_vouches_for_counts() {
        let proven = |domains: &[&str], claims: Value| {
            let claims = claims.as_object().unwrap().clone();
            proven_email(&upstream(domains), &claims).map(str::to_owned)
        };
        let ada =
            |verified: Value| json!({ "email": "ada@Example.org", "email_verified": verified });
        assert!(proven(&[], ada(json!(true))).is_some());
        assert!(proven(&[], ada(json!("true"))).is_some());
        assert!(proven(&["example.org"], ada(json!(true))).is_some());
        for (domains, claims) in [
            (&[][..], ada(json!(false))),
            (&[], ada(json!("yes"))),
            (&[], ada(json!(1))),
            (&[], json!({ "email": "ada@example.org" })),
            (&[], json!({ "email": ["ada@example.org"], "email_verified": true })),
            (&["example.org"], json!({ "email": "ada@evil.example", "email_verified": true })),
            (&["example.org"], json!({ "email": "a@example.org.evil", "email_verified": true })),
            (&["example.org"], json!({ "email": "a@sub.example.org", "email_verified": true })),
        ] {
            assert_eq!(proven(domains, claims.clone()), None, "{claims}");
        }
    }

    #[test]
    fn a_browser_brings_one_secret_or_none() {
        let with = |cookie: &str| HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())]);
        let plain = "http://localhost:8080";
        assert_eq!(browser_secret(&with("a=b; nexus-provider=x"), plain), Some("x"));
        assert_eq!(browser_secret(&with("nexus-provider=x; nexus-provider=y"), plain), None);
        assert_eq!(browser_secret(&with("nexus-provider=x"), "https://nexus.example"), None);
        let secure = with("__Host-nexus-provider=x; nexus-provider=y");
        assert_eq!(browser_secret(&secure, "https://nexus.example"), Some("x"));
    }

    #[test]
    fn nobody_is_sent_to_another_site_afterwards() {
        let path = |to: &str| Wish { return_to: Some(to.to_owned()) }.path();
        assert_eq!(path("/watch/1?t=2").as_deref(), Some("/watch/1?t=2"));
        for hostile in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb"]
        {
            assert_eq!(path(hostile), None, "{hostile:?}");
        }
    }
}
