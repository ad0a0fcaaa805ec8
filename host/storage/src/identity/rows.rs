//! The rows of `0007_identity.sql`, as values. All times are Unix seconds.

use crate::error::Error;
use tokio_postgres::Row;
use uuid::Uuid;

/// One brand on this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: Uuid,
    pub slug: String,
    /// Host names under which it is known, lower case and without a port.
    pub hosts: Vec<String>,
    pub suspended: bool,
}

/// A key whose tokens are to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    pub kid: String,
    /// `ES256` or `EdDSA`.
    pub algorithm: String,
    /// The public half as JSON (RFC 7517).
    pub jwk: String,
    /// From then on no longer; None while it is in use.
    pub expires_at: Option<i64>,
}

/// What an opaque credential is to its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    Session,
    ApiKey,
}

/// A credential that is known by the digest of its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub digest: [u8; 32],
    pub id: Uuid,
    pub tenant: Uuid,
    pub kind: CredentialKind,
    pub subject: String,
    pub organisation: Option<String>,
    /// What it may do of all that its subject may; None is everything.
    pub permission_limit: Option<Vec<String>>,
    /// Addresses or networks (CIDR) that it may come from; None is any.
    pub networks: Option<Vec<String>>,
    pub auth_time: Option<i64>,
    pub acr: Option<String>,
    pub expires_at: Option<i64>,
    /// Unused for so long, it is worth nothing.
    pub idle_seconds: Option<i64>,
    pub seen_at: i64,
}

/// What a subject may do besides when it acts for an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub organisation: String,
    pub permissions: Vec<String>,
}

/// An active subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub tenant: Uuid,
    pub subject: String,
    pub permissions: Vec<String>,
    pub organisations: Vec<Membership>,
}

/// What a revocation concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationKind {
    /// One `jti`.
    Token,
    /// All of a `sid`.
    Session,
    /// All of a `sub` from before an instant.
    Subject,
}

/// Tokens that are worth nothing although their signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub tenant: Uuid,
    pub kind: RevocationKind,
    pub key: String,
    /// Of a subject: tokens issued before this second.
    pub issued_before: Option<i64>,
    /// When the last token that it concerns has expired by itself.
    pub expires_at: i64,
}

impl RevocationKind {
    /// As the table says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Subject => "subject",
        }
    }

    pub(crate) fn of(word: &str) -> Self {
        match word {
            "token" => Self::Token,
            "session" => Self::Session,
            // The table's check knows no other.
            _ => Self::Subject,
        }
    }
}

pub(crate) fn tenant(row: &Row) -> Result<Tenant, Error> {
    Ok(Tenant {
        id: row.try_get(0)?,
        slug: row.try_get(1)?,
        hosts: row.try_get(2)?,
        suspended: row.try_get::<_, &str>(3)? != "active",
    })
}

pub(crate) fn signing_key(row: &Row) -> Result<SigningKey, Error> {
    Ok(SigningKey {
        kid: row.try_get(0)?,
        algorithm: row.try_get(1)?,
        jwk: row.try_get(2)?,
        expires_at: row.try_get(3)?,
    })
}

pub(crate) fn revocation(row: &Row) -> Result<Revocation, Error> {
    Ok(Revocation {
        tenant: row.try_get(0)?,
        kind: RevocationKind::of(row.try_get(1)?),
        key: row.try_get(2)?,
        issued_before: row.try_get(3)?,
        expires_at: row.try_get(4)?,
    })
}

pub(crate) fn credential(row: &Row) -> Result<Credential, Error> {
    let digest: &[u8] = row.try_get(0)?;
    Ok(Credential {
        // The table's check: 32 bytes.
        digest: digest.try_into().unwrap_or_default(),
        id: row.try_get(1)?,
        tenant: row.try_get(2)?,
        kind: match row.try_get(3)? {
            "session" => CredentialKind::Session,
            _ => CredentialKind::ApiKey,
        },
        subject: row.try_get(4)?,
        organisation: row.try_get(5)?,
        permission_limit: row.try_get(6)?,
        networks: row.try_get(7)?,
        auth_time: row.try_get(8)?,
        acr: row.try_get(9)?,
        expires_at: row.try_get(10)?,
        idle_seconds: row.try_get::<_, Option<i32>>(11)?.map(i64::from),
        seen_at: row.try_get(12)?,
    })
}

/// One row for each organisation, or one for a subject without any; a subject's rows follow each
/// other.
pub(crate) fn subjects(rows: &[Row]) -> Result<Vec<Subject>, Error> {
    let mut subjects: Vec<Subject> = Vec::new();
    for row in rows {
        let (tenant, name): (Uuid, &str) = (row.try_get(0)?, row.try_get(1)?);
        let same =
            subjects.last().is_some_and(|last| last.tenant == tenant && last.subject == name);
        if !same {
            subjects.push(Subject {
                tenant,
                subject: name.to_owned(),
                permissions: row.try_get(2)?,
                organisations: Vec::new(),
            });
        }
        if let (Some(organisation), Some(last)) = (row.try_get(3)?, subjects.last_mut()) {
            let permissions = row.try_get(4)?;
            last.organisations.push(Membership { organisation, permissions });
        }
    }
    Ok(subjects)
}
