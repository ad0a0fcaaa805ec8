//! The PIN before a profile of a household: set by whoever has just proven to own the account,
//! compared by the host's slow hash, and each wrong one makes the next try wait longer.

use crate::subprofiles::PROVEN_WITHIN_MINUTES;
use crate::{own, store};
use identity_contract::profiles::SubprofileId;
use nexus::password::passwords::{self, Verification};
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::wit_bindgen;
use nexus_sdk::{Operation, Output};

wit_bindgen::generate!({
    path: "../../../wit/nexus-password@0.1.0",
    world: "nexus:password/password",
    runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
});

nexus_sdk::refusals! {
    PinForm = 422, "a PIN takes 4 to 8 digits";
    PinWrong = 403, "this is not the PIN";
    PinNone = 409, "this profile has no PIN";
    PinWait = 429, "too many wrong PINs; wait as long as retry-after says, in seconds"
}

/// Wrong PINs before one has to wait, then twice as long each time.
const FREE: i32 = 5;
/// The first wait, in seconds, and the longest.
const WAIT: i32 = 30;
const WAIT_MAX: i32 = 3600;

pub fn router() -> Router {
    Router::new()
        .route("/me/subprofiles/{id}/pin", put(set).delete(lift))
        .route("/me/subprofiles/{id}/unlock", post(unlock))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pin {
    /// 4 to 8 digits.
    pin: String,
}

impl Pin {
    fn checked(self) -> Result<String, Refusal> {
        let fits =
            (4..=8).contains(&self.pin.len()) && self.pin.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(self.pin) } else { Err(PinForm.at("pin")) }
    }
}

async fn set(
    by: SignedIn,
    Path(id): Path<SubprofileId>,
    Json(pin): Json<Pin>,
) -> Result<NoContent> {
    let owner = own::id(&by)?;
    store::subprofiles::find(by.db(), owner, id).await?;
    by.recently(minutes(PROVEN_WITHIN_MINUTES))?;
    let hash = passwords::hash(pin.checked()?, None).await.map_err(error)?;
    let write = store::subprofiles::set_pin(owner, id, Some(&hash), by.now());
    by.commit(write.expect_rows(1).or_refuse(standard::NotFound)).await
}

async fn lift(by: SignedIn, Path(id): Path<SubprofileId>) -> Result<NoContent> {
    let owner = own::id(&by)?;
    store::subprofiles::find(by.db(), owner, id).await?;
    by.recently(minutes(PROVEN_WITHIN_MINUTES))?;
    let write = store::subprofiles::set_pin(owner, id, None, by.now());
    by.commit(write.expect_rows(1).or_refuse(standard::NotFound)).await
}

/// It is open, or one has to wait.
enum Unlocked {
    Open,
    Wait { seconds: i64 },
}

impl IntoResponse for Unlocked {
    fn into_response(self) -> Response {
        match self {
            Unlocked::Open => NoContent.into_response(),
            Unlocked::Wait { seconds } => {
                let mut response = Error::from(PinWait).into_response();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
        }
    }
}

impl Output for Unlocked {
    fn describe(operation: &mut Operation) {
        operation.empty_response(StatusCode::NO_CONTENT);
        operation.problem(429);
    }
}

/// The try is counted before it is looked at, so that many at once gain nothing.
async fn unlock(
    by: SignedIn,
    Path(id): Path<SubprofileId>,
    Json(pin): Json<Pin>,
) -> Result<Unlocked> {
    let owner = own::id(&by)?;
    let lock = store::subprofiles::lock(by.db(), owner, id).await?;
    let Some(hash) = lock.pin_hash else { return Err(PinNone.into()) };
    let count = store::subprofiles::count_try(owner, id, (FREE, WAIT, WAIT_MAX), by.now());
    match by.aside().commit(count.expect_rows(1).or_refuse(PinWait)).await {
        Ok(NoContent) => {}
        Err(error) if error.is(&PinWait) => {
            let seconds = lock.pin_open_at.map_or(1, |at| (at - by.now()).num_seconds().max(1));
            return Ok(Unlocked::Wait { seconds });
        }
        Err(error) => return Err(error),
    }
    match passwords::verify(pin.pin, Some(hash)).await.map_err(error)? {
        Verification::Match | Verification::MatchNeedsRehash => {
            by.commit(store::subprofiles::forget_tries(owner, id)).await?;
            Ok(Unlocked::Open)
        }
        Verification::Mismatch => Err(PinWrong.into()),
    }
}

fn error(why: passwords::Error) -> Error {
    let failure = Failure::msg(format!("hash a PIN: {why:?}"));
    match why {
        passwords::Error::Busy => Error::unavailable(failure),
        // Longer than any PIN: a wrong one.
        passwords::Error::TooLong => PinWrong.into(),
        _ => failure.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_four_to_eight_digits() {
        for (pin, fits) in [("0000", true), ("12345678", true), ("123", false), ("12a4", false)] {
            assert_eq!(Pin { pin: pin.into() }.checked().is_ok(), fits, "{pin}");
        }
        assert!(Pin { pin: "١٢٣٤".into() }.checked().is_err(), "digits that keypads have");
    }
}
