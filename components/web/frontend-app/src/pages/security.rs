//! How somebody proves who they are: password, passkeys, authenticator app, recovery codes.

use super::entry::status_of;
use super::passkeys::{self, Passkey};
use super::{provider, totp};
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/security", get(show))
        .route("/account/security/password", post(change_password))
}

/// What an account has to prove who it is, as `user-auth` tells its owner.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Factors {
    pub password: bool,
    pub totp: bool,
    /// Of those shown last.
    pub recovery_codes_left: i64,
    pub passkeys: i64,
}

pub async fn factors(visitor: &Visitor) -> Result<Factors, Trouble> {
    visitor.need(call("user-auth").get("/api/user-auth/v1/mfa")).await
}

/// What is wrong with the forms of the page.
#[derive(Default)]
pub struct Wrong {
    pub password: Complaints,
    pub totp: Complaints,
}

fn password_card(factors: &Factors, complaints: &Complaints) -> Markup {
    html! {
        section.card #password-card {
            h2 { "Password" }
            p { "Changing it signs out all your other devices." }
            form.stack method="post" action="/account/security/password" {
                (complaints.summary())
                // Password managers want to know whose password it is.
                @if factors.password {
                    (Field::password("current_password", "Current password").show(complaints))
                }
                (Field::new_password("password", "New password").show(complaints))
                div.actions { (submit("Change password")) }
            }
        }
    }
}

fn content(
    factors: &Factors,
    passkeys: &[Passkey],
    elsewhere: &Markup,
    now: Time,
    wrong: &Wrong,
) -> Markup {
    html! {
        div.cards {
            (passkeys::card(passkeys, now))
            (totp::card(factors, &wrong.totp))
            (totp::codes_card(factors))
            (password_card(factors, &wrong.password))
            (elsewhere)
        }
    }
}

/// The whole page, with what is wrong with one of its forms.
pub async fn shown(visitor: &Visitor, wrong: &Wrong) -> Result<Markup, Trouble> {
    let factors = factors(visitor).await?;
    let passkeys = passkeys::list(visitor).await?;
    let providers = provider::offered(visitor).await?;
    let connected = provider::connected(visitor).await?;
    let elsewhere = provider::card(&providers, &connected);
    let content = content(&factors, &passkeys, &elsewhere, visitor.now(), wrong);
    Ok(account(Menu::Security, "Security", notice::of(&visitor), &content))
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    Ok(page(StatusCode::OK, shown(&visitor, &Wrong::default()).await?))
}

async fn change_password(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let mut change = json!({ "password": posted.raw("password") });
    if !posted.raw("current_password").is_empty() {
        change["current_password"] = posted.raw("current_password").into();
    }
    let asked = call("user-auth").post("/api/user-auth/v1/password").json(&change);
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(done) => {
            let response = go(&notice::PASSWORD_CHANGED.on("/account/security"));
            Ok(with_cookies(response, &done.cookies))
        }
        Err(refused) => {
            let wrong = Wrong { password: Complaints::of(&refused), ..Wrong::default() };
            Ok(page(status_of(&refused), shown(&visitor, &wrong).await?))
        }
    }
}
