//! Other programs that may act for somebody, and taking that back.

use super::entry::segment;
use super::sessions::Listed;
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/programs", get(show))
        .route("/account/programs/revoke", post(revoke))
}

/// A program that was agreed to, as `auth` shows it.
#[derive(Debug, Deserialize)]
struct Consent {
    client_id: String,
    name: String,
    scopes: Vec<String>,
    granted_at: Time,
}

fn row(consent: &Consent) -> Markup {
    html! {
        li {
            div.item {
                (icon::layers())
                div {
                    p.item-name { (consent.name) }
                    p.item-more {
                        "since " (spoken::day(consent.granted_at))
                        @if !consent.scopes.is_empty() {
                            ": " code { (consent.scopes.join(" ")) }
                        }
                    }
                }
            }
            form method="post" action="/account/programs/revoke" {
                (hidden("client_id", &consent.client_id))
                button.danger.small type="submit" {
                    "Disconnect" span.away { " " (consent.name) }
                }
            }
        }
    }
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let listed: Listed<Consent> =
        visitor.need(call("auth").get("/api/auth/v1/consents?limit=100")).await?;
    let content = html! {
        section.card {
            h2 { "Programs that you have let in" }
            p { "They know who you are, and may do what you have agreed to." }
            @if listed.items.is_empty() {
                div.list { p.nothing { "You have let in no program." } }
            } @else {
                ul.list { @for consent in &listed.items { (row(consent)) } }
            }
        }
    };
    let shown = account(Menu::Programs, "Connected apps", notice::of(&visitor), &content);
    Ok(page(StatusCode::OK, shown))
}

async fn revoke(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let path = format!("/api/auth/v1/consents/{}", segment(posted.raw("client_id")));
    match visitor.ask::<serde_json::Value>(call("auth").delete(path)).await? {
        Ok(_) => Ok(go(&notice::PROGRAM_REVOKED.on("/account/programs"))),
        Err(refused) if refused.status == 404 => {
            Ok(go(&notice::PROGRAM_REVOKED.on("/account/programs")))
        }
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}
