//! A database of a test's own with the platform's schema, written by the services that may.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use nexus_runtime::DEFAULT_TENANT;
use nexus_storage::cluster::{Settings, SharedCluster};
use nexus_storage::identity::Identity;
use nexus_storage::{Database, Limits, Migrations, Param};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;
use trigger_http::Identities;
use uuid::Uuid;

pub const ISSUER: &str = "https://nexus.example";
pub const TENANT: Uuid = DEFAULT_TENANT;

const SERVICES: [&str; 5] = ["users", "session-mgr", "token-mgr", "auth", "user-auth"];

/// The whole platform's identity.
pub struct Platform {
    database: Database,
    first: Database,
    cluster: SharedCluster,
}

fn limits() -> Limits {
    Limits { wait: Duration::from_secs(5), ..Limits::default() }
}

impl Platform {
    pub async fn new() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trigger-http");
        let settings = Settings { durable: false, connections_max: 100 };
        let cluster = SharedCluster::join(&home, settings).await.unwrap();
        let first = Database::open(cluster.server(), limits()).await.unwrap();
        let name = format!("t_{}", Uuid::now_v7().simple());
        let database = first.create_empty(&name).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/platform");
        std::os::unix::fs::symlink(from, folder.path().join("platform")).unwrap();
        Migrations::read(folder.path()).unwrap().apply(&database).await.unwrap();
        database.admit(&SERVICES).await.unwrap();
        Self { database, first, cluster }
    }

    /// What a host of its own connections knows of it, as on another machine, and what keeps that
    /// up to date.
    pub async fn identities(&self) -> (Identities, JoinHandle<()>) {
        let database = Database::open(self.cluster.server(), limits()).await.unwrap();
        let storage = Identity::new(database.named(self.database.name()));
        let identities = Identities::new(ISSUER, TENANT, Identities::machine_clock());
        let mut follower = identities.follower(storage);
        follower.look().await.unwrap();
        let follower = tokio::spawn(async move {
            follower.run().await;
        });
        (identities, follower)
    }

    /// Nobody can connect any more, and whoever was connected is not.
    pub async fn go_away(&self) {
        let name = self.database.name();
        let sql = format!(
            "alter database \"{name}\" with allow_connections false; \
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        self.first.host().await.unwrap().batch(&sql).await.unwrap();
    }

    pub async fn come_back(&self) {
        let name = self.database.name();
        let sql = format!("alter database \"{name}\" with allow_connections true");
        self.first.host().await.unwrap().batch(&sql).await.unwrap();
    }

    pub async fn end(self) {
        self.first.drop_database(self.database.name()).await.unwrap();
    }

    /// Calls a function of the platform as one of the services.
    pub async fn call(&self, service: &str, sql: &str, params: &[Param<'_>]) {
        let session = self.database.service(service).await.unwrap();
        let sql = format!("select platform.{sql}");
        session.execute(&sql, params).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// As the owner.
    pub async fn run(&self, sql: &str) {
        self.database.host().await.unwrap().batch(sql).await.unwrap();
    }

    pub async fn one<T>(&self, sql: &str) -> T
    where
        T: for<'a> nexus_storage::tokio_postgres::types::FromSql<'a>,
    {
        let session = self.database.host().await.unwrap();
        session.query(sql, &[]).await.unwrap()[0].try_get(0).unwrap()
    }

    pub async fn subject(&self, name: &str, permissions: &[&str]) {
        self.standing(name, "active", permissions).await;
    }

    pub async fn standing(&self, name: &str, status: &str, permissions: &[&str]) {
        let sql = "identity_subject_put($1, $2, $3, $4)";
        self.call("users", sql, &[&TENANT, &name, &status, &permissions]).await;
    }

    /// None takes the membership away.
    pub async fn member(&self, name: &str, organisation: &str, permissions: Option<&[&str]>) {
        let sql = "identity_organisation_put($1, $2, $3, $4)";
        self.call("users", sql, &[&TENANT, &name, &organisation, &permissions]).await;
    }

    /// A session of an hour; returns its id and secret.
    pub async fn session(&self, subject: &str) -> (Uuid, String) {
        let (id, secret) = (Uuid::now_v7(), format!("nxs_{}", Uuid::new_v4().simple()));
        self.put_session(id, &secret, subject, 1800).await;
        (id, secret)
    }

    pub async fn put_session(&self, id: Uuid, secret: &str, subject: &str, idle_seconds: i32) {
        let digest = Sha256::digest(secret);
        let sql = "identity_credential_put($1, $2, 'session', $3, $4, null, null, null, \
                   to_timestamp(1700000000), 'urn:nexus:acr:1fa', now() + interval '1 hour', $5)";
        let params: [Param<'_>; 5] = [&TENANT, &id, &digest.as_slice(), &subject, &idle_seconds];
        self.call("session-mgr", sql, &params).await;
    }

    pub async fn end_session(&self, id: Uuid) {
        let sql = "identity_credential_revoke($1, $2)";
        self.call("session-mgr", sql, &[&TENANT, &id]).await;
    }

    /// An API key; returns its id and secret.
    pub async fn api_key(
        &self,
        subject: &str,
        organisation: Option<&str>,
        limit: Option<&[&str]>,
        networks: Option<&[&str]>,
    ) -> (Uuid, String) {
        let (id, secret) = (Uuid::now_v7(), Uuid::new_v4().simple());
        let key = format!("nx_test_{}_{secret}", id.simple());
        let digest = Sha256::digest(&key);
        let sql = "identity_credential_put($1, $2, 'api_key', $3, $4, $5, $6, $7, null, null, \
                   null, null)";
        let digest = digest.as_slice();
        let params: [Param<'_>; 7] =
            [&TENANT, &id, &digest, &subject, &organisation, &limit, &networks];
        self.call("token-mgr", sql, &params).await;
        (id, key)
    }

    /// Publishes the key of an issuer.
    pub async fn publish(&self, issuer: &Issuer) {
        let sql = "identity_key_put($1, 'ES256', $2::text::jsonb, null)";
        self.call("token-mgr", sql, &[&issuer.kid, &issuer.jwk.to_string()]).await;
    }

    pub async fn withdraw(&self, issuer: &Issuer) {
        self.call("token-mgr", "identity_key_withdraw($1)", &[&issuer.kid]).await;
    }

    /// Revokes for an hour; of a subject, what was issued before now and two seconds.
    pub async fn revoke(&self, kind: &str, key: &str) {
        let sql = "identity_revoke($1, $2, $3, case $2 when 'subject' then \
                   now() + interval '2 s' end, now() + interval '1 h')";
        self.call("token-mgr", sql, &[&TENANT, &kind, &key]).await;
    }
}

/// A key that signs tokens of the platform.
pub struct Issuer {
    pub kid: String,
    pub jwk: Value,
    pub encoding: EncodingKey,
}

impl Issuer {
    pub fn new(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.der_bytes();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "kid": kid, "x": part(1..33), "y": part(33..65),
        });
        let encoding = EncodingKey::from_ec_der(&pair.serialize_der());
        Self { kid: kid.into(), jwk, encoding }
    }

    /// An access token of ten minutes for `subject`.
    pub fn token(&self, subject: &str, more: &Value) -> String {
        self.sign(&claims(subject, more))
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        (header.typ, header.kid) = (Some("at+jwt".into()), Some(self.kid.clone()));
        encode(&header, claims, &self.encoding).unwrap()
    }
}

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What the platform's access tokens say (RFC 9068); null takes a claim away.
pub fn claims(subject: &str, more: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "nexus", "sub": subject, "tenant": TENANT, "kind": "user",
        "client_id": "web", "jti": Uuid::now_v7(), "iat": now(), "exp": now() + 600,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}
