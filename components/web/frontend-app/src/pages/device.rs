//! A device without a keyboard shows a code; here it is typed (RFC 8628).

use super::consent::{Asking, Scope, wishes};
use super::entry::{segment, status_of};
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/device", get(show).post(decide))
        .route("/account/device/done", get(done))
}

#[derive(Debug, Deserialize)]
struct Question {
    user_code: String,
    client: Asking,
    scopes: Vec<Scope>,
}

fn form(code: &str, complaints: &Complaints) -> Markup {
    let body = html! {
        p.lead { "Type the code that your television, console or program shows." }
        (complaints.summary())
        form.stack method="get" action="/account/device" {
            (Field::text("user_code", "Code").value(code).length_max(32).show(complaints))
            button.primary.wide type="submit" { "Go on" }
        }
    };
    narrow("Connect a device", None, &body)
}

fn question(question: &Question) -> Markup {
    let body = html! {
        p.lead { "Does your device show this code?" }
        p { code.secret { (question.user_code) } }
        (wishes(&question.client, &question.scopes))
        form.stack method="post" action="/account/device" {
            (hidden("user_code", &question.user_code))
            button.primary.wide type="submit" name="answer" value="yes" { "Yes, connect it" }
            button.second.wide type="submit" name="answer" value="no" { "No" }
        }
        p.beneath { "Somebody sent you this code? Then say no: it would let them in." }
    };
    narrow("Connect a device", None, &body)
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let code = visitor.query("user_code");
    if code.is_empty() {
        return Ok(page(StatusCode::OK, form("", &Complaints::none())));
    }
    let path = format!("/api/auth/v1/devices/{}", segment(code));
    Ok(match visitor.ask::<Question>(call("auth").get(path)).await? {
        Ok(done) => page(StatusCode::OK, question(&done.value)),
        Err(refused) => page(status_of(&refused), form(code, &Complaints::of(&refused))),
    })
}

async fn decide(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let code = posted.raw("user_code");
    let approves = posted.raw("answer") == "yes";
    let path = format!("/api/auth/v1/devices/{}/decision", segment(code));
    let asked = call("auth").post(path).json(&json!({ "approve": approves }));
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) if approves => Ok(go(&notice::DEVICE_CONNECTED.on("/account/device/done"))),
        Ok(_) => Ok(go(&notice::DEVICE_DENIED.on("/account/device/done"))),
        Err(refused) => Ok(page(status_of(&refused), form(code, &Complaints::of(&refused)))),
    }
}

async fn done(visitor: Visitor) -> Answer {
    let body = html! {
        p.lead { "You can close this page." }
        a.button.second.wide href="/account" { "Your account" }
    };
    Ok(page(StatusCode::OK, narrow("Done", notice::of(&visitor), &body)))
}
