//! The operator's certificate: loaded at start, loaded again when its files change. A broken pair
//! never replaces a good one. TLS 1.3 first, 1.2 at least, ring for the arithmetic.

use crate::config::TlsConfig;
use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no certificate in PEM: {reason}")]
    NoCertificate { path: PathBuf, reason: String },
    #[error("{path} holds no private key in PEM: {reason}")]
    NoKey { path: PathBuf, reason: String },
    #[error("the private key in {path} does not belong to the certificate: {reason}")]
    Mismatch { path: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificate that handshakes use now.
#[derive(Debug)]
pub(crate) struct Certificate {
    current: ArcSwap<CertifiedKey>,
    /// Both files as they were when last looked at, good or not.
    seen: Mutex<(Vec<u8>, Vec<u8>)>,
    certificate: PathBuf,
    key: PathBuf,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Certificate {
    pub(crate) fn load(config: &TlsConfig) -> Result<Arc<Self>, TlsError> {
        let (certificate, key) = (config.certificate.clone(), config.key.clone());
        let seen = (read(&certificate)?, read(&key)?);
        let pair = parse(&seen, config)?;
        let current = ArcSwap::from_pointee(pair);
        Ok(Arc::new(Self { current, seen: Mutex::new(seen), certificate, key }))
    }

    /// Looks at the files; true when a new pair is in use.
    pub(crate) fn reload(&self, config: &TlsConfig) -> Result<bool, TlsError> {
        let now = (read(&self.certificate)?, read(&self.key)?);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        // A broken pair is reported once, not at every look; while only one of two files has been
        // replaced, the next look finds both.
        let pair = parse(&now, config);
        *seen = now;
        self.current.store(Arc::new(pair?));
        Ok(true)
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.clone(), source })
}

fn parse(files: &(Vec<u8>, Vec<u8>), config: &TlsConfig) -> Result<CertifiedKey, TlsError> {
    let no_certificate =
        |reason: String| TlsError::NoCertificate { path: config.certificate.clone(), reason };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&files.0).collect();
    let chain = chain.map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("the file has no CERTIFICATE section".into()));
    }
    let no_key = |reason: String| TlsError::NoKey { path: config.key.clone(), reason };
    let key = PrivateKeyDer::from_pem_slice(&files.1).map_err(|e| no_key(e.to_string()))?;
    let key = ring::sign::any_supported_type(&key).map_err(|e| no_key(e.to_string()))?;
    let pair = CertifiedKey::new(chain, key);
    pair.keys_match().map_err(|error| TlsError::Mismatch {
        path: config.key.clone(),
        reason: error.to_string(),
    })?;
    Ok(pair)
}

/// What every handshake is made with.
pub(crate) fn server_config(
    certificate: Arc<Certificate>,
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets keep resumption state at the client: any shard can resume, and memory is bounded.
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// Keeps looking at the files on a thread of its own, until dropped.
pub(crate) struct Watch {
    _stop: Sender<()>,
}

impl Watch {
    pub(crate) fn start(certificate: Arc<Certificate>, config: TlsConfig) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let work = move || watch(&certificate, &config, &stopped);
        std::thread::Builder::new().name("nexus-tls".into()).spawn(work)?;
        Ok(Self { _stop: stop })
    }
}

fn watch(certificate: &Certificate, config: &TlsConfig, stopped: &Receiver<()>) {
    // Faster than this helps nobody and reads the disk for nothing.
    let every = config.check_every.max(Duration::from_millis(10));
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        match certificate.reload(config) {
            Ok(false) => {}
            Ok(true) => tracing::info!("a new certificate is in use"),
            Err(error) => tracing::error!(%error, "the old certificate stays in use"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        folder: tempfile::TempDir,
        config: TlsConfig,
    }

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn files() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = TlsConfig::new(listen, path("cert.pem"), path("key.pem"));
        Files { folder, config }
    }

    impl Files {
        fn write(&self, (cert, key): &(String, String)) {
            assert!(self.folder.path().exists());
            std::fs::write(&self.config.certificate, cert).unwrap();
            std::fs::write(&self.config.key, key).unwrap();
        }
    }

    fn leaf(certificate: &Certificate) -> Vec<u8> {
        certificate.current.load().cert[0].to_vec()
    }

    #[test]
    fn a_new_pair_replaces_the_old_one_and_a_broken_pair_does_not() {
        let files = files();
        let (first, second) = (pair("a.example"), pair("b.example"));
        files.write(&first);
        let certificate = Certificate::load(&files.config).unwrap();
        let old = leaf(&certificate);
        assert!(!certificate.reload(&files.config).unwrap(), "nothing changed");

        files.write(&(second.0.clone(), first.1.clone()));
        let error = certificate.reload(&files.config).unwrap_err();
        assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
        files.write(&("garbage".into(), second.1.clone()));
        assert!(matches!(certificate.reload(&files.config), Err(TlsError::NoCertificate { .. })));
        std::fs::remove_file(&files.config.key).unwrap();
        assert!(matches!(certificate.reload(&files.config), Err(TlsError::Unreadable { .. })));
        assert_eq!(leaf(&certificate), old);

        files.write(&second);
        assert!(certificate.reload(&files.config).unwrap());
        assert_ne!(leaf(&certificate), old);
    }

    #[test]
    fn a_host_does_not_start_with_a_pair_that_does_not_fit() {
        let files = files();
        assert!(matches!(Certificate::load(&files.config), Err(TlsError::Unreadable { .. })));
        let (first, second) = (pair("a.example"), pair("b.example"));
        files.write(&(first.0.clone(), second.1));
        assert!(matches!(Certificate::load(&files.config), Err(TlsError::Mismatch { .. })));
        files.write(&(first.0, "garbage".into()));
        assert!(matches!(Certificate::load(&files.config), Err(TlsError::NoKey { .. })));
    }
}
