//! Forward-only migrations: `<folder>/<service>/NNNN_name.sql`, each file applied once, in one
//! transaction with the row that says so, by any number of hosts at once.
//!
//! Knows names, numbers and checksums. Refuses to know what the SQL says.

use crate::database::Database;
use crate::error::{Error, says};
use crate::roles::role_of;
use crate::session::Session;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tokio_postgres::error::SqlState;

/// The service whose folder comes first and whose schema has no login.
const PLATFORM: &str = "platform";

/// The list of what was applied. It is locked while a file runs: an advisory lock, which any
/// service could take, would let a guest keep hosts from starting.
const LIST: &str = "
    create schema if not exists platform;
    create table if not exists platform.migration (
        service text not null,
        number integer not null,
        name text not null,
        sha256 text not null,
        applied_at timestamptz not null default now(),
        primary key (service, number)
    )";

/// Time a migration waits for a lock on a table in use: better to fail and be tried again than
/// to hold up every query that queues behind it.
const LOCK_TIMEOUT: &str = "10s";

#[derive(Debug, Clone)]
struct File {
    service: String,
    number: i32,
    name: String,
    sql: String,
    sha256: String,
}

impl File {
    /// `next` is the only number that it may have.
    fn named(
        service: &str,
        file_name: &str,
        stem: &str,
        next: usize,
        sql: String,
    ) -> Result<Self, Error> {
        let parts = stem.split_once('_').filter(|(number, name)| {
            number.len() == 4
                && number.bytes().all(|b| b.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        });
        let wrong = |reason: String| Error::Migration {
            file: format!("{service}/{file_name}"),
            reason,
            source: None,
        };
        let Some((number, name)) = parts else {
            return Err(wrong("a migration is called NNNN_name.sql, in lower case".into()));
        };
        let number: i32 = number.parse().map_err(|_| wrong("no number".into()))?;
        let next = i32::try_from(next).unwrap_or(i32::MAX);
        if number != next {
            return Err(wrong(format!("number {next:04} is the next one; numbers have no gaps")));
        }
        let digest = Sha256::digest(sql.as_bytes());
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { service: service.into(), number, name: name.into(), sql, sha256 })
    }

    fn path(&self) -> String {
        format!("{}/{:04}_{}.sql", self.service, self.number, self.name)
    }

    fn failed(&self, reason: impl Into<String>) -> Error {
        Error::Migration { file: self.path(), reason: reason.into(), source: None }
    }

    fn failed_by(&self, error: Error) -> Error {
        match error {
            Error::Query(source) => {
                let line = at_line(&self.sql, &source);
                let reason = format!("{}{line}", says(&source));
                Error::Migration { file: self.path(), reason, source: Some(source) }
            }
            other => other,
        }
    }
}

/// All migrations of a folder.
#[derive(Debug, Clone)]
pub struct Migrations(BTreeMap<String, Vec<File>>);

/// What one run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files applied by this run, in order, as `service/NNNN_name.sql`.
    pub files: Vec<String>,
}

impl Migrations {
    /// Reads a folder that holds one folder per service.
    ///
    /// # Errors
    ///
    /// [`Error::Migration`] naming the file whose name or number is wrong; [`Error::File`].
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let mut services = BTreeMap::new();
        for (service, path) in entries(folder)? {
            if !path.is_dir() || service.starts_with('.') {
                continue;
            }
            if service != PLATFORM {
                role_of(&service)?;
            }
            let files = read_service(&service, &path)?;
            services.insert(service, files);
        }
        Ok(Self(services))
    }

    /// The files of one service, as `(NNNN_name.sql, SQL)`, from wherever they came.
    ///
    /// # Errors
    ///
    /// As [`Migrations::read`].
    pub fn of_service<'a>(
        service: &str,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        role_of(service)?;
        let mut found: Vec<File> = Vec::new();
        for (file_name, sql) in files {
            let stem = file_name.strip_suffix(".sql").unwrap_or(file_name);
            found.push(File::named(service, file_name, stem, found.len() + 1, sql.into())?);
        }
        Ok(Self(BTreeMap::from([(service.to_owned(), found)])))
    }

    /// What of it a database does not have yet, as `(service/NNNN_name.sql, SQL)` in order.
    ///
    /// # Errors
    ///
    /// As [`Migrations::apply`] for files that were changed after they were applied.
    pub async fn missing(&self, database: &Database) -> Result<Vec<(String, String)>, Error> {
        let known = make_list(&database.host().await?).await?;
        let mut missing = Vec::new();
        for file in self.0.values().flatten() {
            if !is_applied(file, &known)? {
                missing.push((file.path(), file.sql.clone()));
            }
        }
        Ok(missing)
    }

    /// The services that have a folder, without the platform.
    pub fn services(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|s| *s != PLATFORM).collect()
    }

    /// Applies what is missing: the platform's files, then each service's, and admits the
    /// services. Safe to run from many hosts at once; what another host applies meanwhile is
    /// checked like the rest. Files of newer releases that this folder lacks are left alone.
    ///
    /// # Errors
    ///
    /// [`Error::Migration`] naming the file: it was changed after it was applied, stands before
    /// one that was applied, ends its own transaction, crosses schemas, or its SQL failed.
    pub async fn apply(&self, database: &Database) -> Result<Applied, Error> {
        let session = database.host().await?;
        let mut known = make_list(&session).await?;
        let mut applied = Applied::default();
        let platform = self.0.get(PLATFORM).map_or(&[][..], Vec::as_slice);
        apply_service(&session, platform, &mut known, &mut applied).await?;
        database.seal().await?;
        database.admit(&self.services()).await?;
        for service in self.services() {
            apply_service(&session, &self.0[service], &mut known, &mut applied).await?;
        }
        for file in &applied.files {
            tracing::info!(file, database = database.name(), "migration applied");
        }
        Ok(applied)
    }
}

type Known = HashMap<(String, i32), String>;

fn entries(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>, Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    found.sort();
    Ok(found)
}

fn read_service(service: &str, folder: &Path) -> Result<Vec<File>, Error> {
    let mut files: Vec<File> = Vec::new();
    for (file_name, path) in entries(folder)? {
        let Some(stem) = file_name.strip_suffix(".sql").filter(|stem| *stem != "schema") else {
            continue;
        };
        let sql = std::fs::read_to_string(&path)
            .map_err(|source| Error::File { path: path.clone(), source })?;
        files.push(File::named(service, &file_name, stem, files.len() + 1, sql)?);
    }
    Ok(files)
}

async fn make_list(session: &Session) -> Result<Known, Error> {
    let exists = "select to_regclass('platform.migration') is not null";
    if !session.query(exists, &[]).await?[0].try_get::<_, bool>(0)? {
        loop {
            match session.batch(LIST).await {
                Ok(()) => break,
                // `if not exists` does not look at what another host is about to commit.
                Err(e) if is_race(&e) => {}
                Err(e) => return Err(e),
            }
        }
    }
    read_list(session).await
}

async fn read_list(session: &Session) -> Result<Known, Error> {
    let rows = session.query("select service, number, sha256 from platform.migration", &[]).await?;
    let entry = |row: &tokio_postgres::Row| -> Result<_, tokio_postgres::Error> {
        Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))
    };
    rows.iter().map(|row| entry(row).map_err(Error::from)).collect()
}

fn is_race(error: &Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

async fn apply_service(
    session: &Session,
    files: &[File],
    known: &mut Known,
    applied: &mut Applied,
) -> Result<(), Error> {
    for file in files {
        if !is_applied(file, known)? {
            let ran = apply_file(session, file, known).await;
            if ran.is_err() && session.in_transaction() {
                session.batch("rollback").await?;
            }
            if ran? {
                applied.files.push(file.path());
            }
        }
    }
    Ok(())
}

fn is_applied(file: &File, known: &Known) -> Result<bool, Error> {
    match known.get(&(file.service.clone(), file.number)) {
        Some(sha256) if *sha256 == file.sha256 => Ok(true),
        Some(_) => Err(file.failed(
            "it was changed after it had been applied; undo the change and write a new file",
        )),
        None => Ok(false),
    }
}

/// Runs one file unless another host has done so meanwhile.
async fn apply_file(session: &Session, file: &File, known: &mut Known) -> Result<bool, Error> {
    let schema = file.service.replace('-', "_");
    session.batch("begin; lock table platform.migration in share row exclusive mode").await?;
    *known = read_list(session).await?;
    if is_applied(file, known)? {
        session.batch("rollback").await?;
        return Ok(false);
    }
    let settings = format!(
        "set local lock_timeout = '{LOCK_TIMEOUT}'; set local statement_timeout = 0; \
         set local search_path = {schema}, extension"
    );
    session.batch(&settings).await?;
    let before = transaction(session).await?;
    session.batch(&file.sql).await.map_err(|e| file.failed_by(e))?;
    if !session.in_transaction() || transaction(session).await? != before {
        return Err(file.failed("it ends its own transaction: leave BEGIN and COMMIT out"));
    }
    session.batch("reset search_path").await?;
    check_schema(session, file).await?;
    let sql = "insert into platform.migration (service, number, name, sha256) \
               values ($1, $2, $3, $4)";
    let row: [crate::session::Param<'_>; 4] =
        [&file.service, &file.number, &file.name, &file.sha256];
    session.execute(sql, &row).await.map_err(|e| file.failed_by(e))?;
    session.batch("commit").await.map_err(|e| file.failed_by(e))?;
    known.insert((file.service.clone(), file.number), file.sha256.clone());
    Ok(true)
}

async fn transaction(session: &Session) -> Result<String, Error> {
    let rows = session.query("select pg_current_xact_id()::text", &[]).await?;
    Ok(rows[0].try_get(0)?)
}

/// What a service's file may not leave behind, as queries that find it: services are deployed, and
/// fail, one by one, and whatever the owner runs for a service runs with the owner's rights.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        "select conrelid::regclass || ' refers to ' || confrelid::regclass from pg_constraint \
         join pg_class a on a.oid = conrelid join pg_class b on b.oid = confrelid \
         where contype = 'f' and a.relnamespace <> b.relnamespace \
         and a.relnamespace = to_regnamespace($1)",
        "no foreign key may cross a schema",
    ),
    (
        "select r.ev_class::regclass || ' reads ' || b.oid::regclass from pg_rewrite r \
         join pg_class a on a.oid = r.ev_class and a.relnamespace = to_regnamespace($1) \
         join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid \
         and d.refclassid = 'pg_class'::regclass join pg_class b on b.oid = d.refobjid \
         where b.relnamespace not in (a.relnamespace, to_regnamespace('extension'), \
         'pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
        "no view may cross a schema: it would read with the owner's rights",
    ),
    (
        "select oid::regprocedure || ' is security definer' from pg_proc \
         where prosecdef and pronamespace = to_regnamespace($1)",
        "it would run with the owner's rights, which are the platform's alone to lend",
    ),
    // What a transaction made or changed carries its number, of which rows keep 32 bits.
    (
        "select 'it changes ' || oid::regclass from pg_class where relnamespace not in \
         (to_regnamespace($1), to_regnamespace('extension'), 'pg_toast'::regnamespace) \
         and xmin::text = (pg_current_xact_id()::text::numeric % 4294967296)::text",
        "a file stays in its own schema",
    ),
];

async fn check_schema(session: &Session, file: &File) -> Result<(), Error> {
    if file.service == PLATFORM {
        return Ok(());
    }
    let schema = file.service.replace('-', "_");
    for (sql, rule) in FORBIDDEN {
        if let Some(row) = session.query(sql, &[&schema]).await?.first() {
            let what: String = row.try_get(0)?;
            return Err(file.failed(format!("{what}: {rule}")));
        }
    }
    Ok(())
}

/// Where in the file the server stumbled.
fn at_line(sql: &str, error: &tokio_postgres::Error) -> String {
    use tokio_postgres::error::ErrorPosition;
    match error.as_db_error().and_then(|db| db.position()) {
        Some(ErrorPosition::Original(position)) => {
            let before = sql.chars().take(usize::try_from(*position).unwrap_or(0));
            format!(", line {}", before.filter(|c| *c == '\n').count() + 1)
        }
        _ => String::new(),
    }
}
