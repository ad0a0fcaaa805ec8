//! Unsubscribing: one click, without an account (RFC 8058). Knows the token in the link of a
//! notice; refuses to tell anybody whose it is.

use crate::domain::Reason;
use crate::messages::random;
use crate::senders::Sender;
use crate::store;
use crate::store::suppressions::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use integration_contract::email::EmailUnsubscribed;
use nexus_sdk::prelude::*;
use sha2::{Digest as _, Sha256};

const TOKEN_BYTES: usize = 24;
const TOKEN_CHARS_MAX: usize = 64;

pub fn router() -> Router {
    Router::new().route("/unsubscribe", get(ask).post(unsubscribe))
}

/// Where somebody unsubscribes, and how the token in it is remembered.
#[derive(Debug)]
pub struct Link {
    pub url: String,
    pub digest: Vec<u8>,
}

pub fn link(sender: &Sender) -> Link {
    let token = URL_SAFE_NO_PAD.encode(random::<TOKEN_BYTES>());
    let url = format!("{}/api/email/v1/unsubscribe?token={token}", sender.link_origin);
    Link { url, digest: digest(&token) }
}

fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

#[derive(Deserialize, JsonSchema)]
struct Asked {
    /// From the link of a message.
    token: String,
}

/// A page with a button: programs that look at links in mail must not unsubscribe people.
async fn ask(_by: Public, Query(asked): Query<Asked>) -> Result<Response> {
    let is_token = asked.token.len() <= TOKEN_CHARS_MAX
        && asked.token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !is_token {
        return Err(standard::NotFound.into());
    }
    let form = format!(
        "<p>You will get no more notices at the address that this link was sent to. Messages about \
         the security of your account still reach you.</p>\
         <form method=\"post\" action=\"?token={}\"><button>Unsubscribe</button></form>",
        asked.token
    );
    Ok(page("Unsubscribe", &form))
}

/// Whether anybody has this token is not told: a link that is too old looks like one that worked
/// before.
async fn unsubscribe(by: Public, Query(asked): Query<Asked>) -> Result<Response> {
    let subscriber = match asked.token.len() <= TOKEN_CHARS_MAX {
        true => store::suppressions::of_token(by.db(), &digest(&asked.token)).await?,
        false => None,
    };
    if let Some(subscriber) = subscriber {
        let entry = Entry {
            address: &subscriber.address,
            reason: Reason::Unsubscribed,
            note: None,
            message: Some(subscriber.id),
            by: "recipient",
        };
        let told = emit(EmailUnsubscribed { id: subscriber.id });
        by.commit([store::suppressions::add(&entry, by.now()), told]).await?;
    }
    Ok(page("Unsubscribed", "<p>You will get no more notices at this address.</p>"))
}

fn page(title: &str, content: &str) -> Response {
    let html = include_str!("../templates/page.html");
    let html = html.replace("@title@", title).replace("@content@", content);
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
             frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (headers, Html(html)).into_response()
}
