//! `/oauth2/authorize` and `/oauth2/par`: a program asks that a person lets it in. Whatever is
//! wrong before the program and its address are known is told to the person; whatever is wrong
//! after that is told to the program (RFC 6749 §4.1.2.1).

use crate::clients::{self, AUTHORIZATION_CODE, Client};
use crate::oauth::{
    Denied, OauthError, Parameters, answer, consent_required, invalid_dpop_proof, invalid_request,
    login_required, request_not_supported, unauthorized_client, unmet_authentication_requirements,
    unsupported_response_type,
};
use crate::requests::{Asked, Waiting};
use crate::{codes, origin, proofs, redirects, scopes, secrets, store};
use identity_contract::acr;
use nexus_sdk::axum::http::{HeaderValue, Uri};
use nexus_sdk::prelude::*;
use nexus_sdk::{Kind, Principal};

/// How long a pushed request may wait for the person (RFC 9126 §2.2).
const PUSHED_SECONDS: i64 = 90;
/// How long a person may take to sign in and to agree.
const WAITING_MINUTES: i32 = 30;
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

pub fn router() -> Router {
    Router::new()
        .route("/oauth2/authorize", get(authorize).post(authorize_by_form))
        .route("/oauth2/par", post(push))
}

async fn authorize(by: Public, uri: Uri) -> Result<Response> {
    match Parameters::parse(uri.query().unwrap_or_default().as_bytes()) {
        Ok(parameters) => asked(&by, parameters).await,
        Err(error) => Ok(told_to_the_person(&error.description)),
    }
}

async fn authorize_by_form(by: Public, headers: HeaderMap, body: Bytes) -> Result<Response> {
    match crate::oauth::form(&headers, &body) {
        Ok(parameters) => asked(&by, parameters).await,
        Err(error) => Ok(told_to_the_person(&error.description)),
    }
}

/// Pushed ahead by the client itself, which proves who it is.
async fn push(by: Public, headers: HeaderMap, body: Bytes) -> Result<Response> {
    answer(pushed(&by, &headers, &body).await)
}

async fn pushed(by: &Ctx, headers: &HeaderMap, body: &[u8]) -> Result<Response, Denied> {
    let mut parameters = crate::oauth::form(headers, body)?;
    let client = clients::authenticate(by, headers, &parameters).await?;
    if parameters.get("request_uri").is_some() {
        return Err(invalid_request("a pushed request names no other").into());
    }
    for secret in ["client_secret", "client_assertion", "client_assertion_type"] {
        parameters.remove(secret);
    }
    bind(&mut parameters, proofs::dpop(by, headers, "/oauth2/par").await?)?;
    parameters.set("client_id", &client.id.to_string());
    let address = parameters.need("redirect_uri")?;
    if !redirects::is_registered(address, &client.redirect_uris) {
        return Err(invalid_request("redirect_uri is not registered").into());
    }
    Wish::read(&parameters, &client)?;
    let secret = secrets::fresh("");
    let waiting = Waiting {
        id: by.new_id(),
        digest: Some(secrets::digest(&secret)),
        client_id: client.id,
        parameters,
        subject: None,
        created_at: by.now(),
        expires_at: by.now() + nexus_sdk::seconds(PUSHED_SECONDS as i32),
    };
    by.commit([store::requests::insert(&waiting)]).await?;
    let request_uri = format!("{REQUEST_URI}{secret}");
    let body = json!({ "request_uri": request_uri, "expires_in": PUSHED_SECONDS });
    Ok(Secret((StatusCode::CREATED, Json(body))).into_response())
}

/// A proof that came with the request stands for `dpop_jkt` (RFC 9449 §10.1).
fn bind(parameters: &mut Parameters, jkt: Option<String>) -> Result<(), OauthError> {
    match (parameters.get("dpop_jkt"), &jkt) {
        (Some(named), Some(jkt)) if named != jkt => {
            Err(invalid_dpop_proof("dpop_jkt names another key"))
        }
        (_, Some(jkt)) => {
            parameters.set("dpop_jkt", jkt);
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

/// What a client asks for, read and allowed.
pub struct Wish {
    pub redirect_uri: String,
    pub scopes: Vec<String>,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub challenge: String,
    /// Thumbprint of the key that must redeem the code.
    pub jkt: Option<String>,
    prompt: Prompt,
    max_age: Option<i64>,
    acr: Option<&'static str>,
    organisation: Option<String>,
}

#[derive(Default)]
struct Prompt {
    none: bool,
    login: bool,
    consent: bool,
}

impl Wish {
    /// # Errors
    /// What the protocol says to a client whose address is known.
    pub fn read(parameters: &Parameters, client: &Client) -> Result<Self, OauthError> {
        if parameters.get("request").is_some() {
            return Err(request_not_supported("push the request instead (RFC 9126)"));
        }
        if parameters.need("response_type")? != "code" {
            return Err(unsupported_response_type("response_type is code"));
        }
        if !client.grant_types.iter().any(|grant| grant == AUTHORIZATION_CODE) {
            return Err(unauthorized_client("this client may not ask people"));
        }
        if !matches!(parameters.get("response_mode"), None | Some("query")) {
            return Err(invalid_request("response_mode is query"));
        }
        if parameters.get("code_challenge_method") != Some("S256") {
            return Err(invalid_request("code_challenge_method is S256 (RFC 7636)"));
        }
        let challenge = parameters.need("code_challenge")?;
        let url_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if challenge.len() != 43 || !challenge.bytes().all(url_safe) {
            return Err(invalid_request("code_challenge is 43 characters of base64url"));
        }
        let jkt = parameters.get("dpop_jkt").map(str::to_owned);
        if jkt.as_deref().is_some_and(|jkt| !proofs::is_thumbprint(jkt)) {
            return Err(invalid_request("dpop_jkt is 43 characters of base64url"));
        }
        let max_age = parameters.get("max_age").map(str::parse).transpose();
        let max_age: Option<i64> = max_age.map_err(|_| invalid_request("max_age is seconds"))?;
        Ok(Self {
            redirect_uri: parameters.need("redirect_uri")?.to_owned(),
            scopes: scopes::granted(&parameters.words("scope"), &client.scopes)?,
            state: parameters.get("state").map(str::to_owned),
            nonce: parameters.get("nonce").map(str::to_owned),
            challenge: challenge.to_owned(),
            jkt,
            prompt: Prompt::read(&parameters.words("prompt"))?,
            max_age: max_age.filter(|seconds| *seconds >= 0),
            acr: strongest(&parameters.words("acr_values")),
            organisation: parameters.get("organisation").map(str::to_owned),
        })
    }
}

impl Wish {
    /// The organisation that the person is to act for.
    pub fn organisation(&self) -> Option<String> {
        self.organisation.clone()
    }
}

impl Prompt {
    fn read(words: &[&str]) -> Result<Self, OauthError> {
        let mut prompt = Prompt::default();
        for word in words {
            match *word {
                "none" => prompt.none = true,
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => return Err(invalid_request("prompt is none, login, consent, select_account")),
            }
        }
        match prompt.none && words.len() > 1 {
            true => Err(invalid_request("prompt none stands alone")),
            false => Ok(prompt),
        }
    }
}

const STRENGTHS: [&str; 3] = [acr::SINGLE_FACTOR, acr::TWO_FACTORS, acr::PASSKEY];

/// How strong a proof is; unknown ones prove nothing.
fn strength(word: Option<&str>) -> usize {
    STRENGTHS.iter().position(|known| Some(*known) == word).map_or(0, |at| at + 1)
}

/// `acr_values` are in order of preference; the weakest that we know is enough.
fn strongest(words: &[&str]) -> Option<&'static str> {
    let known = words.iter().map(|word| strength(Some(word))).filter(|at| *at > 0);
    known.min().map(|at| STRENGTHS[at - 1])
}

/// A request to be let in, from its parameters to wherever the person goes next.
async fn asked(by: &Ctx, parameters: Parameters) -> Result<Response> {
    let id = parameters.get("client_id").and_then(|id| id.parse().ok());
    let client = match id {
        Some(id) => store::clients::find_active(by.db(), id).await?,
        None => None,
    };
    let Some(client) = client else {
        return Ok(told_to_the_person("the program that sent you here is not known"));
    };
    let found = match parameters.get("request_uri") {
        Some(named) => pushed_before(by, &client, named).await?,
        None if client.require_pushed => None,
        None => Some(Asked { waiting: None, parameters, since: by.now() }),
    };
    let Some(asked) = found else {
        return Ok(told_to_the_person("the request has expired; go back and try again"));
    };
    let address = asked.parameters.get("redirect_uri").unwrap_or_default().to_owned();
    if !redirects::is_registered(&address, &client.redirect_uris) {
        return Ok(told_to_the_person("the program named an address that it has not registered"));
    }
    let state = asked.parameters.get("state").map(str::to_owned);
    match decide(by, &client, asked).await {
        Ok(response) => Ok(response),
        Err(Denied::Oauth(error)) => {
            let issuer = origin(by).await?;
            Ok(back_with_error(&address, &error, state.as_deref(), &issuer))
        }
        Err(Denied::Other(error)) => Err(error),
    }
}

/// A request that was pushed, or that waits since the person was sent to sign in.
async fn pushed_before(by: &Ctx, client: &Client, named: &str) -> Result<Option<Asked>> {
    let Some(secret) = named.strip_prefix(REQUEST_URI) else { return Ok(None) };
    let digest = secrets::digest(secret);
    let waiting = store::requests::by_digest(by.db(), &digest, by.now()).await?;
    Ok(waiting.filter(|waiting| waiting.client_id == client.id).map(|waiting| Asked {
        since: waiting.created_at,
        parameters: waiting.parameters.clone(),
        waiting: Some(waiting),
    }))
}

async fn decide(by: &Ctx, client: &Client, asked: Asked) -> Result<Response, Denied> {
    let wish = Wish::read(&asked.parameters, client)?;
    let who = by.principal();
    if let Some(lacking) = lacking(&wish, who, asked.since, by.now()) {
        if wish.prompt.none {
            return Err(lacking.error().into());
        }
        return Ok(sent_to_sign_in(by, client, asked, lacking).await?);
    }
    let agreed = client.trusted && !wish.prompt.consent || {
        let known = store::consents::scopes(by.db(), &who.subject, client.id).await?;
        !wish.prompt.consent && known.is_some_and(|known| scopes::agreed(&wish.scopes, &known))
    };
    if agreed {
        return Ok(codes::let_in(by, client, &wish, asked.waiting.as_ref()).await?);
    }
    if wish.prompt.none {
        return Err(consent_required("the person has not agreed yet").into());
    }
    let waiting = keep(by, client, asked, Some(who.subject.clone())).await?;
    Ok(see_other(&format!("/account/consent?request={}", waiting.id)))
}

/// Why the person at the browser cannot answer yet.
enum Lacking {
    Anybody,
    RecentProof,
    StrongProof(&'static str),
}

impl Lacking {
    fn error(&self) -> OauthError {
        match self {
            Lacking::Anybody => login_required("nobody is signed in"),
            Lacking::RecentProof => login_required("the person has to sign in again"),
            Lacking::StrongProof(_) => {
                unmet_authentication_requirements("the person has to prove more (acr)")
            }
        }
    }
}

fn lacking(wish: &Wish, who: &Principal, since: Time, now: Time) -> Option<Lacking> {
    // A key or a token is no person at a browser; and one with a scope would get itself more.
    if who.kind != Kind::User || who.session.is_none() || who.limited {
        return Some(Lacking::Anybody);
    }
    let proven = who.auth_time.unwrap_or(0);
    let too_old = wish.max_age.is_some_and(|age| now.timestamp() - proven > age);
    // `prompt=login` is done with once the person has signed in after it was asked for.
    if too_old && proven < since.timestamp() || wish.prompt.login && proven < since.timestamp() {
        return Some(Lacking::RecentProof);
    }
    let wanted = wish.acr.filter(|wanted| strength(who.acr.as_deref()) < strength(Some(wanted)));
    wanted.map(Lacking::StrongProof)
}

/// Remembers the request while the person is elsewhere.
async fn keep(by: &Ctx, client: &Client, asked: Asked, subject: Option<String>) -> Result<Waiting> {
    if let Some(mut waiting) = asked.waiting {
        waiting.subject = subject;
        waiting.expires_at = by.now() + minutes(WAITING_MINUTES);
        by.commit([store::requests::extend(&waiting)]).await?;
        return Ok(waiting);
    }
    let waiting = Waiting {
        id: by.new_id(),
        digest: None,
        client_id: client.id,
        parameters: asked.parameters,
        subject,
        created_at: asked.since,
        expires_at: by.now() + minutes(WAITING_MINUTES),
    };
    by.commit([store::requests::insert(&waiting)]).await?;
    Ok(waiting)
}

/// The person comes back here by a value that nobody else can know, so that the request that was
/// read is the one that is answered.
async fn sent_to_sign_in(
    by: &Ctx,
    client: &Client,
    asked: Asked,
    lacking: Lacking,
) -> Result<Response> {
    let secret = secrets::fresh("");
    let hint = asked.parameters.get("login_hint").map(str::to_owned);
    let mut waiting = match asked.waiting {
        Some(waiting) => waiting,
        None => Waiting {
            id: by.new_id(),
            digest: None,
            client_id: client.id,
            parameters: asked.parameters,
            subject: None,
            created_at: asked.since,
            expires_at: by.now(),
        },
    };
    waiting.digest = Some(secrets::digest(&secret));
    waiting.expires_at = by.now() + minutes(WAITING_MINUTES);
    by.commit([store::requests::put(&waiting)]).await?;
    let uri = format!("{REQUEST_URI}{secret}");
    let id = client.id.to_string();
    let back = redirects::with("/oauth2/authorize", &[("client_id", &id), ("request_uri", &uri)]);
    let mut query = vec![("return_to", back.as_str())];
    if let Some(hint) = &hint {
        query.push(("login_hint", hint));
    }
    let page = match lacking {
        Lacking::Anybody => "/account/sign-in",
        Lacking::RecentProof => "/account/step-up",
        Lacking::StrongProof(acr) => {
            query.push(("acr", acr));
            "/account/step-up"
        }
    };
    Ok(see_other(&redirects::with(page, &query)))
}

fn back_with_error(
    address: &str,
    error: &OauthError,
    state: Option<&str>,
    issuer: &str,
) -> Response {
    let mut query = vec![("error", error.code), ("error_description", error.description.as_str())];
    query.extend(state.map(|state| ("state", state)));
    query.push(("iss", issuer));
    see_other(&redirects::with(address, &query))
}

/// 303, so that a form that was posted is not posted again (RFC 9700 §4.12).
pub fn see_other(address: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(address) else {
        return told_to_the_person("the address to go back to cannot be written in a header");
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Codes and states stay out of the next page's referrer.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// A page for the person: there is no address that could be trusted. `why` is one of our own words.
fn told_to_the_person(why: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Cannot continue</title>\
         <meta name=viewport content=\"width=device-width\"><h1>Cannot continue</h1>\
         <p>Sorry: {}.</p><p><a href=\"/account\">Your account</a></p></html>",
        why.replace('&', "&amp;").replace('<', "&lt;")
    );
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    (StatusCode::BAD_REQUEST, headers, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        serde_json::from_value(json!({
            "id": Uuid::nil(), "name": "Shop", "kind": "public",
            "redirect_uris": ["https://c.example/cb"], "post_logout_redirect_uris": [],
            "grant_types": ["authorization_code"], "scopes": ["catalog:*"], "permissions": [],
            "trusted": false, "require_pushed": false, "logo_uri": null, "policy_uri": null,
            "terms_uri": null, "logout_uri": null, "auth_method": "none", "jwks": null,
            "jwks_uri": null, "id_token_alg": "ES256", "dpop_bound": false,
            "created_at": "2026-01-01T00:00:00Z",
            "disabled_at": null, "version": 1,
        }))
        .unwrap()
    }

    fn wish(changed: &[(&str, &str)]) -> Result<Wish, &'static str> {
        let mut parameters = Parameters::default();
        for (name, value) in [
            ("response_type", "code"),
            ("redirect_uri", "https://c.example/cb"),
            ("scope", "openid catalog:view"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ] {
            parameters.set(name, value);
        }
        for (name, value) in changed {
            match value.is_empty() {
                true => parameters.remove(name),
                false => parameters.set(name, value),
            }
        }
        Wish::read(&parameters, &client()).map_err(|error| error.code)
    }

    #[test]
    fn a_code_is_asked_for_with_a_challenge_and_in_no_other_way() {
        assert_eq!(wish(&[]).unwrap().scopes, ["openid", "catalog:view"]);
        for (changed, code) in [
            (("response_type", "token"), "unsupported_response_type"),
            (("response_type", "code id_token"), "unsupported_response_type"),
            (("response_mode", "fragment"), "invalid_request"),
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge", "short"), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("scope", "wallet:spend"), "invalid_scope"),
            (("prompt", "none login"), "invalid_request"),
            (("prompt", "create"), "invalid_request"),
            (("max_age", "soon"), "invalid_request"),
            (("dpop_jkt", "short"), "invalid_request"),
            (("request", "eyJ"), "request_not_supported"),
        ] {
            assert_eq!(wish(&[changed]).err(), Some(code), "{changed:?}");
        }
    }

    fn ada(auth_time: i64, acr: &str) -> Principal {
        serde_json::from_value(json!({
            "subject": "ada", "kind": "user", "tenant": Uuid::nil(), "session": "s",
            "auth_time": auth_time, "acr": acr,
        }))
        .unwrap()
    }

    #[test]
    fn a_person_signs_in_again_when_the_proof_is_too_old_or_too_weak() {
        let since: Time = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = since.timestamp();
        let word = |changed: &[(&str, &str)], who: &Principal| {
            let lacking = lacking(&wish(changed).unwrap(), who, since, since + minutes(1));
            lacking.map(|lacking| lacking.error().code)
        };
        let old = ada(at - 3_600, acr::SINGLE_FACTOR);
        assert_eq!(word(&[], &old), None);
        assert_eq!(word(&[("max_age", "7200")], &old), None);
        assert_eq!(word(&[("max_age", "600")], &old), Some("login_required"));
        assert_eq!(word(&[("prompt", "login")], &old), Some("login_required"));
        let fresh = ada(at + 5, acr::SINGLE_FACTOR);
        assert_eq!(word(&[("prompt", "login")], &fresh), None);
        assert_eq!(word(&[("max_age", "0")], &fresh), None, "the person has just signed in");
        let strong = [("acr_values", acr::TWO_FACTORS)];
        assert_eq!(word(&strong, &fresh), Some("unmet_authentication_requirements"));
        assert_eq!(word(&strong, &ada(at + 5, acr::PASSKEY)), None);
        let narrow = Principal { limited: true, ..fresh.clone() };
        assert_eq!(word(&[], &narrow), Some("login_required"));
        let program = Principal { session: None, ..fresh };
        assert_eq!(word(&[], &program), Some("login_required"));
    }
}
