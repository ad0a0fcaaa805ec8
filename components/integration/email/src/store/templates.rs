//! Tenants' own templates and their versions.

use crate::templates::{Template, Version};
use nexus_sdk::prelude::*;

/// Locales of one template that are looked at when a message is rendered.
const LOCALES_MAX: i64 = 100;

/// The versions that are used.
pub async fn current(db: &Db, name: &str) -> Result<Vec<Template>> {
    let most = LOCALES_MAX;
    let current = sql!(
        "select * from email.template
         where tenant_id = {tenant} and name = {name} and is_current order by locale limit {most}"
    );
    db.all(current).await
}

pub async fn list(db: &Db, name: Option<&str>, cursor: &Cursor) -> Result<Page<Version>> {
    let all = sql!(
        "select name, locale, version, subject, is_current, created_at, created_by
         from email.template
         where tenant_id = {tenant} and ({name}::text is null or name = {name})"
    );
    db.page(all, cursor, ascending(["name", "locale", "version"])).await
}

pub async fn find(db: &Db, name: &str, locale: &str, version: i32) -> Result<Template> {
    let one = sql!(
        "select * from email.template
         where tenant_id = {tenant} and name = {name} and locale = {locale}
           and version = {version}"
    );
    db.one(one).await
}

pub async fn latest(db: &Db, name: &str, locale: &str) -> Result<i32> {
    let latest = sql!(
        "select coalesce(max(version), 0) from email.template
         where tenant_id = {tenant} and name = {name} and locale = {locale}"
    );
    db.one(latest).await
}

/// Ends the use of what is used now; touches none or one.
pub fn retire(name: &str, locale: &str) -> Write {
    sql!(
        "update email.template set is_current = false
         where tenant_id = {tenant} and name = {name} and locale = {locale} and is_current"
    )
}

/// Violates the primary key when somebody else has just written this version.
pub fn insert(t: &Template) -> Write {
    sql!(
        "insert into email.template (tenant_id, name, locale, version, subject, html, plain,
           is_current, created_at, created_by)
         values ({tenant}, {t.name}, {t.locale}, {t.version}, {t.subject}, {t.html}, {t.plain},
           {t.is_current}, {t.created_at}, {t.created_by})"
    )
}

pub fn activate(name: &str, locale: &str, version: i32) -> Write {
    sql!(
        "update email.template set is_current = true
         where tenant_id = {tenant} and name = {name} and locale = {locale}
           and version = {version}"
    )
    .expect_rows(1)
    .or_refuse(standard::NotFound)
}
