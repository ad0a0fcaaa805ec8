//! Invitations: by the link of a letter, and those that wait for whoever is signed in.

use super::entry::segment;
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::{with_query, with_wish};

pub fn router() -> Router {
    Router::new()
        .route("/account/invites", get(show).post(answer))
        .route("/account/invites/waiting", post(answer_waiting))
}

/// What a link would open.
#[derive(Debug, Deserialize)]
struct Opened {
    organisation: Option<String>,
    email: String,
    expires_at: Time,
}

fn form(opened: &Opened, token: &str, visitor: &Visitor, complaints: &Complaints) -> Markup {
    let here = with_query("/account/invites", &[("token", token)]);
    let host = opened.organisation.as_deref().unwrap_or("Nexus COS");
    let body = html! {
        (complaints.summary())
        p.lead {
            strong { (host) } " invites " strong { (opened.email) } ". The invitation ends "
            (spoken::until(visitor.now(), opened.expires_at)) "."
        }
        div.stack {
            @if visitor.is_signed_in() {
                (button(token, "accept", "primary", "Accept"))
            } @else {
                a.button.primary.wide href=(with_wish("/account/sign-in", &here)) {
                    "Sign in to accept"
                }
                a.button.second.wide href=(with_wish("/account/register", &here)) {
                    "Create an account first"
                }
            }
            (button(token, "decline", "quiet", "Decline"))
        }
    };
    narrow("You are invited", None, &body)
}

fn button(token: &str, answer: &str, class: &str, label: &str) -> Markup {
    html! {
        form method="post" action="/account/invites" {
            (hidden("token", token)) (hidden("answer", answer))
            button.wide class=(class) type="submit" { (label) }
        }
    }
}

fn over() -> Markup {
    let body = html! {
        p.lead { "This invitation was answered, withdrawn or is too old. Ask for a new one." }
        a.button.primary.wide href="/account" { "Your account" }
    };
    narrow("That invitation is over", None, &body)
}

async fn opened(visitor: &Visitor, token: &str) -> Result<Option<Opened>, Trouble> {
    let asked = call("users").post("/api/users/v1/invites/lookup").json(&json!({ "token": token }));
    Ok(visitor.ask::<Opened>(asked).await?.ok().map(|done| done.value))
}

async fn show(visitor: Visitor) -> Answer {
    let token = visitor.query("token").to_owned();
    Ok(match opened(&visitor, &token).await? {
        Some(opened) => page(StatusCode::OK, form(&opened, &token, &visitor, &Complaints::none())),
        None => page(StatusCode::GONE, over()),
    })
}

async fn answer(visitor: Visitor, posted: Posted) -> Answer {
    let token = posted.raw("token");
    let accepts = posted.raw("answer") == "accept";
    let path = match accepts {
        true => "/api/users/v1/invites/accept",
        false => "/api/users/v1/invites/decline",
    };
    let asked = call("users").post(path).json(&json!({ "token": token }));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) if accepts => Ok(go(&notice::INVITE_ACCEPTED.on("/account/organisations"))),
        Ok(_) => Ok(go(&notice::INVITE_DECLINED.on("/"))),
        Err(refused) => Ok(match opened(&visitor, token).await? {
            Some(opened) => {
                let complaints = Complaints::of(&refused);
                page(StatusCode::UNPROCESSABLE_ENTITY, form(&opened, token, &visitor, &complaints))
            }
            None => page(StatusCode::GONE, over()),
        }),
    }
}

/// An invitation for the address of whoever is signed in.
#[derive(Debug, Deserialize)]
pub struct Waiting {
    id: String,
    organisation: Option<String>,
    expires_at: Time,
}

/// What waits for the visitor; nothing, when that cannot be told.
pub async fn waiting(visitor: &Visitor) -> Result<Vec<Waiting>, Trouble> {
    let waiting = visitor.want(call("users").get("/api/users/v1/me/invites")).await?;
    Ok(waiting.unwrap_or_default())
}

/// The card of those that wait; nothing without any.
pub fn card(waiting: &[Waiting], now: Time) -> Markup {
    html! {
        @if !waiting.is_empty() {
            section.card {
                h2 { "You are invited" }
                ul.list {
                    @for invite in waiting {
                        li {
                            div.item {
                                (icon::mail())
                                div {
                                    p.item-name {
                                        (invite.organisation.as_deref().unwrap_or("Nexus COS"))
                                    }
                                    p.item-more { "ends " (spoken::until(now, invite.expires_at)) }
                                }
                            }
                            form.actions method="post" action="/account/invites/waiting" {
                                (hidden("id", &invite.id))
                                button.primary.small type="submit" name="answer" value="accept" {
                                    "Accept"
                                }
                                button.second.small type="submit" name="answer" value="decline" {
                                    "Decline"
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn answer_waiting(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let accepts = posted.raw("answer") == "accept";
    let (verb, notice) = match accepts {
        true => ("accept", notice::INVITE_ACCEPTED),
        false => ("decline", notice::INVITE_DECLINED),
    };
    let path = format!("/api/users/v1/me/invites/{}/{verb}", segment(posted.raw("id")));
    match visitor.ask::<serde_json::Value>(call("users").post(path)).await? {
        Ok(_) => Ok(go(&notice.on("/account/organisations"))),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}
