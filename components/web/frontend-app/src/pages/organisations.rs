//! Where somebody belongs: own organisations, their members, founding one, leaving one.
//!
//! Inviting and taking others out needs a credential that acts for the organisation
//! (`nexus-organisation`), which a form cannot send; that is the API's for now.

use super::entry::{id_of, segment, status_of};
use super::invite;
use super::sessions::Listed;
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/organisations", get(show).post(found))
        .route("/account/organisations/{id}", get(show_one))
        .route("/account/organisations/{id}/leave", post(leave))
}

#[derive(Debug, Deserialize)]
struct Belonging {
    id: String,
    slug: String,
    name: String,
    joined_at: Time,
}

#[derive(Debug, Deserialize)]
struct Organisation {
    id: String,
    slug: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Member {
    user_id: String,
    display_name: Option<String>,
    email: Option<String>,
    joined_at: Time,
    #[serde(default)]
    roles: Vec<String>,
}

/// What stands in the form that founds one.
#[derive(Default)]
struct Draft<'a> {
    name: &'a str,
    slug: &'a str,
}

fn content(own: &[Belonging], waiting: &Markup, draft: &Draft<'_>, c: &Complaints) -> Markup {
    html! {
        div.cards {
            (waiting)
            section.card {
                h2 { "Where you belong" }
                p { "People who work together under one name." }
                @if own.is_empty() {
                    div.list { p.nothing { "You are in no organisation yet." } }
                } @else {
                    ul.list { @for one in own { (row(one)) } }
                }
            }
            details.card open[!c.is_empty() || own.is_empty()] {
                summary { "Found an organisation" }
                form.stack method="post" action="/account/organisations" {
                    (c.summary())
                    (Field::text("name", "Name").value(draft.name).autocomplete("organization")
                        .length_max(120).show(c))
                    (Field::text("slug", "Short name").value(draft.slug).length_max(63)
                        .hint("For addresses: small letters, digits and dashes.").show(c))
                    div.actions { (submit("Found it")) }
                }
            }
        }
    }
}

fn row(one: &Belonging) -> Markup {
    html! {
        li {
            div.item {
                (icon::people())
                div {
                    p.item-name { (one.name) }
                    p.item-more { code { (one.slug) } ", since " (spoken::day(one.joined_at)) }
                }
            }
            a.button.second.small href={ "/account/organisations/" (segment(&one.id)) } {
                "Members" span.away { " of " (one.name) }
            }
        }
    }
}

async fn shown(
    visitor: &Visitor,
    draft: &Draft<'_>,
    complaints: &Complaints,
) -> Result<Markup, Trouble> {
    let own: Vec<Belonging> =
        visitor.need(call("users").get("/api/users/v1/me/organisations")).await?;
    let waiting = invite::waiting(visitor).await?;
    let waiting = invite::card(&waiting, visitor.now());
    let content = content(&own, &waiting, draft, complaints);
    Ok(account(Menu::Organisations, "Organisations", notice::of(&visitor), &content))
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let shown = shown(&visitor, &Draft::default(), &Complaints::none()).await?;
    Ok(page(StatusCode::OK, shown))
}

async fn found(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let draft = Draft { name: posted.text("name"), slug: posted.text("slug") };
    let body = json!({ "name": draft.name, "slug": draft.slug });
    let asked = call("users").post("/api/users/v1/organisations").json(&body);
    match visitor.ask::<Organisation>(asked).await? {
        Ok(_) => Ok(go(&notice::ORGANISATION_CREATED.on("/account/organisations"))),
        Err(refused) => {
            let shown = shown(&visitor, &draft, &Complaints::of(&refused)).await?;
            Ok(page(status_of(&refused), shown))
        }
    }
}

fn members(one: &Organisation, listed: &Listed<Member>, own: &str) -> Markup {
    html! {
        div.cards {
            section.card {
                h2 { "Members" }
                p { code { (one.slug) } }
                ul.list {
                    @for member in &listed.items {
                        li {
                            div.item {
                                (icon::person())
                                div {
                                    p.item-name {
                                        (member.display_name.as_deref()
                                            .or(member.email.as_deref()).unwrap_or("Nameless"))
                                        @if member.user_id == own { span.badge.good { "You" } }
                                        @for role in &member.roles { span.badge { (role) } }
                                    }
                                    p.item-more {
                                        @if let Some(email) = &member.email { (email) ", " }
                                        "since " (spoken::day(member.joined_at))
                                    }
                                }
                            }
                        }
                    }
                }
                @if listed.next.is_some() {
                    p.item-more { "There are more; the API lists them all." }
                }
            }
            section.card {
                div.card-head {
                    h2 { "Leave" }
                    form method="post" action={ "/account/organisations/" (one.id) "/leave" } {
                        button.danger type="submit" { "Leave " (one.name) }
                    }
                }
            }
        }
    }
}

async fn show_one(visitor: Visitor, Path(id): Path<String>) -> Answer {
    visitor.signed_in()?;
    let path = format!("/api/users/v1/organisations/{}", id_of(&id)?);
    let one: Organisation = visitor.need(call("users").get(path.clone())).await?;
    let listed: Listed<Member> =
        visitor.need(call("users").get(format!("{path}/members?limit=100"))).await?;
    let content = members(&one, &listed, &visitor.principal().subject);
    Ok(page(
        StatusCode::OK,
        account(Menu::Organisations, &one.name, notice::of(&visitor), &content),
    ))
}

async fn leave(visitor: Visitor, Path(id): Path<String>, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let own = segment(&visitor.principal().subject);
    let path = format!("/api/users/v1/organisations/{}/members/{own}", id_of(&id)?);
    match visitor.ask::<serde_json::Value>(call("users").delete(path)).await? {
        Ok(_) => Ok(go(&notice::MEMBER_REMOVED.on("/account/organisations"))),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}
