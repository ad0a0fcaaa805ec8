//! Token exchange (RFC 8693): a service that a person's token was shown to gets one of its own for
//! the next service. It may do what the first one may, for no longer, and says who acts.

use crate::clients::Client;
use crate::oauth::{
    Denied, Parameters, invalid_grant, invalid_request, invalid_scope, invalid_target,
};
use crate::peers::{self, Mint};
use crate::tokens::{ACCESS_SECONDS, Granted, token_type};
use crate::{jose, scopes, store};
use identity_contract::ClientId;
use nexus_sdk::covers;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The audience of tokens for this platform itself.
const PLATFORM: &str = "nexus";
/// Longer chains of services that act for one another are no delegation any more.
const ACTORS_MAX: usize = 5;

/// What is known of the token that was shown.
struct Subject {
    claims: Map<String, Value>,
}

impl Subject {
    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.claims.get(name)?.as_i64()
    }

    fn scopes(&self) -> Vec<String> {
        self.text("scope").unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// How many act for the person already.
    fn actors(&self) -> usize {
        let first = self.claims.get("act");
        std::iter::successors(first, |actor| actor.get("act")).count()
    }

    fn key(&self) -> Option<&str> {
        self.claims.get("cnf")?.get("jkt")?.as_str()
    }
}

/// # Errors
/// `invalid_request` for a token that is worth nothing here, `invalid_scope` for more than it may,
/// `invalid_target` for an audience that is not known.
pub async fn exchanged(
    by: &Ctx,
    client: &Client,
    form: &Parameters,
    jkt: Option<&str>,
) -> Result<Granted, Denied> {
    let audience = audience(by, form).await?;
    let subject = subject(form, jkt).await?;
    let scope = narrowed(&subject, client, form)?.join(" ");
    let mut actor = json!({ "sub": client.id });
    if let Some(before) = subject.claims.get("act") {
        actor["act"] = before.clone();
    }
    let mint = Mint {
        subject: subject.text("sub").unwrap_or_default(),
        kind: "user",
        typ: "at+jwt",
        audience: &audience,
        lifetime_seconds: ACCESS_SECONDS,
        not_after: Some(subject.number("exp").unwrap_or(0)),
        scope: Some(scope.clone()),
        session: subject.text("sid"),
        organisation: subject.text("org"),
        client_id: Some(client.id),
        jkt,
        alg: "ES256",
        auth_time: subject.number("auth_time"),
        acr: subject.text("acr"),
        claims: Map::from_iter([("act".to_owned(), actor)]),
    };
    let Some(minted) = peers::mint_in_time(&mint).await? else {
        return Err(invalid_grant("the subject token is over").into());
    };
    Ok(Granted {
        access_token: minted.token,
        token_type: token_type(jkt),
        expires_in: (minted.expires_at - by.now()).num_seconds(),
        refresh_token: None,
        id_token: None,
        issued_token_type: Some(ACCESS_TOKEN),
        scope,
    })
}

/// For whom: this platform, or a client of it that takes tokens.
async fn audience(by: &Ctx, form: &Parameters) -> Result<String, Denied> {
    if form.get("resource").is_some() {
        return Err(invalid_target("name an audience rather than a resource").into());
    }
    let Some(named) = form.get("audience").filter(|named| *named != PLATFORM) else {
        return Ok(PLATFORM.to_owned());
    };
    let unknown = || invalid_target("an audience is nexus or the id of a client");
    let id: ClientId = named.parse().map_err(|_| unknown())?;
    match store::clients::find_active(by.db(), id).await? {
        Some(client) => Ok(client.id.to_string()),
        None => Err(unknown().into()),
    }
}

/// The token that was shown, if it is a person's access token for this platform that stands.
async fn subject(form: &Parameters, jkt: Option<&str>) -> Result<Subject, Denied> {
    if form.need("subject_token_type")? != ACCESS_TOKEN
        || !matches!(form.get("requested_token_type"), None | Some(ACCESS_TOKEN))
    {
        return Err(invalid_request("access tokens are exchanged for access tokens").into());
    }
    if form.get("actor_token").is_some() {
        return Err(invalid_request("the client itself is the actor").into());
    }
    let text = form.need("subject_token")?;
    let refused = || invalid_grant("the subject token is worth nothing here");
    // What kind of token it is; whether it is ours and stands, token-mgr says.
    let typ = jose::Token::read(text).and_then(|token| token.typ);
    if typ.as_deref() != Some("at+jwt") {
        return Err(refused().into());
    }
    let subject = Subject { claims: peers::introspect(text).await? };
    let good = subject.claims.get("active") == Some(&Value::Bool(true))
        && subject.text("kind") == Some("user")
        && subject.text("aud") == Some(PLATFORM)
        && subject.actors() < ACTORS_MAX
        // A token that is bound to a key is worth nothing to whoever does not hold that.
        && (subject.key().is_none() || subject.key() == jkt);
    match good {
        true => Ok(subject),
        false => Err(refused().into()),
    }
}

/// What both the token and the client may; of that, what is wanted.
fn narrowed(subject: &Subject, client: &Client, form: &Parameters) -> Result<Vec<String>, Denied> {
    let about = |word: &String| scopes::ABOUT_PEOPLE.contains(&word.as_str());
    let held = subject.scopes();
    // A token without a scope may all that its owner may.
    let whole = subject.text("scope").is_none();
    let may = |word: &str| whole || held.iter().any(|known| known == word || covers(known, word));
    let wanted = form.words("scope");
    if wanted.is_empty() {
        let of_token = held
            .iter()
            .filter(|word| !about(word) && client.scopes.iter().any(|it| covers(it, word)));
        let of_client = client.scopes.iter().filter(|word| may(word));
        let mut both: Vec<String> = of_token.chain(of_client).cloned().collect();
        both.sort_unstable();
        both.dedup();
        return match both.is_empty() {
            true => Err(invalid_scope("nothing is left that both may").into()),
            false => Ok(both),
        };
    }
    let granted = scopes::granted(&wanted, &client.scopes)?;
    match granted.iter().all(|word| may(word) && !about(word)) {
        true => Ok(granted),
        false => Err(invalid_scope("more than the subject token may").into()),
    }
}
