//! One of the household: name, limit, PIN, and going. What protects a child wants a fresh proof of
//! who owns the account; `profiles` asks for it, and the kit leads there and back.

use super::profiles::{LIMITS, OWN, plain};
use crate::household::{Household, Profile};
use crate::prelude::*;
use crate::scene::face;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/tv/profiles/{id}/edit", get(show).post(save))
        .route("/tv/profiles/{id}/pin", post(pin))
        .route("/tv/profiles/{id}/remove", post(remove))
}

async fn profile(visitor: &Visitor, id: &str) -> Result<Profile, Trouble> {
    visitor.signed_in()?;
    let household = Household::of(visitor).await?;
    let found = household.profiles.into_iter().find(|it| it.id.to_string() == id);
    found.ok_or(Trouble::Missing)
}

/// What is typed, beside what is kept.
struct Typed<'a> {
    name: &'a str,
    limit: &'a str,
    kid: bool,
}

fn content(profile: &Profile, typed: &Typed<'_>, complaints: &Complaints) -> Markup {
    let path = |leaf: &str| format!("/tv/profiles/{}/{leaf}", profile.id);
    html! {
        div.pin {
            (face(&profile.name, &profile.picture))
            h1 { (profile.name) }
        }
        (complaints.summary())
        form.stack method="post" action=(path("edit")) {
            (Field::text("name", "Name").value(typed.name).length_max(40).show(complaints))
            (limits(typed.limit, complaints))
            label.tick {
                input type="checkbox" name="kid" value="yes" checked[typed.kid];
                span { "This is a child: nothing above 12 years" }
            }
            p.actions {
                button.primary type="submit" { "Save" }
                a.button.quiet href="/tv/profiles" { "Back" }
            }
        }
        form.stack method="post" action=(path("pin")) {
            div.field {
                label for="pin" {
                    @if profile.locked { "Another PIN" } @else { "PIN" }
                }
                p.hint #pin-hint { "4 to 8 digits, asked for before this profile watches" }
                input.code #pin name="pin" type="password" inputmode="numeric" maxlength="8"
                    autocomplete="off" aria-describedby="pin-hint";
                @if let Some(words) = complaints.of_field("pin") { p.complaint { (words) } }
            }
            p.actions {
                button.second type="submit" { "Set the PIN" }
                @if profile.locked {
                    button.quiet type="submit" name="lift" value="yes" { "Ask for none" }
                }
            }
        }
        form.stack method="post" action=(path("remove")) {
            button.danger type="submit" { "Remove " (profile.name) }
        }
    }
}

/// The list of limits.
pub fn limits(chosen: &str, complaints: &Complaints) -> Markup {
    html! {
        div.field {
            label for="maturity_max" { "What is shown" }
            select #maturity_max name="maturity_max" {
                @for (value, label) in LIMITS {
                    option value=(value) selected[value == chosen] { (label) }
                }
            }
            @if let Some(words) = complaints.of_field("maturity_max") {
                p.complaint { (words) }
            }
        }
    }
}

fn shown(status: StatusCode, profile: &Profile, complaints: &Complaints) -> Response {
    let limit = profile.maturity_max.to_string();
    let typed = Typed { name: &profile.name, limit: &limit, kid: profile.kid };
    page(status, plain(&profile.name, &content(profile, &typed, complaints)))
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Answer {
    let profile = profile(&visitor, &id).await?;
    Ok(shown(StatusCode::OK, &profile, &Complaints::none()))
}

async fn save(visitor: Visitor, Path(id): Path<String>, form: Posted) -> Answer {
    let profile = profile(&visitor, &id).await?;
    let typed = Typed {
        name: form.text("name"),
        limit: form.text("maturity_max"),
        kid: form.is_ticked("kid"),
    };
    let years: Option<i32> = typed.limit.parse().ok();
    let years = if typed.kid { years.map(|it| it.min(12)) } else { years };
    let wish = json!({ "name": typed.name, "maturity_max": years, "kid": typed.kid });
    let question = call("profiles").patch(format!("{OWN}/{}", profile.id)).json(&wish);
    match visitor.ask::<Profile>(question).await? {
        Ok(_) => Ok(go("/tv/profiles")),
        Err(refused) => {
            let again = content(&profile, &typed, &Complaints::of(&refused));
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, plain(&profile.name, &again)))
        }
    }
}

async fn pin(visitor: Visitor, Path(id): Path<String>, form: Posted) -> Answer {
    let profile = profile(&visitor, &id).await?;
    let path = format!("{OWN}/{}/pin", profile.id);
    let question = match form.is_ticked("lift") {
        true => call("profiles").delete(path),
        false => call("profiles").put(path).json(&json!({ "pin": form.text("pin") })),
    };
    match visitor.ask::<()>(question).await? {
        Ok(_) => Ok(go("/tv/profiles")),
        Err(refused) => {
            let complaints = Complaints::of(&refused);
            Ok(shown(StatusCode::UNPROCESSABLE_ENTITY, &profile, &complaints))
        }
    }
}

async fn remove(visitor: Visitor, Path(id): Path<String>, _form: Posted) -> Answer {
    let profile = profile(&visitor, &id).await?;
    let question = call("profiles").delete(format!("{OWN}/{}", profile.id));
    match visitor.ask::<()>(question).await? {
        Ok(_) => Ok(go("/tv/profiles")),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_profile_with_a_pin_is_offered_to_lose_it() {
        let profile = |locked: bool| Profile {
            id: Uuid::nil(),
            name: "<Mia>".into(),
            picture: "fox".into(),
            maturity_max: 12,
            kid: true,
            locked,
        };
        let shown = |locked: bool| {
            let typed = Typed { name: "Mia", limit: "12", kid: true };
            content(&profile(locked), &typed, &Complaints::none()).into_string()
        };
        assert!(!shown(false).contains("Ask for none") && shown(true).contains("Ask for none"));
        assert!(!shown(true).contains("<Mia>"));
        assert!(shown(true).contains("value=\"12\" selected"));
    }
}
