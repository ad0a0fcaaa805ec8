//! Name and language.

use super::entry::status_of;
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/account/profile", get(show).post(save))
}

/// One's own account, as `users` shows it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Person {
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    pub display_name: Option<String>,
    pub locale: Option<String>,
}

impl Person {
    /// How somebody is addressed.
    pub fn called(&self) -> &str {
        let name = self.display_name.as_deref().filter(|name| !name.is_empty());
        name.or(self.email.as_deref()).unwrap_or("Your account")
    }

    /// One or two letters for a picture that is none.
    pub fn initials(&self) -> String {
        let words = self.called().split([' ', '@', '.', '-']).filter(|word| !word.is_empty());
        let letters = words.filter_map(|word| word.chars().next()).take(2);
        letters.flat_map(char::to_uppercase).collect()
    }
}

pub async fn person(visitor: &Visitor) -> Result<Person, Trouble> {
    visitor.need(call("users").get("/api/users/v1/me")).await
}

/// Languages that letters are written in.
const LOCALES: [(&str, &str); 4] =
    [("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")];

fn form(person: &Person, notice: Option<Notice>, complaints: &Complaints) -> Markup {
    let name = person.display_name.as_deref().unwrap_or_default();
    let locale = person.locale.as_deref().unwrap_or_default();
    let body = html! {
        div.cards {
            section.card {
                h2 { "About you" }
                p { "Others on the platform see your name. Your address stays with you." }
                form.stack method="post" action="/account/profile" {
                    (complaints.summary())
                    (Field::text("display_name", "Name").value(name).autocomplete("name")
                        .length_max(120).optional().show(complaints))
                    div.field {
                        label for="locale" { "Language of letters to you" }
                        select id="locale" name="locale" {
                            option value="" selected[locale.is_empty()] { "As the platform's" }
                            @for (tag, word) in LOCALES {
                                option value=(tag) lang=(tag) selected[locale == tag] { (word) }
                            }
                            // A language that was chosen elsewhere is not lost here.
                            @if !locale.is_empty() && LOCALES.iter().all(|it| it.0 != locale) {
                                option value=(locale) selected { (locale) }
                            }
                        }
                    }
                    div.actions { (submit("Save")) }
                }
            }
            section.card {
                h2 { "E-mail address" }
                p {
                    (person.email.as_deref().unwrap_or("None"))
                    @if person.email_verified {
                        span.badge.good { "Confirmed" }
                    } @else {
                        span.badge.warn { "Not confirmed" }
                    }
                }
            }
        }
    };
    account(Menu::Profile, "Profile", notice, &body)
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let person = person(&visitor).await?;
    Ok(page(StatusCode::OK, form(&person, notice::of(&visitor), &Complaints::none())))
}

async fn save(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let (name, locale) = (posted.text("display_name"), posted.text("locale"));
    let edit = json!({ "display_name": name, "locale": locale });
    let asked = call("users").patch("/api/users/v1/me").json(&edit);
    match visitor.ask::<Person>(asked).await? {
        Ok(_) => Ok(go(&notice::PROFILE_SAVED.on("/account/profile"))),
        Err(refused) => {
            let kept = person(&visitor).await?;
            let typed =
                Person { display_name: Some(name.into()), locale: Some(locale.into()), ..kept };
            let shown = form(&typed, None, &Complaints::of(&refused));
            Ok(page(status_of(&refused), shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_come_from_the_name_and_else_from_the_address() {
        let named = |name: &str, email: &str| Person {
            display_name: Some(name.into()),
            email: Some(email.into()),
            ..Person::default()
        };
        assert_eq!(named("Ada Lovelace", "x@example.org").initials(), "AL");
        assert_eq!(named("Zoë", "x@example.org").initials(), "Z");
        assert_eq!(named("", "grace.hopper@example.org").initials(), "GH");
        assert_eq!(Person::default().initials(), "YA");
    }
}
