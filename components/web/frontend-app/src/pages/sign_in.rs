//! Signing in with a password, and signing out.

use super::entry::{self, Entered};
use super::provider::{self, Provider};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::{or_home, with_wish};

pub fn router() -> Router {
    Router::new()
        .route("/account/sign-in", get(show).post(send))
        .route("/account/sign-out", get(ask_sign_out).post(sign_out))
}

/// What stands in the form.
#[derive(Default)]
struct Form<'a> {
    email: &'a str,
    remember: bool,
    return_to: &'a str,
    providers: &'a [Provider],
}

impl Form<'_> {
    fn show(&self, notice: Option<Notice>, complaints: &Complaints) -> Markup {
        let body = html! {
            p.lead { "Welcome back." }
            (complaints.summary())
            form.stack method="post" action="/account/sign-in" {
                (hidden("return_to", self.return_to))
                (Field::email("email", "E-mail address").value(self.email)
                    .autocomplete("username webauthn").length_max(254).show(complaints))
                (Field::password("password", "Password").show(complaints))
                div.row {
                    label.tick {
                        input type="checkbox" name="remember" value="yes" checked[self.remember];
                        span { "Keep me signed in" }
                    }
                    a href="/account/recover" { "Forgot your password?" }
                }
                button.primary.wide type="submit" { "Sign in" }
            }
            p.or { "or" }
            div.stack {
                form method="post" action="/account/sign-in/passkey" {
                    (hidden("return_to", self.return_to))
                    button.second.wide type="submit" { (icon::passkey()) "Sign in with a passkey" }
                }
                a.button.second.wide href=(with_wish("/account/magic-link", self.return_to)) {
                    (icon::mail()) "E-mail me a link"
                }
                (provider::buttons(self.providers, self.return_to))
            }
            p.beneath {
                "New here? "
                a href=(with_wish("/account/register", self.return_to)) { "Create an account" }
            }
        };
        narrow("Sign in", notice, &body)
    }
}

async fn show(visitor: Visitor) -> Answer {
    let wish = visitor.query("return_to");
    if visitor.is_signed_in() {
        return Ok(go(or_home(wish)));
    }
    let email = visitor.query("login_hint");
    let providers = provider::offered(&visitor).await?;
    let form = Form { email, return_to: or_home(wish), providers: &providers, ..Form::default() };
    Ok(page(StatusCode::OK, form.show(notice::of(&visitor), &Complaints::none())))
}

async fn send(visitor: Visitor, form: Posted) -> Answer {
    let shown = Form {
        email: form.text("email"),
        remember: form.is_ticked("remember"),
        return_to: or_home(form.raw("return_to")),
        ..Form::default()
    };
    let credentials = json!({
        "email": shown.email, "password": form.raw("password"), "remember": shown.remember,
    });
    let asked = call("user-auth").post("/api/user-auth/v1/login").json(&credentials);
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, shown.return_to, None)),
        // The password was right, so it is said.
        Err(refused) if refused.is("address-not-verified") => {
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, unproven(shown.email)))
        }
        Err(refused) => {
            let complaints = Complaints::of(&refused);
            let providers = provider::offered(&visitor).await?;
            let shown = Form { providers: &providers, ..shown };
            Ok(page(entry::status_of(&refused), shown.show(None, &complaints)))
        }
    }
}

fn unproven(email: &str) -> Markup {
    let body = html! {
        p.lead {
            "We have written to " strong { (email) } ". Open the link in that letter first, then \
             you are in."
        }
        form.stack method="post" action="/account/verify/resend" {
            (hidden("email", email))
            button.primary.wide type="submit" { (icon::mail()) "Send it again" }
        }
        p.beneath { a href="/account/sign-in" { "Sign in as somebody else" } }
    };
    narrow("Confirm your address first", None, &body)
}

/// Where other programs send somebody who wants to leave.
async fn ask_sign_out(visitor: Visitor) -> Answer {
    if !visitor.is_signed_in() {
        return Ok(go("/account/sign-in"));
    }
    let body = html! {
        p.lead { "You are signed in on this device." }
        div.stack {
            form method="post" action="/account/sign-out" {
                button.primary.wide type="submit" { "Sign out" }
            }
            a.button.second.wide href="/account" { "Stay" }
        }
    };
    Ok(page(StatusCode::OK, narrow("Sign out?", None, &body)))
}

async fn sign_out(visitor: Visitor, _form: Posted) -> Answer {
    if !visitor.is_signed_in() {
        return Ok(go(&notice::SIGNED_OUT.on("/account/sign-in")));
    }
    let asked = call("user-auth").post("/api/user-auth/v1/logout");
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(done) => {
            let response = go(&notice::SIGNED_OUT.on("/account/sign-in"));
            Ok(with_cookies(response, &done.cookies))
        }
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_form_keeps_the_address_and_forgets_the_password() {
        let form = Form { email: "ada@example.org", ..Form::default() };
        let shown = form.show(None, &Complaints::about("That is not right.")).into_string();
        assert!(shown.contains("value=\"ada@example.org\""), "{shown}");
        assert!(shown.contains("role=\"alert\""), "{shown}");
        let password = shown.split("name=\"password\"").nth(1).unwrap();
        assert!(!password.split('>').next().unwrap().contains("value="), "{shown}");
    }
}
