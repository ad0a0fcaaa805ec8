//! What holds for a tenant.

use crate::settings::Settings;
use nexus_sdk::prelude::*;

/// The defaults, where nobody has said otherwise.
pub async fn of(db: &Db) -> Result<Settings> {
    let one = sql!(
        "select review_required, visitor_maturity, territory, territory_header
         from content_cms.settings where tenant_id = {tenant}"
    );
    Ok(db.optional(one).await?.unwrap_or_default())
}

pub fn put(s: &Settings, now: Time) -> Write {
    sql!(
        "insert into content_cms.settings (tenant_id, review_required, visitor_maturity, territory,
           territory_header, updated_at)
         values ({tenant}, {s.review_required}, {s.visitor_maturity}, {s.territory},
           {s.territory_header}, {now})
         on conflict (tenant_id) do update set review_required = excluded.review_required,
           visitor_maturity = excluded.visitor_maturity, territory = excluded.territory,
           territory_header = excluded.territory_header, updated_at = excluded.updated_at"
    )
}
