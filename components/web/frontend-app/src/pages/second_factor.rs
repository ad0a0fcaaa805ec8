//! The second step of signing in: a code, a recovery code or a passkey.

use super::entry::{self, Entered, Unfinished};
use super::passkey_sign_in::{self, Purpose};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::or_home;

pub fn router() -> Router {
    Router::new()
        .route("/account/second-factor", get(restart).post(send))
        .route("/account/second-factor/passkey", post(ask_passkey))
}

/// Where somebody stands between the first proof and the second.
pub struct Step {
    unfinished: Unfinished,
    return_to: String,
    /// Which of the methods is asked for.
    method: String,
}

/// The ways that this page knows, the usual one first.
const METHODS: [&str; 3] = ["totp", "passkey", "recovery-code"];

impl Step {
    /// The first question: a code, where there is an app for it; a recovery code comes last.
    pub fn of(unfinished: Unfinished, wish: &str) -> Step {
        let known = METHODS.iter().find(|known| unfinished.methods.iter().any(|m| m == *known));
        let method = (*known.unwrap_or(&"recovery-code")).to_owned();
        Step { unfinished, return_to: or_home(wish).to_owned(), method }
    }

    /// From the form: what is not known there is not asked for.
    fn of_form(form: &Posted) -> Step {
        let offered = form.raw("methods").split(' ');
        let methods = offered.filter(|method| METHODS.contains(method)).map(str::to_owned);
        let unfinished = Unfinished {
            flow: form.raw("flow").to_owned(),
            flow_secret: form.raw("flow_secret").to_owned(),
            methods: methods.collect(),
        };
        let asked = METHODS.iter().find(|method| **method == form.raw("method"));
        let method = (*asked.unwrap_or(&"totp")).to_owned();
        Step { unfinished, return_to: or_home(form.raw("return_to")).to_owned(), method }
    }

    fn offers(&self, method: &str) -> bool {
        self.unfinished.methods.iter().any(|offered| offered == method)
    }

    fn hidden(&self) -> Markup {
        html! {
            (hidden("flow", &self.unfinished.flow))
            (hidden("flow_secret", &self.unfinished.flow_secret))
            (hidden("methods", &self.unfinished.methods.join(" ")))
            (hidden("return_to", &self.return_to))
        }
    }

    pub fn show(&self, complaints: &Complaints) -> Markup {
        let by_code = self.method == "totp";
        let body = html! {
            (complaints.summary())
            @if by_code {
                p.lead { "Open your authenticator app and type the six digits it shows." }
                form.stack method="post" action="/account/second-factor" {
                    (self.hidden()) (hidden("method", "totp"))
                    (Field::code("code", "Code").show(complaints))
                    button.primary.wide type="submit" { "Go on" }
                }
            } @else if self.method == "recovery-code" {
                p.lead { "Type one of the recovery codes that you have kept. Each works once." }
                form.stack method="post" action="/account/second-factor" {
                    (self.hidden()) (hidden("method", "recovery-code"))
                    (Field::text("code", "Recovery code").length_max(64).show(complaints))
                    button.primary.wide type="submit" { "Go on" }
                }
            } @else {
                p.lead { "This account asks for a passkey besides the password." }
            }
            (self.other_ways())
            p.beneath { a href="/account/sign-in" { "Start again" } }
        };
        narrow("One more step", None, &body)
    }

    fn other_ways(&self) -> Markup {
        let switch = |method: &str, label: &str, picture: Markup| {
            html! {
                @if self.offers(method) && self.method != method {
                    form method="post" action="/account/second-factor" {
                        (self.hidden()) (hidden("method", method)) (hidden("switch", "yes"))
                        button.second.wide type="submit" { (picture) (label) }
                    }
                }
            }
        };
        html! {
            @if self.unfinished.methods.len() > 1 || self.method == "passkey" {
                @if self.method != "passkey" { p.or { "or" } }
                div.stack {
                    @if self.offers("passkey") {
                        form method="post" action="/account/second-factor/passkey" {
                            (self.hidden())
                            button.second.wide type="submit" { (icon::passkey()) "Use a passkey" }
                        }
                    }
                    (switch("totp", "Use your authenticator app", icon::phone()))
                    (switch("recovery-code", "Use a recovery code", icon::lock()))
                }
            }
        }
    }
}

/// An address that somebody has kept or reloaded: the flow was in the page, not in the address.
async fn restart(_visitor: Visitor) -> Answer {
    Ok(go("/account/sign-in"))
}

async fn send(visitor: Visitor, form: Posted) -> Answer {
    let step = Step::of_form(&form);
    if form.is_ticked("switch") {
        return Ok(page(StatusCode::OK, step.show(&Complaints::none())));
    }
    let path = format!("{}/{}", entry::flow_path(&step.unfinished.flow), step.method);
    let proof = json!({ "flow_secret": step.unfinished.flow_secret, "code": form.text("code") });
    let asked = call("user-auth").post(path).json(&proof);
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, &step.return_to, None)),
        Err(refused) => Ok(entry::again(&refused, |complaints| step.show(complaints))),
    }
}

async fn ask_passkey(visitor: Visitor, form: Posted) -> Answer {
    let step = Step::of_form(&form);
    let (flow, secret) = (step.unfinished.flow, step.unfinished.flow_secret);
    let purpose = Purpose::SecondFactor { flow, secret };
    passkey_sign_in::begin(&visitor, purpose, &step.return_to).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(methods: &[&str]) -> Step {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        let (flow, flow_secret) = ("f\"><b>".into(), "nxf_secret".into());
        Step::of(Unfinished { flow, flow_secret, methods }, "//evil.example")
    }

    #[test]
    fn the_secret_of_a_flow_stands_in_the_form_and_never_in_an_address() {
        let shown = step(&["totp", "passkey"]).show(&Complaints::none()).into_string();
        assert!(shown.contains("name=\"flow\" value=\"f&quot;&gt;&lt;b&gt;\""), "{shown}");
        assert!(!shown.contains("?flow") && !shown.contains("&amp;flow"), "{shown}");
        assert!(!shown.contains("evil.example"), "{shown}");
    }

    #[test]
    fn only_what_the_account_has_is_offered() {
        let shown = step(&["totp"]).show(&Complaints::none()).into_string();
        assert!(!shown.contains("Use a passkey") && !shown.contains("Use a recovery code"));
        let shown = step(&["totp", "recovery-code"]).show(&Complaints::none()).into_string();
        assert!(shown.contains("Use a recovery code"), "{shown}");
    }
}
