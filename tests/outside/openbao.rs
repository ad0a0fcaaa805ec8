//! Values of components out of a Vault: OpenBao, its own program, as it comes from its registry.
//! Read with a token, with one that may not list, and as a workload that shows a signed token.

use crate::tools;
use nexus_configuration::{Configuration, Error, Parts, Sources, VaultSettings};
use nexus_harness::prelude::*;
use nexus_runtime::Manifest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "suite"
[variables]
greeting = { default = "hello" }
api_key = { required = true, secret = true }
[component.catalog]
source = "catalog.wasm"
variables = { title = "{{ greeting }}", key = "{{ api_key }}" }
[component.orders]
source = "orders.wasm"
variables = { title = "{{ greeting }}" }
"#;

/// A server for development: in memory, unsealed, KV version 2 at `secret`.
struct Bao {
    program: PathBuf,
    server: Child,
    address: String,
    home: tempfile::TempDir,
}

impl Bao {
    async fn start() -> Self {
        let program = tools::openbao();
        let home = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("-dev-listen-address=127.0.0.1:{port}");
        let mut server = Command::new(&program);
        server.args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root", &listen]);
        let server = server.env("HOME", home.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().unwrap();
        let bao = Self { program, server, address: format!("http://127.0.0.1:{port}"), home };
        let answers = async || bao.run(&["status"]).is_ok();
        eventually("OpenBao answers", seconds(60), answers).await;
        bao
    }

    /// Runs its own command line as root.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("HOME", self.home.path());
        let done = command.env("BAO_ADDR", &self.address).env("BAO_TOKEN", "root").output();
        let done = done.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|words| panic!("{arguments:?}: {words}"))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.home.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// A host that reads here, set up by these variables.
    fn host(&self, set: &[(&str, &str)]) -> Configuration {
        let set: HashMap<&str, &str> = set.iter().copied().collect();
        let vault = VaultSettings::read(|name| match name {
            "VAULT_ADDR" => Some(self.address.clone()),
            "NEXUS_VAULT_POLL_SECONDS" => Some("1".into()),
            name => set.get(name).map(|value| (*value).to_owned()),
        });
        let sources = Sources { vault: vault.unwrap(), ..Sources::default() };
        let parts = Parts { database: None, keys: None, sources, environment: HashMap::new() };
        let configuration = Configuration::new(parts).unwrap();
        let manifest = Manifest::parse(MANIFEST, Path::new("spin.toml")).unwrap();
        configuration.declare_all(&manifest);
        configuration
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

const MAY_READ: &str = "path \"secret/data/nexus/*\" { capabilities = [\"read\"] }";

async fn values(host: &Configuration, component: &str) -> Vec<(String, String)> {
    host.values(component, 0).await.unwrap().into_iter().collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_read_from_vault_and_read_again_when_they_change() {
    let bao = Bao::start().await;
    let host = bao.host(&[("VAULT_TOKEN", "root")]);
    host.look().await.unwrap();
    assert_eq!(values(&host, "catalog").await, []);
    bao.ok(&["kv", "put", "-mount=secret", "nexus/_", "greeting=moin"]);
    bao.ok(&[
        "kv",
        "put",
        "-mount=secret",
        "nexus/catalog",
        "api_key=from-vault",
        "greeting=servus",
    ]);
    host.look().await.unwrap();
    let own = [pair("api_key", "from-vault"), pair("greeting", "servus")];
    assert_eq!(values(&host, "catalog").await, own);
    assert_eq!(values(&host, "orders").await, [pair("greeting", "moin")]);
    let watching = tokio::spawn(host.clone().watch());
    bao.ok(&["kv", "patch", "-mount=secret", "nexus/catalog", "api_key=turned"]);
    let turned = async || host.at_hand("catalog", "api_key").as_deref() == Some("turned");
    eventually("the new value is read", seconds(30), turned).await;
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_list_reads_what_it_may_and_one_that_may_nothing_says_so() {
    let bao = Bao::start().await;
    bao.ok(&["kv", "put", "-mount=secret", "nexus/catalog", "api_key=from-vault"]);
    let policy = bao.file("reader.hcl", MAY_READ);
    bao.ok(&["policy", "write", "reader", policy.to_str().unwrap()]);
    let token = bao.ok(&["token", "create", "-policy=reader", "-field=token"]);
    let host = bao.host(&[("VAULT_TOKEN", &token)]);
    host.look().await.unwrap();
    assert_eq!(values(&host, "catalog").await, [pair("api_key", "from-vault")]);
    let stranger = bao.host(&[("VAULT_TOKEN", "s.nobody")]);
    let Err(Error::Source { reason, .. }) = stranger.look().await else { panic!("it was let in") };
    assert_eq!(reason, "it refuses our token");
}

/// `openssl` signs as Kubernetes does: RS256.
fn workload(bao: &Bao) -> (PathBuf, PathBuf) {
    use base64::Engine as _;
    let b64 = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let path = |name: &str| bao.home.path().join(name);
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).current_dir(bao.home.path()).output();
        assert!(done.unwrap().status.success(), "openssl {arguments:?}");
    };
    openssl(&["genrsa", "-out", "key.pem", "2048"]);
    openssl(&["rsa", "-in", "key.pem", "-pubout", "-out", "pub.pem"]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let header = b64(br#"{"alg":"RS256","typ":"JWT"}"#);
    let claims = json!({ "sub": "system:serviceaccount:nexus:host", "aud": "nexus",
        "iat": now - 10, "exp": now + 600 });
    let signed = format!("{header}.{}", b64(claims.to_string().as_bytes()));
    bao.file("signed", &signed);
    openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "signed"]);
    let signature = b64(&std::fs::read(path("signature")).unwrap());
    (bao.file("token", &format!("{signed}.{signature}\n")), path("pub.pem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_logs_in_with_its_own_token() {
    let bao = Bao::start().await;
    bao.ok(&["kv", "put", "-mount=secret", "nexus/_", "greeting=moin"]);
    let (token, key) = workload(&bao);
    let policy = bao.file("reader.hcl", MAY_READ);
    bao.ok(&["policy", "write", "reader", policy.to_str().unwrap()]);
    // The call is that of the Kubernetes method; that one would ask a cluster who this is.
    bao.ok(&["auth", "enable", "-path=kubernetes", "jwt"]);
    let keys = format!("jwt_validation_pubkeys=@{}", key.display());
    bao.ok(&["write", "auth/kubernetes/config", &keys]);
    bao.ok(&[
        "write",
        "auth/kubernetes/role/nexus",
        "role_type=jwt",
        "user_claim=sub",
        "bound_audiences=nexus",
        "token_policies=reader",
        "token_ttl=1h",
    ]);
    let file = token.to_str().unwrap();
    let host = bao.host(&[("NEXUS_VAULT_ROLE", "nexus"), ("NEXUS_VAULT_JWT_FILE", file)]);
    host.look().await.unwrap();
    assert_eq!(values(&host, "orders").await, [pair("greeting", "moin")]);
    let other = bao.host(&[("NEXUS_VAULT_ROLE", "admin"), ("NEXUS_VAULT_JWT_FILE", file)]);
    assert!(other.look().await.is_err());
}
