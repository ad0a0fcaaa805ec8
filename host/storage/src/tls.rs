//! TLS to a PostgreSQL server, with libpq's meaning of `sslmode` (PostgreSQL manual, "SSL Support",
//! table "SSL Mode Descriptions"). Refuses to know how a connection is opened.

use crate::error::Error;
use crate::wire::{Tap, Wire};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore};
use rustls::{Error as TlsError, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What `sslmode` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No TLS.
    Disable,
    /// TLS when the server speaks it; nobody's certificate is checked (libpq's default).
    Prefer,
    /// TLS or nothing. Without a root certificate the peer's certificate is not checked.
    Require,
    /// The chain must end in a trusted root.
    VerifyCa,
    /// The chain, and the name in the certificate.
    VerifyFull,
}

impl Mode {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// As libpq calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Parsed root certificates.
pub(crate) fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|e| e.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|e| e.to_string()));
        added.map_err(|e| Error::Address(format!("the root certificate is not sound: {e}")))?;
    }
    if roots.is_empty() {
        return Err(Error::Address("the root certificate holds no PEM certificate".into()));
    }
    Ok(roots)
}

/// The client configuration for a mode; `given` replaces the system's roots.
pub(crate) fn client(mode: Mode, given: Option<RootCertStore>) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let chain = mode == Mode::VerifyCa || (mode == Mode::Require && given.is_some());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Address(e.to_string()))?;
    let roots = given.unwrap_or_else(|| system_roots().clone());
    if mode == Mode::VerifyFull {
        return Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
    }
    let inner = match chain {
        true => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| Error::Address(format!("no usable root certificate: {e}")))?,
        ),
        false => None,
    };
    let verifier = Arc::new(NameBlind { chain: inner, provider });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Arc::new(builder.with_no_client_auth()))
}

/// Read once: the system's bundle is some hundred files on some systems.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system root certificate was skipped");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots
    })
}

/// Checks the handshake's signatures, the chain when it has roots for it, never the name.
#[derive(Debug)]
struct NameBlind {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NameBlind {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The chain is checked before the name, so a wrong name means a sound chain.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A connector whose stream is watched above the encryption.
pub(crate) struct TappedTls<C> {
    pub(crate) connect: C,
    pub(crate) wire: Arc<Wire>,
}

impl<C, S> TlsConnect<S> for TappedTls<C>
where
    C: TlsConnect<S> + Send + 'static,
    C::Stream: Send,
    C::Future: Send + 'static,
{
    type Stream = Tap<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = self.connect.connect(stream);
        Box::pin(async move { Ok(Tap::new(handshake.await?, self.wire)) })
    }
}

/// A connector for one host name.
pub(crate) fn connector<S>(
    config: &Arc<ClientConfig>,
    host: &str,
) -> Result<<MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect, Error>
where
    MakeRustlsConnect: MakeTlsConnect<S>,
{
    let mut make = MakeRustlsConnect::new(ClientConfig::clone(config));
    make.make_tls_connect(host)
        .map_err(|_| Error::Address(format!("{host} is no name a certificate could hold")))
}
