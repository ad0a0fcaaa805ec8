//! Proving with a passkey who it is: to sign in, as the second step, or again.
//!
//! Three requests: the form asks for a question, the page carries it to the browser's passkeys,
//! the answer comes back as a form. So nothing here is fetched by script.

use super::entry::{self, Entered};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::or_home;

pub fn router() -> Router {
    Router::new()
        .route("/account/sign-in/passkey", get(restart).post(start))
        .route("/account/sign-in/passkey/finish", get(restart).post(finish))
}

/// What the proof is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    SignIn,
    SecondFactor { flow: String, secret: String },
    Confirm,
}

/// A question for the browser's passkeys.
#[derive(Debug, Deserialize)]
pub struct Ceremony {
    pub ceremony: String,
    /// `PublicKeyCredentialRequestOptionsJSON` (WebAuthn Level 3).
    pub public_key: serde_json::Value,
}

impl Purpose {
    fn hidden(&self) -> Markup {
        html! {
            (hidden("purpose", self.word()))
            @if let Purpose::SecondFactor { flow, secret } = self {
                (hidden("flow", flow)) (hidden("flow_secret", secret))
            }
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Purpose::SignIn => "sign-in",
            Purpose::SecondFactor { .. } => "second-factor",
            Purpose::Confirm => "confirm",
        }
    }

    fn of_form(form: &Posted) -> Purpose {
        match form.raw("purpose") {
            "second-factor" => Purpose::SecondFactor {
                flow: form.raw("flow").to_owned(),
                secret: form.raw("flow_secret").to_owned(),
            },
            "confirm" => Purpose::Confirm,
            _ => Purpose::SignIn,
        }
    }

    /// Where one starts again.
    fn start(&self) -> &'static str {
        match self {
            Purpose::Confirm => "/account/step-up",
            _ => "/account/sign-in",
        }
    }
}

async fn restart(_visitor: Visitor) -> Answer {
    Ok(go("/account/sign-in"))
}

async fn start(visitor: Visitor, form: Posted) -> Answer {
    begin(&visitor, Purpose::SignIn, or_home(form.raw("return_to"))).await
}

/// The page with a fresh question.
pub async fn begin(visitor: &Visitor, purpose: Purpose, wish: &str) -> Answer {
    let asked = match &purpose {
        Purpose::SignIn => call("user-auth").post("/api/user-auth/v1/passkeys/login/begin"),
        Purpose::SecondFactor { flow, secret } => {
            let path = format!("{}/passkey", entry::flow_path(flow));
            call("user-auth").post(path).json(&json!({ "flow_secret": secret }))
        }
        Purpose::Confirm => call("user-auth").post("/api/user-auth/v1/step-up/passkey"),
    };
    match visitor.ask::<Ceremony>(asked).await? {
        Ok(done) => Ok(page(StatusCode::OK, question(&purpose, &done.value, wish))),
        Err(refused) => Ok(entry::again(&refused, |complaints| failed(&purpose, complaints))),
    }
}

fn question(purpose: &Purpose, ceremony: &Ceremony, wish: &str) -> Markup {
    let options = ceremony.public_key.to_string();
    let body = html! {
        p.lead data-passkey-words="" role="status" {
            "This page needs script to speak with your passkeys."
        }
        form.stack method="post" action="/account/sign-in/passkey/finish" data-passkey="get"
            data-options=(options) {
            (purpose.hidden())
            (hidden("return_to", or_home(wish)))
            (hidden("ceremony", &ceremony.ceremony))
            (hidden("credential", ""))
            button.primary.wide type="submit" disabled { (icon::passkey()) "Use a passkey" }
        }
        p.beneath { a href=(purpose.start()) { "Another way" } }
    };
    focus("Use your passkey", &body)
}

fn failed(purpose: &Purpose, complaints: &Complaints) -> Markup {
    let body = html! {
        (complaints.summary())
        a.button.primary.wide href=(purpose.start()) { "Start again" }
    };
    narrow("That did not work", None, &body)
}

async fn finish(visitor: Visitor, form: Posted) -> Answer {
    let purpose = Purpose::of_form(&form);
    let Ok(credential) = serde_json::from_str::<serde_json::Value>(form.raw("credential")) else {
        return Err(Trouble::Malformed);
    };
    let ceremony = form.raw("ceremony");
    let asked = match &purpose {
        Purpose::SignIn => call("user-auth")
            .post("/api/user-auth/v1/passkeys/login/finish")
            .json(&json!({ "ceremony": ceremony, "credential": credential })),
        Purpose::SecondFactor { flow, secret } => {
            let path = format!("{}/passkey", entry::flow_path(flow));
            call("user-auth").post(path).json(&json!({
                "flow_secret": secret, "ceremony": ceremony, "credential": credential,
            }))
        }
        Purpose::Confirm => call("user-auth")
            .post("/api/user-auth/v1/step-up")
            .json(&json!({ "ceremony": ceremony, "credential": credential })),
    };
    let wish = or_home(form.raw("return_to"));
    let notice = (purpose == Purpose::Confirm).then_some(notice::CONFIRMED);
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, wish, notice)),
        Err(refused) => Ok(entry::again(&refused, |complaints| failed(&purpose, complaints))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_of_the_server_cannot_leave_its_attribute() {
        let public_key = json!({ "challenge": "abc\"><script>alert(1)</script>" });
        let ceremony = Ceremony { ceremony: "c".into(), public_key };
        let shown = question(&Purpose::SignIn, &ceremony, "//evil.example").into_string();
        assert!(!shown.contains("<script>alert"), "{shown}");
        assert!(!shown.contains("evil.example"), "{shown}");
        assert!(shown.contains("data-passkey=\"get\""), "{shown}");
    }
}
