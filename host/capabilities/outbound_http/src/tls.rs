//! Who is believed to be who: certificate authorities and the one TLS client configuration.
//! Refuses to know destinations.

use crate::error::OutboundError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Protocols we speak, best first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS for clients. The machine's authorities are read when first needed.
pub(crate) struct Tls {
    added: Vec<CertificateDer<'static>>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the added authorities now, so that a wrong path is known at start.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, OutboundError> {
        let added = match ca_file {
            None => Vec::new(),
            Some(path) => read(path).map_err(|reason| OutboundError::CertificateAuthorities {
                path: path.into(),
                reason,
            })?,
        };
        Ok(Self { added, config: OnceCell::new() })
    }

    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, OutboundError> {
        self.config.get_or_try_init(|| build(self.added.clone())).await.cloned()
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| e.to_string())?;
    if certificates.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    for certificate in &certificates {
        RootCertStore::empty().add(certificate.clone()).map_err(|e| e.to_string())?;
    }
    Ok(certificates)
}

async fn build(added: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, OutboundError> {
    // The machine's store is a hundred files on some systems: not on a shard's thread.
    let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let mut roots = RootCertStore::empty();
    match native {
        Ok(native) => {
            for error in &native.errors {
                tracing::warn!(%error, "part of the machine's certificate store is unreadable");
            }
            // Stores hold a few certificates that no current verifier takes; they are no loss.
            roots.add_parsable_certificates(native.certs);
        }
        Err(error) => tracing::warn!(%error, "the machine's certificate store is unreadable"),
    }
    roots.add_parsable_certificates(added);
    if roots.is_empty() {
        return Err(OutboundError::NoCertificateAuthorities);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}
