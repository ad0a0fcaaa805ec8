//! Setting up a second factor on the way in, where it is asked of the account. There is no session
//! yet: what proves who it is travels in the forms, as in the second step.

use super::entry::{self, Unfinished, onward};
use super::totp::{self, Offer};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::or_home;

pub fn router() -> Router {
    Router::new()
        .route("/account/second-factor/enrol", get(restart).post(begin))
        .route("/account/second-factor/enrol/confirm", get(restart).post(confirm))
}

/// Where somebody stands between the first proof and the first session.
pub struct Enrolment {
    flow: String,
    flow_secret: String,
    return_to: String,
}

impl Enrolment {
    pub fn of(unfinished: Unfinished, wish: &str) -> Enrolment {
        let Unfinished { flow, flow_secret, .. } = unfinished;
        Enrolment { flow, flow_secret, return_to: or_home(wish).to_owned() }
    }

    fn of_form(form: &Posted) -> Enrolment {
        let text = |name: &str| form.raw(name).to_owned();
        let return_to = or_home(form.raw("return_to")).to_owned();
        Enrolment { flow: text("flow"), flow_secret: text("flow_secret"), return_to }
    }

    fn path(&self, step: &str) -> String {
        format!("{}/enrolment/totp{step}", entry::flow_path(&self.flow))
    }

    fn hidden(&self) -> Markup {
        html! {
            (hidden("flow", &self.flow))
            (hidden("flow_secret", &self.flow_secret))
            (hidden("return_to", &self.return_to))
        }
    }

    pub fn ask(&self) -> Markup {
        let body = html! {
            p.lead {
                "Your account needs a second proof besides the first. You set it up once; it \
                 takes a minute and an authenticator app on your telephone."
            }
            form.stack method="post" action="/account/second-factor/enrol" {
                (self.hidden())
                button.primary.wide type="submit" { (icon::phone()) "Set up an app" }
            }
            p.beneath { a href="/account/sign-in" { "Start again" } }
        };
        narrow("Protect your account", None, &body)
    }

    fn show(&self, offer: &Offer, complaints: &Complaints) -> Markup {
        let body = html! {
            (complaints.summary())
            (totp::scan(offer))
            form.stack method="post" action="/account/second-factor/enrol/confirm" {
                (self.hidden())
                (totp::kept(offer))
                (Field::code("code", "Then type the code that it shows").show(complaints))
                button.primary.wide type="submit" { "Turn on and sign in" }
            }
        };
        narrow("Scan the picture with your app", None, &body)
    }
}

/// The flow was in the page, not in the address.
async fn restart(_visitor: Visitor) -> Answer {
    Ok(go("/account/sign-in"))
}

async fn begin(visitor: Visitor, form: Posted) -> Answer {
    let enrolment = Enrolment::of_form(&form);
    let proof = json!({ "flow_secret": enrolment.flow_secret });
    let asked = call("user-auth").post(enrolment.path("")).json(&proof);
    match visitor.ask::<Offer>(asked).await? {
        Ok(done) => Ok(page(StatusCode::OK, enrolment.show(&done.value, &Complaints::none()))),
        Err(refused) => Ok(entry::again(&refused, |_| enrolment.ask())),
    }
}

#[derive(Debug, Deserialize)]
struct In {
    #[serde(default)]
    recovery_codes: Vec<String>,
}

async fn confirm(visitor: Visitor, form: Posted) -> Answer {
    let enrolment = Enrolment::of_form(&form);
    let proof = json!({ "flow_secret": enrolment.flow_secret, "code": form.text("code") });
    let asked = call("user-auth").post(enrolment.path("/confirm")).json(&proof);
    match visitor.ask::<In>(asked).await? {
        Ok(done) => {
            let shown = match done.value.recovery_codes.is_empty() {
                true => onward(&enrolment.return_to),
                false => page(StatusCode::OK, keep(&done.value, &enrolment.return_to)),
            };
            Ok(with_cookies(shown, &done.cookies))
        }
        Err(refused) => {
            let offer = Offer::of_form(&form);
            Ok(entry::again(&refused, |complaints| enrolment.show(&offer, complaints)))
        }
    }
}

fn keep(entered: &In, return_to: &str) -> Markup {
    let body = html! {
        p.lead {
            "Each opens your account once, when your device is lost. They are not shown again."
        }
        (totp::codes(&entered.recovery_codes))
        a.button.primary.wide href=(return_to) { "I have kept them" }
    };
    narrow("Keep these recovery codes", None, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_the_flow_stands_in_the_form_and_nobody_is_sent_elsewhere() {
        let unfinished = Unfinished {
            flow: "f\"><b>".into(),
            flow_secret: "nxf_secret".into(),
            methods: vec!["totp".into()],
        };
        let shown = Enrolment::of(unfinished, "//evil.example").ask().into_string();
        assert!(shown.contains("name=\"flow\" value=\"f&quot;&gt;&lt;b&gt;\""), "{shown}");
        assert!(!shown.contains("?flow") && !shown.contains("evil.example"), "{shown}");
    }
}
