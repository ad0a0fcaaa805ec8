//! What other services are asked: `users` who there is, `session-mgr` to let somebody in, `kms` to
//! seal, `email` to write. Knows their internal routes; refuses to keep anything they say.

use crate::caller::Caller;
use crate::email_address::Email;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity_contract::{SessionId, UserId};
use nexus_sdk::prelude::*;
use nexus_sdk::serde::de::DeserializeOwned;
use nexus_sdk::{Question, Reply};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const USERS: &str = "/api/users/v1/internal";
const SESSIONS: &str = "/api/session-mgr/v1/internal";
const TOTP_KEY: &str = "/api/kms/v1/internal/keys/totp";

nexus_sdk::refusals! {
    EmailTaken = 409, "there is an account with this address already";
    RegistrationClosed = 403, "new accounts are not taken here at the moment";
    DomainNotAdmitted = 422, "addresses of this domain are not taken here"
}

/// Who there is, as `users` says.
#[derive(Debug, Clone, Deserialize)]
pub struct Person {
    pub id: UserId,
    pub status: String,
    /// Empty where an administrator keeps an account without one: no mail, no password.
    #[serde(deserialize_with = "empty_if_none")]
    pub email: String,
    #[serde(default)]
    pub email_verified: bool,
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub locale: Option<String>,
    /// Whether a role is held that asks for two factors.
    #[serde(default)]
    pub mfa_required: bool,
}

fn empty_if_none<'de, D: nexus_sdk::serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(from).map(Option::unwrap_or_default)
}

impl Person {
    /// Invited people become active by proving their address; all others that are not active may
    /// not come in.
    pub fn may_enter(&self) -> bool {
        matches!(self.status.as_str(), "active" | "invited")
    }
}

pub async fn person_of_address(email: &Email) -> Result<Option<Person>> {
    let email = utf8_percent_encode(email.as_str(), NON_ALPHANUMERIC);
    let path = format!("{USERS}/users/by-email?email={email}");
    optional(call("users").get(path).send().await?, "ask users who has an address")
}

pub async fn person(id: UserId) -> Result<Option<Person>> {
    let path = format!("{USERS}/users/{id}");
    optional(call("users").get(path).send().await?, "ask users who somebody is")
}

/// What a tenant lets everybody know of who may register.
#[derive(Debug, Clone, Deserialize)]
pub struct Policy {
    registration: String,
    email_domains: Vec<String>,
}

impl Policy {
    /// Whether anybody with such an address may register. Whether this one is invited, or has an
    /// account, is not asked: the answer is the same for all of a domain.
    ///
    /// # Errors
    /// [`RegistrationClosed`], [`DomainNotAdmitted`].
    pub fn admits(&self, email: &str) -> Result<(), Refusal> {
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        let named = |known: &String| known.eq_ignore_ascii_case(domain);
        match (self.registration.as_str(), self.email_domains.as_slice()) {
            ("closed", _) => Err(RegistrationClosed),
            (_, []) => Ok(()),
            (_, domains) if domains.iter().any(named) => Ok(()),
            _ => Err(DomainNotAdmitted.at("email")),
        }
    }
}

pub async fn policy() -> Result<Policy> {
    let reply = call("users").get(format!("{USERS}/policy")).send().await?;
    read(&reply, "ask users who may register")
}

/// Makes an account for a proven address.
///
/// # Errors
/// 409 when there is one, 403 when the tenant takes no new ones.
pub async fn create_person(
    email: &str,
    display_name: Option<&str>,
    locale: Option<&str>,
) -> Result<UserId> {
    let body = json!({
        "email": email, "email_verified": true, "display_name": display_name, "locale": locale,
    });
    made(call("users").post(format!("{USERS}/users")).json(&body)).await
}

/// Makes the first administrator.
///
/// # Errors
/// As [`create_person`].
pub async fn create_administrator(email: &str, display_name: Option<&str>) -> Result<UserId> {
    let body = json!({ "email": email, "display_name": display_name });
    made(call("users").post(format!("{USERS}/administrators")).json(&body)).await
}

async fn made(question: Question) -> Result<UserId> {
    #[derive(Deserialize)]
    struct Made {
        id: UserId,
    }
    let reply = question.send().await?;
    match reply.status.as_u16() {
        409 if problem_of(&reply).ends_with("/email-taken") => Err(EmailTaken.into()),
        403 | 409 | 422 => {
            let told = reply.problem().map(|problem| problem.detail).unwrap_or_default();
            match told.is_empty() {
                true => Err(RegistrationClosed.into()),
                false => Err(RegistrationClosed.because(told).into()),
            }
        }
        _ => read::<Made>(&reply, "have users make an account").map(|made| made.id),
    }
}

/// The address was proven.
pub async fn mark_verified(id: UserId) -> Result<()> {
    let path = format!("{USERS}/users/{id}");
    let body = json!({ "email_verified": true });
    done(&call("users").patch(path).json(&body).send().await?, "tell users of a proven address")
}

/// Somebody came in.
pub async fn mark_login(id: UserId, now: Time) -> Result<()> {
    let path = format!("{USERS}/users/{id}");
    let body = json!({ "last_login_at": now });
    done(&call("users").patch(path).json(&body).send().await?, "tell users of a sign-in")
}

/// A session and the secret for its cookie.
#[derive(Debug, Deserialize)]
pub struct Begun {
    pub id: SessionId,
    pub secret: String,
    pub csrf_token: String,
    pub expires_at: Time,
}

/// What a session rests on.
#[derive(Debug)]
pub struct Grounds<'a> {
    pub amr: &'a [String],
    pub acr: &'a str,
    pub now: Time,
}

pub async fn begin_session(
    user: UserId,
    grounds: &Grounds<'_>,
    caller: &Caller,
    persistent: bool,
) -> Result<Begun> {
    let body = json!({
        "subject": user, "amr": grounds.amr, "acr": grounds.acr,
        "auth_time": grounds.now.timestamp(), "address": caller.address_text(),
        "user_agent": caller.agent, "persistent": persistent,
    });
    let reply = call("session-mgr").post(format!("{SESSIONS}/sessions")).json(&body).send().await?;
    read(&reply, "begin a session")
}

/// After a step-up; the secret is another one.
pub async fn raise_session(id: SessionId, grounds: &Grounds<'_>) -> Result<Begun> {
    let body = json!({
        "amr": grounds.amr, "acr": grounds.acr, "auth_time": grounds.now.timestamp(),
    });
    let path = format!("{SESSIONS}/sessions/{id}");
    read(&call("session-mgr").patch(path).json(&body).send().await?, "raise a session")
}

#[derive(Debug, Deserialize)]
pub struct Standing {
    pub persistent: bool,
}

pub async fn session(id: SessionId) -> Result<Option<Standing>> {
    let path = format!("{SESSIONS}/sessions/{id}");
    optional(call("session-mgr").get(path).send().await?, "ask for a session")
}

/// Ends a session; one that is over already is as well.
pub async fn end_session(id: SessionId) -> Result<()> {
    let path = format!("{SESSIONS}/sessions/{id}");
    let reply = call("session-mgr").delete(path).send().await?;
    match reply.status {
        StatusCode::NOT_FOUND => Ok(()),
        _ => done(&reply, "end a session"),
    }
}

pub async fn end_sessions(user: UserId, except: Option<SessionId>) -> Result<()> {
    let except = except.map(|id| format!("?except={id}")).unwrap_or_default();
    let path = format!("{SESSIONS}/users/{user}/sessions{except}");
    done(&call("session-mgr").delete(path).send().await?, "end somebody's sessions")
}

/// Seals a secret of a user: only with the same user's id it opens again.
pub async fn seal(user: UserId, secret: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    struct Sealed {
        ciphertext: String,
    }
    let kind = json!({ "type": "aes256-gcm96" });
    let ensured = call("kms").post(TOTP_KEY).json(&kind).send().await?;
    done(&ensured, "have a key")?;
    let body = json!({ "plaintext": STANDARD.encode(secret), "context": user });
    let reply = call("kms").post(format!("{TOTP_KEY}/encrypt")).json(&body).send().await?;
    read::<Sealed>(&reply, "seal a secret").map(|sealed| sealed.ciphertext)
}

pub async fn unseal(user: UserId, ciphertext: &str) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct Open {
        plaintext: String,
    }
    let body = json!({ "ciphertext": ciphertext, "context": user });
    let reply = call("kms").post(format!("{TOTP_KEY}/decrypt")).json(&body).send().await?;
    let open: Open = read(&reply, "open a secret")?;
    Ok(STANDARD.decode(open.plaintext).context("decode an opened secret")?)
}

/// Hands a mail over.
pub async fn mail(message: &serde_json::Value) -> Result<()> {
    let path = "/api/email/v1/internal/messages";
    let reply = call("email").post(path).json(message).send().await?;
    done(&reply, "hand over a mail")
}

fn problem_of(reply: &Reply) -> String {
    reply.problem().map(|problem| problem.r#type).unwrap_or_default()
}

fn optional<T: DeserializeOwned>(reply: Reply, asking: &str) -> Result<Option<T>> {
    match reply.status {
        StatusCode::NOT_FOUND => Ok(None),
        _ => read(&reply, asking).map(Some),
    }
}

fn read<T: DeserializeOwned>(reply: &Reply, asking: &str) -> Result<T> {
    done(reply, asking)?;
    let value = serde_json::from_slice(&reply.body);
    Ok(value.with_context(|| asking.to_owned())?)
}

/// Bodies are not repeated in the failure: they may hold secrets.
fn done(reply: &Reply, asking: &str) -> Result<()> {
    if reply.status.is_success() {
        return Ok(());
    }
    let failure = Failure::msg(format!("{} {}", reply.status, problem_of(reply)));
    let failure = failure.context(asking.to_owned());
    match reply.status.as_u16() {
        502..=504 => Err(Error::unavailable(failure)),
        _ => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_register_is_told_of_a_domain_and_never_of_an_address() {
        let policy = |registration: &str, domains: &[&str]| Policy {
            registration: registration.into(),
            email_domains: domains.iter().map(|it| (*it).to_owned()).collect(),
        };
        let admits = |policy: Policy| policy.admits("ada@Example.org").map_err(|it| it.name);
        assert_eq!(admits(policy("open", &[])), Ok(()));
        assert_eq!(admits(policy("open", &["example.org"])), Ok(()));
        assert_eq!(admits(policy("open", &["example.com"])), Err("DomainNotAdmitted"));
        assert_eq!(admits(policy("closed", &["example.org"])), Err("RegistrationClosed"));
        // Who is invited is nobody's to find out here.
        assert_eq!(admits(policy("invite", &[])), Ok(()));
    }
}
