//! Authorization codes: made for one client and one address, good for a minute and for one use.

use crate::authorize::{Wish, see_other};
use crate::clients::Client;
use crate::requests::Waiting;
use crate::{origin, redirects, secrets, store};
use identity_contract::{ClientId, TokenFamilyId};
use nexus_sdk::prelude::*;

/// RFC 6749 §4.1.2 allows ten minutes; a redirect takes none.
const CODE_SECONDS: i32 = 60;

/// What a code stands for.
#[derive(Deserialize)]
pub struct Code {
    pub client_id: ClientId,
    pub family: TokenFamilyId,
    pub subject: String,
    pub session: Option<String>,
    pub organisation: Option<String>,
    pub redirect_uri: String,
    pub scopes: Vec<String>,
    pub nonce: Option<String>,
    pub challenge: String,
    /// Thumbprint of the key that must redeem it.
    pub jkt: Option<String>,
    pub auth_time: Option<Time>,
    pub acr: Option<String>,
    pub expires_at: Time,
    pub used_at: Option<Time>,
}

/// A code and the value that the client gets.
pub struct Fresh {
    value: String,
    code: Code,
}

/// A code for whoever is signed in. What the person has proven goes along.
pub fn new(by: &Ctx, client: &Client, wish: &Wish) -> Fresh {
    let who = by.principal();
    let auth_time = who.auth_time.and_then(|at| Time::from_timestamp(at, 0));
    let code = Code {
        client_id: client.id,
        family: by.new_id(),
        subject: who.subject.clone(),
        session: who.session.clone(),
        organisation: wish.organisation().or_else(|| who.organisation.clone()),
        redirect_uri: wish.redirect_uri.clone(),
        scopes: wish.scopes.clone(),
        nonce: wish.nonce.clone(),
        challenge: wish.challenge.clone(),
        jkt: wish.jkt.clone(),
        auth_time,
        acr: who.acr.clone(),
        expires_at: by.now() + nexus_sdk::seconds(CODE_SECONDS),
        used_at: None,
    };
    Fresh { value: secrets::fresh(""), code }
}

impl Fresh {
    pub fn insert(&self) -> Write {
        store::codes::insert(&secrets::digest(&self.value), &self.code)
    }

    /// Where the browser goes, with the code (RFC 6749 §4.1.2) and who gave it (RFC 9207).
    pub fn address(&self, wish: &Wish, issuer: &str) -> String {
        let mut query = vec![("code", self.value.as_str())];
        query.extend(wish.state.as_deref().map(|state| ("state", state)));
        query.push(("iss", issuer));
        redirects::with(&wish.redirect_uri, &query)
    }
}

/// Sends somebody who has nothing more to answer back with a code.
///
/// # Errors
/// As a commit; a request that was answered before is 409.
pub async fn let_in(
    by: &Ctx,
    client: &Client,
    wish: &Wish,
    waiting: Option<&Waiting>,
) -> Result<Response> {
    let code = new(by, client, wish);
    let mut writes = vec![code.insert()];
    writes.extend(waiting.map(|waiting| store::requests::answer(waiting.id, by.now())));
    by.commit(writes).await?;
    Ok(see_other(&code.address(wish, &origin(by).await?)))
}
