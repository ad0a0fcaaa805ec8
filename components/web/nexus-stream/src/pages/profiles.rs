//! Who is watching: choosing one of the household, with a PIN where there is one, and adding one.

use super::profile::limits;
use crate::household::{self, Household, Profile};
use crate::prelude::*;
use crate::scene::face;
use nexus_sdk::prelude::*;
use web_kit::document::Document;
use web_kit::return_to::{own, with_query};

pub const OWN: &str = "/api/profiles/v1/me/subprofiles";
/// As many as `profiles` lets a household have.
const PROFILES_MAX: usize = 5;
/// What a profile may be limited to, in years.
pub const LIMITS: [(&str, &str); 5] = [
    ("0", "For all ages"),
    ("6", "Up to 6 years"),
    ("12", "Up to 12 years"),
    ("16", "Up to 16 years"),
    ("18", "Everything"),
];

pub fn router() -> Router {
    Router::new()
        .route("/tv/profiles", get(pick).post(choose))
        .route("/tv/profiles/new", get(draft).post(add))
}

/// Where to go afterwards.
fn onward(wanted: &str) -> &str {
    own(wanted).unwrap_or("/tv")
}

/// A page with one thing on it.
pub fn plain(title: &str, content: &Markup) -> Markup {
    let body = html! {
        header.tv-top.bare { (web_kit::document::logo()) }
        main.asking #main tabindex="-1" { (content) }
    };
    Document::new(title, "tv")
        .style(crate::assets::STYLE.path())
        .script(crate::assets::REMOTE.path())
        .show(&body)
}

fn faces(household: &Household, return_to: &str) -> Markup {
    html! {
        ul.faces {
            @for it in &household.profiles {
                li {
                    form method="post" action="/tv/profiles" {
                        (hidden("id", &it.id.to_string()))
                        (hidden("return_to", return_to))
                        button.face-button type="submit" {
                            (face(&it.name, &it.picture))
                            span.face-name {
                                (it.name)
                                @if it.locked { (icon::lock()) span.away { ", with a PIN" } }
                            }
                            @if it.kid { span.face-more { "Kid" } }
                            @else if it.maturity_max < 18 {
                                span.face-more { "Up to " (it.maturity_max) " years" }
                            }
                        }
                    }
                    a.face-edit href={ "/tv/profiles/" (it.id) "/edit" } {
                        "Edit" span.away { " " (it.name) }
                    }
                }
            }
            @if household.profiles.len() < PROFILES_MAX {
                li {
                    a.face-button href=(with_query("/tv/profiles/new", &[("return_to", return_to)]))
                    {
                        span.face.face-add aria-hidden="true" { (icon::plus()) }
                        span.face-name { "Add somebody" }
                    }
                }
            }
        }
    }
}

async fn pick(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let household = Household::of(&visitor).await?;
    let return_to = onward(visitor.query("return_to"));
    let shown = html! {
        h1 { "Who is watching?" }
        @if household.profiles.is_empty() {
            p.lead {
                "You watch with your account. Add people to keep apart what each of them may see."
            }
        }
        (faces(&household, return_to))
        @if household.profiles.is_empty() || household.watching.is_some() {
            p.actions { a.button.quiet href=(return_to) { "Back" } }
        }
    };
    Ok(page(StatusCode::OK, plain("Who is watching?", &shown)))
}

/// The form for a PIN.
fn pin(profile: &Profile, return_to: &str, complaints: &Complaints) -> Markup {
    html! {
        div.pin {
            (face(&profile.name, &profile.picture))
            h1 { "Hello, " (profile.name) }
            (complaints.summary())
            form.stack method="post" action="/tv/profiles" {
                (hidden("id", &profile.id.to_string()))
                (hidden("return_to", return_to))
                div.field {
                    label for="pin" { "PIN" }
                    input.code #pin name="pin" type="password" inputmode="numeric"
                        pattern="[0-9]{4,8}" maxlength="8" autocomplete="off" required autofocus;
                }
                button.primary type="submit" { "Go on" }
            }
            p {
                a href=(with_query("/tv/profiles", &[("return_to", return_to)])) {
                    "Somebody else"
                }
            }
        }
    }
}

async fn choose(visitor: Visitor, form: Posted) -> Answer {
    visitor.signed_in()?;
    let household = Household::of(&visitor).await?;
    let chosen = household.profiles.iter().find(|it| it.id.to_string() == form.text("id"));
    let chosen = chosen.ok_or(Trouble::Missing)?;
    let return_to = onward(form.raw("return_to"));
    let typed = form.text("pin");
    if chosen.locked && typed.is_empty() {
        let shown = pin(chosen, return_to, &Complaints::none());
        return Ok(page(StatusCode::OK, plain("PIN", &shown)));
    }
    if chosen.locked {
        let question = call("profiles").post(format!("{OWN}/{}/unlock", chosen.id));
        let answer = visitor.ask::<()>(question.json(&json!({ "pin": typed }))).await?;
        if let Err(refused) = answer {
            let shown = pin(chosen, return_to, &Complaints::of(&refused));
            let shown = plain("PIN", &shown);
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, shown));
        }
    }
    remembered(&visitor, chosen.id, return_to).await
}

async fn remembered(visitor: &Visitor, profile: Uuid, return_to: &str) -> Answer {
    let secure = visitor.public_url().await?.starts_with("https:");
    Ok(with_cookies(go(return_to), &[household::cookie(profile, secure)]))
}

/// The form for somebody more.
fn form(name: &str, limit: &str, return_to: &str, complaints: &Complaints) -> Markup {
    html! {
        h1 { "Somebody more" }
        p.lead { "Each sees only what is made for their age." }
        (complaints.summary())
        form.stack method="post" action="/tv/profiles/new" {
            (hidden("return_to", return_to))
            (Field::text("name", "Name").value(name).length_max(40).show(complaints))
            (limits(limit, complaints))
            label.tick {
                input type="checkbox" name="kid" value="yes";
                span { "This is a child: nothing above 12 years" }
            }
            p.actions {
                button.primary type="submit" { "Add" }
                a.button.quiet href=(with_query("/tv/profiles", &[("return_to", return_to)])) {
                    "Back"
                }
            }
        }
    }
}

async fn draft(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let return_to = onward(visitor.query("return_to"));
    let shown = form("", "18", return_to, &Complaints::none());
    Ok(page(StatusCode::OK, plain("Somebody more", &shown)))
}

async fn add(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let (name, limit) = (posted.text("name"), posted.text("maturity_max"));
    let kid = posted.is_ticked("kid");
    let years: Option<i32> = limit.parse().ok();
    // What is said of a child stands above the list beside it.
    let years = if kid { years.map(|it| it.min(12)) } else { years };
    let wish = json!({ "name": name, "maturity_max": years, "kid": kid });
    let return_to = onward(posted.raw("return_to"));
    match visitor.ask::<Profile>(call("profiles").post(OWN).json(&wish)).await? {
        Ok(made) => remembered(&visitor, made.value.id, return_to).await,
        Err(refused) => {
            let shown = form(name, limit, return_to, &Complaints::of(&refused));
            let shown = plain("Somebody more", &shown);
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_choosing() {
        assert_eq!(onward("//evil.example"), "/tv");
        assert_eq!(onward("/watch/1"), "/watch/1");
    }

    #[test]
    fn a_household_that_is_full_is_offered_nobody_more() {
        let profile = |n: u128| Profile {
            id: Uuid::from_u128(n),
            name: format!("<{n}>"),
            picture: "fox".into(),
            maturity_max: 18,
            kid: false,
            locked: n == 1,
        };
        let household =
            |n: u128| Household { profiles: (0..n).map(profile).collect(), watching: None };
        assert!(faces(&household(4), "/tv").into_string().contains("Add somebody"));
        let full = faces(&household(5), "/tv").into_string();
        assert!(!full.contains("Add somebody") && !full.contains("<1>"), "{full}");
        assert!(full.contains("with a PIN"), "{full}");
    }
}
