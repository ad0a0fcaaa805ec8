//! PostgreSQL: reachable, as migrations want it, safe with data, with the state that is expected. A
//! private cluster is looked at while it runs; a doctor starts none.

use super::{Check, Finding, Ground};
use crate::settings::Database as Choice;
use futures::future::BoxFuture;
use nexus_storage::Migrations;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) const CHECKS: &[Check] = &[
    Check::asking("database", "reachable", |ground| Box::pin(reachable(ground))),
    Check::asking("database", "version", |ground| {
        asked(ground, "select current_setting('server_version_num')", version)
    }),
    Check::asking("database", "encoding", |ground| {
        asked(ground, "select current_setting('server_encoding')", encoding)
    }),
    Check::asking("database", "may make roles", |ground| asked(ground, MAY_MAKE, may_make)),
    Check::asking("database", "connections", |ground| Box::pin(connections(ground))),
    Check::asking("database", "fsync", |ground| {
        asked(ground, "select current_setting('fsync')", fsync)
    }),
    Check::asking("database", "full pages", |ground| {
        asked(ground, "select current_setting('full_page_writes')", full_pages)
    }),
    Check::asking("database", "synchronous commit", |ground| {
        asked(ground, "select current_setting('synchronous_commit')", synchronous)
    }),
    Check::asking("database", "vacuum", |ground| {
        asked(ground, "select current_setting('autovacuum')", autovacuum)
    }),
    Check::asking("database", "transaction ids", |ground| asked(ground, OLDEST, wraparound)),
    Check::asking("database", "long transactions", |ground| asked(ground, LONGEST, longest)),
    Check::asking("database", "clock", |ground| {
        asked(ground, "select extract(epoch from clock_timestamp())::float8::text", clock)
    }),
    Check::asking("database", "read only", |ground| {
        asked(ground, "select pg_is_in_recovery()::text", recovery)
    }),
    Check::asking("database", "extensions", |ground| asked(ground, EXTENSIONS, extensions)),
    Check::asking("database", "replication", |ground| asked(ground, SLOTS, replication)),
    Check::asking("database", "migrations", |ground| Box::pin(migrations(ground))),
    Check::plain("database", "encrypted", |ground| match &ground.settings {
        Ok(settings) => match &settings.database {
            Choice::Url(url) => encrypted(url),
            _ => Finding::ok("by a socket of this machine"),
        },
        Err(_) => Finding::skip("the settings are wrong"),
    }),
];

const MAY_MAKE: &str = "select (rolsuper or rolcreaterole)::text || ' ' || \
     (rolsuper or has_database_privilege(current_database(), 'create'))::text \
     from pg_roles where rolname = current_user";
const OLDEST: &str = "select max(age(datfrozenxid))::text from pg_database";
const LONGEST: &str = "select coalesce(max(extract(epoch from now() - xact_start)), 0)::int8::text \
     from pg_stat_activity where xact_start is not null and backend_type = 'client backend'";
const EXTENSIONS: &str = "select string_agg(extname, ' ' order by extname) from pg_extension";
/// Slots that nobody reads keep every change: bytes that the worst one holds.
const SLOTS: &str = "select count(*) || ' ' || coalesce(max(pg_wal_lsn_diff(\
     case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, \
     restart_lsn)) filter (where not active), 0)::int8 from pg_replication_slots";

const AWAY: &str = "the private cluster does not run: look again while the host does";

async fn reachable(ground: &Ground) -> Finding {
    match ground.opened().await {
        Ok(Some(database)) => Finding::ok(format!("database {}", database.name())),
        Ok(None) => Finding::skip(AWAY),
        Err(reason) => Finding::fail(reason, "start it, or correct DATABASE_URL"),
    }
}

/// One value of the server as text.
async fn value(ground: &Ground, sql: &str) -> Result<Option<String>, String> {
    let Some(session) = ground.session().await? else { return Ok(None) };
    let rows = session.query(sql, &[]).await.map_err(|error| error.to_string())?;
    let row = rows.first().ok_or("the server answers nothing")?;
    row.try_get::<_, Option<String>>(0)
        .map(Option::unwrap_or_default)
        .map(Some)
        .map_err(|e| e.to_string())
}

fn asked<'a>(
    ground: &'a Ground,
    sql: &'static str,
    judge: fn(&str) -> Finding,
) -> BoxFuture<'a, Finding> {
    Box::pin(async move {
        match value(ground, sql).await {
            Ok(Some(value)) => judge(&value),
            Ok(None) => Finding::skip(AWAY),
            Err(reason) => Finding::skip(format!("the database is away: {reason}")),
        }
    })
}

fn version(number: &str) -> Finding {
    let number: u32 = number.parse().unwrap_or_default();
    let found = format!("PostgreSQL {}.{}", number / 10_000, number % 10_000);
    match number / 10_000 {
        0..15 => Finding::fail(found, "15 or newer is needed: pg_upgrade, or another server"),
        15..19 => Finding::ok(found),
        _ => Finding::warn(found, "newer than what is tried: 15 to 18"),
    }
}

fn encoding(encoding: &str) -> Finding {
    match encoding {
        "UTF8" => Finding::ok(encoding),
        _ => Finding::fail(encoding, "make the database with `encoding 'UTF8' template template0`"),
    }
}

fn may_make(may: &str) -> Finding {
    match may {
        "true true" => Finding::ok("roles and schemas"),
        _ => Finding::fail(
            "it may not make roles or schemas",
            "`alter role … createrole` and `grant create on database … to …`",
        ),
    }
}

async fn connections(ground: &Ground) -> Finding {
    let wanted = match &ground.settings {
        Ok(settings) => settings.pg_connections_max.unwrap_or(match settings.database {
            Choice::Private => 100,
            _ => 40,
        }),
        Err(_) => return Finding::skip("the settings are wrong"),
    };
    // A private cluster is one host's alone.
    let is_shared = ground.settings.as_ref().is_ok_and(|s| matches!(s.database, Choice::Url(_)));
    match value(ground, "select current_setting('max_connections')").await {
        Ok(Some(most)) => fitting(wanted, most.parse().unwrap_or_default(), is_shared),
        Ok(None) => Finding::skip(AWAY),
        Err(reason) => Finding::skip(format!("the database is away: {reason}")),
    }
}

fn fitting(wanted: usize, most: usize, is_shared: bool) -> Finding {
    let found = format!("this host takes {wanted} of {most}");
    let todo = "raise max_connections, or lower NEXUS_PG_CONNECTIONS_MAX";
    match (wanted + 6 > most, is_shared && wanted * 2 > most) {
        (true, _) => Finding::fail(found, todo),
        (false, true) => Finding::warn(format!("{found}: no room for a second host"), todo),
        _ => Finding::ok(found),
    }
}

fn on(setting: &str, what: &str) -> Finding {
    match setting {
        "on" => Finding::ok("on"),
        other => Finding::fail(
            format!("{what} is {other}"),
            format!("set {what} = on: a crash loses data"),
        ),
    }
}

fn fsync(setting: &str) -> Finding {
    on(setting, "fsync")
}

fn full_pages(setting: &str) -> Finding {
    on(setting, "full_page_writes")
}

fn synchronous(setting: &str) -> Finding {
    match setting {
        "off" => Finding::warn("off", "a crash forgets the last commits: set it on"),
        other => Finding::ok(other),
    }
}

fn autovacuum(setting: &str) -> Finding {
    match setting {
        "on" => Finding::ok("on"),
        other => Finding::fail(other, "set autovacuum = on: queues grow without it"),
    }
}

/// PostgreSQL stops writing at two thousand million.
fn wraparound(age: &str) -> Finding {
    let age: u64 = age.parse().unwrap_or_default();
    let found = format!("the oldest is {} million ago", age / 1_000_000);
    match age / 1_000_000 {
        0..500 => Finding::ok(found),
        500..1_500 => Finding::warn(found, "find out what keeps vacuum from its work"),
        _ => Finding::fail(found, "`vacuum freeze` now: the server will stop writing"),
    }
}

fn longest(seconds: &str) -> Finding {
    let seconds: u64 = seconds.parse().unwrap_or_default();
    let found = format!("the longest is {seconds} s old");
    match seconds {
        0..600 => Finding::ok(found),
        600..7_200 => Finding::warn(found, "see pg_stat_activity: it keeps vacuum from cleaning"),
        _ => Finding::fail(found, "`select pg_terminate_backend(…)`: queues cannot be cleaned"),
    }
}

fn clock(theirs: &str) -> Finding {
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    apart(ours, theirs.parse().unwrap_or_default())
}

/// Leases are by the server's clock, tokens by the host's.
fn apart(ours: f64, theirs: f64) -> Finding {
    let seconds = (ours - theirs).abs();
    let found = format!("{seconds:.1} s apart from this machine's");
    let todo = "let both follow NTP";
    match seconds {
        0.0..2.0 => Finding::ok(found),
        2.0..30.0 => Finding::warn(found, todo),
        _ => Finding::fail(found, todo),
    }
}

fn recovery(standby: &str) -> Finding {
    match standby {
        "false" => Finding::ok("it takes writes"),
        _ => Finding::fail("it is a standby", "name the primary in DATABASE_URL"),
    }
}

fn extensions(names: &str) -> Finding {
    match names.split(' ').any(|name| name == "plpgsql") {
        true => Finding::ok(names),
        false => Finding::fail("there is no plpgsql", "`create extension plpgsql`"),
    }
}

/// An hour of a busy suite.
const HELD_BYTES_MAX: i64 = 1 << 30;

fn replication(slots: &str) -> Finding {
    let mut words = slots.split(' ').map(|word| word.parse::<i64>().unwrap_or_default());
    match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
        (0, _) => Finding::ok("no replication slots"),
        (many, held) if held <= HELD_BYTES_MAX => Finding::ok(format!("{many} slots")),
        (_, held) => Finding::fail(
            format!("a slot that nobody reads holds {} MiB", held >> 20),
            "bring its reader back, or `select pg_drop_replication_slot(…)`",
        ),
    }
}

async fn migrations(ground: &Ground) -> Finding {
    let folder = ground.settings.as_ref().ok().and_then(|settings| settings.migrations.clone());
    let Some(folder) = folder else {
        return Finding::skip("there is no folder of migrations");
    };
    if let Err(error) = Migrations::read(&folder) {
        return Finding::fail(error.to_string(), "correct the folder");
    }
    let sql = "select case when to_regclass('platform.migration') is null then '' else \
               'platform.migration' end";
    match value(ground, sql).await {
        Ok(Some(list)) if list.is_empty() => return pending(files(&folder), 0),
        Ok(Some(_)) => {}
        Ok(None) => return Finding::skip(AWAY),
        Err(reason) => return Finding::skip(format!("the database is away: {reason}")),
    }
    match value(ground, "select count(*)::text from platform.migration").await {
        Ok(Some(count)) => pending(files(&folder), count.parse().unwrap_or_default()),
        Ok(None) => Finding::skip(AWAY),
        Err(reason) => Finding::skip(format!("the database is away: {reason}")),
    }
}

/// Files of SQL with a number, one level down.
fn files(folder: &std::path::Path) -> usize {
    let services = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files =
        services.flat_map(|one| std::fs::read_dir(one.path()).into_iter().flatten().flatten());
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()) && name.ends_with(".sql"))
        .count()
}

fn pending(files: usize, applied: usize) -> Finding {
    let found = format!("{applied} of {files} are applied");
    match applied.cmp(&files) {
        std::cmp::Ordering::Equal => Finding::ok(found),
        std::cmp::Ordering::Less => {
            Finding::ok(format!("{found}; the next start applies the rest"))
        }
        std::cmp::Ordering::Greater => Finding::warn(
            format!("{found}: the database is ahead"),
            "this program is older than what ran last: is that a rollback?",
        ),
    }
}

fn encrypted(url: &str) -> Finding {
    let Ok(parsed) = url::Url::parse(url) else {
        return Finding::skip("DATABASE_URL is no URL");
    };
    let host = parsed.host_str().unwrap_or_default();
    let local = matches!(host, "" | "localhost" | "127.0.0.1" | "[::1]") || host.starts_with("%2F");
    let mode = parsed.query_pairs().find(|(name, _)| name == "sslmode");
    let mode = mode.map_or_else(|| "prefer".to_owned(), |(_, value)| value.into_owned());
    match (local, &*mode) {
        (true, _) => Finding::ok("on this machine"),
        (false, "verify-full" | "verify-ca" | "require") => Finding::ok(format!("sslmode={mode}")),
        _ => Finding::warn(
            format!("{host} with sslmode={mode}"),
            "add ?sslmode=verify-full: passwords and data cross the network",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;
    use nexus_harness::TestDatabase;

    #[test]
    fn each_setting_of_a_server_has_a_wrong_value_and_a_right_one() {
        let at = |judge: fn(&str) -> Finding, value| judge(value).outcome;
        assert_eq!(
            (at(version, "140009"), at(version, "150014"), at(version, "200001")),
            (Fail, Ok, Warn)
        );
        assert_eq!((at(encoding, "SQL_ASCII"), at(encoding, "UTF8")), (Fail, Ok));
        assert_eq!((at(may_make, "true false"), at(may_make, "true true")), (Fail, Ok));
        assert_eq!((at(fsync, "off"), at(fsync, "on"), at(full_pages, "off")), (Fail, Ok, Fail));
        assert_eq!((at(synchronous, "off"), at(synchronous, "on")), (Warn, Ok));
        assert_eq!((at(autovacuum, "off"), at(autovacuum, "on")), (Fail, Ok));
        let ages = ["1000000", "900000000", "1900000000"].map(|age| at(wraparound, age));
        assert_eq!(ages, [Ok, Warn, Fail]);
        assert_eq!(["5", "900", "90000"].map(|age| at(longest, age)), [Ok, Warn, Fail]);
        assert_eq!((at(recovery, "true"), at(recovery, "false")), (Fail, Ok));
        assert_eq!((at(extensions, "citext"), at(extensions, "citext plpgsql")), (Fail, Ok));
        let slots = ["0 0", "2 4096", "2 9000000000"].map(|slots| at(replication, slots));
        assert_eq!(slots, [Ok, Ok, Fail]);
    }

    #[test]
    fn bounds_clocks_and_counts_are_judged_together() {
        let at = |wanted, is_shared| fitting(wanted, 100, is_shared).outcome;
        assert_eq!((at(100, true), at(60, true), at(40, true)), (Fail, Warn, Ok));
        assert_eq!((at(100, false), at(60, false)), (Fail, Ok));
        let at = |theirs| apart(1_000.0, theirs).outcome;
        assert_eq!((at(1_000.5), at(1_010.0), at(0.0)), (Ok, Warn, Fail));
        let at = |applied| pending(5, applied).outcome;
        assert_eq!((at(5), at(3), at(6)), (Ok, Ok, Warn));
        let at = |url| encrypted(url).outcome;
        assert_eq!(at("postgres://u@db.example/n"), Warn);
        assert_eq!(at("postgres://u@db.example/n?sslmode=verify-full"), Ok);
        assert_eq!(at("postgres://u@localhost/n"), Ok);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_real_server_is_looked_at_and_one_that_is_away_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::bare(folder.path());
        assert_eq!(reachable(&ground).await.outcome, Skipped);
        let test = TestDatabase::create().await;
        ground.settings.as_mut().unwrap().database = Choice::Open(test.database().clone());
        ground.database = Default::default();
        assert_eq!(reachable(&ground).await.outcome, Ok);
        for check in CHECKS {
            let found = check.run(&ground).await;
            // The cluster of the tests is not one that would survive a crash, and is told so.
            let careless = ["fsync", "full pages"].contains(&check.name);
            assert_eq!(found.outcome == Fail, careless, "{}: {found:?}", check.name);
        }
        let mut ground = Ground::bare(folder.path());
        let nobody = "postgres://nobody@127.0.0.1:9/none?connect_timeout=1";
        ground.settings.as_mut().unwrap().database = Choice::Url(nobody.into());
        let found = reachable(&ground).await;
        assert_eq!(found.outcome, Fail, "{found:?}");
    }
}
