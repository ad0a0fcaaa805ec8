//! All SQL of core-os, one statement per function.

use crate::announcements::Announcement;
use crate::branding::Brand;
use crate::configs::Entry;
use crate::evaluation::{Condition, Segments};
use crate::flags::{Change, Flag, FlagRow};
use crate::incidents::{self, Incident, Note};
use crate::segments::Segment;
use crate::status::{DaysRow, SweepRow};
use nexus_sdk::prelude::*;
use platform_contract::{AnnouncementId, IncidentId};
use serde_json::Value;

pub async fn flags(db: &Db, cursor: &Cursor) -> Result<Page<FlagRow>> {
    let all = sql!("select * from core_os.flag where tenant_id = {tenant}");
    db.page(all, cursor, ascending(["key"])).await
}

/// Flags that evaluate; bounded, because a client gets them all in one answer.
pub async fn live_flags(db: &Db) -> Result<Vec<FlagRow>> {
    let live = sql!(
        "select * from core_os.flag where tenant_id = {tenant} and state <> 'archived'
         order by key limit 2000"
    );
    db.all(live).await
}

pub async fn flag(db: &Db, key: &str) -> Result<FlagRow> {
    db.one(sql!("select * from core_os.flag where tenant_id = {tenant} and key = {key}")).await
}

pub async fn flag_if_any(db: &Db, key: &str) -> Result<Option<FlagRow>> {
    let one = sql!("select * from core_os.flag where tenant_id = {tenant} and key = {key}");
    db.optional(one).await
}

pub fn insert_flag(flag: &Flag) -> Write {
    let (d, key) = (&flag.definition, &flag.key);
    let (variants, rules) = (Json(&d.variants), Json(&d.rules));
    sql!(
        "insert into core_os.flag (tenant_id, key, description, state, variants, default_variant,
           off_variant, rules, version, created_at, updated_at)
         values ({tenant}, {key}, {flag.description}, {flag.state}, {variants},
           {d.default_variant}, {d.off_variant}, {rules}, {flag.version}, {flag.created_at},
           {flag.updated_at})"
    )
}

pub fn update_flag(flag: &Flag, seen: i64) -> Write {
    let (d, key) = (&flag.definition, &flag.key);
    let (variants, rules) = (Json(&d.variants), Json(&d.rules));
    sql!(
        "update core_os.flag set description = {flag.description}, state = {flag.state},
           variants = {variants}, default_variant = {d.default_variant},
           off_variant = {d.off_variant}, rules = {rules}, version = {flag.version},
           updated_at = {flag.updated_at}
         where tenant_id = {tenant} and key = {key} and version = {seen}
           and state <> 'archived'"
    )
    .expect_rows(1)
}

pub fn record_flag(flag: &Flag, by: &str) -> Write {
    let definition = Json(&flag.definition);
    sql!(
        "insert into core_os.flag_change (tenant_id, key, version, state, definition, changed_by,
           changed_at)
         values ({tenant}, {flag.key}, {flag.version}, {flag.state}, {definition}, {by},
           {flag.updated_at})"
    )
}

pub async fn flag_changes(db: &Db, key: &str, cursor: &Cursor) -> Result<Page<Change>> {
    let all = sql!(
        "select version, state, definition, changed_by, changed_at from core_os.flag_change
         where tenant_id = {tenant} and key = {key}"
    );
    db.page(all, cursor, descending(["version"])).await
}

pub async fn segments(db: &Db, cursor: &Cursor) -> Result<Page<Segment>> {
    let all = sql!(
        "select key, description, conditions, version, updated_at from core_os.segment
         where tenant_id = {tenant}"
    );
    db.page(all, cursor, ascending(["key"])).await
}

pub async fn segment(db: &Db, key: &str) -> Result<Segment> {
    let one = sql!(
        "select key, description, conditions, version, updated_at from core_os.segment
         where tenant_id = {tenant} and key = {key}"
    );
    db.one(one).await
}

pub async fn segments_of(db: &Db) -> Result<Segments> {
    #[derive(Deserialize)]
    struct Row {
        key: String,
        conditions: Vec<Condition>,
    }
    let all = sql!("select key, conditions from core_os.segment where tenant_id = {tenant}");
    let rows: Vec<Row> = db.all(all).await?;
    Ok(rows.into_iter().map(|row| (row.key, row.conditions)).collect())
}

pub fn put_segment(key: &str, description: &str, conditions: Vec<Condition>, now: Time) -> Write {
    let conditions = Json(conditions);
    sql!(
        "insert into core_os.segment (tenant_id, key, description, conditions, updated_at)
         values ({tenant}, {key}, {description}, {conditions}, {now})
         on conflict (tenant_id, key) do update set description = excluded.description,
           conditions = excluded.conditions, version = core_os.segment.version + 1,
           updated_at = excluded.updated_at"
    )
}

pub fn remove_segment(key: &str) -> Write {
    sql!("delete from core_os.segment where tenant_id = {tenant} and key = {key}").expect_rows(1)
}

pub async fn config(db: &Db, scope: &str) -> Result<Vec<Entry>> {
    let both = sql!(
        "select scope, key, value, version, updated_by, updated_at from core_os.config
         where tenant_id = {tenant} and scope in ('global', {scope}) order by scope, key"
    );
    db.all(both).await
}

pub fn put_config(scope: &str, key: &str, value: &Value, by: &str, now: Time) -> Write {
    sql!(
        "insert into core_os.config (tenant_id, scope, key, value, updated_by, updated_at)
         values ({tenant}, {scope}, {key}, {value}, {by}, {now})
         on conflict (tenant_id, scope, key) do update set value = excluded.value,
           version = core_os.config.version + 1, updated_by = excluded.updated_by,
           updated_at = excluded.updated_at"
    )
}

pub fn update_config(
    scope: &str,
    key: &str,
    value: &Value,
    by: &str,
    now: Time,
    seen: i64,
) -> Write {
    sql!(
        "update core_os.config set value = {value}, version = version + 1, updated_by = {by},
           updated_at = {now}
         where tenant_id = {tenant} and scope = {scope} and key = {key} and version = {seen}"
    )
    .expect_rows(1)
}

pub fn remove_config(scope: &str, key: &str) -> Write {
    sql!(
        "delete from core_os.config
         where tenant_id = {tenant} and scope = {scope} and key = {key}"
    )
    .expect_rows(1)
}

pub async fn brand(db: &Db) -> Result<Option<Brand>> {
    let own = sql!(
        "select name, tagline, primary_color, secondary_color, accent_color, font, logo_svg,
           version
         from core_os.brand where tenant_id = {tenant}"
    );
    db.optional(own).await
}

/// Replaces the version before; touches no row when another one was faster.
pub fn put_brand(b: &Brand, now: Time) -> Write {
    sql!(
        "insert into core_os.brand as old (tenant_id, name, tagline, primary_color,
           secondary_color, accent_color, font, logo_svg, version, updated_at)
         values ({tenant}, {b.name}, {b.tagline}, {b.primary_color}, {b.secondary_color},
           {b.accent_color}, {b.font}, {b.logo_svg}, {b.version}, {now})
         on conflict (tenant_id) do update set name = excluded.name, tagline = excluded.tagline,
           primary_color = excluded.primary_color, secondary_color = excluded.secondary_color,
           accent_color = excluded.accent_color, font = excluded.font,
           logo_svg = excluded.logo_svg, version = excluded.version,
           updated_at = excluded.updated_at
         where old.version = excluded.version - 1"
    )
}

pub async fn announcements(db: &Db, cursor: &Cursor) -> Result<Page<Announcement>> {
    let all = sql!("select * from core_os.announcement where tenant_id = {tenant}");
    db.page(all, cursor, descending(["starts_at", "id"])).await
}

pub async fn current_announcements(
    db: &Db,
    now: Time,
    cursor: &Cursor,
) -> Result<Page<Announcement>> {
    let current = sql!(
        "select * from core_os.announcement
         where tenant_id = {tenant} and starts_at <= {now} and (ends_at is null or ends_at > {now})"
    );
    db.page(current, cursor, descending(["starts_at", "id"])).await
}

pub fn insert_announcement(a: &Announcement) -> Write {
    sql!(
        "insert into core_os.announcement (tenant_id, id, title, body, level, starts_at, ends_at,
           created_at)
         values ({tenant}, {a.id}, {a.title}, {a.body}, {a.level}, {a.starts_at}, {a.ends_at},
           {a.created_at})"
    )
}

pub fn update_announcement(a: &Announcement) -> Write {
    sql!(
        "update core_os.announcement set title = {a.title}, body = {a.body}, level = {a.level},
           starts_at = {a.starts_at}, ends_at = {a.ends_at}
         where tenant_id = {tenant} and id = {a.id}"
    )
    .expect_rows(1)
}

pub fn remove_announcement(id: AnnouncementId) -> Write {
    sql!("delete from core_os.announcement where tenant_id = {tenant} and id = {id}").expect_rows(1)
}

pub async fn incidents(db: &Db, cursor: &Cursor) -> Result<Page<Incident>> {
    let all = sql!("select * from core_os.incident where tenant_id = {tenant}");
    db.page(all, cursor, descending(["opened_at", "id"])).await
}

pub async fn unresolved_incidents(db: &Db) -> Result<Vec<Incident>> {
    let open = sql!(
        "select * from core_os.incident where tenant_id = {tenant} and state <> 'resolved'
         order by opened_at desc limit 100"
    );
    db.all(open).await
}

pub async fn incident(db: &Db, id: IncidentId) -> Result<Incident> {
    db.one(sql!("select * from core_os.incident where tenant_id = {tenant} and id = {id}")).await
}

pub fn insert_incident(i: &Incident) -> Write {
    sql!(
        "insert into core_os.incident (tenant_id, id, title, impact, state, services, opened_at)
         values ({tenant}, {i.id}, {i.title}, {i.impact}, {i.state}, {i.services}, {i.opened_at})"
    )
}

pub fn move_incident(id: IncidentId, state: incidents::State, now: Time) -> Write {
    let resolved_at = (state == incidents::State::Resolved).then_some(now);
    sql!(
        "update core_os.incident set state = {state}, resolved_at = {resolved_at}
         where tenant_id = {tenant} and id = {id} and state <> 'resolved'"
    )
    .expect_rows(1)
}

pub async fn incident_notes(db: &Db, id: IncidentId, cursor: &Cursor) -> Result<Page<Note>> {
    let all = sql!(
        "select id, state, body, written_by, written_at from core_os.incident_note
         where tenant_id = {tenant} and incident_id = {id}"
    );
    db.page(all, cursor, ascending(["written_at", "id"])).await
}

pub fn insert_note(incident: IncidentId, n: &Note) -> Write {
    sql!(
        "insert into core_os.incident_note (tenant_id, id, incident_id, state, body, written_by,
           written_at)
         values ({tenant}, {n.id}, {incident}, {n.state}, {n.body}, {n.written_by},
           {n.written_at})"
    )
}

pub async fn service_states(db: &Db) -> Result<Vec<SweepRow>> {
    let all = sql!(
        "select service, up, reason, since, checked_at from core_os.service_state
         order by service"
    );
    // The installation's services are the same for every tenant of it.
    db.all(all.across_tenants()).await
}

pub async fn service_days(db: &Db, since: Date) -> Result<Vec<DaysRow>> {
    let sums = sql!(
        "select service, sum(checks)::int8 as checks, sum(up_checks)::int8 as up_checks
         from core_os.service_day where day >= {since} group by service"
    );
    db.all(sums.across_tenants()).await
}

pub fn observe(service: &str, up: bool, reason: &str, now: Time) -> Write {
    sql!(
        "insert into core_os.service_state as old (tenant_id, service, up, reason, since,
           checked_at)
         values ({tenant}, {service}, {up}, {reason}, {now}, {now})
         on conflict (tenant_id, service) do update set up = excluded.up,
           reason = excluded.reason, checked_at = excluded.checked_at,
           since = case when old.up = excluded.up then old.since else excluded.since end"
    )
}

pub fn count_check(service: &str, day: Date, up_checks: i64) -> Write {
    sql!(
        "insert into core_os.service_day as old (tenant_id, service, day, checks, up_checks)
         values ({tenant}, {service}, {day}, 1, {up_checks})
         on conflict (tenant_id, service, day) do update set checks = old.checks + 1,
           up_checks = old.up_checks + excluded.up_checks"
    )
}
