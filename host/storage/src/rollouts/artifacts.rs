//! Artifacts and bytes by digest.

use super::{RolloutError, Rollouts};
use crate::error::Error;
use serde_json::Value;
use std::time::SystemTime;
use tokio_postgres::Row;

/// What is stored of an artifact that was read and judged.
#[derive(Debug, Clone)]
pub struct NewArtifact<'a> {
    /// `sha256:<hex>` of its manifest, as all digests here.
    pub digest: &'a str,
    pub component: &'a str,
    pub version: &'a str,
    pub wasm_digest: &'a str,
    pub wasm: &'a [u8],
    pub archive_digest: &'a str,
    pub archive: &'a [u8],
    pub fragment: Option<&'a str>,
    /// `[{name, sql}]`.
    pub migrations: &'a Value,
    /// `valid`, `unsigned`, `untrusted` or `invalid`.
    pub signature: &'a str,
    pub key_id: Option<&'a str>,
    pub imports: &'a Value,
    pub exports: &'a Value,
    pub by: &'a str,
}

/// An artifact without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactRow {
    pub digest: String,
    pub component: String,
    pub version: String,
    pub wasm_digest: String,
    pub archive_digest: String,
    pub fragment: Option<String>,
    pub migrations: Value,
    pub signature: String,
    pub key_id: Option<String>,
    pub imports: Value,
    pub exports: Value,
    pub size_bytes: u64,
    pub created_at: SystemTime,
    pub created_by: String,
}

impl Rollouts {
    /// Stores an artifact. The same again is stored once, with the signatures that came last; false
    /// when it was there.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] for words that the table does not allow (class 23).
    pub async fn store_artifact(&self, new: &NewArtifact<'_>) -> Result<bool, Error> {
        self.store_blob(new.wasm_digest, new.wasm).await?;
        self.store_blob(new.archive_digest, new.archive).await?;
        let sql = "insert into platform.artifact as a (digest, component, version, wasm, archive, \
            fragment, migrations, signature, key_id, imports, exports, size_bytes, created_by) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
            on conflict (digest) do update set archive = excluded.archive, \
            signature = excluded.signature, key_id = excluded.key_id \
            returning a.xmax = 0";
        let size = i64::try_from(new.archive.len()).unwrap_or(i64::MAX);
        let values: [crate::session::Param<'_>; 13] = [
            &new.digest,
            &new.component,
            &new.version,
            &new.wasm_digest,
            &new.archive_digest,
            &new.fragment,
            new.migrations,
            &new.signature,
            &new.key_id,
            new.imports,
            new.exports,
            &size,
            &new.by,
        ];
        let rows = self.session().await?.query(sql, &values).await?;
        Ok(rows[0].try_get(0)?)
    }

    /// Stores bytes under their digest, once.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn store_blob(&self, digest: &str, bytes: &[u8]) -> Result<(), Error> {
        let sql = "insert into platform.blob as b (digest, bytes) values ($1, $2) \
                   on conflict (digest) do update set created_at = now()";
        self.session().await?.execute(sql, &[&digest, &bytes]).await?;
        Ok(())
    }

    /// Whether bytes are there.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn has_blob(&self, digest: &str) -> Result<bool, Error> {
        let sql = "select exists (select from platform.blob where digest = $1)";
        Ok(self.session().await?.query(sql, &[&digest]).await?[0].try_get(0)?)
    }

    /// The digests of all bytes that revisions consist of.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn bytes_known(&self) -> Result<Vec<String>, Error> {
        let sql = "select distinct wasm from platform.revision";
        let rows = self.session().await?.query(sql, &[]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// The bytes of a digest.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, Error> {
        let sql = "select bytes from platform.blob where digest = $1";
        let rows = self.session().await?.query(sql, &[&digest]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn artifact(&self, digest: &str) -> Result<Option<ArtifactRow>, Error> {
        let sql = "select * from platform.artifact where digest = $1";
        let rows = self.session().await?.query(sql, &[&digest]).await?;
        rows.first().map(artifact).transpose()
    }

    /// Artifacts, the newest first, at most `rows_max` before the one named `after`.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn artifacts(
        &self,
        component: Option<&str>,
        after: Option<&str>,
        rows_max: u32,
    ) -> Result<Vec<ArtifactRow>, RolloutError> {
        let sql = "select * from platform.artifact a \
            where ($1::text is null or a.component = $1) and ($2::text is null \
            or (a.created_at, a.digest) < \
               (select b.created_at, b.digest from platform.artifact b where b.digest = $2)) \
            order by a.created_at desc, a.digest desc limit $3";
        let limit = i64::from(rows_max);
        let rows = self.session().await?.query(sql, &[&component, &after, &limit]).await?;
        Ok(rows.iter().map(artifact).collect::<Result<_, _>>()?)
    }
}

fn artifact(row: &Row) -> Result<ArtifactRow, Error> {
    Ok(ArtifactRow {
        digest: row.try_get("digest")?,
        component: row.try_get("component")?,
        version: row.try_get("version")?,
        wasm_digest: row.try_get("wasm")?,
        archive_digest: row.try_get("archive")?,
        fragment: row.try_get("fragment")?,
        migrations: row.try_get("migrations")?,
        signature: row.try_get("signature")?,
        key_id: row.try_get("key_id")?,
        imports: row.try_get("imports")?,
        exports: row.try_get("exports")?,
        size_bytes: u64::try_from(row.try_get::<_, i64>("size_bytes")?).unwrap_or_default(),
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
    })
}
