//! Making an account. What is said afterwards is the same whether the address is known or not.

use super::entry::status_of;
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::{or_home, with_wish};

pub fn router() -> Router {
    Router::new().route("/account/register", get(show).post(send))
}

#[derive(Default)]
struct Form<'a> {
    email: &'a str,
    display_name: &'a str,
    return_to: &'a str,
}

impl Form<'_> {
    fn show(&self, complaints: &Complaints) -> Markup {
        let body = html! {
            p.lead { "One account for everything on Nexus COS." }
            (complaints.summary())
            form.stack method="post" action="/account/register" {
                (hidden("return_to", self.return_to))
                (Field::text("display_name", "Your name").value(self.display_name)
                    .autocomplete("name").hint("As others see it. You can change it any time.")
                    .length_max(120).optional().show(complaints))
                (Field::email("email", "E-mail address").value(self.email)
                    .length_max(254).show(complaints))
                (Field::new_password("password", "Password").show(complaints))
                button.primary.wide type="submit" { "Create account" }
            }
            p.beneath {
                "You have an account? "
                a href=(with_wish("/account/sign-in", self.return_to)) { "Sign in" }
            }
        };
        narrow("Create your account", None, &body)
    }
}

async fn show(visitor: Visitor) -> Answer {
    if visitor.is_signed_in() {
        return Ok(go("/account"));
    }
    let form = Form { return_to: or_home(visitor.query("return_to")), ..Form::default() };
    Ok(page(StatusCode::OK, form.show(&Complaints::none())))
}

async fn send(visitor: Visitor, form: Posted) -> Answer {
    let shown = Form {
        email: form.text("email"),
        display_name: form.text("display_name"),
        return_to: or_home(form.raw("return_to")),
    };
    let mut draft = json!({ "email": shown.email, "password": form.raw("password") });
    if let Some(name) = form.optional("display_name") {
        draft["display_name"] = name.into();
    }
    let asked = call("user-auth").post("/api/user-auth/v1/register").json(&draft);
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(page(StatusCode::OK, sent(shown.email))),
        Err(refused) => Ok(page(status_of(&refused), shown.show(&Complaints::of(&refused)))),
    }
}

fn sent(email: &str) -> Markup {
    let body = html! {
        p.lead {
            "We have written to " strong { (email) } ". Open the link in that letter to finish."
        }
        div.stack {
            p { "Nothing there? Look among the unwanted mail, or have it sent again." }
            form method="post" action="/account/verify/resend" {
                (hidden("email", email))
                button.second.wide type="submit" { (icon::mail()) "Send it again" }
            }
        }
        p.beneath { a href="/account/register" { "That was not the right address" } }
    };
    narrow("Look into your mail", None, &body)
}

/// The page after a letter was sent once more.
pub fn sent_again(email: &str) -> Markup {
    sent(email)
}
