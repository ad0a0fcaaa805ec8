//! RSA, which the host computes: big numbers are slow in here, and signing must not leak the key by
//! its timing.

use crate::crypto::jwk::Jwk;
use bindings::nexus::rsa::keys::{self, Error as RsaError, PublicKey};
use nexus_sdk::prelude::*;
use zeroize::Zeroizing;

pub use bindings::nexus::rsa::keys::Scheme;

#[allow(missing_docs, unreachable_pub, dead_code)]
mod bindings {
    use nexus_sdk::spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../wit/nexus-rsa@0.1.0",
        world: "nexus:rsa/rsa",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

/// A new pair: the secret half as PKCS#8, and the public one.
pub async fn generate(bits: u32) -> Result<(Zeroizing<Vec<u8>>, Jwk)> {
    let pair = keys::generate(bits).await.map_err(told)?;
    let jwk = Jwk::rsa(&pair.public.modulus, &pair.public.exponent);
    Ok((Zeroizing::new(pair.secret), jwk))
}

pub async fn sign(secret: &[u8], scheme: Scheme, message: &[u8]) -> Result<Vec<u8>> {
    keys::sign(secret.to_vec(), scheme, message.to_vec()).await.map_err(told)
}

pub async fn verify(jwk: &Jwk, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<bool> {
    let (Some(modulus), Some(exponent)) = (Jwk::number(&jwk.n), Jwk::number(&jwk.e)) else {
        return Err(Failure::msg("read an RSA key: a number is missing").into());
    };
    let public = PublicKey { modulus, exponent };
    keys::verify(public, scheme, message.to_vec(), signature.to_vec()).await.map_err(told)
}

fn told(error: RsaError) -> Error {
    match error {
        RsaError::Busy => Error::unavailable(Failure::msg("every RSA thread is taken")),
        RsaError::Malformed(why) | RsaError::Unsupported(why) => Failure::msg(why).into(),
    }
}
