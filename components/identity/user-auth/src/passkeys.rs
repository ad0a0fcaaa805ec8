//! Passkeys: made, used to sign in without anything else, listed, renamed, removed.

use crate::account::{person_of, recent_user_of, user_of};
use crate::caller::Caller;
use crate::entrance::{self, Entrance, Proven, WrongCredentials, failed};
use crate::proofs::{self, CEREMONY_MINUTES, Question};
use crate::second_factors::{enrolled, not_the_last, removed, replace_codes};
use crate::store::flows::CeremonyKind;
use crate::store::passkeys::{Made, Passkey};
use crate::throttle::{Tries, Turned};
use crate::webauthn::{self, ALGORITHMS, Expected, LoginAnswer, RegistrationAnswer};
use crate::{peers, secrets, site, store};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity_contract::{CredentialId, FlowId, acr};
use nexus_sdk::prelude::*;
use serde_json::Value;

nexus_sdk::refusals! {
    PasskeyName = 422, "a passkey's name takes 1 to 120 characters";
    PasskeyKnown = 409, "this passkey is registered already";
    PasskeyWrong = 422, "the browser's answer does not fit what was asked";
    PasskeysMax = 409, "an account takes at most 20 passkeys"
}

const PASSKEYS_MAX: i64 = 20;
const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=120;
/// What a browser may name as a way to reach an authenticator (§5.8.4).
const TRANSPORTS: [&str; 6] = ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"];

pub fn router() -> Router {
    Router::new()
        .route("/passkeys", get(list))
        .route("/passkeys/{id}", patch(rename).delete(remove))
        .route("/passkeys/register/begin", post(begin))
        .route("/passkeys/register/finish", post(finish))
        .route("/passkeys/login/begin", post(begin_login))
        .route("/passkeys/login/finish", post(finish_login))
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Passkey>> {
    store::passkeys::list(by.db(), user_of(&by)?, &cursor).await
}

/// Asks a browser to make one (§5.4). It shall be found without a name being typed, and its make
/// does not matter.
async fn begin(by: SignedIn) -> Result<Secret<Json<Question>>> {
    let user = recent_user_of(&by)?;
    let person = person_of(&by).await?;
    let had = store::passkeys::named(by.db(), user).await?;
    let (ceremony, challenge) = proofs::challenge(&by, CeremonyKind::Register, Some(user)).await?;
    let site = site::of(&by).await?;
    let exclude: Vec<Value> = had.iter().map(proofs::descriptor).collect();
    let offered = ALGORITHMS.map(|alg| json!({ "type": "public-key", "alg": alg }));
    let handle: Uuid = user.into();
    let public_key = json!({
        "rp": { "id": site.rp_id(), "name": "Nexus COS" },
        "user": {
            "id": URL_SAFE_NO_PAD.encode(handle.as_bytes()),
            "name": person.email,
            "displayName": person.display_name.unwrap_or(person.email.clone()),
        },
        "challenge": URL_SAFE_NO_PAD.encode(challenge),
        "pubKeyCredParams": offered,
        "timeout": CEREMONY_MINUTES * 60_000,
        "excludeCredentials": exclude,
        "authenticatorSelection": {
            "residentKey": "preferred", "requireResidentKey": false,
            "userVerification": "preferred",
        },
        "attestation": "none",
        "extensions": { "credProps": true },
    });
    Ok(Secret(Json(Question { ceremony, public_key })))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPasskey {
    ceremony: FlowId,
    credential: RegistrationAnswer,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Registered {
    id: CredentialId,
    name: String,
    created_at: Time,
    /// With the first second factor, shown once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    recovery_codes: Vec<String>,
}

fn name(text: Option<&str>) -> Result<String, Refusal> {
    let name = text.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("Passkey");
    match NAME_CHARS.contains(&name.chars().count()) && !name.contains(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err(PasskeyName.at("name")),
    }
}

async fn finish(
    by: SignedIn,
    caller: Caller,
    Json(new): Json<NewPasskey>,
) -> Result<Secret<Created<Registered>>> {
    let user = recent_user_of(&by)?;
    let name = name(new.name.as_deref())?;
    let ceremony = proofs::spend_challenge(&by, CeremonyKind::Register, new.ceremony).await?;
    if ceremony.user_id != Some(user) {
        return Err(PasskeyWrong.into());
    }
    let site = site::of(&by).await?;
    let expected = Expected {
        challenge: &ceremony.challenge,
        origin: &site.origin,
        rp_id: site.rp_id(),
        user_verification: false,
    };
    let made = webauthn::register(&expected, &new.credential);
    let made =
        made.map_err(|flaw| PasskeyWrong.because(format!("{}: {flaw:?}", PasskeyWrong.sentence)))?;
    let mut transports = new.credential.response.transports;
    transports.retain(|it| TRANSPORTS.contains(&it.as_str()));
    transports.truncate(TRANSPORTS.len());
    let passkey = Made {
        id: by.new_id(),
        user,
        credential_id: &made.id,
        public_key: &made.public_key,
        sign_count: made.sign_count.into(),
        name: &name,
        aaguid: Uuid::from_bytes(made.aaguid),
        transports: &transports,
        backup_eligible: made.backup_eligible,
        backed_up: made.backed_up,
    };
    let insert = store::passkeys::insert(&passkey, PASSKEYS_MAX, by.now())
        .or_refuse(PasskeysMax)
        .on_conflict_refuse("passkey_credential", PasskeyKnown);
    let mut writes = vec![insert];
    let mut recovery_codes = Vec::new();
    if store::factors::of(by.db(), user).await?.recovery_codes_left == 0 {
        recovery_codes = secrets::recovery_codes();
        writes.extend(replace_codes(user, &recovery_codes));
    }
    writes.extend(enrolled(&by, &caller, user, "passkey"));
    by.commit(writes).await?;
    let (id, created_at) = (passkey.id, by.now());
    Ok(Secret(Created(Registered { id, name, created_at, recovery_codes })))
}

async fn begin_login(by: Public, caller: Caller) -> Result<Secret<Json<Question>>, Turned> {
    Tries::to_begin(&caller).enter(&by).await?;
    Ok(Secret(Json(proofs::ask_passkey(&by, CeremonyKind::Login, None).await?)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyLogin {
    ceremony: FlowId,
    credential: LoginAnswer,
    /// Whether the session outlives the browser.
    #[serde(default)]
    remember: bool,
}

/// A passkey that has verified its user is two factors in one: nothing more is asked.
async fn finish_login(
    by: Public,
    caller: Caller,
    Json(login): Json<PasskeyLogin>,
) -> Result<Entrance> {
    let kind = CeremonyKind::Login;
    let used = proofs::passkey(&by, kind, login.ceremony, &login.credential, true).await;
    let used = match used {
        Err(error) if error.is(&WrongCredentials) => {
            by.commit(failed(&by, &caller, "passkey", "wrong-credentials", None)).await?;
            return Err(error);
        }
        used => used?,
    };
    let person = peers::person(used.user).await?.ok_or(WrongCredentials)?;
    if !person.may_enter() {
        by.commit(failed(&by, &caller, "passkey", "suspended", Some(person.id))).await?;
        return Err(entrance::AccountSuspended.into());
    }
    by.commit(used.leaves).await?;
    let amr = vec![used.amr.to_owned(), "user".into(), "mfa".into()];
    let proven = Proven { person, amr, method: "passkey", persistent: login.remember };
    entrance::enter(&by, &caller, proven, acr::PASSKEY, None).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rename {
    name: String,
}

async fn rename(
    by: SignedIn,
    Path(id): Path<CredentialId>,
    Json(new): Json<Rename>,
) -> Result<NoContent> {
    crate::account::session_of(&by)?;
    let name = name(Some(&new.name))?;
    by.commit(store::passkeys::rename(user_of(&by)?, id, &name).or_refuse(standard::NotFound)).await
}

async fn remove(by: SignedIn, caller: Caller, Path(id): Path<CredentialId>) -> Result<NoContent> {
    let user = recent_user_of(&by)?;
    not_the_last(&by).await?;
    let mut writes = vec![
        store::passkeys::remove(user, id).or_refuse(standard::NotFound),
        store::passkeys::remove_codes_without_factor(user),
    ];
    writes.extend(removed(&by, &caller, user, "passkey"));
    by.commit(writes).await
}
