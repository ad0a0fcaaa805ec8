//! The first administrator of an installation, who comes with the link that the host has printed.

use super::entry::{self, Entered, status_of};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::return_to::with_query;

pub fn router() -> Router {
    Router::new().route("/account/setup", get(show).post(send))
}

/// Whether a link would be taken.
#[derive(Debug, Deserialize)]
struct Standing {
    valid: bool,
}

fn form(token: &str, email: &str, name: &str, complaints: &Complaints) -> Markup {
    let body = html! {
        p.lead { "This installation is new. Its first account may do everything: make it yours." }
        (complaints.summary())
        form.stack method="post" action="/account/setup" {
            (hidden("token", token))
            (Field::text("display_name", "Your name").value(name).autocomplete("name")
                .length_max(120).show(complaints))
            (Field::email("email", "E-mail address").value(email).length_max(254)
                .show(complaints))
            (Field::new_password("password", "Password").show(complaints))
            button.primary.wide type="submit" { "Create administrator" }
        }
    };
    narrow("Set up Nexus COS", None, &body)
}

fn over() -> Markup {
    let body = html! {
        p.lead {
            "This set-up link was used already, or it is too old. Start the host again to get a \
             new one, as long as there is no administrator."
        }
        a.button.primary.wide href="/account/sign-in" { "Sign in" }
    };
    narrow("That link is over", None, &body)
}

async fn show(visitor: Visitor) -> Answer {
    let token = visitor.query("token");
    let path = with_query("/api/user-auth/v1/setup", &[("token", token)]);
    let asked = call("user-auth").get(path);
    let standing: Standing = visitor.need(asked).await?;
    Ok(match standing.valid {
        true => page(StatusCode::OK, form(token, "", "", &Complaints::none())),
        false => page(StatusCode::GONE, over()),
    })
}

async fn send(visitor: Visitor, posted: Posted) -> Answer {
    let (token, email) = (posted.raw("token"), posted.text("email"));
    let name = posted.text("display_name");
    let draft = json!({
        "token": token, "email": email, "display_name": name,
        "password": posted.raw("password"),
    });
    let asked = call("user-auth").post("/api/user-auth/v1/setup").json(&draft);
    match visitor.ask::<Entered>(asked).await? {
        Ok(done) => Ok(entry::go_on(done, "/account", Some(notice::SIGNED_IN))),
        Err(refused) if refused.status == 422 || refused.is_too_often() => {
            let complaints = Complaints::of(&refused);
            Ok(page(status_of(&refused), form(token, email, name, &complaints)))
        }
        Err(_) => Ok(page(StatusCode::GONE, over())),
    }
}
