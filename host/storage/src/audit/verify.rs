//! Reads the journal from its first entry and says where it stops being whole. Recomputes every
//! hash here, in the host: what the database says of itself proves nothing.

use super::{Audit, Written};
use crate::error::Error;
use sha2::{Digest as _, Sha256};

/// Entries read at once.
const PAGE: u32 = 500;

/// What the hash of the first entry is made over.
const BEGINNING: [u8; 32] = [0; 32];

/// A journal that was read to its end, or to where it is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Entries whose hash is right.
    pub entries: u64,
    /// Of the last of them: whoever notes it down knows later whether it was rewritten.
    pub hash: [u8; 32],
    pub broken: Option<Broken>,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub position: u64,
    pub why: &'static str,
}

impl Audit {
    /// Reads everything. What is appended meanwhile is read, too.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn verify(&self) -> Result<Verified, Error> {
        let mut verified = Verified { entries: 0, hash: BEGINNING, broken: None };
        let head = self.head().await?;
        loop {
            let page = self.after(verified.entries, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for written in &page {
                if let Err(broken) = verified.goes_on(written) {
                    verified.broken = Some(broken);
                    return Ok(verified);
                }
            }
        }
        // Entries that the head knows and that are not there were cut off.
        if verified.entries < head {
            let position = verified.entries + 1;
            verified.broken = Some(Broken { position, why: "the end of the journal is missing" });
        }
        Ok(verified)
    }

    async fn head(&self) -> Result<u64, Error> {
        let sql = "select position from platform.audit_head";
        let rows = self.session().await?.query(sql, &[]).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?.cast_unsigned())
    }
}

impl Verified {
    fn goes_on(&mut self, written: &Written) -> Result<(), Broken> {
        let position = self.entries + 1;
        if written.position != position {
            return Err(Broken { position, why: "the entry is missing" });
        }
        let hash: [u8; 32] = Sha256::new()
            .chain_update(self.hash)
            .chain_update(written.entry.as_bytes())
            .finalize()
            .into();
        if hash != written.hash {
            return Err(Broken { position, why: "the entry, or one before it, was changed" });
        }
        (self.entries, self.hash) = (position, hash);
        Ok(())
    }
}
