//! The guest's side: `nexus:rsa/keys` in terms of [`crate::rsa_key`] and [`crate::pool`].

use crate::rsa_key::{self, RsaError, Scheme};
use crate::{Rsa, RsaState};
use keys::Error;
use nexus_runtime::{Has, View};
use wasmtime::component::Accessor;
use zeroize::Zeroizing;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/nexus-rsa@0.1.0",
        world: "nexus:rsa/rsa",
    });
}

use bindings::nexus::rsa::keys;
pub(crate) use bindings::nexus::rsa::keys::add_to_linker;

impl keys::Host for View<'_, Rsa> {}

impl<T: Send + 'static> keys::HostWithStore<T> for Has<Rsa> {
    async fn generate(accessor: &Accessor<T, Self>, bits: u32) -> Result<keys::KeyPair, Error> {
        let pool = state(accessor).making;
        let pair = pool.run(move || rsa_key::generate(bits)).await??;
        Ok(keys::KeyPair { secret: pair.secret.to_vec(), public: pair.public.into() })
    }

    async fn sign(
        accessor: &Accessor<T, Self>,
        secret: Vec<u8>,
        scheme: keys::Scheme,
        message: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let secret = Zeroizing::new(secret);
        let pool = state(accessor).signing;
        let sign = move || rsa_key::sign(&secret, scheme.into(), &message);
        Ok(pool.run(sign).await??)
    }

    async fn verify(
        accessor: &Accessor<T, Self>,
        public: keys::PublicKey,
        scheme: keys::Scheme,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool, Error> {
        let public = rsa_key::PublicKey { modulus: public.modulus, exponent: public.exponent };
        let pool = state(accessor).signing;
        let verify = move || rsa_key::verify(&public, scheme.into(), &message, &signature);
        Ok(pool.run(verify).await??)
    }
}

fn state<T: Send + 'static>(accessor: &Accessor<T, Has<Rsa>>) -> RsaState {
    accessor.with(|mut access| access.get().state.clone())
}

impl From<rsa_key::PublicKey> for keys::PublicKey {
    fn from(public: rsa_key::PublicKey) -> Self {
        Self { modulus: public.modulus, exponent: public.exponent }
    }
}

impl From<keys::Scheme> for Scheme {
    fn from(scheme: keys::Scheme) -> Self {
        match scheme {
            keys::Scheme::Pkcs1Sha256 => Self::Pkcs1Sha256,
            keys::Scheme::PssSha256 => Self::PssSha256,
        }
    }
}

impl From<RsaError> for Error {
    fn from(error: RsaError) -> Self {
        match error {
            RsaError::Busy => Self::Busy,
            RsaError::Malformed(why) => Self::Malformed(why),
            RsaError::Unsupported(why) => Self::Unsupported(why),
        }
    }
}
