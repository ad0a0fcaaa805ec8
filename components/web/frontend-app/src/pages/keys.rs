//! API keys: what programs act with. A new key is shown once, on the page that its making
//! answers with.

use super::entry::{segment, status_of};
use super::sessions::Listed;
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/keys", get(show).post(create))
        .route("/account/keys/revoke", post(revoke))
}

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    name: String,
    #[serde(default)]
    permissions: Option<Vec<String>>,
    created_at: Time,
    expires_at: Option<Time>,
    seen_at: Option<Time>,
    #[serde(default)]
    revoked_at: Option<Time>,
}

/// A key with its secret, once.
#[derive(Debug, Deserialize)]
struct Fresh {
    key: String,
}

#[derive(Debug, Default, Deserialize)]
struct May {
    permissions: Vec<String>,
}

/// For how long a key may live, in days; `token-mgr` allows a year.
const LIFETIMES: [(u32, &str); 4] =
    [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year")];
const LIFETIME_DAYS_USUAL: u32 = 90;

/// What stands in the form.
#[derive(Default)]
struct Draft {
    name: String,
    /// All that its owner may, now and later.
    everything: bool,
    permissions: Vec<String>,
    days: Option<u32>,
}

impl Draft {
    fn of_form(form: &Posted) -> Draft {
        let days = form.raw("days").parse().ok();
        Draft {
            name: form.text("name").to_owned(),
            everything: form.is_ticked("everything"),
            permissions: form.all("permissions").map(str::to_owned).collect(),
            days: days.filter(|days| LIFETIMES.iter().any(|(known, _)| known == days)),
        }
    }

    fn show(&self, may: &May, c: &Complaints) -> Markup {
        let days = self.days.unwrap_or(LIFETIME_DAYS_USUAL);
        html! {
            form.stack method="post" action="/account/keys" {
                (c.summary())
                (Field::text("name", "Name").value(&self.name).length_max(60)
                    .hint("What the key is for, so that you know it again.").show(c))
                fieldset #permissions aria-describedby="permissions-hint" {
                    legend { "What it may do" }
                    p.hint id="permissions-hint" { "Never more than you may yourself." }
                    label.tick {
                        input type="checkbox" name="everything" value="yes"
                            checked[self.everything];
                        span { "Everything that you may, now and later" }
                    }
                    @if !may.permissions.is_empty() {
                        div.boxes tabindex="0" role="group" aria-label="Only these" {
                            @for permission in &may.permissions {
                                label.tick {
                                    input type="checkbox" name="permissions" value=(permission)
                                        checked[self.permissions.contains(permission)];
                                    code { (permission) }
                                }
                            }
                        }
                    }
                    @if let Some(sentence) = c.of_field("permissions") {
                        p.complaint { (sentence) }
                    }
                }
                div.field {
                    label for="days" { "Ends after" }
                    select id="days" name="days" {
                        @for (count, word) in LIFETIMES {
                            option value=(count) selected[count == days] { (word) }
                        }
                    }
                }
                div.actions { (submit("Create key")) }
            }
        }
    }
}

fn row(key: &Key, now: Time) -> Markup {
    let over = key.revoked_at.is_some() || key.expires_at.is_some_and(|end| end <= now);
    html! {
        li {
            div.item {
                (icon::key())
                div {
                    p.item-name {
                        (key.name)
                        @if over { span.badge.bad { "Over" } }
                    }
                    p.item-more {
                        @match &key.permissions {
                            Some(permissions) => { code { (permissions.join(" ")) } }
                            None => "everything that you may do",
                        }
                    }
                    p.item-more {
                        @match key.seen_at {
                            Some(seen) => { "used " (spoken::ago(now, seen)) }
                            None => "never used",
                        }
                        ", made " (spoken::ago(now, key.created_at))
                        @if let Some(end) = key.expires_at { ", ends " (spoken::until(now, end)) }
                    }
                }
            }
            @if !over {
                form method="post" action="/account/keys/revoke" {
                    (hidden("id", &key.id))
                    button.danger.small type="submit" {
                        "Revoke" span.away { " " (key.name) }
                    }
                }
            }
        }
    }
}

fn content(listed: &Listed<Key>, now: Time, open: bool, form: &Markup) -> Markup {
    html! {
        div.cards {
            section.card {
                h2 { "Your keys" }
                p {
                    "A program sends its key in the header " code { "x-api-key" }
                    " and acts as you, within the key's limits. " a href="/docs" { "The API" }
                }
                @if listed.items.is_empty() {
                    div.list { p.nothing { "You have no keys." } }
                } @else {
                    ul.list { @for key in &listed.items { (row(key, now)) } }
                }
            }
            details.card open[open || listed.items.is_empty()] {
                summary { "New key" }
                (form)
            }
        }
    }
}

fn fresh(name: &str, key: &str) -> Markup {
    let body = html! {
        div.cards {
            section.card {
                h2 { "Your new key: " (name) }
                p { "Copy it now. It is not shown again, and nobody can look it up." }
                div.stack {
                    code.secret tabindex="0" { (key) }
                    p.caution {
                        (icon::warning())
                        span { "Whoever has it can do what it may do. Keep it like a password." }
                    }
                    p.actions { a.button.primary href="/account/keys" { "I have copied it" } }
                }
            }
        }
    };
    account(Menu::Keys, "API keys", None, &body)
}

async fn shown(visitor: &Visitor, draft: &Draft, c: &Complaints) -> Result<Markup, Trouble> {
    let asked = call("token-mgr").get("/api/token-mgr/v1/apikeys?limit=100");
    let listed: Listed<Key> = visitor.need(asked).await?;
    let may = visitor.want(call("users").get("/api/users/v1/me/permissions")).await?;
    let form = draft.show(&may.unwrap_or_default(), c);
    let content = content(&listed, visitor.now(), !c.is_empty(), &form);
    Ok(account(Menu::Keys, "API keys", notice::of(&visitor), &content))
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let shown = shown(&visitor, &Draft::default(), &Complaints::none()).await?;
    Ok(page(StatusCode::OK, shown))
}

async fn create(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let draft = Draft::of_form(&posted);
    if draft.permissions.is_empty() && !draft.everything {
        let complaints = Complaints::none().at("permissions", "Choose what the key may do.");
        let shown = shown(&visitor, &draft, &complaints).await?;
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, shown));
    }
    let lifetime = days(draft.days.unwrap_or(LIFETIME_DAYS_USUAL).cast_signed());
    let permissions = (!draft.everything).then_some(&draft.permissions);
    let body = json!({
        "name": draft.name, "permissions": permissions,
        "expires_at": visitor.now() + lifetime,
    });
    let asked = call("token-mgr").post("/api/token-mgr/v1/apikeys").json(&body);
    match visitor.ask::<Fresh>(asked).await? {
        Ok(done) => Ok(page(StatusCode::OK, fresh(&draft.name, &done.value.key))),
        Err(refused) => {
            let shown = shown(&visitor, &draft, &Complaints::of(&refused)).await?;
            Ok(page(status_of(&refused), shown))
        }
    }
}

async fn revoke(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let path = format!("/api/token-mgr/v1/apikeys/{}", segment(posted.raw("id")));
    match visitor.ask::<serde_json::Value>(call("token-mgr").delete(path)).await? {
        Ok(_) => Ok(go(&notice::KEY_REVOKED.on("/account/keys"))),
        Err(refused) => Err(Trouble::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_comes_back_keeps_what_was_ticked() {
        let draft = Draft {
            name: "Deploy".into(),
            everything: false,
            permissions: vec!["catalog:view".into()],
            days: Some(7),
        };
        let may = May { permissions: vec!["catalog:edit".into(), "catalog:view".into()] };
        let shown = draft.show(&may, &Complaints::none()).into_string();
        assert!(shown.contains("value=\"catalog:view\" checked"), "{shown}");
        assert!(shown.contains("value=\"catalog:edit\">"), "{shown}");
        assert!(shown.contains("value=\"7\" selected"), "{shown}");
    }

    #[test]
    fn a_key_that_is_over_cannot_be_revoked_again() {
        let now: Time = "2026-03-12T12:00:00Z".parse().unwrap();
        let key = |expires_at| Key {
            id: "k".into(),
            name: "Deploy".into(),
            permissions: None,
            created_at: now,
            expires_at,
            seen_at: None,
            revoked_at: None,
        };
        assert!(row(&key(Some(now)), now).into_string().contains("Over"));
        assert!(!row(&key(Some(now)), now).into_string().contains("Revoke"));
        assert!(row(&key(None), now).into_string().contains("Revoke"));
    }
}
