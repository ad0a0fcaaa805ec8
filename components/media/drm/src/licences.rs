//! Licences: keys for whoever shows a playback token that covers them, in the words of the W3C's
//! ClearKey (Encrypted Media Extensions, 9.1.3 and 9.1.4). Who may play is `streaming`'s to say;
//! whether the playback still runs it is asked each time.

use crate::domain::{Class, Package};
use crate::store::packages::Key;
use crate::{keys, store};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use media_contract::AssetId;
use media_contract::drm::{LicenceDenied, LicenceIssued};
use media_contract::playback::{KEY_VARIABLE, Playback, PlaybackKey, Refused};
use nexus_sdk::prelude::*;
use zeroize::Zeroizing;

nexus_sdk::refusals! {
    PlaybackDenied = 403, "this playback token opens nothing here: ask for another";
    LicenceRefused = 403, "there is no key here for this playback";
    LicenceRequest = 422, "this is no licence request: send the message of the key system as it is"
}

/// Of one request: a package has four.
const KEYS_MAX: usize = 32;

pub fn router() -> Router {
    Router::new().route("/licences/clearkey", post(issue))
}

/// The playback token, as `streaming` has given it.
#[derive(Deserialize, JsonSchema)]
struct Shown {
    #[serde(default)]
    t: String,
}

/// What a key system asks.
#[derive(Debug, Deserialize)]
struct Asked {
    /// Key ids as base64url.
    kids: Vec<String>,
    #[serde(default = "temporary")]
    r#type: String,
}

fn temporary() -> String {
    "temporary".into()
}

/// A set of JSON Web Keys (RFC 7517).
#[derive(Serialize, JsonSchema)]
struct Licence {
    keys: Vec<Jwk>,
    r#type: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct Jwk {
    kty: &'static str,
    /// As base64url.
    kid: String,
    /// As base64url.
    k: String,
}

/// Key ids that a message of a key system asks for.
fn wanted(body: &[u8]) -> Result<Vec<Uuid>, Refusal> {
    let asked: Asked = serde_json::from_slice(body).map_err(|_| LicenceRequest)?;
    if asked.r#type != "temporary" {
        return Err(LicenceRequest.because("licences here are temporary: none can be kept"));
    }
    if !(1..=KEYS_MAX).contains(&asked.kids.len()) {
        return Err(LicenceRequest.because("a request names 1 to 32 keys"));
    }
    let id = |kid: &String| Uuid::from_slice(&URL_SAFE_NO_PAD.decode(kid).ok()?).ok();
    let ids: Option<Vec<Uuid>> = asked.kids.iter().map(id).collect();
    ids.ok_or_else(|| LicenceRequest.because("a key id is 16 bytes as base64url"))
}

/// Reads the token: whoever shows one of this tenant is let in.
async fn admit(by: &Public, token: &str) -> Result<Playback> {
    let variable = by.variable(KEY_VARIABLE).await?;
    let key = PlaybackKey::of_variable(&variable);
    let key = key.ok_or_else(|| Failure::msg("the playback key is no 32 bytes as base64"))?;
    let denied = |why: &str| PlaybackDenied.because(why);
    let playback = Playback::read(token, &key, by.now().timestamp()).map_err(|why| match why {
        Refused::Expired => denied("the playback token has expired: ask for another"),
        Refused::Forged if token.is_empty() => denied("there is no playback token (`?t=`)"),
        Refused::Forged => denied("the playback token is none of this installation's"),
    })?;
    match playback.tenant == Uuid::from(by.tenant()) {
        true => Ok(playback),
        false => Err(denied("the playback token is for another place").into()),
    }
}

/// What `streaming` says of a playback, as far as it is read here.
#[derive(Debug, Deserialize)]
struct Running {
    viewer_id: Uuid,
    is_running: bool,
}

/// A playback, if there is one.
async fn running(playback: &Playback) -> Result<Option<Running>> {
    let path = format!("/api/streaming/v1/internal/playbacks/{}", playback.session);
    let reply = call("streaming").get(path).send().await?;
    if reply.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !reply.status.is_success() {
        let failure = Failure::msg(format!("streaming answered {}", reply.status));
        return Err(Error::unavailable(failure));
    }
    let read = serde_json::from_slice(&reply.body);
    Ok(Some(read.context("read what streaming says of a playback")?))
}

/// What somebody who plays a package may have of it.
struct Grant {
    asset: AssetId,
    viewer: Uuid,
    keys: Vec<Key>,
}

/// The keys that are asked for, as far as the playback covers them; or else the word for why not.
async fn grant(
    by: &Ctx,
    playback: &Playback,
    wanted: &[Uuid],
) -> Result<std::result::Result<Grant, &'static str>> {
    let package = store::packages::find(by.db(), playback.package.into()).await?;
    let Some(Package { id, asset_id, withdrawn_at: None, .. }) = package else {
        let why = if package.is_some() { "withdrawn" } else { "unprotected" };
        return Ok(Err(why));
    };
    let Some(Running { viewer_id, is_running: true }) = running(playback).await? else {
        return Ok(Err("ended"));
    };
    let tracks = store::tracks::of(by.db(), id).await?;
    let names: Vec<String> = tracks.into_iter().map(|track| track.name).collect();
    let covered = |key: &Key| {
        let class: Class = key.class;
        wanted.contains(&key.key_id) && class.is_covered(&names, playback.height_max)
    };
    let mut keys = store::packages::keys(by.db(), id).await?;
    keys.retain(covered);
    match keys.is_empty() {
        true => Ok(Err("not-covered")),
        false => Ok(Ok(Grant { asset: asset_id, viewer: viewer_id, keys })),
    }
}

async fn issue(
    by: Public,
    Query(Shown { t }): Query<Shown>,
    body: Bytes,
) -> Result<Secret<Json<Licence>>> {
    let playback = admit(&by, &t).await?;
    let wanted = wanted(&body)?;
    let (session, package) = (playback.session.into(), playback.package.into());
    let grant = match grant(&by, &playback, &wanted).await? {
        Ok(grant) => grant,
        Err(why) => {
            let told = LicenceDenied { playback: session, package, reason: why.into() };
            by.commit(emit(told)).await?;
            return Err(LicenceRefused.because(words(why)).into());
        }
    };
    let mut licence = Licence { keys: Vec::new(), r#type: "temporary" };
    for key in &grant.keys {
        let open = keys::open(package, key).await?;
        let k = Zeroizing::new(URL_SAFE_NO_PAD.encode(open.key.as_slice()));
        let kid = URL_SAFE_NO_PAD.encode(open.key_id.as_bytes());
        licence.keys.push(Jwk { kty: "oct", kid, k: k.to_string() });
    }
    by.commit(emit(LicenceIssued {
        playback: session,
        asset: grant.asset,
        package,
        viewer: grant.viewer,
        key_ids: grant.keys.iter().map(|key| key.key_id.simple().to_string()).collect(),
    }))
    .await?;
    Ok(Secret(Json(licence)))
}

fn words(why: &str) -> &'static str {
    match why {
        "ended" => "this playback is over: begin another",
        "withdrawn" => "the keys of this package were replaced: begin another playback",
        "unprotected" => "this package has no keys",
        _ => "none of these keys is covered by the playback",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_key_systems_send_and_nothing_else() {
        let id = Uuid::from_bytes([0x11; 16]);
        let kid = URL_SAFE_NO_PAD.encode(id.as_bytes());
        let of = |text: String| wanted(text.as_bytes()).map_err(|refusal| refusal.name);
        assert_eq!(of(format!(r#"{{"kids":["{kid}"],"type":"temporary"}}"#)), Ok(vec![id]));
        assert_eq!(of(format!(r#"{{"kids":["{kid}"]}}"#)), Ok(vec![id]));
        for wrong in [
            String::new(),
            "{}".into(),
            r#"{"kids":[]}"#.into(),
            r#"{"kids":["AAAA"]}"#.into(),
            r#"{"kids":["not base64!"]}"#.into(),
            format!(r#"{{"kids":["{kid}"],"type":"persistent-license"}}"#),
            json!({ "kids": vec![kid.clone(); 33] }).to_string(),
        ] {
            assert_eq!(of(wrong.clone()), Err("LicenceRequest"), "{wrong}");
        }
    }
}
