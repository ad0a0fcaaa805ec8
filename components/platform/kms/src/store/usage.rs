//! Counts of use.

use crate::usage::Counted;
use nexus_sdk::prelude::*;

/// Adds to a version's messages and to an actor's uses; not in the caller's transaction's haste to
/// be safe on disk (see the function in the migration).
pub fn count(c: &Counted) -> Write {
    sql!(
        "select kms.count_use({c.tenant}, {c.key}, {c.version}, {c.messages}, {c.hour},
           {c.operation}, {c.actor}, {c.uses})"
    )
    .across_tenants()
}
