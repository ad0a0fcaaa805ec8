//! Proving an address with the link of a letter. Opening the link proves nothing yet: programs
//! that look through mail open links, too. The button does.

use super::entry::{self, Entered, status_of};
use super::register::sent_again;
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/verify", get(show).post(send))
        .route("/account/verify/resend", post(resend))
}

fn form(token: &str, complaints: &Complaints) -> Markup {
    let body = html! {
        p.lead { "One click, and your account is ready." }
        (complaints.summary())
        form.stack method="post" action="/account/verify" {
            (hidden("token", token))
            button.primary.wide type="submit" { "Confirm my address" }
        }
    };
    narrow("Confirm your e-mail address", None, &body)
}

fn over() -> Markup {
    let body = html! {
        p.lead { "This link was used already, or it is too old. Have a new one sent to you." }
        form.stack method="post" action="/account/verify/resend" {
            (Field::email("email", "E-mail address").length_max(254).show(&Complaints::none()))
            button.primary.wide type="submit" { "Send a new link" }
        }
        p.beneath { "Confirmed already? " a href="/account/sign-in" { "Sign in" } }
    };
    narrow("That link is over", None, &body)
}

async fn show(visitor: Visitor) -> Answer {
    let token = visitor.query("token");
    let shown = if token.is_empty() { over() } else { form(token, &Complaints::none()) };
    Ok(page(StatusCode::OK, shown))
}

async fn send(visitor: Visitor, posted: Posted) -> Answer {
    let token = posted.raw("token");
    let asked = call("user-auth").post("/api/user-auth/v1/verify").json(&json!({ "token": token }));
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, "/account", Some(notice::EMAIL_VERIFIED))),
        Err(refused) if refused.is_too_often() => {
            Ok(page(status_of(&refused), form(token, &Complaints::of(&refused))))
        }
        Err(_) => Ok(page(StatusCode::GONE, over())),
    }
}

async fn resend(visitor: Visitor, posted: Posted) -> Answer {
    let email = posted.text("email");
    let asked =
        call("user-auth").post("/api/user-auth/v1/verify/resend").json(&json!({ "email": email }));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(page(StatusCode::OK, sent_again(email))),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}
