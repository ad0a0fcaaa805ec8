//! Why there is no page, as a page: sign in first, prove it again, not here, our fault.
//!
//! Knows what a visitor may learn: of a failure only the number to quote. Logs what is ours.

use crate::answer::{go, page};
use crate::complaint::Refused;
use crate::document;
use crate::return_to;
use nexus_sdk::prelude::*;

/// Why a page cannot be shown.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody is signed in; afterwards on to this path.
    SignIn(String),
    /// The last proof of who it is lies too far back; afterwards on to this path.
    Confirm(String),
    /// A form of another site, or of nobody.
    CrossSite,
    /// A form that is none.
    Malformed,
    /// There is nothing here, or nothing that they may see.
    Missing,
    /// A service refused what the page needs.
    Refused(Refused),
    /// Ours, or a service's that is away.
    Failed { error: Error, request_id: String },
}

impl Trouble {
    pub fn failed(error: Error, request_id: &str) -> Trouble {
        Trouble::Failed { error, request_id: request_id.to_owned() }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Trouble::SignIn(back) => go(&return_to::with_wish("/account/sign-in", &back)),
            Trouble::Confirm(back) => go(&return_to::with_wish("/account/step-up", &back)),
            Trouble::CrossSite => told(
                StatusCode::FORBIDDEN,
                "This form came from somewhere else",
                "It was not sent by a page of ours, so nothing was done. Please open the page \
                 here and send it again.",
            ),
            Trouble::Malformed => told(
                StatusCode::BAD_REQUEST,
                "We could not read that",
                "The form did not arrive whole. Please go back and send it again.",
            ),
            Trouble::Missing => told(
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "The address may be mistyped, or what stood here is gone.",
            ),
            Trouble::Refused(refused) => of_refusal(&refused),
            Trouble::Failed { error, request_id } => of_failure(&error, &request_id),
        }
    }
}

fn told(status: StatusCode, title: &str, words: &str) -> Response {
    page(status, document::trouble(title, words, ""))
}

fn of_refusal(refused: &Refused) -> Response {
    match refused.status {
        404 => Trouble::Missing.into_response(),
        403 => told(StatusCode::FORBIDDEN, "This is not open to you", &refused.detail),
        429 => {
            let wait = crate::spoken::duration(refused.retry_after_seconds.unwrap_or(60));
            let words = format!("Please wait {wait} and try again.");
            told(StatusCode::TOO_MANY_REQUESTS, "That was too often", &words)
        }
        status => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            told(status, "That did not work", &refused.detail)
        }
    }
}

fn of_failure(error: &Error, request_id: &str) -> Response {
    let line = json!({
        "level": "error", "request_id": request_id, "message": error.to_string(),
    });
    eprintln!("{line}");
    match error {
        Error::Unavailable { retry_after_seconds, .. } => {
            let words = "A part of the platform does not answer at the moment. Nothing is lost; \
                         please try again shortly.";
            let shown = document::trouble("Back in a moment", words, request_id);
            let mut response = page(StatusCode::SERVICE_UNAVAILABLE, shown);
            response.headers_mut().insert(header::RETRY_AFTER, (*retry_after_seconds).into());
            response
        }
        _ => {
            let words = "That is our fault and has been noted. Please try again; if it stays, \
                         tell us the number below.";
            let shown = document::trouble("Something went wrong", words, request_id);
            page(StatusCode::INTERNAL_SERVER_ERROR, shown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_sign_in_and_back_again() {
        let response = Trouble::SignIn("/account/keys".into()).into_response();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let to = &response.headers()[header::LOCATION];
        assert_eq!(to, "/account/sign-in?return_to=%2Faccount%2Fkeys");
    }

    #[test]
    fn a_failure_shows_its_number_and_nothing_else() {
        let secret = Failure::msg("password of the database").context("read");
        let response = Trouble::failed(secret.into(), "r-7").into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn what_is_away_says_when_to_come_back() {
        let away = Error::unavailable(Failure::msg("no connection"));
        let response = Trouble::failed(away, "r-7").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
