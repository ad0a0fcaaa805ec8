//! A database as something to carry away: everything it holds at one instant, counted and dumped by
//! PostgreSQL's own programs, and put back into an empty one. Knows no file and no key: what is
//! dumped is a stream of bytes, and who keeps it is the caller's business.

mod census;
mod programs;
mod server_files;

pub use census::{Counted, GRANTS};
pub use server_files::{Archiving, Mark, archiving, copy, mark};

use crate::database::Database;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::session::Session;
use std::process::Stdio;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// Who is admitted: a service and the role that it logs in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    pub service: String,
    pub role: String,
}

/// A database as it was at one instant; writers go on meanwhile. Holds one connection and what
/// its tables need not to be changed in their shape: migrations wait for it.
pub struct Snapshot {
    session: Session,
    owner: Endpoint,
    id: String,
    schemas: Vec<String>,
    /// Major version of the server.
    pub major: u32,
}

impl Snapshot {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Query`], and whatever connecting says.
    pub async fn take(database: &Database) -> Result<Self, Error> {
        let session = database.host().await?;
        session.batch("begin isolation level repeatable read read only").await?;
        session.batch(census::PLAIN).await?;
        let rows = session.query("select pg_export_snapshot()", &[]).await?;
        let id = rows[0].try_get(0)?;
        let schemas = schemas(&session).await?;
        let major = major(&session).await?;
        Ok(Self { session, owner: database.owner(), id, schemas, major })
    }

    /// The role that owns what is dumped, and has to own it again.
    pub fn owner(&self) -> &str {
        self.owner.user()
    }

    /// Rows and a fingerprint of each table, and one of all grants.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn census(&self) -> Result<Vec<Counted>, Error> {
        census::take(&self.session, &self.schemas).await
    }

    /// The services that have a role.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn admitted(&self) -> Result<Vec<Admitted>, Error> {
        admitted(&self.session).await
    }

    /// Begins to dump the instant, in `pg_dump`'s custom format.
    ///
    /// # Errors
    ///
    /// [`Error::NoProgram`] when there is no `pg_dump` of the server's version or a newer one.
    pub fn dump(&self) -> Result<Dump, Error> {
        let mut command = Command::new(programs::find("pg_dump", self.major)?);
        command.args(["--format=custom", "--no-password", "--snapshot", &self.id]);
        // The server's own catalog is the server's. Excluded rather than others named, because
        // what belongs to no schema, as default privileges do, would be left out otherwise.
        for system in ["pg_catalog", "information_schema", "public"] {
            command.arg(format!("--exclude-schema={system}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawned("pg_dump", &mut command, &self.owner)?;
        let out = child.stdout.take().ok_or_else(|| failed("pg_dump", "it has no output"))?;
        Ok(Dump { program: "pg_dump", child, out })
    }
}

/// A dump being written, or a copy of a server's files.
pub struct Dump {
    program: &'static str,
    child: Child,
    out: ChildStdout,
}

impl Dump {
    /// The next bytes, at most `buffer.len()`; 0 at the end, which [`Dump::finish`] judges.
    ///
    /// # Errors
    ///
    /// [`Error::Program`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.out.read(buffer).await.map_err(|e| failed(self.program, &e.to_string()))
    }

    /// Whether all of it was dumped.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] with what the program says.
    pub async fn finish(self) -> Result<(), Error> {
        let Self { program, child, out } = self;
        drop(out);
        finished(program, child).await
    }
}

/// A database that is being filled from a dump.
pub struct Target {
    database: Database,
    major: u32,
}

impl Target {
    /// # Errors
    ///
    /// [`Error::Query`], and whatever connecting says.
    pub async fn new(database: Database) -> Result<Self, Error> {
        let major = major(&database.host().await?).await?;
        Ok(Self { database, major })
    }

    /// Which role would own what is loaded.
    pub fn owner(&self) -> String {
        self.database.owner().user().to_owned()
    }

    /// Which database this is, without credentials.
    pub fn address(&self) -> String {
        let owner = self.database.owner();
        format!("{}/{}", owner.address(), owner.database())
    }

    /// The schemas that are there already.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn schemas(&self) -> Result<Vec<String>, Error> {
        schemas(&self.database.host().await?).await
    }

    /// Drops every schema but the server's own: what an earlier attempt has left.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn clear(&self) -> Result<(), Error> {
        let session = self.database.host().await?;
        for schema in schemas(&session).await? {
            session.batch(&format!("drop schema {} cascade", quoted(&schema))).await?;
        }
        session.batch("alter default privileges grant execute on functions to public").await
    }

    /// Makes the roles that the dump gives rights to, and begins to load it, in one transaction.
    ///
    /// # Errors
    ///
    /// [`Error::NoProgram`], [`Error::Role`].
    pub async fn load(&self, admitted: &[Admitted]) -> Result<Load, Error> {
        let session = self.database.host().await?;
        for Admitted { role, .. } in admitted {
            self.database.make_role(&session, role).await?;
        }
        let owner = self.database.owner();
        let mut command = Command::new(programs::find("pg_restore", self.major)?);
        command.args(["--format=custom", "--no-password", "--no-owner", "--exit-on-error"]);
        command.args(["--single-transaction", "--dbname", owner.database()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawned("pg_restore", &mut command, &owner)?;
        let input = child.stdin.take().ok_or_else(|| failed("pg_restore", "it has no input"))?;
        Ok(Load { child, input: Some(input) })
    }

    /// Lets the services in again and makes the planner know the tables.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn open(&self, admitted: &[Admitted]) -> Result<(), Error> {
        let session = self.database.host().await?;
        for Admitted { service, role } in admitted {
            session.execute("select platform.admit($1, $2)", &[service, role]).await?;
        }
        session.batch("analyze").await
    }

    /// As [`Snapshot::census`], of what is there now.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn census(&self) -> Result<Vec<Counted>, Error> {
        Snapshot::take(&self.database).await?.census().await
    }
}

/// A dump being loaded.
pub struct Load {
    child: Child,
    input: Option<ChildStdin>,
}

impl Load {
    /// The next bytes of the dump.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] with what `pg_restore` says.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Error> {
        use tokio::io::AsyncWriteExt as _;
        let Some(input) = &mut self.input else { return Ok(()) };
        if input.write_all(chunk).await.is_err() {
            // It has ended; why, it says itself.
            self.input = None;
            let stderr = self.child.stderr.take();
            return Err(failed("pg_restore", &said(stderr).await));
        }
        Ok(())
    }

    /// Ends the dump; everything is there, or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] with what `pg_restore` says.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.input = None;
        finished("pg_restore", self.child).await
    }
}

async fn schemas(session: &Session) -> Result<Vec<String>, Error> {
    let sql = "select nspname::text from pg_namespace where nspname !~ '^pg_' \
               and nspname not in ('information_schema', 'public') order by nspname";
    let rows = session.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

async fn admitted(session: &Session) -> Result<Vec<Admitted>, Error> {
    let there = "select to_regclass('platform.service') is not null";
    if !session.query(there, &[]).await?[0].try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    let sql = "select service, role::text from platform.service order by service";
    let rows = session.query(sql, &[]).await?;
    let read = |row: &tokio_postgres::Row| -> Result<Admitted, Error> {
        Ok(Admitted { service: row.try_get(0)?, role: row.try_get(1)? })
    };
    rows.iter().map(read).collect()
}

async fn major(session: &Session) -> Result<u32, Error> {
    let sql = "select current_setting('server_version_num')::int / 10000";
    let major: i32 = session.query(sql, &[]).await?[0].try_get(0)?;
    Ok(u32::try_from(major).unwrap_or_default())
}

/// Starts a program of PostgreSQL's, logged in by its environment: other users of the machine can
/// read command lines. Killed when dropped, so that nothing outlives the command.
fn spawned(name: &'static str, command: &mut Command, owner: &Endpoint) -> Result<Child, Error> {
    command.envs(owner.environment()).kill_on_drop(true);
    command.spawn().map_err(|e| failed(name, &e.to_string()))
}

async fn finished(name: &'static str, mut child: Child) -> Result<(), Error> {
    let words = said(child.stderr.take()).await;
    let status = child.wait().await.map_err(|e| failed(name, &e.to_string()))?;
    match status.success() {
        true => {
            if !words.is_empty() {
                tracing::debug!(program = name, words, "it had something to say");
            }
            Ok(())
        }
        false => Err(failed(name, if words.is_empty() { "it was ended" } else { &words })),
    }
}

/// Its last words, cut: a broken dump can complain about every line.
async fn said(stderr: Option<ChildStderr>) -> String {
    let Some(stderr) = stderr else { return String::new() };
    let mut words = Vec::new();
    let read = stderr.take(64 << 10).read_to_end(&mut words).await;
    let words = String::from_utf8_lossy(&words);
    match read {
        Ok(_) => words.trim().chars().take(2_000).collect(),
        Err(error) => error.to_string(),
    }
}

fn failed(program: &'static str, detail: &str) -> Error {
    Error::Program { program, detail: detail.to_owned() }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
