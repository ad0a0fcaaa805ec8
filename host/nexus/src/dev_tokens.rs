//! Tokens for development: while no component issues any, the host signs with a key of its own, in
//! a file only its user can read, and says so. Whoever reads that file is an operator.

use crate::secret;
use anyhow::{Context as _, Result, bail};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nexus_runtime::PrincipalKind;
use nexus_storage::private_file;
use p256::SecretKey;
use p256::elliptic_curve::rand_core::OsRng;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The key's file in the home folder.
pub const KEY_FILE: &str = "dev-key.pem";
/// An operator's token in the home folder, written anew at each start.
pub const TOKEN_FILE: &str = "dev-token";
/// The public URL of the host that has the home, written anew at each start.
const ISSUER_FILE: &str = "public-url";
/// How long that token is valid: a working day.
pub const LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// What a token says.
#[derive(Debug, Clone)]
pub struct Claims {
    pub subject: String,
    pub kind: PrincipalKind,
    pub permissions: Vec<String>,
    pub tenant: Uuid,
    pub lifetime: Duration,
}

/// A P-256 key that signs tokens with ES256.
pub struct DevKey {
    public: Value,
    id: String,
    signing: EncodingKey,
}

impl DevKey {
    /// The key of a home folder, made (mode 0600) when it is not there.
    pub fn kept_in(home: &Path) -> Result<Self> {
        let path = home.join(KEY_FILE);
        let key = SecretKey::random(&mut OsRng);
        let pem = key.to_pkcs8_pem(LineEnding::LF).context("write a key as PEM")?;
        let made = private_file::make_once(&path, pem.as_bytes());
        match made.with_context(|| format!("create {}", path.display()))? {
            true => Self::new(&key),
            false => Self::read(home),
        }
    }

    /// The key that an earlier start has made.
    pub fn read(home: &Path) -> Result<Self> {
        let path = home.join(KEY_FILE);
        let place = || format!("read {}", path.display());
        let mode = match fs::metadata(&path) {
            Ok(found) => found.permissions().mode(),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{} is not there: `nexus up` makes it while no component issues tokens",
                path.display()
            ),
            Err(error) => return Err(error).with_context(place),
        };
        if mode & 0o077 != 0 {
            bail!("others can read {}: remove it, and a new key is made", path.display());
        }
        let pem = fs::read_to_string(&path).with_context(place)?;
        Self::new(&SecretKey::from_pkcs8_pem(&pem).with_context(place)?)
    }

    /// A key that is nowhere kept.
    pub fn ephemeral() -> Result<Self> {
        Self::new(&SecretKey::random(&mut OsRng))
    }

    fn new(key: &SecretKey) -> Result<Self> {
        let pem = key.to_pkcs8_pem(LineEnding::LF).context("write a key as PEM")?;
        let signing = EncodingKey::from_ec_pem(pem.as_bytes()).context("use the key")?;
        let public = key.public_key().to_jwk_string();
        let mut public: Value = serde_json::from_str(&public).context("read the key's JWK")?;
        // Tells keys of different homes apart; the verifier looks keys up by it.
        let id = format!("dev-{}", public["x"].as_str().unwrap_or_default().get(..8).unwrap_or(""));
        public["kid"] = id.as_str().into();
        public["use"] = "sig".into();
        public["alg"] = "ES256".into();
        Ok(Self { public, id, signing })
    }

    /// The public half as a JWK set (RFC 7517).
    pub fn jwks(&self) -> String {
        json!({ "keys": [self.public] }).to_string()
    }

    /// Signs a token of `issuer` for this platform (RFC 9068 in shape).
    pub fn mint(&self, issuer: &str, claims: &Claims) -> Result<String> {
        self.mint_at(issuer, claims, SystemTime::now())
    }

    /// As [`DevKey::mint`], at another instant.
    pub fn mint_at(&self, issuer: &str, claims: &Claims, at: SystemTime) -> Result<String> {
        let now = at.duration_since(UNIX_EPOCH).context("read the clock")?;
        let payload = json!({
            "iss": issuer,
            "aud": trigger_http::AUDIENCE,
            "sub": claims.subject,
            "kind": claims.kind,
            "permissions": claims.permissions,
            "tenant": claims.tenant,
            "iat": now.as_secs(),
            "auth_time": now.as_secs(),
            "exp": (now + claims.lifetime).as_secs(),
            "jti": Uuid::now_v7(),
        });
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".into());
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, &payload, &self.signing).context("sign a token")
    }
}

/// Writes `token` where the developer finds it (mode 0600), replacing an older one.
pub fn keep(home: &Path, token: &str) -> Result<()> {
    secret::shown_in(&home.join(TOKEN_FILE), token)
}

/// Writes down who signs, so that later tokens of this home are the same host's.
pub fn keep_issuer(home: &Path, issuer: &str) -> Result<()> {
    let file = home.join(ISSUER_FILE);
    fs::write(&file, issuer).with_context(|| format!("write {}", file.display()))
}

/// Who signs in this home.
pub fn issuer(home: &Path) -> Result<String> {
    let file = home.join(ISSUER_FILE);
    let read = fs::read_to_string(&file);
    read.with_context(|| format!("read {}: start the host, or name --public-url", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trigger_http::{LocalKeys, Unproven, Verifier as _};

    const ISSUER: &str = "http://localhost:8080";

    fn claims() -> Claims {
        Claims {
            subject: "operator".into(),
            kind: PrincipalKind::Operator,
            permissions: vec!["*".into()],
            tenant: nexus_runtime::DEFAULT_TENANT,
            lifetime: LIFETIME,
        }
    }

    fn now() -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(now.as_secs()).unwrap()
    }

    #[test]
    fn the_host_believes_its_own_key_for_twelve_hours() {
        let home = tempfile::tempdir().unwrap();
        let key = DevKey::kept_in(home.path()).unwrap();
        let token = key.mint(ISSUER, &claims()).unwrap();
        let verifier = LocalKeys::from_jwks(&key.jwks(), ISSUER, Uuid::nil()).unwrap();
        let proven = verifier.verify(&token, now()).unwrap();
        assert_eq!(proven.principal.kind, PrincipalKind::Operator);
        assert_eq!(proven.principal.permissions, ["*"]);
        assert_eq!(proven.principal.tenant, nexus_runtime::DEFAULT_TENANT);
        let tomorrow = now() + 24 * 3600;
        assert_eq!(verifier.verify(&token, tomorrow).unwrap_err(), Unproven::Expired);
    }

    #[test]
    fn a_key_survives_a_restart_and_another_home_has_another() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = DevKey::kept_in(one.path()).unwrap();
        let again = DevKey::kept_in(one.path()).unwrap();
        assert_eq!(first.jwks(), again.jwks());
        assert_eq!(first.jwks(), DevKey::read(one.path()).unwrap().jwks());
        let foreign = DevKey::kept_in(other.path()).unwrap();
        let verifier = LocalKeys::from_jwks(&first.jwks(), ISSUER, Uuid::nil()).unwrap();
        let token = foreign.mint(ISSUER, &claims()).unwrap();
        assert!(verifier.verify(&token, now()).is_err());
    }

    #[test]
    fn a_home_without_a_key_mints_nothing_and_an_open_key_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let error = DevKey::read(home.path()).err().unwrap().to_string();
        assert!(error.contains("nexus up"), "{error}");
        DevKey::kept_in(home.path()).unwrap();
        let loose = fs::Permissions::from_mode(0o644);
        fs::set_permissions(home.path().join(KEY_FILE), loose).unwrap();
        assert!(DevKey::kept_in(home.path()).is_err());
    }

    #[test]
    fn the_token_file_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        keep(home.path(), "one").unwrap();
        keep(home.path(), "two").unwrap();
        let path = home.path().join(TOKEN_FILE);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
