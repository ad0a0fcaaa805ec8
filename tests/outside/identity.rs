//! Programs that let people sign in, over TLS.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const EMAIL: &str = "ada@client.example";
const PASSWORD: &str = "a sentence that nobody else has written";

/// A host at `https://localhost:<port>`, with its first administrator, and room for a page of
/// somebody else's.
struct Installation {
    nexus: Nexus,
    url: String,
    /// The origin of that page, which may call the host.
    page: String,
    /// `ca.pem`, and `cert.pem` with `key.pem` for whoever listens on `localhost`.
    folder: TempDir,
}

impl Installation {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let [certificate, key] = certify(folder.path());
        let listen = free_address();
        let url = format!("https://localhost:{}", listen.port());
        let page = format!("https://localhost:{}", free_address().port());
        let (public, allowed) = (url.parse().unwrap(), page.clone());
        let nexus = Nexus::setup()
            .settings(move |settings| {
                settings.tls = Some(nexus_harness::Tls { listen, certificate, key });
                settings.public_url = Some(public);
                settings.cors_origins = vec![allowed];
            })
            .start()
            .await;
        let this = Self { nexus, url, page, folder };
        this.set_up().await;
        this
    }

    /// The first administrator comes in by the one-time link.
    async fn set_up(&self) {
        let token = self.nexus.setup_token().await;
        let draft = json!({
            "token": token, "email": EMAIL, "display_name": "Ada", "password": PASSWORD,
        });
        let answer = self.nexus.anonymous().post("/api/user-auth/v1/setup", draft).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Runs a client to its end.
    async fn run(&self, mut client: Command) {
        let token = self.nexus.operator_token();
        client
            .env("NEXUS_URL", &self.url)
            .env("NEXUS_TOKEN", token)
            .env("NEXUS_EMAIL", EMAIL)
            .env("NEXUS_PASSWORD", PASSWORD)
            .env("NEXUS_PAGE", &self.page)
            .env("NEXUS_CERT", self.folder.path().join("cert.pem"))
            .env("NEXUS_KEY", self.folder.path().join("key.pem"))
            .env("REQUESTS_CA_BUNDLE", self.folder.path().join("ca.pem"))
            .env("NODE_EXTRA_CA_CERTS", self.folder.path().join("ca.pem"));
        let what = format!("{client:?}");
        let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap();
        claim_success(&output.unwrap_or_else(|error| panic!("{what}: {error}")), &what);
    }
}

/// A CA that nobody else knows, and a certificate of it with its key.
fn certify(folder: &Path) -> [PathBuf; 2] {
    let [ca, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|file| folder.join(file));
    let ca_key = KeyPair::generate().unwrap();
    let mut about = CertificateParams::new(Vec::new()).unwrap();
    about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    about.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    about.distinguished_name.push(DnType::CommonName, "the test's own CA");
    fs::write(ca, about.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(about, ca_key);
    let own = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, "localhost");
    fs::write(&certificate, leaf.signed_by(&own, &issuer).unwrap().pem()).unwrap();
    fs::write(&key, own.serialize_pem()).unwrap();
    [certificate, key]
}

/// A home in which Chromium finds the CA: it looks into the database of Mozilla's NSS there.
fn browser_home(folder: &Path) -> PathBuf {
    let home = folder.join("home");
    let database = home.join(".pki/nssdb");
    fs::create_dir_all(&database).unwrap();
    let database = format!("sql:{}", database.display());
    let certutil = |args: &[&str]| {
        let mut certutil = Command::new("certutil");
        certutil.args(["-d", &database]).args(args);
        let output = certutil.output().expect("certutil is missing: run cargo xtask doctor");
        claim_success(&output, "certutil");
    };
    certutil(&["-N", "--empty-password"]);
    let ca = folder.join("ca.pem").display().to_string();
    certutil(&["-A", "-n", "the test's own CA", "-t", "C,,", "-i", &ca]);
    home
}

/// An address that nobody listens on; the origin must be known before the host is.
fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn authlib_signs_people_in() {
    let installation = Installation::start().await;
    let mut python = tools::python();
    python.arg(tools::scripts().join("oidc.py"));
    installation.run(python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openid_client_signs_people_in() {
    let installation = Installation::start().await;
    installation.run(tools::node("oidc.mjs")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_client_ts_signs_people_in_from_a_page_of_another_origin() {
    let installation = Installation::start().await;
    let mut node = tools::node("spa.mjs");
    node.arg(tools::browser()).env("HOME", browser_home(installation.folder.path()));
    installation.run(node).await;
}
