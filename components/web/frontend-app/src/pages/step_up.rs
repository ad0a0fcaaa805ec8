//! Proving once more who it is, before what a stolen session must not do.

use super::entry::{self, Entered};
use super::passkey_sign_in::{self, Purpose};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::{or_home, with_query};

pub fn router() -> Router {
    Router::new()
        .route("/account/step-up", get(show).post(send))
        .route("/account/step-up/passkey", post(ask_passkey))
}

/// The ways to prove it, as the form offers them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Password,
    Code,
}

fn form(way: Way, return_to: &str, complaints: &Complaints) -> Markup {
    let other = match way {
        Way::Password => ("code", "Use your authenticator app"),
        Way::Code => ("password", "Use your password"),
    };
    let other_way = with_query("/account/step-up", &[("way", other.0), ("return_to", return_to)]);
    let body = html! {
        p.lead { "You are about to change something important. Please show that it is you." }
        (complaints.summary())
        form.stack method="post" action="/account/step-up" {
            (hidden("return_to", return_to))
            @if way == Way::Password {
                (Field::password("password", "Password").show(complaints))
            } @else {
                (Field::code("code", "Code of your authenticator app").show(complaints))
            }
            button.primary.wide type="submit" { "Confirm" }
        }
        p.or { "or" }
        div.stack {
            form method="post" action="/account/step-up/passkey" {
                (hidden("return_to", return_to))
                button.second.wide type="submit" { (icon::passkey()) "Use a passkey" }
            }
            a.button.second.wide href=(other_way) {
                (if way == Way::Password { icon::phone() } else { icon::lock() }) (other.1)
            }
        }
        p.beneath { a href=(return_to) { "Not now" } }
    };
    narrow("Is it you?", None, &body)
}

async fn show(visitor: Visitor) -> Answer {
    let wish = or_home(visitor.query("return_to"));
    if !visitor.is_signed_in() {
        return Err(Trouble::SignIn(wish.to_owned()));
    }
    // A program that lets people sign in may want two factors (`acr`).
    let wants_code = visitor.query("way") == "code"
        || visitor.query("way").is_empty() && visitor.query("acr").ends_with(":2fa");
    let way = if wants_code { Way::Code } else { Way::Password };
    Ok(page(StatusCode::OK, form(way, wish, &Complaints::none())))
}

async fn send(visitor: Visitor, posted: Posted) -> Answer {
    let wish = or_home(posted.raw("return_to"));
    let (way, proof) = match posted.optional("code") {
        Some(code) => (Way::Code, json!({ "code": code })),
        None => (Way::Password, json!({ "password": posted.raw("password") })),
    };
    let asked = call("user-auth").post("/api/user-auth/v1/step-up").json(&proof);
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, wish, Some(notice::CONFIRMED))),
        Err(refused) => Ok(entry::again(&refused, |complaints| form(way, wish, complaints))),
    }
}

async fn ask_passkey(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    passkey_sign_in::begin(&visitor, Purpose::Confirm, or_home(posted.raw("return_to"))).await
}
