//! The way of a title to its viewers and back: what can be done now, and doing it.

use super::title::shown;
use crate::prelude::*;
use crate::title::draft::Draft;
use crate::title::lists;
use crate::title::{self, Title};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

pub fn router() -> Router {
    Router::new().route("/creator/titles/{id}/steps/{step}", post(take))
}

/// Approving what others have made.
const REVIEW: &str = "content-cms:review";

/// What can be done with a title, and what it says then.
fn steps() -> [(&'static str, Notice); 8] {
    [
        ("submit", notice::SUBMITTED),
        ("approve", notice::PUBLISHED),
        ("send-back", notice::SENT_BACK),
        ("schedule", notice::SCHEDULED),
        ("publish", notice::PUBLISHED),
        ("unpublish", notice::UNPUBLISHED),
        ("archive", notice::ARCHIVED),
        ("restore", notice::RESTORED),
    ]
}

pub fn card(visitor: &Visitor, title: &Title, complaints: &Complaints) -> Markup {
    let may_review = visitor.principal().may(REVIEW);
    html! {
        section.card {
            div.card-head { h2 { "On its way" } (title.badge()) }
            p { (standing(title)) }
            @if let Some(at) = title.publish_at.filter(|_| title.state == "scheduled") {
                p.item-more { "From " (moment(at)) }
            }
            @if let Some(at) = title.unpublish_at { p.item-more { "Until " (moment(at)) } }
            (choices(title, may_review, complaints))
        }
    }
}

fn moment(at: Time) -> Markup {
    html! { time datetime=(at.to_rfc3339()) { (at.format("%-d %B %Y, %H:%M UTC")) } }
}

fn standing(title: &Title) -> &'static str {
    let waits = !title.playable && !title.is_series();
    match title.state.as_str() {
        "published" if title.live => "Your audience can watch it now.",
        "published" => "It is published, but its rights or its series do not show it now.",
        "scheduled" if title.publish_at.is_none() => {
            "It is published as soon as its film can be played."
        }
        "scheduled" => "It is published by itself when its time comes.",
        "review" => "Somebody looks at it before it is published.",
        "archived" => "It is put away. Bring it back to go on with it.",
        _ if title.asset.is_none() && !title.is_series() => {
            "Choose a film for it; then it can be published."
        }
        _ if waits => "Its film is being processed. Publish it now, and it appears when it can.",
        _ => "Only you see it.",
    }
}

fn choices(title: &Title, may_review: bool, complaints: &Complaints) -> Markup {
    let step = |step: &str, label: &str, class: &str| {
        html! {
            form method="post" action={ (title.path()) "/steps/" (step) } {
                button class=(class) type="submit" { (label) }
            }
        }
    };
    let has_film = title.asset.is_some() || title.is_series();
    html! {
        div.actions.steps-now {
            @match title.state.as_str() {
                "draft" | "unpublished" => {
                    @if has_film {
                        (step("publish", "Publish", "primary"))
                        (step("submit", "Send to review", "second"))
                    }
                    (step("archive", "Archive", "quiet"))
                }
                "scheduled" => {
                    (step("publish", "Publish now", "primary"))
                    (step("unpublish", "Take it back", "second"))
                }
                "published" => { (step("unpublish", "Take it down", "second")) }
                "review" => {
                    @if may_review { (step("approve", "Approve", "primary")) }
                    @else { (step("send-back", "Take it back", "second")) }
                }
                "archived" => { (step("restore", "Bring it back", "primary")) }
                _ => {}
            }
        }
        @if title.state == "review" && may_review { (send_back(title, complaints)) }
        @if has_film && matches!(title.state.as_str(), "draft" | "unpublished" | "scheduled") {
            (schedule(title, complaints))
        }
    }
}

fn send_back(title: &Title, complaints: &Complaints) -> Markup {
    html! {
        details.more open[complaints.of_field("note").is_some()] {
            summary { "Send it back" }
            form.stack method="post" action={ (title.path()) "/steps/send-back" } {
                (Field::area("note", "What is to be changed?", 3).length_max(2000).show(complaints))
                div.actions { button.second type="submit" { "Send it back" } }
            }
        }
    }
}

fn schedule(title: &Title, complaints: &Complaints) -> Markup {
    let from = lists::moment_text(title.publish_at);
    let until = lists::moment_text(title.unpublish_at);
    let wrong = ["publish_at", "unpublish_at"].iter().any(|it| complaints.of_field(it).is_some());
    html! {
        details.more open[wrong] {
            summary { "Publish later" }
            form.stack method="post" action={ (title.path()) "/steps/schedule" } {
                (Field::moment("publish_at", "From").value(&from)
                    .hint("UTC.").show(complaints))
                (Field::moment("unpublish_at", "Until").value(&until).optional()
                    .hint("UTC; empty is for good.").show(complaints))
                div.actions { button.second type="submit" { (icon::clock()) "Schedule" } }
            }
        }
    }
}

async fn take(visitor: Visitor, Path((id, step)): Path<(Uuid, String)>, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let all = steps();
    let Some((step, notice)) = all.iter().find(|(known, _)| *known == step) else {
        return Err(Trouble::Missing);
    };
    let said = match said(step, &posted) {
        Ok(said) => said,
        Err(wrong) => return again(&visitor, id, &wrong).await,
    };
    let asked = call("content-cms").post(title::at(id, &format!("/{step}"))).json(&said);
    match visitor.ask::<Title>(asked).await? {
        Ok(done) => {
            // Asked to be published, and waits for its film.
            let waits = done.value.state == "scheduled";
            let notice = if waits { notice::SCHEDULED } else { *notice };
            Ok(go(&notice.on(&done.value.path())))
        }
        Err(refused) if refused.is("review-required") => {
            let words = "Here somebody looks at a title before it is published: send it to review.";
            again(&visitor, id, &Complaints::about(words)).await
        }
        Err(refused) => again(&visitor, id, &Complaints::of(&refused)).await,
    }
}

/// What is said beside a step.
fn said(step: &str, posted: &Posted) -> Result<Value, Complaints> {
    let moment = |field: &str| {
        let read = lists::moment(posted.text(field));
        read.map_err(|words| Complaints::none().at(field, words))
    };
    Ok(match step {
        "publish" | "approve" => json!({ "when_ready": true }),
        "schedule" => {
            json!({ "publish_at": moment("publish_at")?, "unpublish_at": moment("unpublish_at")? })
        }
        "send-back" => json!({ "note": posted.optional("note") }),
        _ => json!({}),
    })
}

async fn again(visitor: &Visitor, id: Uuid, complaints: &Complaints) -> Answer {
    let title = title::find(visitor, id).await?;
    shown(visitor, &title, &Draft::from(&title), complaints).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_in(state: &str, may_review: bool) -> String {
        let asset = Some(Uuid::nil());
        let title = Title { state: state.into(), asset, playable: true, ..Title::default() };
        choices(&title, may_review, &Complaints::none()).into_string()
    }

    #[test]
    fn only_steps_that_lead_on_from_here_are_offered() {
        for (state, there, away) in [
            ("draft", "/steps/publish", "/steps/unpublish"),
            ("scheduled", "/steps/unpublish", "/steps/submit"),
            ("published", "/steps/unpublish", "/steps/publish\""),
            ("archived", "/steps/restore", "/steps/archive"),
            ("review", "/steps/send-back", "/steps/approve"),
        ] {
            let shown = shown_in(state, false);
            assert!(shown.contains(there) && !shown.contains(away), "{state}: {shown}");
        }
        assert!(shown_in("review", true).contains("/steps/approve"));
    }

    #[test]
    fn a_title_without_a_film_is_not_offered_to_be_published() {
        let title = Title { state: "draft".into(), ..Title::default() };
        let shown = choices(&title, false, &Complaints::none()).into_string();
        assert!(!shown.contains("/steps/publish"), "{shown}");
    }
}
