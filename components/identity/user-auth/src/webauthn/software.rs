//! An authenticator in software with real keys (ES256), for tests here and in `tests/scenarios`:
//! answers as a browser with a security key would, or as a hostile one. Needs nothing but its
//! crates, so that a scenario can include this file.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const PRESENT: u8 = 1;
pub const VERIFIED: u8 = 1 << 2;
pub const BACKUP_ELIGIBLE: u8 = 1 << 3;
pub const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;

/// One credential and what the device does when asked.
pub struct Authenticator {
    key: SigningKey,
    pub credential_id: Vec<u8>,
    pub flags: u8,
    pub sign_count: u32,
    pub origin: String,
    pub rp_id: String,
    /// The user whose credential it is, as given at registration.
    pub user_handle: Option<String>,
}

impl Authenticator {
    /// `seed` makes the key: any 32 bytes below the group's order, such as small numbers.
    pub fn new(seed: [u8; 32], origin: &str, rp_id: &str) -> Self {
        let key = SigningKey::from_slice(&seed).expect("a scalar of the curve");
        let credential_id = Sha256::digest(seed)[..16].to_vec();
        let flags = PRESENT | VERIFIED;
        let (origin, rp_id) = (origin.to_owned(), rp_id.to_owned());
        Self { key, credential_id, flags, sign_count: 1, origin, rp_id, user_handle: None }
    }

    /// `navigator.credentials.create({ publicKey })`, by `toJSON()`.
    pub fn create(&mut self, public_key: &Value) -> Value {
        self.user_handle = public_key["user"]["id"].as_str().map(str::to_owned);
        let mut says = self.says(self.flags | ATTESTED);
        says.extend([0; 16]);
        says.extend((self.credential_id.len() as u16).to_be_bytes());
        says.extend(&self.credential_id);
        says.extend(self.cose_key());
        // {"fmt": "none", "attStmt": {}, "authData": h'…'}
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt");
        object.extend([0x64]);
        object.extend(b"none");
        object.extend([0x67]);
        object.extend(b"attStmt");
        object.extend([0xa0, 0x68]);
        object.extend(b"authData");
        object.extend([0x58, u8::try_from(says.len()).expect("148 bytes")]);
        object.extend(says);
        json!({
            "id": self.id(), "rawId": self.id(), "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": { "credProps": { "rk": true } },
            "response": {
                "clientDataJSON": encode(&self.client_data("webauthn.create", public_key)),
                "attestationObject": encode(&object),
                "transports": ["usb", "nfc"],
            },
        })
    }

    /// `navigator.credentials.get({ publicKey })`; counts up.
    pub fn get(&mut self, public_key: &Value) -> Value {
        self.sign_count += 1;
        let says = self.says(self.flags);
        let client_data = self.client_data("webauthn.get", public_key);
        let mut signed = says.clone();
        signed.extend(Sha256::digest(&client_data));
        let signature: p256::ecdsa::Signature = self.key.sign(&signed);
        json!({
            "id": self.id(), "rawId": self.id(), "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&says),
                "signature": encode(signature.to_der().as_bytes()),
                "userHandle": self.user_handle,
            },
        })
    }

    fn id(&self) -> String {
        encode(&self.credential_id)
    }

    fn says(&self, flags: u8) -> Vec<u8> {
        let mut says = Sha256::digest(&self.rp_id).to_vec();
        says.push(flags);
        says.extend(self.sign_count.to_be_bytes());
        says
    }

    fn client_data(&self, kind: &str, public_key: &Value) -> Vec<u8> {
        let said = json!({
            "type": kind, "challenge": public_key["challenge"], "origin": self.origin,
            "crossOrigin": false,
        });
        said.to_string().into_bytes()
    }

    /// {1: 2, 3: -7, -1: 1, -2: x, -3: y}
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_encoded_point(false);
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(point.x().expect("an uncompressed point"));
        key.extend([0x22, 0x58, 0x20]);
        key.extend(point.y().expect("an uncompressed point"));
        key
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
