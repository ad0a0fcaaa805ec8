//! The authenticator app (RFC 6238) and the recovery codes for when it is lost.

use super::entry::status_of;
use super::security::{Factors, Wrong, shown};
use crate::prelude::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/account/security/totp", get(back).post(begin))
        .route("/account/security/totp/confirm", get(back).post(confirm))
        .route("/account/security/totp/remove", post(remove))
        .route("/account/security/recovery-codes", get(back).post(renew))
}

/// An app that is being added.
#[derive(Debug, Deserialize)]
pub struct Offer {
    /// For those who type.
    secret: String,
    /// The same for those whose app is on this device: `otpauth://…`.
    uri: String,
    qr_svg: String,
}

#[derive(Debug, Deserialize)]
struct Codes {
    recovery_codes: Vec<String>,
}

/// The card on the page of security.
pub fn card(factors: &Factors, complaints: &Complaints) -> Markup {
    html! {
        section.card #totp {
            div.card-head {
                h2 {
                    "Authenticator app"
                    @if factors.totp {
                        span.badge.good { "On" }
                    } @else {
                        span.badge { "Off" }
                    }
                }
            }
            p { "A code of six digits, asked for after your password." }
            (complaints.summary())
            @if factors.totp {
                form.actions method="post" action="/account/security/totp/remove" {
                    button.danger.small type="submit" { "Turn off" }
                }
            } @else {
                form method="post" action="/account/security/totp" {
                    button.primary type="submit" { (icon::phone()) "Set up" }
                }
            }
        }
    }
}

/// The card of the codes that stand in for a lost device; nothing where there is no second factor.
pub fn codes_card(factors: &Factors) -> Markup {
    html! {
        @if factors.totp || factors.passkeys > 0 {
            section.card #recovery-codes {
                div.card-head {
                    h2 { "Recovery codes" }
                    form method="post" action="/account/security/recovery-codes" {
                        button.second.small type="submit" { "New codes" }
                    }
                }
                p {
                    (spoken::count(factors.recovery_codes_left, "code"))
                    " left. Each opens your account once, when your device is lost."
                }
            }
        }
    }
}

/// The picture as an image of its own: what stands in it cannot act in the page.
fn picture(svg: &str) -> String {
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg))
}

/// What the app takes in, by eye, by hand or on this device.
pub fn scan(offer: &Offer) -> Markup {
    html! {
        div.qr {
            img src=(picture(&offer.qr_svg)) width="200" height="200"
                alt="QR code that adds this account to an authenticator app";
            div.stack {
                p { "Cannot scan? Type this into the app:" }
                code.secret tabindex="0" { (offer.secret) }
                p { a href=(offer.uri) { "Open an app on this device" } }
            }
        }
    }
}

/// The offer in a form, so that it can be shown once more.
pub fn kept(offer: &Offer) -> Markup {
    html! {
        (hidden("secret", &offer.secret))
        (hidden("uri", &offer.uri))
        (hidden("qr_svg", &offer.qr_svg))
    }
}

/// Codes to be kept.
pub fn codes(codes: &[String]) -> Markup {
    html! { ol.codes { @for code in codes { li { code { (code) } } } } }
}

fn offer_page(offer: &Offer, complaints: &Complaints) -> Markup {
    let body = html! {
        section.card {
            h2 { "Scan the picture with your app" }
            p { "Any app for one-time codes will do." }
            div.stack {
                (complaints.summary())
                (scan(offer))
                form.stack method="post" action="/account/security/totp/confirm" {
                    (kept(offer))
                    (Field::code("code", "Then type the code that it shows").show(complaints))
                    div.actions {
                        (submit("Turn on"))
                        a.button.quiet href="/account/security" { "Not now" }
                    }
                }
            }
        }
    };
    account(Menu::Security, "Set up your authenticator app", None, &body)
}

pub fn codes_page(all: &[String]) -> Markup {
    let body = html! {
        section.card {
            h2 { "Keep these recovery codes" }
            p { "Each opens your account once. They are not shown again." }
            div.stack {
                (codes(all))
                p.caution {
                    (icon::warning())
                    span { "Print them or put them into your password manager." }
                }
                p.actions {
                    a.button.primary href="/account/security" { "I have kept them" }
                }
            }
        }
    };
    account(Menu::Security, "Recovery codes", None, &body)
}

/// A page that was shown once and is asked for again.
async fn back(_visitor: Visitor) -> Answer {
    Ok(go("/account/security"))
}

async fn begin(visitor: Visitor, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("user-auth").post("/api/user-auth/v1/mfa/totp");
    match visitor.ask::<Offer>(asked).await? {
        Ok(done) => Ok(page(StatusCode::OK, offer_page(&done.value, &Complaints::none()))),
        Err(refused) => again(&visitor, &refused).await,
    }
}

async fn confirm(visitor: Visitor, posted: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("user-auth")
        .post("/api/user-auth/v1/mfa/totp/confirm")
        .json(&json!({ "code": posted.text("code") }));
    match visitor.ask::<Codes>(asked).await? {
        Ok(done) => {
            let response = page(StatusCode::OK, codes_page(&done.value.recovery_codes));
            Ok(with_cookies(response, &done.cookies))
        }
        Err(refused) if posted.raw("secret").is_empty() => again(&visitor, &refused).await,
        Err(refused) => {
            // The same offer once more: it came back with the form.
            let shown = offer_page(&Offer::of_form(&posted), &Complaints::of(&refused));
            Ok(page(status_of(&refused), shown))
        }
    }
}

impl Offer {
    /// As it came back with a form.
    pub fn of_form(posted: &Posted) -> Offer {
        let text = |name: &str| posted.raw(name).to_owned();
        Offer { secret: text("secret"), uri: text("uri"), qr_svg: text("qr_svg") }.checked()
    }

    /// A link that came back with a form is one for authenticator apps, or none.
    fn checked(self) -> Offer {
        match self.uri.starts_with("otpauth://") {
            true => self,
            false => Offer { uri: "/account/security".into(), ..self },
        }
    }
}

async fn remove(visitor: Visitor, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("user-auth").delete("/api/user-auth/v1/mfa/totp");
    match visitor.ask::<serde_json::Value>(asked).await? {
        Ok(_) => Ok(go(&notice::TOTP_OFF.on("/account/security"))),
        Err(refused) => again(&visitor, &refused).await,
    }
}

async fn renew(visitor: Visitor, _posted: Posted) -> Answer {
    visitor.signed_in()?;
    let asked = call("user-auth").post("/api/user-auth/v1/mfa/recovery-codes");
    match visitor.ask::<Codes>(asked).await? {
        Ok(done) => Ok(page(StatusCode::OK, codes_page(&done.value.recovery_codes))),
        Err(refused) => again(&visitor, &refused).await,
    }
}

async fn again(visitor: &Visitor, refused: &Refused) -> Answer {
    let wrong = Wrong { totp: Complaints::of(refused), ..Wrong::default() };
    Ok(page(status_of(refused), shown(visitor, &wrong).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_an_image_and_never_part_of_the_page() {
        let offer = Offer {
            secret: "JBSWY3DPEHPK3PXP".into(),
            uri: "javascript:alert(1)".into(),
            qr_svg: "<svg><script>alert(1)</script></svg>".into(),
        };
        let shown = offer_page(&offer.checked(), &Complaints::none()).into_string();
        assert!(!shown.contains("<script>"), "{shown}");
        assert!(!shown.contains("href=\"javascript:"), "{shown}");
        assert!(shown.contains("data:image/svg+xml;base64,"), "{shown}");
    }
}
