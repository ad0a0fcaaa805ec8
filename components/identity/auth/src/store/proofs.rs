//! Proofs that were taken.

use nexus_sdk::prelude::*;

/// Conflicts with `proof_once` where it was taken before.
pub fn take(digest: &[u8], until: Time) -> Write {
    sql!(
        "insert into auth.proof (tenant_id, digest, expires_at)
         values ({tenant}, {digest}, {until})"
    )
}

pub fn purge(now: Time) -> Write {
    sql!("delete from auth.proof where expires_at < {now}").across_tenants()
}
