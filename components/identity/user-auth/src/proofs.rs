//! What an account can prove itself with besides a password: a one-time code, a recovery code, a
//! passkey. Each is checked here and spent by the caller's commit, together with what it opens.

use crate::entrance::WrongCredentials;
use crate::store::flows::{Ceremony, CeremonyKind};
use crate::webauthn::{self, Expected, Known, LoginAnswer};
use crate::{otp, peers, secrets, site, store};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity_contract::{FlowId, UserId};
use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::refusals! {
    CeremonyOver = 410, "this question to a passkey was answered already or is too old; start again"
}

/// §5.4 of WebAuthn recommends five minutes for what people look at.
pub const CEREMONY_MINUTES: i32 = 5;
const CHALLENGE_BYTES: u64 = 32;

/// The write that spends the code.
///
/// # Errors
/// [`WrongCredentials`] when it is not one of now.
pub async fn totp(by: &Ctx, user: UserId, code: &str) -> Result<Write> {
    let totp = store::factors::totp(by.db(), user).await?;
    let totp = totp.filter(|totp| totp.confirmed_at.is_some()).ok_or(WrongCredentials)?;
    let secret = peers::unseal(user, &totp.secret).await?;
    let step = otp::step_of(&secret, code, by.now(), totp.step_last).ok_or(WrongCredentials)?;
    Ok(store::factors::spend_step(user, step).or_refuse(WrongCredentials))
}

/// The write that spends the code, or refuses when there is none like it.
pub fn recovery_code(by: &Ctx, user: UserId, code: &str) -> Write {
    let digest = secrets::recovery_digest(code);
    store::factors::spend_code(user, &digest, by.now()).or_refuse(WrongCredentials)
}

/// A question to an authenticator.
#[derive(Serialize, JsonSchema)]
pub struct Question {
    pub ceremony: FlowId,
    /// For `PublicKeyCredential.parseRequestOptionsFromJSON`, or `parseCreationOptionsFromJSON`.
    pub public_key: Value,
}

/// A challenge, kept until it is answered.
pub async fn challenge(
    by: &Ctx,
    kind: CeremonyKind,
    user: Option<UserId>,
) -> Result<(FlowId, Vec<u8>)> {
    let (id, challenge) = (by.new_id(), secrets::random(CHALLENGE_BYTES));
    let ceremony = Ceremony { user_id: user, challenge };
    let until = by.now() + minutes(CEREMONY_MINUTES);
    by.commit(store::flows::insert_ceremony(id, kind, &ceremony, until)).await?;
    Ok((id, ceremony.challenge))
}

/// Asks for a passkey: one of a user's, or, when nobody is named, any that the device has for us.
/// In that case it must verify its user too, since nothing else does.
pub async fn ask_passkey(by: &Ctx, kind: CeremonyKind, user: Option<UserId>) -> Result<Question> {
    let allowed = match user {
        Some(user) => store::passkeys::named(by.db(), user).await?,
        None => Vec::new(),
    };
    let (ceremony, challenge) = challenge(by, kind, user).await?;
    let site = site::of(by).await?;
    let descriptors: Vec<Value> = allowed.iter().map(descriptor).collect();
    let verification = if user.is_some() { "preferred" } else { "required" };
    let public_key = json!({
        "challenge": URL_SAFE_NO_PAD.encode(challenge),
        "rpId": site.rp_id(),
        "timeout": CEREMONY_MINUTES * 60_000,
        "userVerification": verification,
        "allowCredentials": descriptors,
    });
    Ok(Question { ceremony, public_key })
}

/// `PublicKeyCredentialDescriptorJSON`.
pub fn descriptor(named: &store::passkeys::Named) -> Value {
    json!({
        "type": "public-key", "id": URL_SAFE_NO_PAD.encode(&named.credential_id),
        "transports": named.transports,
    })
}

/// Spends a challenge, whatever becomes of it: nobody gets two tries at one.
pub async fn spend_challenge(by: &Ctx, kind: CeremonyKind, id: FlowId) -> Result<Ceremony> {
    let ceremony = store::flows::find_ceremony(by.db(), id, kind, by.now()).await?;
    let ceremony = ceremony.ok_or(CeremonyOver)?;
    by.aside().commit(store::flows::take_ceremony(id).or_refuse(CeremonyOver)).await?;
    Ok(ceremony)
}

/// A passkey that was used.
pub struct Used {
    pub user: UserId,
    pub user_verified: bool,
    /// `hwk` for a key that cannot be copied, `swk` for one that can (RFC 8176).
    pub amr: &'static str,
    /// What the use leaves behind.
    pub leaves: Write,
}

/// Checks an answer. `strict` asks for a verified user.
///
/// # Errors
/// [`CeremonyOver`], and [`WrongCredentials`] for every flaw of the answer alike.
pub async fn passkey(
    by: &Ctx,
    kind: CeremonyKind,
    id: FlowId,
    answer: &LoginAnswer,
    strict: bool,
) -> Result<Used> {
    let ceremony = spend_challenge(by, kind, id).await?;
    let held = store::passkeys::held(by.db(), &answer.raw_id.0).await?.ok_or(WrongCredentials)?;
    // The device says whose it believes the key to be; §7.2 step 6 has that checked.
    let handle = answer.response.user_handle.as_ref().map(|handle| handle.0.as_slice());
    let owner: Uuid = held.user_id.into();
    let named = handle.is_none_or(|handle| handle == owner.as_bytes());
    let expected_user = ceremony.user_id.is_none_or(|user| user == held.user_id);
    if !named || !expected_user || (ceremony.user_id.is_none() && handle.is_none()) {
        return Err(WrongCredentials.into());
    }
    let site = site::of(by).await?;
    let expected = Expected {
        challenge: &ceremony.challenge,
        origin: &site.origin,
        rp_id: site.rp_id(),
        user_verification: strict,
    };
    let known = Known {
        public_key: &held.public_key,
        sign_count: u32::try_from(held.sign_count).unwrap_or(u32::MAX),
        backup_eligible: held.backup_eligible,
    };
    let proof = webauthn::assert(&expected, &known, answer).map_err(|_| WrongCredentials)?;
    let count = i64::from(proof.sign_count);
    Ok(Used {
        user: held.user_id,
        user_verified: proof.user_verified,
        amr: if held.backup_eligible { "swk" } else { "hwk" },
        leaves: store::passkeys::used(held.id, count, proof.backed_up, proof.suspect, by.now()),
    })
}
