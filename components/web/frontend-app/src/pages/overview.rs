//! The account at a glance: who it is, what would make it safer, what happened lately.

use super::invite;
use super::profile::{self, Person};
use super::security::{self, Factors};
use super::sessions::{self, Listed};
use crate::prelude::*;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/account", get(show))
}

/// A try to come in, as `user-auth` shows it to the owner of the account.
#[derive(Debug, Deserialize)]
struct Attempt {
    outcome: String,
    #[serde(default)]
    method: String,
    address: Option<String>,
    device: Option<String>,
    at: Time,
}

/// As many as one looks at.
const ATTEMPTS_SHOWN: usize = 8;

/// Where recovery codes are.
const CODES: &str = "/account/security#recovery-codes";

/// One line of the list of what would make the account safer.
struct Check {
    done: bool,
    done_words: String,
    open_words: &'static str,
    path: &'static str,
}

fn checks(person: &Person, factors: &Factors, devices: Option<usize>) -> Markup {
    let guarded = factors.passkeys > 0 || factors.totp;
    let all = [
        Check {
            done: person.email_verified,
            done_words: "Your e-mail address is confirmed".into(),
            open_words: "Your e-mail address is not confirmed",
            path: "/account/profile",
        },
        Check {
            done: guarded,
            done_words: match factors.passkeys {
                0 => "An authenticator app guards your account".into(),
                n => format!("You have {}", spoken::count(n, "passkey")),
            },
            open_words: "Only your password guards your account",
            path: "/account/security",
        },
        Check {
            done: factors.recovery_codes_left > 2,
            done_words: "You have recovery codes in store".into(),
            open_words: "Your recovery codes are running out",
            path: CODES,
        },
    ];
    html! {
        ul.checks {
            // What stands in for a second factor matters where there is one.
            @for check in all.iter().filter(|check| guarded || check.path != CODES) {
                @if check.done {
                    li.done { (icon::check()) span { (check.done_words) } }
                } @else {
                    li.open {
                        (icon::warning()) span { (check.open_words) }
                        a href=(check.path) { "Mend it" span.away { ": " (check.open_words) } }
                    }
                }
            }
            @if let Some(devices) = devices {
                li.done {
                    (icon::devices())
                    span {
                        "Signed in on "
                        (spoken::count(devices.try_into().unwrap_or(i64::MAX), "device"))
                    }
                    a href="/account/sessions" { "Look at them" }
                }
            }
        }
    }
}

fn activity(attempts: &[Attempt], now: Time) -> Markup {
    html! {
        section.card {
            h2 { "Recent activity" }
            @if attempts.is_empty() {
                div.list { p.nothing { "Nothing happened lately." } }
            } @else {
                ul.list {
                    @for attempt in attempts {
                        li {
                            div.item {
                                (icon::shield())
                                div {
                                    p.item-name { (in_words(attempt)) }
                                    p.item-more {
                                        @if let Some(device) = &attempt.device { (device) ", " }
                                        @if let Some(address) = &attempt.address { (address) ", " }
                                        (spoken::ago(now, attempt.at))
                                    }
                                }
                            }
                            @if !is_success(attempt) { span.badge.warn { "Refused" } }
                        }
                    }
                }
            }
        }
    }
}

fn is_success(attempt: &Attempt) -> bool {
    matches!(attempt.outcome.as_str(), "signed-in" | "stepped-up")
}

fn in_words(attempt: &Attempt) -> &'static str {
    match (is_success(attempt), attempt.method.as_str()) {
        (true, "passkey") => "Signed in with a passkey",
        (true, _) if attempt.outcome == "stepped-up" => "Proved again who you are",
        (true, "link") => "Signed in by e-mail",
        (true, "password") => "Signed in with the password",
        (true, "totp") => "Signed in with password and code",
        (true, "recovery-code") => "Signed in with a recovery code",
        (true, _) => "Signed in",
        (false, "password") => "A wrong password was tried",
        (false, "totp" | "recovery-code") => "A wrong code was tried",
        (false, _) => "Somebody could not sign in",
    }
}

async fn show(visitor: Visitor) -> Answer {
    visitor.signed_in()?;
    let person = profile::person(&visitor).await?;
    let factors = security::factors(&visitor).await?;
    let devices = sessions::count(&visitor).await?;
    let path = format!("/api/user-auth/v1/activity?limit={ATTEMPTS_SHOWN}");
    let attempts: Option<Listed<Attempt>> = visitor.want(call("user-auth").get(path)).await?;
    let waiting = invite::waiting(&visitor).await?;
    let content = html! {
        div.cards {
            (invite::card(&waiting, visitor.now()))
            section.card {
                div.card-head {
                    div.who {
                        span.avatar aria-hidden="true" { (person.initials()) }
                        div {
                            p.item-name { (person.called()) }
                            p.item-more { (person.email.as_deref().unwrap_or_default()) }
                        }
                    }
                    a.button.second.small href="/account/profile" { "Edit profile" }
                }
            }
            section.card {
                h2 { "How safe is it?" }
                (checks(&person, &factors, devices))
            }
            (activity(&attempts.map(|listed| listed.items).unwrap_or_default(), visitor.now()))
        }
    };
    let shown = account(Menu::Overview, "Your account", notice::of(&visitor), &content);
    Ok(page(StatusCode::OK, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_with_a_password_alone_is_told_to_mend_it() {
        let person = Person { email_verified: true, ..Person::default() };
        let shown = checks(&person, &Factors::default(), Some(2)).into_string();
        assert!(shown.contains("Only your password"), "{shown}");
        assert!(shown.contains("2 devices"), "{shown}");
        let with_passkey = Factors { passkeys: 1, recovery_codes_left: 10, ..Factors::default() };
        let strong = checks(&person, &with_passkey, None).into_string();
        assert!(!strong.contains("Mend it"), "{strong}");
    }
}
