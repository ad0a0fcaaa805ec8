//! Programs that let people sign in, over TLS.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

const EMAIL: &str = "ada@client.example";
const PASSWORD: &str = "a sentence that nobody else has written";

/// A host at `https://localhost:<port>`, with its first administrator.
struct Installation {
    nexus: Nexus,
    url: String,
    ca: PathBuf,
    _folder: TempDir,
}

impl Installation {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let [ca, certificate, key] =
            ["ca.pem", "cert.pem", "key.pem"].map(|f| folder.path().join(f));
        let ca_key = KeyPair::generate().unwrap();
        let mut about = CertificateParams::new(Vec::new()).unwrap();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        about.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        about.distinguished_name.push(DnType::CommonName, "the test's own CA");
        fs::write(&ca, about.self_signed(&ca_key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(about, ca_key);
        let own = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        fs::write(&certificate, leaf.signed_by(&own, &issuer).unwrap().pem()).unwrap();
        fs::write(&key, own.serialize_pem()).unwrap();
        let listen = free_address();
        let url = format!("https://localhost:{}", listen.port());
        let public = url.parse().unwrap();
        let nexus = Nexus::setup()
            .settings(move |settings| {
                settings.tls = Some(nexus_harness::Tls { listen, certificate, key });
                settings.public_url = Some(public);
            })
            .start()
            .await;
        let this = Self { nexus, url, ca, _folder: folder };
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
            .env("REQUESTS_CA_BUNDLE", &self.ca)
            .env("NODE_EXTRA_CA_CERTS", &self.ca);
        let what = format!("{client:?}");
        let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap();
        claim_success(&output.unwrap_or_else(|error| panic!("{what}: {error}")), &what);
    }
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
