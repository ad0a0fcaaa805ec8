//! A forgotten password: a letter, and a new password. What is said is the same whether the
//! address is known or not.

use super::entry::{self, Entered, status_of};
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/recover", get(show).post(send))
        .route("/account/recover/finish", get(show_finish).post(finish))
}

fn form(email: &str, complaints: &Complaints) -> Markup {
    let body = html! {
        p.lead { "Tell us your address; we send you a link to choose a new password." }
        (complaints.summary())
        form.stack method="post" action="/account/recover" {
            (Field::email("email", "E-mail address").value(email).length_max(254)
                .show(complaints))
            button.primary.wide type="submit" { "Send me a link" }
        }
        p.beneath { "Remembered it? " a href="/account/sign-in" { "Sign in" } }
    };
    narrow("Forgot your password?", None, &body)
}

fn sent(email: &str) -> Markup {
    let body = html! {
        p.lead {
            "If there is an account for " strong { (email) } ", a letter is on its way to it. \
             Open the link in it to choose a new password."
        }
        a.button.second.wide href="/account/sign-in" { "Back to sign-in" }
    };
    narrow("Look into your mail", None, &body)
}

async fn show(_visitor: Visitor) -> Answer {
    Ok(page(StatusCode::OK, form("", &Complaints::none())))
}

async fn send(visitor: Visitor, posted: Posted) -> Answer {
    let email = posted.text("email");
    let asked =
        call("user-auth").post("/api/user-auth/v1/recover").json(&json!({ "email": email }));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(page(StatusCode::OK, sent(email))),
        Err(refused) => Ok(page(status_of(&refused), form(email, &Complaints::of(&refused)))),
    }
}

fn finish_form(token: &str, complaints: &Complaints) -> Markup {
    let body = html! {
        p.lead { "Afterwards, all devices that are signed in now are signed out." }
        (complaints.summary())
        form.stack method="post" action="/account/recover/finish" {
            (hidden("token", token))
            (Field::new_password("password", "New password").show(complaints))
            button.primary.wide type="submit" { "Save new password" }
        }
    };
    narrow("Choose a new password", None, &body)
}

fn over() -> Markup {
    let body = html! {
        p.lead { "This link was used already, or it is too old." }
        a.button.primary.wide href="/account/recover" { "Send me a new one" }
    };
    narrow("That link is over", None, &body)
}

async fn show_finish(visitor: Visitor) -> Answer {
    let token = visitor.query("token");
    let shown = if token.is_empty() { over() } else { finish_form(token, &Complaints::none()) };
    Ok(page(StatusCode::OK, shown))
}

async fn finish(visitor: Visitor, posted: Posted) -> Answer {
    let token = posted.raw("token");
    let asked = call("user-auth")
        .post("/api/user-auth/v1/recover/finish")
        .json(&json!({ "token": token, "password": posted.raw("password") }));
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, "/account", Some(notice::PASSWORD_CHANGED))),
        Err(refused) if refused.status == 422 || refused.is_too_often() => {
            Ok(page(status_of(&refused), finish_form(token, &Complaints::of(&refused))))
        }
        Err(_) => Ok(page(StatusCode::GONE, over())),
    }
}
