//! A hostile service: whatever SQL it sends, it gets at its own schema and at nothing else.

use crate::server::{brisk, try_value, two_services, value};
use nexus_storage::Error;

/// What an attacker would try; each must fail with one of these SQLSTATEs, or be refused by the
/// host before it is sent (`-`).
const ATTACKS: &[(&str, &str)] = &[
    // other services
    ("select * from beta.note", "42501"),
    ("insert into beta.note values (1, 'x')", "42501"),
    ("with x as (delete from beta.note returning *) select * from x", "42501"),
    ("explain analyze select * from beta.note", "42501"),
    ("select query_to_xml('select * from beta.note', false, false, '')", "42501"),
    // other identities
    ("set role beta", "42501"),
    ("set role nexus", "42501"),
    ("set role postgres", "42501"),
    ("set session authorization beta", "42501"),
    ("set session authorization postgres", "42501"),
    ("select set_config('role', 'beta', false)", "42501"),
    (
        "select query_to_xml('select set' || '_config(''role'', ''beta'', false)', true, true, '')",
        "42501",
    ),
    ("select U&\"\\0073et_config\"('role', 'beta', false)", "42501"),
    ("alter role alpha superuser", "-"),
    ("alter role alpha password 'known'", "-"),
    ("grant beta to alpha", "-"),
    ("create role eve superuser", "-"),
    ("security label on role alpha is 'x'", "-"),
    ("select rolpassword from pg_authid", "42501"),
    ("select passwd from pg_shadow", "42501"),
    ("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'nexus'", "42501"),
    // the platform
    ("select * from platform.event", "42501"),
    ("insert into platform.service values ('alpha', 'beta')", "42501"),
    ("update platform.idempotency set status = 200", "42501"),
    ("select platform.admit('beta', 'alpha')", "42501"),
    ("select platform.caller()", "42501"),
    ("select platform.purge_expired()", "42501"),
    // the machine
    ("select pg_read_file('/etc/passwd')", "42501"),
    ("select pg_read_binary_file('postgresql.conf')", "42501"),
    ("select pg_ls_dir('/')", "42501"),
    ("select pg_stat_file('/etc/passwd')", "42501"),
    ("select lo_import('/etc/passwd')", "42501"),
    ("select pg_reload_conf()", "42501"),
    ("copy alpha.note from program 'id'", "-"),
    ("/* \n */ COPY (select 1) to program 'id'", "-"),
    ("--\rcopy alpha.note to '/tmp/x'", "-"),
    ("load '/tmp/evil.so'", "-"),
    ("create extension dblink", "-"),
    ("select dblink('host=/tmp', 'select 1')", "42883"),
    ("alter system set archive_command = 'id'", "-"),
    ("do $$ begin perform pg_read_file('/etc/passwd'); end $$", "-"),
    // things that all services share
    ("listen everything", "-"),
    ("notify everything, 'x'", "-"),
    ("select pg_notify('everything', repeat('x', 7000)) from generate_series(1, 1000)", "42501"),
    ("select pg_advisory_lock(1)", "42501"),
    ("select pg_try_advisory_lock_shared(1, 2)", "42501"),
    ("select lo_create(0)", "42501"),
    ("select lo_from_bytea(0, 'x')", "42501"),
    ("create table public.x ()", "-"),
    ("select 1 as a into public.x", "42501"),
    ("select 1 as a into alpha.x", "42501"),
    ("select 1 as a into temp x", "42501"),
    ("set session_replication_role = replica", "42501"),
    ("set temp_file_limit = -1", "42501"),
    ("set log_statement = 'all'", "42501"),
    ("vacuum full", "-"),
    ("checkpoint", "-"),
    ("discard all", "-"),
    ("deallocate all", "-"),
    ("prepare transaction 'x'", "-"),
    // two statements at once
    ("select 1; copy alpha.note to '/tmp/x'", "42601"),
    ("begin; set role postgres", "42601"),
];

#[tokio::test]
async fn a_hostile_service_gets_nowhere() {
    let fresh = two_services(brisk()).await;
    for (sql, expected) in ATTACKS {
        let session = fresh.as_alpha().await;
        let got = match session.query(sql, &[]).await {
            Err(Error::Refused { .. }) => "-".to_owned(),
            Err(error) => error.code().map_or(error.to_string(), |code| code.code().to_owned()),
            Ok(rows) => format!("{} rows", rows.len()),
        };
        assert_eq!(&got, expected, "{sql}");
    }
    let session = fresh.as_alpha().await;
    let who: String = value(&session, "select session_user || ' ' || current_user").await;
    assert_eq!(who, "alpha alpha");
    fresh.end().await;
}

#[tokio::test]
async fn a_service_cannot_hold_up_migrations_or_other_services() {
    let fresh = two_services(brisk()).await;
    for sql in ["lock table platform.migration", "lock table beta.note in access share mode"] {
        let session = fresh.as_alpha().await;
        session.execute("begin", &[]).await.unwrap();
        let refused = session.execute(sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{sql}");
    }
    fresh.end().await;
}

#[tokio::test]
async fn resetting_a_role_gives_no_other() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    for sql in ["reset role", "set role none", "reset session authorization", "reset all"] {
        session.execute(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(value::<String>(&session, "select current_user::text").await, "alpha", "{sql}");
        assert!(session.query("select * from beta.note", &[]).await.is_err(), "{sql}");
    }
    fresh.end().await;
}

#[tokio::test]
async fn a_service_works_in_its_own_schema_also_on_tables_made_later() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    session.execute("insert into note values (1, 'unqualified')", &[]).await.unwrap();
    session.execute("update alpha.note set text = 'x' where id = 1", &[]).await.unwrap();
    let host = fresh.database.host().await.unwrap();
    let later = "create table alpha.later (id bigserial); \
                 create function alpha.twice(n int) returns int language sql return n * 2";
    host.batch(later).await.unwrap();
    session.execute("insert into alpha.later default values", &[]).await.unwrap();
    assert_eq!(value::<i32>(&session, "select alpha.twice(21)").await, 42);
    assert_eq!(session.execute("delete from alpha.note", &[]).await.unwrap(), 1);
    fresh.end().await;
}

#[tokio::test]
async fn a_service_may_call_these_functions_of_the_platform_and_no_others() {
    let fresh = two_services(brisk()).await;
    let host = fresh.database.host().await.unwrap();
    let sql = "select string_agg(proname, ' ' order by proname) from pg_proc \
               where pronamespace = 'platform'::regnamespace \
               and has_function_privilege('alpha', oid, 'execute')";
    assert_eq!(
        value::<String>(&host, sql).await,
        "enqueue idempotency_claim idempotency_find idempotency_store \
         identity_credential_put identity_credential_revoke identity_credentials_seen \
         identity_key_put identity_key_withdraw identity_member identity_organisation_put \
         identity_permissions identity_revoke identity_setup_open identity_setup_redeem \
         identity_subject_put identity_tenant_put inbox_accept inbox_take \
         job_cancel job_show job_submit playback_end publish publish_with queue_discard \
         queue_messages queue_pause queue_put queue_redrive queue_resume queue_stats \
         schedule_backfill schedule_list schedule_pause schedule_put schedule_remove \
         schedule_resume schedule_run_now schedule_runs"
    );
    let sql = "select count(*) from pg_class c where relnamespace = 'platform'::regnamespace \
               and relkind in ('r', 'v', 'S') \
               and has_table_privilege('alpha', c.oid, 'select, insert, update, delete')";
    assert_eq!(value::<i64>(&host, sql).await, 0);
    fresh.end().await;
}

#[tokio::test]
async fn every_function_of_the_platform_fixes_its_search_path() {
    let fresh = two_services(brisk()).await;
    let host = fresh.database.host().await.unwrap();
    let sql = "select coalesce(string_agg(proname, ' '), '') from pg_proc \
               where pronamespace = 'platform'::regnamespace and not coalesce(proconfig, '{}') \
               @> array['search_path=pg_catalog, pg_temp']";
    assert_eq!(value::<String>(&host, sql).await, "");
    fresh.end().await;
}

#[tokio::test]
async fn a_service_cannot_enter_other_databases() {
    let fresh = two_services(brisk()).await;
    for name in ["postgres", "template1", fresh.first.name()] {
        let refused = fresh.first.named(name).service("alpha").await.map(drop);
        assert!(matches!(refused, Err(Error::Credentials { .. })), "{name}: {refused:?}");
    }
    fresh.end().await;
}

#[tokio::test]
async fn a_role_that_somebody_else_made_or_widened_stands_for_no_service() {
    let fresh = two_services(brisk()).await;
    let host = fresh.database.host().await.unwrap();
    let tag = uuid::Uuid::new_v4().simple().to_string();
    let (foreign, widened) = (format!("foreign{tag}"), format!("widened{tag}"));
    host.batch(&format!("create role {foreign} login")).await.unwrap();
    let refused = fresh.database.admit(&[&foreign]).await;
    assert!(matches!(refused, Err(Error::Role { .. })), "{refused:?}");
    fresh.database.admit(&[&widened]).await.unwrap();
    host.batch(&format!(
        "alter role {widened} createdb; delete from platform.service \
                         where role = '{widened}'"
    ))
    .await
    .unwrap();
    let refused = fresh.database.admit(&[&widened]).await;
    assert!(matches!(refused, Err(Error::Role { .. })), "{refused:?}");
    fresh.first.drop_database(fresh.database.name()).await.unwrap();
    let owner = fresh.first.host().await.unwrap();
    owner.batch(&format!("drop role {foreign}; drop role {widened}")).await.unwrap();
}

#[tokio::test]
async fn two_services_never_share_a_role() {
    let fresh = two_services(brisk()).await;
    let tag = format!("s{}", uuid::Uuid::new_v4().simple());
    let (dashed, other) = (format!("{}-x", &tag[..20]), format!("{}-x", &tag[..20]));
    fresh.database.admit(&[&dashed]).await.unwrap();
    fresh.database.admit(&[&other]).await.unwrap();
    let host = fresh.database.host().await.unwrap();
    let role = dashed.replace('-', "_");
    let stolen = format!("select platform.admit('somebody-else', '{role}')");
    let refused = try_value::<String>(&host, &stolen).await;
    assert_eq!(refused.unwrap_err().code().unwrap().code(), "42710");
    fresh.first.drop_database(fresh.database.name()).await.unwrap();
    let owner = fresh.first.host().await.unwrap();
    owner.batch(&format!("drop role {role}")).await.unwrap();
}

#[tokio::test]
async fn a_changed_password_is_renewed_at_the_next_login() {
    let fresh = two_services(brisk()).await;
    let service = format!("renewed{}", uuid::Uuid::new_v4().simple());
    fresh.database.admit(&[&service]).await.unwrap();
    let host = fresh.database.host().await.unwrap();
    host.batch(&format!("alter role {service} password 'changed'")).await.unwrap();
    let session = fresh.database.service(&service).await.unwrap();
    assert_eq!(value::<String>(&session, "select current_user::text").await, service);
    drop(session);
    fresh.first.drop_database(fresh.database.name()).await.unwrap();
    let owner = fresh.first.host().await.unwrap();
    owner.batch(&format!("drop role {service}")).await.unwrap();
}

#[tokio::test]
async fn a_statement_that_asks_for_gigabytes_fails_alone() {
    let fresh = two_services(brisk()).await;
    let session = fresh.as_alpha().await;
    let greedy = "select length(string_agg(repeat('x', 200000000), '')) \
                  from generate_series(1, 20)";
    let code = session.query(greedy, &[]).await.unwrap_err().code().unwrap().code().to_owned();
    // Out of memory, or beyond what one value may take: an error either way, not a crash.
    assert!(["53200", "54000", "XX000"].contains(&&*code), "{code}");
    assert_eq!(value::<i32>(&session, "select 1").await, 1);
    fresh.end().await;
}
