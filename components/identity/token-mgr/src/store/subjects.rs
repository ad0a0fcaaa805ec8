//! What the platform knows of subjects, and the turn of whoever changes what one has.

use nexus_sdk::prelude::*;

/// What an active subject may do, for an organisation or for itself; none for anybody else, and for
/// one who is no member.
pub async fn permissions(
    db: &Db,
    subject: &str,
    organisation: Option<&str>,
) -> Result<Option<Vec<String>>> {
    #[derive(Deserialize)]
    struct Row {
        permissions: Vec<String>,
    }
    let one = sql!(
        "select permissions from platform.identity_permissions({tenant}, {subject}, {organisation})"
    );
    let row: Option<Row> = db.optional(one).await?;
    Ok(row.map(|row| row.permissions))
}

/// Waits for everybody else who changes what this subject has.
pub fn take_turn(subject: &str, now: Time) -> Write {
    sql!(
        "insert into token_mgr.owner as o (tenant_id, subject, changed_at)
         values ({tenant}, {subject}, {now})
         on conflict (tenant_id, subject) do update set changed_at = excluded.changed_at"
    )
}

pub fn forget_owner(subject: &str) -> Write {
    sql!("delete from token_mgr.owner where tenant_id = {tenant} and subject = {subject}")
}
