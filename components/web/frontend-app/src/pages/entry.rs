//! What every way in has in common: a service has seen a proof, and somebody is in, or has one
//! more step before them.
//!
//! Knows the answers of `user-auth`. The secret of an unfinished sign-in travels in the form, not
//! in an address and not in a cookie, so it is gone with the page.

use super::{enrol, second_factor};
use crate::prelude::*;
use nexus_sdk::prelude::*;
use web_kit::ask::Done;
use web_kit::return_to;

/// How far somebody has come.
#[derive(Debug, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Entered {
    SignedIn,
    SecondFactor(Unfinished),
    /// A second factor is asked of the account, and there is none.
    EnrolSecondFactor(Unfinished),
}

/// A sign-in that wants one more proof.
#[derive(Debug, Clone, Deserialize)]
pub struct Unfinished {
    pub flow: String,
    /// Belongs to the browser in which it began.
    pub flow_secret: String,
    /// `totp`, `recovery-code`, `passkey`.
    pub methods: Vec<String>,
}

/// On to where they wanted, or to the second step.
pub fn go_on(done: Done<Entered>, wish: &str, notice: Option<Notice>) -> Response {
    let response = match done.value {
        Entered::SignedIn => {
            let path = return_to::or_home(wish);
            match path.starts_with("/oauth2/") {
                // Another program's sign-in: from here it may go to another site.
                true => onward(path),
                false => go(&notice.map_or_else(|| path.to_owned(), |notice| notice.on(path))),
            }
        }
        Entered::SecondFactor(unfinished) => {
            let step = second_factor::Step::of(unfinished, wish);
            page(StatusCode::OK, step.show(&Complaints::none()))
        }
        Entered::EnrolSecondFactor(unfinished) => {
            page(StatusCode::OK, enrol::Enrolment::of(unfinished, wish).ask())
        }
    };
    with_cookies(response, &done.cookies)
}

/// The status of a page whose form was refused: what went wrong, unless browsers act on it
/// themselves (a 401 without a challenge they know is shown as any page, yet some ask for a
/// password of their own).
pub fn status_of(refused: &Refused) -> StatusCode {
    match refused.status {
        429 => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// The page of a form that a service refused, with what it said. A flow that is over starts
/// again, in words.
pub fn again(refused: &Refused, show: impl FnOnce(&Complaints) -> Markup) -> Response {
    if refused.status == 404 || refused.status == 410 {
        return page(StatusCode::GONE, over());
    }
    page(status_of(refused), show(&Complaints::of(refused)))
}

/// What waited too long, or was tried too often.
fn over() -> Markup {
    let body = html! {
        p.lead {
            "This sign-in has waited too long or was tried too often. That happens; \
             nothing is lost."
        }
        a.button.primary.wide href="/account/sign-in" { "Start again" }
    };
    narrow("Let us start again", None, &body)
}

/// On to an address that is not ours, or may lead to one. Not as the answer to a form: what a form
/// ends in is held to our own origin by the content policy, and rightly.
pub fn onward(address: &str) -> Response {
    let body = html! {
        meta http-equiv="refresh" content={ "0;url=" (address) };
        p.lead role="status" { "One moment, you are taken onward." }
        a.button.second.wide href=(address) { "Go on" }
    };
    page(StatusCode::OK, narrow("Going on", None, &body))
}

/// Where the steps of a flow are.
pub fn flow_path(flow: &str) -> String {
    format!("/api/user-auth/v1/flows/{}", segment(flow))
}

/// An id out of an address; what is none leads to nothing.
pub fn id_of(text: &str) -> Result<Uuid, Trouble> {
    text.parse().map_err(|_| Trouble::Missing)
}

/// Text as one part of a path; what came with a form must not become a path of its own.
pub fn segment(text: &str) -> String {
    let escape = |byte: u8| match byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_a_form_cannot_leave_its_place_in_a_path() {
        assert_eq!(segment("../../users/1?x#y"), "%2E%2E%2F%2E%2E%2Fusers%2F1%3Fx%23y");
        assert_eq!(flow_path("a/b"), "/api/user-auth/v1/flows/a%2Fb");
    }

    #[test]
    fn too_often_stays_too_often_and_all_else_is_a_form_to_mend() {
        let of = |status| status_of(&Refused { status, ..Refused::default() }).as_u16();
        assert_eq!([of(429), of(401), of(403), of(422)], [429, 422, 422, 422]);
    }
}
