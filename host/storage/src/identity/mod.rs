//! What the data plane knows of identity, read from the platform's tables: tenants, what subjects
//! may do, opaque credentials, public signing keys, revocations. Services write these in their own
//! commits through the functions of `migrations/platform/0007_identity.sql`; hosts only read, and
//! follow the notices.
//!
//! Refuses to know what a credential looks like on the wire, and to judge anybody: times and limits
//! are handed on as they stand.

mod notices;
mod rows;

pub use notices::{News, Notice, Notices};
pub use rows::{
    Credential, CredentialKind, Membership, Revocation, RevocationKind, SigningKey, Subject, Tenant,
};

use crate::database::Database;
use crate::error::Error;
use crate::session::Session;
use crate::work::Listening;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Identity of one database. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    database: Database,
}

/// Tenants of one installation: brands, of which there are few.
const TENANTS_MAX: i64 = 10_000;

/// Keys that may verify at once: some generations of a few algorithms.
const KEYS_MAX: i64 = 100;

/// Revocations in force. Each lasts as long as an access token, which is minutes.
const REVOCATIONS_MAX: i64 = 1_000_000;

const CREDENTIAL: &str = "select digest, id, tenant_id, kind, subject, organisation, \
     permission_limit, networks, floor(extract(epoch from auth_time))::int8, acr, \
     ceil(extract(epoch from expires_at))::int8, idle_seconds, \
     floor(extract(epoch from seen_at))::int8 \
     from platform.credential where digest = any ($1) and revoked_at is null";

const SUBJECT: &str = "select s.tenant_id, s.subject, s.permissions, o.organisation, o.permissions \
     from unnest($1::uuid[], $2::text[]) w (tenant_id, subject) \
     join platform.subject s using (tenant_id, subject) \
     left join platform.subject_organisation o using (tenant_id, subject) \
     where s.status = 'active' order by s.tenant_id, s.subject";

const REVOCATION: &str = "select r.tenant_id, r.kind, r.key, \
     ceil(extract(epoch from r.issued_before))::int8, \
     ceil(extract(epoch from r.expires_at))::int8 from platform.revocation r ";

impl Identity {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Hears when there may be a notice: a hint, beside looking now and then.
    pub fn listen(&self) -> Listening {
        self.database.work().listen()
    }

    /// What is to be followed from now on.
    pub fn notices(&self) -> Notices {
        Notices::new(self.clone())
    }

    async fn session(&self) -> Result<Session, Error> {
        self.database.host().await
    }

    /// All tenants.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`], as all of these.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        let sql = "select id, slug, hosts, status from platform.tenant order by id limit $1";
        let rows = self.session().await?.query(sql, &[&TENANTS_MAX]).await?;
        rows.iter().map(rows::tenant).collect()
    }

    /// The keys whose tokens are to be believed, newest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let sql = "select kid, algorithm, jwk::text, ceil(extract(epoch from expires_at))::int8 \
                   from platform.signing_key order by published_at desc limit $1";
        let rows = self.session().await?.query(sql, &[&KEYS_MAX]).await?;
        rows.iter().map(rows::signing_key).collect()
    }

    /// Everything that is revoked.
    pub async fn revocations(&self) -> Result<Vec<Revocation>, Error> {
        let sql = format!("{REVOCATION} order by r.expires_at desc limit $1");
        let rows = self.session().await?.query(&sql, &[&REVOCATIONS_MAX]).await?;
        rows.iter().map(rows::revocation).collect()
    }

    /// Those of the named revocations that are there, by tenant, kind and key.
    pub async fn revocations_of(
        &self,
        named: &[(Uuid, RevocationKind, String)],
    ) -> Result<Vec<Revocation>, Error> {
        let tenants: Vec<Uuid> = named.iter().map(|(tenant, _, _)| *tenant).collect();
        let kinds: Vec<&str> = named.iter().map(|(_, kind, _)| kind.word()).collect();
        let keys: Vec<&str> = named.iter().map(|(_, _, key)| key.as_str()).collect();
        let sql = format!(
            "{REVOCATION} join unnest($1::uuid[], $2::text[], $3::text[]) \
             w (tenant_id, kind, key) using (tenant_id, kind, key)"
        );
        let rows = self.session().await?.query(&sql, &[&tenants, &kinds, &keys]).await?;
        rows.iter().map(rows::revocation).collect()
    }

    /// The credentials with these digests that are not revoked; one that has expired is among them.
    pub async fn credentials(&self, digests: &[[u8; 32]]) -> Result<Vec<Credential>, Error> {
        let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
        let rows = self.session().await?.query(CREDENTIAL, &[&digests]).await?;
        rows.iter().map(rows::credential).collect()
    }

    /// The active ones of these subjects, by tenant and name.
    pub async fn subjects(&self, wanted: &[(Uuid, String)]) -> Result<Vec<Subject>, Error> {
        let tenants: Vec<Uuid> = wanted.iter().map(|(tenant, _)| *tenant).collect();
        let subjects: Vec<&str> = wanted.iter().map(|(_, subject)| subject.as_str()).collect();
        let rows = self.session().await?.query(SUBJECT, &[&tenants, &subjects]).await?;
        rows::subjects(&rows)
    }

    /// Notes when credentials were last used (Unix seconds); returns how many are noted later than
    /// before.
    pub async fn seen(&self, seen: &[(Uuid, i64)]) -> Result<u64, Error> {
        let ids: Vec<Uuid> = seen.iter().map(|(id, _)| *id).collect();
        let times: Vec<i64> = seen.iter().map(|(_, at)| *at).collect();
        // In the order of the ids, so that two hosts never wait for each other's rows.
        let sql = "with used as (select c.id, to_timestamp(s.at) as at \
                   from platform.credential c \
                   join unnest($1::uuid[], $2::int8[]) s (id, at) on s.id = c.id \
                   where c.seen_at < to_timestamp(s.at) order by c.id for no key update of c) \
                   update platform.credential c set seen_at = used.at from used \
                   where c.id = used.id";
        self.session().await?.execute(sql, &[&ids, &times]).await
    }

    /// Forgets what can no longer matter, a bounded number; returns how many rows went. Any number
    /// of hosts may do so at once.
    pub async fn purge(&self, rows_max: u32) -> Result<u64, Error> {
        let rows_max = i32::try_from(rows_max).unwrap_or(i32::MAX);
        let sql = "select platform.identity_purge($1)";
        let rows = self.session().await?.query(sql, &[&rows_max]).await?;
        Ok(rows[0].try_get::<_, i64>(0)?.cast_unsigned())
    }

    /// The secret of a new link with which the first administrator of `tenant` comes in, for a day
    /// and once; None while an active subject may do everything there. Only its digest is kept.
    pub async fn setup_link(&self, tenant: Uuid) -> Result<Option<String>, Error> {
        let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let session = self.session().await?;
        session.execute("delete from platform.setup where expires_at < now()", &[]).await?;
        let sql = "insert into platform.setup (digest, tenant_id, expires_at) \
                   select $1, $2, now() + interval '24 hours' where not exists (\
                   select from platform.subject s where s.tenant_id = $2 \
                   and s.status = 'active' and '*' = any (s.permissions))";
        let made = session.execute(sql, &[&digest.as_slice(), &tenant]).await?;
        Ok((made == 1).then_some(secret))
    }
}
