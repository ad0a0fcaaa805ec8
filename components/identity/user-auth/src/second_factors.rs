//! Second factors of one's own: an app's one-time codes, and the recovery codes that stand in for a
//! lost device.

use crate::account::{person_of, recent_user_of, user_of};
use crate::caller::Caller;
use crate::entrance::WrongCredentials;
use crate::orders::{self, Purpose};
use crate::peers::Person;
use crate::store::factors::Factors;
use crate::store::orders::Details;
use crate::throttle::{Tries, Turned};
use crate::{otp, peers, qr, secrets, store};
use identity_contract::UserId;
use identity_contract::user_auth::{FactorEnrolled, FactorRemoved};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    TotpExists = 409, "an app is set up already; remove it first";
    TotpNotOffered = 409, "ask for a secret first";
    NoSecondFactor = 409, "recovery codes stand in for a second factor, and there is none";
    SecondFactorKept = 409, "two factors are asked of this account: add another one first"
}

/// What an app shows beside the code.
const ISSUER: &str = "Nexus COS";

pub fn router() -> Router {
    Router::new()
        .route("/mfa", get(show))
        .route("/mfa/totp", post(offer).delete(remove))
        .route("/mfa/totp/confirm", post(confirm))
        .route("/mfa/recovery-codes", post(renew_codes))
}

async fn show(by: SignedIn) -> Result<Json<Factors>> {
    store::factors::of(by.db(), user_of(&by)?).await.map(Json)
}

/// A secret for an app, until it is confirmed only an offer.
#[derive(Serialize, JsonSchema)]
pub struct Offer {
    /// For typing: base32.
    secret: String,
    /// `otpauth://totp/…`
    uri: String,
    /// The same as an image.
    qr_svg: String,
}

async fn offer(by: SignedIn) -> Result<Secret<Json<Offer>>> {
    recent_user_of(&by)?;
    offer_to(&by, &person_of(&by).await?).await.map(|offer| Secret(Json(offer)))
}

/// Offers somebody a secret, in place of one that was offered before.
///
/// # Errors
/// 409 where an app is set up already.
pub async fn offer_to(by: &Ctx, person: &Person) -> Result<Offer> {
    let secret = secrets::random(otp::SECRET_BYTES as u64);
    let sealed = peers::seal(person.id, &secret).await?;
    let offer = store::factors::offer_totp(person.id, &sealed, by.now());
    by.commit(offer.or_refuse(TotpExists)).await?;
    let uri = otp::uri(&secret, ISSUER, &person.email);
    let qr_svg = qr::svg(&uri)?;
    Ok(Offer { secret: otp::base32(&secret), uri, qr_svg })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// Shown once.
#[derive(Serialize, JsonSchema)]
struct Codes {
    recovery_codes: Vec<String>,
}

/// Takes the offer: the app works. From here on it is asked for, so there are recovery codes.
async fn confirm(
    by: SignedIn,
    caller: Caller,
    Json(given): Json<Code>,
) -> Result<Secret<Json<Codes>>, Turned> {
    let user = recent_user_of(&by)?;
    let tries = Tries::to_enter(&user.to_string(), &caller, true);
    tries.enter(&by).await?;
    let (mut writes, codes) = taken(&by, &caller, user, &given.code).await?;
    writes.extend(tries.forget());
    by.commit(writes).await?;
    Ok(Secret(Json(Codes { recovery_codes: codes })))
}

/// The writes that take the offer, and the recovery codes that come with it.
///
/// # Errors
/// 401 for another code, 409 where nothing was offered.
pub async fn taken(
    by: &Ctx,
    caller: &Caller,
    user: UserId,
    code: &str,
) -> Result<(Vec<Write>, Vec<String>)> {
    let totp = store::factors::totp(by.db(), user).await?.ok_or(TotpNotOffered)?;
    if totp.confirmed_at.is_some() {
        return Err(TotpExists.into());
    }
    let secret = peers::unseal(user, &totp.secret).await?;
    let step = otp::step_of(&secret, code, by.now(), totp.step_last);
    let step = step.ok_or(WrongCredentials)?;
    let codes = secrets::recovery_codes();
    let mut writes = vec![
        store::factors::confirm_totp(user, &totp.secret, step, by.now()).or_refuse(TotpNotOffered),
    ];
    writes.extend(replace_codes(user, &codes));
    writes.extend(enrolled(by, caller, user, "totp"));
    Ok((writes, codes))
}

/// Refuses to take the last second factor of an account of which two factors are asked.
pub async fn not_the_last(by: &SignedIn) -> Result<()> {
    let person = person_of(by).await?;
    let factors = store::factors::of(by.db(), person.id).await?;
    match person.mfa_required && i64::from(factors.totp) + factors.passkeys <= 1 {
        true => Err(SecondFactorKept.into()),
        false => Ok(()),
    }
}

async fn remove(by: SignedIn, caller: Caller) -> Result<NoContent> {
    let user = recent_user_of(&by)?;
    not_the_last(&by).await?;
    let mut writes = vec![
        store::factors::remove_totp(user).or_refuse(standard::NotFound),
        store::passkeys::remove_codes_without_factor(user),
    ];
    writes.extend(removed(&by, &caller, user, "totp"));
    by.commit(writes).await
}

/// Ten new codes; those of before are worth nothing.
async fn renew_codes(by: SignedIn, caller: Caller) -> Result<Secret<Json<Codes>>> {
    let user = recent_user_of(&by)?;
    if !store::factors::of(by.db(), user).await?.demand_second() {
        return Err(NoSecondFactor.into());
    }
    let codes = secrets::recovery_codes();
    let mut writes = Vec::from(replace_codes(user, &codes));
    writes.extend(changed(&by, &caller, user));
    by.commit(writes).await?;
    Ok(Secret(Json(Codes { recovery_codes: codes })))
}

/// The writes that put new codes in the place of all others.
pub fn replace_codes(user: UserId, codes: &[String]) -> [Write; 2] {
    let hex = |digest: Vec<u8>| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let digests: Vec<String> =
        codes.iter().map(|code| hex(secrets::recovery_digest(code))).collect();
    [store::factors::remove_codes(user), store::factors::insert_codes(user, &digests)]
}

/// Tells everybody and the owner of one more factor.
pub fn enrolled(by: &Ctx, caller: &Caller, user: UserId, method: &str) -> Vec<Write> {
    let mut writes = vec![emit(FactorEnrolled { user, method: method.into() })];
    writes.extend(changed(by, caller, user));
    writes
}

/// Tells everybody and the owner of one factor less.
pub fn removed(by: &Ctx, caller: &Caller, user: UserId, method: &str) -> Vec<Write> {
    let mut writes = vec![emit(FactorRemoved { user, method: method.into() })];
    writes.extend(changed(by, caller, user));
    writes
}

fn changed(by: &Ctx, caller: &Caller, user: UserId) -> [Write; 2] {
    let details =
        Details { address: caller.address_text(), device: caller.device(), ..Details::default() };
    orders::to_user(by, Purpose::FactorsChanged, user, details)
}
