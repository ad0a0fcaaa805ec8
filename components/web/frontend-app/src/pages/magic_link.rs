//! Signing in with a link by e-mail. As with every mailed link, the button proves it, not the
//! opening.

use super::entry::{self, Entered, status_of};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::or_home;

pub fn router() -> Router {
    Router::new()
        .route("/account/magic-link", get(show).post(send))
        .route("/account/magic-link/finish", post(finish))
}

fn form(email: &str, return_to: &str, complaints: &Complaints) -> Markup {
    let body = html! {
        p.lead { "We send you a link that signs you in, once. No password needed." }
        (complaints.summary())
        form.stack method="post" action="/account/magic-link" {
            (hidden("return_to", return_to))
            (Field::email("email", "E-mail address").value(email).length_max(254)
                .show(complaints))
            button.primary.wide type="submit" { "Send me a link" }
        }
        p.beneath { a href="/account/sign-in" { "Sign in another way" } }
    };
    narrow("Sign in by e-mail", None, &body)
}

fn sent(email: &str) -> Markup {
    let body = html! {
        p.lead {
            "If there is an account for " strong { (email) } ", a letter is on its way to it. \
             Open the link in it on this device."
        }
        a.button.second.wide href="/account/sign-in" { "Back to sign-in" }
    };
    narrow("Look into your mail", None, &body)
}

/// With the token of a letter, the page that uses it.
async fn show(visitor: Visitor) -> Answer {
    let token = visitor.query("token");
    if !token.is_empty() {
        return Ok(page(StatusCode::OK, finish_form(token, &Complaints::none())));
    }
    let wish = or_home(visitor.query("return_to"));
    Ok(page(StatusCode::OK, form("", wish, &Complaints::none())))
}

async fn send(visitor: Visitor, posted: Posted) -> Answer {
    let (email, wish) = (posted.text("email"), or_home(posted.raw("return_to")));
    let asked =
        call("user-auth").post("/api/user-auth/v1/magic-link").json(&json!({ "email": email }));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(page(StatusCode::OK, sent(email))),
        Err(refused) => Ok(page(status_of(&refused), form(email, wish, &Complaints::of(&refused)))),
    }
}

fn finish_form(token: &str, complaints: &Complaints) -> Markup {
    let body = html! {
        p.lead { "You are one click away." }
        (complaints.summary())
        form.stack method="post" action="/account/magic-link/finish" {
            (hidden("token", token))
            button.primary.wide type="submit" { "Sign in" }
        }
    };
    narrow("Sign in", None, &body)
}

fn over() -> Markup {
    let body = html! {
        p.lead { "This link was used already, or it is too old." }
        a.button.primary.wide href="/account/magic-link" { "Send me a new one" }
    };
    narrow("That link is over", None, &body)
}

async fn finish(visitor: Visitor, posted: Posted) -> Answer {
    let token = posted.raw("token");
    let asked = call("user-auth")
        .post("/api/user-auth/v1/magic-link/finish")
        .json(&json!({ "token": token }));
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, "/account", None)),
        Err(refused) if refused.is_too_often() => {
            Ok(page(status_of(&refused), finish_form(token, &Complaints::of(&refused))))
        }
        Err(_) => Ok(page(StatusCode::GONE, over())),
    }
}
