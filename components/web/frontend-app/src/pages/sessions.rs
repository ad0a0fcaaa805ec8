//! The devices that are signed in, and signing them out.

use crate::prelude::*;
use nexus_sdk::prelude::*;

use super::entry::segment;

pub fn router() -> Router {
    Router::new()
        .route("/account/sessions", get(show))
        .route("/account/sessions/end", post(end))
        .route("/account/sessions/end-others", post(end_others))
}

/// A device that is signed in, as `session-mgr` shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct Device {
    id: String,
    pub current: bool,
    /// `Firefox on Linux`.
    device: String,
    address: Option<String>,
    created_at: Time,
    seen_at: Time,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Listed<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// More devices than anybody has are on further pages, which nobody would look at: the button
/// below ends them all.
const DEVICES_SHOWN_MAX: usize = 100;

fn devices() -> nexus_sdk::Question {
    let path = format!("/api/session-mgr/v1/sessions?limit={DEVICES_SHOWN_MAX}");
    call("session-mgr").get(path)
}

/// How many devices are signed in, for the overview.
pub async fn count(visitor: &Visitor) -> Result<Option<usize>, Trouble> {
    let listed: Option<Listed<Device>> = visitor.want(devices()).await?;
    Ok(listed.map(|listed| listed.items.len()))
}

fn row(device: &Device, now: Time) -> Markup {
    html! {
        li {
            div.item {
                (icon::devices())
                div {
                    p.item-name {
                        (device.device)
                        @if device.current { span.badge.good { "This device" } }
                    }
                    p.item-more {
                        @if let Some(address) = &device.address { (address) ", " }
                        "seen " (spoken::ago(now, device.seen_at))
                        ", signed in " (spoken::ago(now, device.created_at))
                    }
                }
            }
            @if !device.current {
                form method="post" action="/account/sessions/end" {
                    (hidden("id", &device.id))
                    button.second.small type="submit" {
                        "Sign out" span.away { " " (device.device) }
                    }
                }
            }
        }
    }
}

fn content(listed: &Listed<Device>, now: Time) -> Markup {
    let others = listed.items.iter().filter(|device| !device.current).count();
    html! {
        div.cards {
            section.card {
                h2 { "Where you are signed in" }
                p { "You do not know one of them? Sign it out and change your password." }
                ul.list { @for device in &listed.items { (row(device, now)) } }
            }
            @if others > 0 {
                section.card {
                    div.card-head {
                        h2 { "All others at once" }
                        form method="post" action="/account/sessions/end-others" {
                            button.danger type="submit" { "Sign out all other devices" }
                        }
                    }
                }
            }
        }
    }
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let listed: Listed<Device> = visitor.need(devices()).await?;
    let shown = content(&listed, visitor.now());
    Ok(page(StatusCode::OK, account(Menu::Devices, "Devices", notice::of(&visitor), &shown)))
}

async fn end(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let path = format!("/api/session-mgr/v1/sessions/{}", segment(posted.raw("id")));
    ended(&visitor, call("session-mgr").delete(path), notice::DEVICE_REMOVED).await
}

async fn end_others(visitor: Visitor, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("session-mgr").delete("/api/session-mgr/v1/sessions?others_only=true");
    ended(&visitor, asked, notice::DEVICES_REMOVED).await
}

async fn ended(visitor: &Visitor, asked: nexus_sdk::Question, notice: Notice) -> Answer {
    match visitor.ask::<serde_json::Value>(asked).await? {
        // Somebody else, or time, may have ended it before: the wish is fulfilled.
        Ok(_) => Ok(go(&notice.on("/account/sessions"))),
        Err(refused) if refused.status == 404 => Ok(go(&notice.on("/account/sessions"))),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, current: bool) -> Device {
        let at: Time = "2026-03-12T12:00:00Z".parse().unwrap();
        let address = Some("203.0.113.9".into());
        Device {
            id: name.into(),
            current,
            device: name.into(),
            address,
            created_at: at,
            seen_at: at,
        }
    }

    #[test]
    fn the_device_in_hand_has_no_button_and_alone_there_are_no_others() {
        let now = "2026-03-12T12:00:30Z".parse().unwrap();
        let alone = Listed { items: vec![device("Firefox", true)], next: None };
        let shown = content(&alone, now).into_string();
        assert!(!shown.contains("Sign out"), "{shown}");
        let items = vec![device("Firefox", true), device("<b>Chrome</b>", false)];
        let shown = content(&Listed { items, next: None }, now).into_string();
        assert_eq!(shown.matches("/account/sessions/end\"").count(), 1);
        assert!(shown.contains("/account/sessions/end-others") && !shown.contains("<b>"));
    }
}
