//! One's passkeys: what there is, adding one, its name, removing it.

use super::entry::{id_of, segment};
use super::sessions::Listed;
use super::totp;
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/security/passkeys", get(back).post(begin))
        .route("/account/security/passkeys/finish", get(back).post(finish))
        .route("/account/security/passkeys/{id}", get(show_one))
        .route("/account/security/passkeys/{id}/rename", post(rename))
        .route("/account/security/passkeys/{id}/remove", post(remove))
}

/// A passkey as `user-auth` shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct Passkey {
    id: String,
    name: String,
    created_at: Time,
    used_at: Option<Time>,
    /// Kept by a provider on several devices.
    #[serde(default)]
    backed_up: bool,
    /// Since when its counter says that there may be a copy.
    #[serde(default)]
    suspect_at: Option<Time>,
}

/// A question for the browser's passkeys.
#[derive(Debug, Deserialize)]
struct Ceremony {
    ceremony: String,
    /// `PublicKeyCredentialCreationOptionsJSON` (WebAuthn Level 3).
    public_key: serde_json::Value,
}

/// A passkey that was made; with the first second factor come recovery codes.
#[derive(Debug, Deserialize)]
struct Registered {
    #[serde(default)]
    recovery_codes: Vec<String>,
}

pub async fn list(visitor: &Visitor) -> Result<Vec<Passkey>, Trouble> {
    let asked = call("user-auth").get("/api/user-auth/v1/passkeys?limit=100");
    let listed: Listed<Passkey> = visitor.need(asked).await?;
    Ok(listed.items)
}

/// The card on the page of security.
pub fn card(passkeys: &[Passkey], now: Time) -> Markup {
    html! {
        section.card #passkeys {
            div.card-head {
                h2 { "Passkeys" }
                form method="post" action="/account/security/passkeys" {
                    button.primary.small type="submit" { (icon::passkey()) "Add a passkey" }
                }
            }
            p {
                "Sign in with your fingerprint, face or device code. Nobody can trick you into \
                 giving a passkey away."
            }
            @if passkeys.is_empty() {
                div.list { p.nothing { "You have no passkeys yet." } }
            } @else {
                ul.list { @for passkey in passkeys { (row(passkey, now)) } }
            }
        }
    }
}

fn row(passkey: &Passkey, now: Time) -> Markup {
    html! {
        li {
            div.item {
                (icon::passkey())
                div {
                    p.item-name {
                        (passkey.name)
                        @if passkey.backed_up { span.badge { "On several devices" } }
                        @if passkey.suspect_at.is_some() {
                            span.badge.bad { "There may be a copy: replace it" }
                        }
                    }
                    p.item-more {
                        @match passkey.used_at {
                            Some(used) => { "used " (spoken::ago(now, used)) }
                            None => "never used",
                        }
                        ", added " (spoken::ago(now, passkey.created_at))
                    }
                }
            }
            a.button.second.small href={ "/account/security/passkeys/" (segment(&passkey.id)) } {
                "Edit" span.away { " " (passkey.name) }
            }
        }
    }
}

async fn back(_visitor: Visitor) -> Answer {
    Ok(go("/account/security"))
}

async fn begin(visitor: Visitor, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("user-auth").post("/api/user-auth/v1/passkeys/register/begin");
    let ceremony: Ceremony = visitor.need(asked).await?;
    let options = ceremony.public_key.to_string();
    let body = html! {
        p.lead data-passkey-words="" role="status" {
            "This page needs script to speak with your passkeys."
        }
        form.stack method="post" action="/account/security/passkeys/finish" data-passkey="create"
            data-options=(options) {
            (hidden("ceremony", &ceremony.ceremony))
            (hidden("credential", ""))
            (Field::text("name", "Name of the passkey").value("Passkey").length_max(120)
                .show(&Complaints::none()))
            button.primary.wide type="submit" disabled { (icon::passkey()) "Create passkey" }
        }
        p.beneath { a href="/account/security" { "Not now" } }
    };
    Ok(page(StatusCode::OK, focus("Add a passkey", &body)))
}

async fn finish(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let Ok(credential) = serde_json::from_str::<serde_json::Value>(posted.raw("credential")) else {
        return Err(Trouble::Malformed);
    };
    let name = posted.optional("name").unwrap_or("Passkey");
    let answer = json!({
        "ceremony": posted.raw("ceremony"), "credential": credential, "name": name,
    });
    let asked = call("user-auth").post("/api/user-auth/v1/passkeys/register/finish").json(&answer);
    match visitor.ask::<Registered>(asked).await? {
        Ok(done) if !done.value.recovery_codes.is_empty() => {
            Ok(page(StatusCode::OK, totp::codes_page(&done.value.recovery_codes)))
        }
        Ok(_) => Ok(go(&notice::PASSKEY_ADDED.on("/account/security"))),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}

fn edit(passkey: &Passkey, name: &str, complaints: &Complaints) -> Markup {
    let path = format!("/account/security/passkeys/{}", segment(&passkey.id));
    let body = html! {
        div.cards {
            section.card {
                h2 { "Name" }
                form.stack method="post" action={ (path) "/rename" } {
                    (complaints.summary())
                    (Field::text("name", "Name of the passkey").value(name).length_max(120)
                        .show(complaints))
                    div.actions {
                        (submit("Rename"))
                        a.button.quiet href="/account/security" { "Back" }
                    }
                }
            }
            section.card {
                div.card-head {
                    h2 { "Remove" }
                    form method="post" action={ (path) "/remove" } {
                        button.danger type="submit" { "Remove this passkey" }
                    }
                }
                p { "Afterwards it no longer signs you in. Delete it from your device, too." }
            }
        }
    };
    account(Menu::Security, &passkey.name, None, &body)
}

async fn found(visitor: &Visitor, id: Uuid) -> Result<Passkey, Trouble> {
    let all = list(visitor).await?;
    let id = id.to_string();
    all.into_iter().find(|passkey| passkey.id == id).ok_or(Trouble::Missing)
}

async fn show_one(visitor: Visitor, Path(id): Path<String>) -> Answer {
    visitor.signed_in()?;
    let passkey = found(&visitor, id_of(&id)?).await?;
    Ok(page(StatusCode::OK, edit(&passkey, &passkey.name, &Complaints::none())))
}

async fn rename(visitor: Visitor, Path(id): Path<String>, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let (id, name) = (id_of(&id)?, posted.text("name"));
    let path = format!("/api/user-auth/v1/passkeys/{id}");
    let asked = call("user-auth").patch(path).json(&json!({ "name": name }));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(go(&notice::PASSKEY_RENAMED.on("/account/security"))),
        Err(refused) => {
            let passkey = found(&visitor, id).await?;
            let shown = edit(&passkey, name, &Complaints::of(&refused));
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, shown))
        }
    }
}

async fn remove(visitor: Visitor, Path(id): Path<String>, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let path = format!("/api/user-auth/v1/passkeys/{}", id_of(&id)?);
    match visitor.ask::<serde_json::Value>(call("user-auth").delete(path)).await? {
        Ok(_) => Ok(go(&notice::PASSKEY_REMOVED.on("/account/security"))),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}
