//! The host's database: one server, one bound over all connections, a login per service.
//!
//! Knows roles, limits and databases of the server. Refuses to know tables.

use crate::endpoint::Endpoint;
use crate::error::{Error, OLDEST_MAJOR};
use crate::pool::{Pool, PoolLimits, PoolStats, Reading, Target};
use crate::roles::{MARK, RoleKey, role_of};
use crate::session::Session;
use crate::statement::Rules;
use crate::work::Work;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// What the host keeps for itself out of the bound: migrations, roles, schedules, and the queue's
/// claims, ends, extensions and upkeep.
const HOST_CONNECTIONS: usize = 6;

/// A server to work with, and the secret that its services' passwords come from.
#[derive(Clone)]
pub struct Server {
    pub(crate) owner: Endpoint,
    pub(crate) key: RoleKey,
}

impl Server {
    /// An operator's server, from `DATABASE_URL`. Its role owns the database and may create
    /// roles; every host of the database is given the same address.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], [`Error::File`].
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let owner = Endpoint::parse(url)?.with_options("", "nexus host");
        // Where the server asks for no password, services need none either.
        let secret = owner.password().unwrap_or(url.as_bytes());
        Ok(Self { key: RoleKey::from_secret(secret), owner })
    }

    /// The database named in the address.
    pub fn database(&self) -> &str {
        self.owner.database()
    }
}

/// What bounds the use of a database.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of this host to the server, all services and the host itself
    /// (`NEXUS_PG_CONNECTIONS_MAX`).
    pub connections_max: usize,
    /// Connections of one service.
    pub per_service_max: usize,
    /// How long a caller waits for a connection.
    pub wait: Duration,
    /// Time for one statement of a service.
    pub statement: Duration,
    /// How long a service's transaction may do nothing.
    pub idle_in_transaction: Duration,
    /// How long a service's statement may wait for a lock.
    pub lock: Duration,
    /// Checked out without use for this long, a connection is closed when others wait.
    pub still: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 40,
            per_service_max: 16,
            wait: Duration::from_secs(3),
            statement: Duration::from_secs(30),
            idle_in_transaction: Duration::from_secs(15),
            lock: Duration::from_secs(10),
            still: Duration::from_secs(5),
        }
    }
}

/// The host's door to PostgreSQL. Cheap to clone; all clones share the bound.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    name: Arc<str>,
    work: Work,
}

struct Shared {
    server: Server,
    limits: Limits,
    services: Pool,
    host: Pool,
    targets: Mutex<HashMap<String, Arc<Target>>>,
    /// By database.
    works: Mutex<HashMap<String, Work>>,
}

impl Database {
    /// Connects once and looks at the server's version.
    ///
    /// # Errors
    ///
    /// [`Error::TooOld`], and whatever connecting says.
    pub async fn open(server: Server, limits: Limits) -> Result<Self, Error> {
        let base = PoolLimits {
            connections_max: limits.connections_max.saturating_sub(HOST_CONNECTIONS).max(1),
            per_target_max: limits.per_service_max,
            wait: limits.wait,
            still: limits.still,
            in_transaction: limits.idle_in_transaction + Duration::from_secs(5),
            running: limits.statement + Duration::from_secs(5),
            ..PoolLimits::default()
        };
        let forever = Duration::from_secs(24 * 3600);
        let host = PoolLimits {
            connections_max: HOST_CONNECTIONS,
            per_target_max: HOST_CONNECTIONS,
            wait: Duration::from_secs(30),
            still: forever,
            in_transaction: forever,
            running: forever,
            ..PoolLimits::default()
        };
        let shared = Shared {
            services: Pool::new(base),
            host: Pool::new(host),
            targets: Mutex::default(),
            works: Mutex::default(),
            server,
            limits,
        };
        let name = shared.server.database().to_owned();
        let database = Self::in_shared(Arc::new(shared), &name);
        database.check_version().await?;
        Ok(database)
    }

    async fn check_version(&self) -> Result<(), Error> {
        let session = self.host().await?;
        let sql = "select current_setting('server_version_num')::int, \
                   current_setting('server_version')";
        let rows = session.query(sql, &[]).await?;
        let number: i32 = rows[0].try_get(0)?;
        if number / 10_000 < OLDEST_MAJOR.cast_signed() {
            let (found, address) = (rows[0].try_get(1)?, self.shared.server.owner.address());
            return Err(Error::TooOld { found, address });
        }
        Ok(())
    }

    /// Another database of the same server, under the same bound.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self::in_shared(self.shared.clone(), name)
    }

    fn in_shared(shared: Arc<Shared>, name: &str) -> Self {
        let mut works = shared.works.lock().expect("nothing panics while it is held");
        let work = works.entry(name.to_owned()).or_default().clone();
        drop(works);
        Self { shared, name: name.into(), work }
    }

    /// The signal that a transaction of this host has made work for a queue of this database.
    pub fn work(&self) -> &Work {
        &self.work
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server, this database, and the login of its owner.
    pub(crate) fn owner(&self) -> Endpoint {
        self.shared.server.owner.with_database(&self.name)
    }

    /// A connection as the owner of the database: the host's own, never a guest's.
    ///
    /// # Errors
    ///
    /// As [`Pool::acquire`].
    pub async fn host(&self) -> Result<Session, Error> {
        let target = self.target(&format!("@{}", self.name), || {
            let owner = self.shared.server.owner.with_database(&self.name);
            Ok((owner.heard_by(&self.work), Rules::Host))
        })?;
        self.shared.host.acquire(&target).await
    }

    /// A connection logged in as a service's role, which [`Database::admit`] has made.
    ///
    /// # Errors
    ///
    /// [`Error::ServiceName`], and as [`Pool::acquire`].
    pub async fn service(&self, service: &str) -> Result<Session, Error> {
        let target = self.target_of(service)?;
        match self.shared.services.acquire(&target).await {
            Err(refused @ Error::Credentials { .. }) => {
                self.renewed(service, refused).await?;
                self.shared.services.acquire(&target).await
            }
            other => other,
        }
    }

    /// As [`Database::service`], for one statement; see [`Pool::reading`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn reading<'s>(&self, service: &str, sql: &'s str) -> Result<Reading<'s>, Error> {
        let target = self.target_of(service)?;
        match self.shared.services.reading(&target, sql).await {
            Err(refused @ Error::Credentials { .. }) => {
                self.renewed(service, refused).await?;
                self.shared.services.reading(&target, sql).await
            }
            other => other,
        }
    }

    fn target_of(&self, service: &str) -> Result<Arc<Target>, Error> {
        let key = format!("{service}@{}", self.name);
        self.target(&key, || self.login(&role_of(service)?))
    }

    /// Another host, or the operator, may have changed the secret since the role was made.
    async fn renewed(&self, service: &str, refused: Error) -> Result<(), Error> {
        match self.renew_password(&role_of(service)?).await? {
            true => Ok(()),
            false => Err(refused),
        }
    }

    fn target(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<(Endpoint, Rules), Error>,
    ) -> Result<Arc<Target>, Error> {
        let mut targets = self.shared.targets.lock().expect("nothing panics while it is held");
        if let Some(target) = targets.get(key) {
            return Ok(target.clone());
        }
        let (endpoint, rules) = make()?;
        let work = Some(self.work.clone());
        let target = Target::with_work(key, endpoint, rules, work)?;
        targets.insert(key.to_owned(), target.clone());
        Ok(target)
    }

    /// The settings come with the login, above whatever a role has set for itself.
    fn login(&self, role: &str) -> Result<(Endpoint, Rules), Error> {
        let limits = &self.shared.limits;
        let options = format!(
            "-c search_path={role},extension -c statement_timeout={} -c lock_timeout={} \
             -c idle_in_transaction_session_timeout={} -c client_connection_check_interval=1000 \
             -c timezone=UTC",
            limits.statement.as_millis(),
            limits.lock.as_millis(),
            limits.idle_in_transaction.as_millis(),
        );
        let password = self.shared.server.key.password(role);
        let endpoint = self.shared.server.owner.with_login(role, Some(&password));
        let endpoint = endpoint.with_database(&self.name);
        Ok((endpoint.with_options(&options, &format!("nexus {role}")), Rules::Service))
    }

    /// False when there is no such role.
    async fn renew_password(&self, role: &str) -> Result<bool, Error> {
        let session = self.host().await?;
        if !check_role(&session, role).await? {
            return Ok(false);
        }
        let verifier = self.shared.server.key.verifier(role);
        session.batch(&format!("alter role {role} login password '{verifier}'")).await?;
        Ok(true)
    }

    /// Makes role and schema of each service that has none yet, with rights on that schema and
    /// on the platform's functions, and on nothing else. Needs the platform's migrations.
    ///
    /// # Errors
    ///
    /// [`Error::ServiceName`]; [`Error::Role`] when a role of that name has other rights or
    /// another maker.
    pub async fn admit(&self, services: &[&str]) -> Result<(), Error> {
        let mut wanted = Vec::new();
        for service in services {
            wanted.push((role_of(service)?, *service));
        }
        let session = self.host().await?;
        let rows = session.query("select role::text, service from platform.service", &[]).await?;
        for row in rows {
            let (role, service): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            wanted.retain(|(r, s)| (r.as_str(), *s) != (&*role, &*service));
        }
        for (role, service) in wanted {
            self.make_role(&session, &role).await?;
            session.execute("select platform.admit($1, $2)", &[&service, &role]).await?;
        }
        Ok(())
    }

    /// Makes the login role of a service, unless it is there.
    pub(crate) async fn make_role(&self, session: &Session, role: &str) -> Result<(), Error> {
        if check_role(session, role).await? {
            return Ok(());
        }
        let verifier = self.shared.server.key.verifier(role);
        // Far above what one host opens: a backstop, for several hosts share the role.
        let limit = self.shared.limits.per_service_max * 8;
        let sql = format!(
            "begin; create role {role} login nosuperuser nocreatedb nocreaterole noinherit \
             noreplication nobypassrls connection limit {limit} password '{verifier}'; \
             comment on role {role} is '{MARK}'; commit"
        );
        match session.batch(&sql).await {
            // Another host was faster. A failed batch leaves its transaction open.
            Err(e) if raced(&e) => {
                session.batch("rollback").await?;
                check_role(session, role).await.map(|_| ())
            }
            Err(e) => {
                session.batch("rollback").await?;
                Err(e)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Makes a database as a copy of another, which nobody else is connected to, with the same
    /// services admitted.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] when it exists, or the template is in use.
    pub async fn create_from_template(&self, name: &str, template: &str) -> Result<Self, Error> {
        self.retire(template);
        let session = self.host().await?;
        let sql = format!("create database {} template {}", quoted(name), quoted(template));
        session.batch(&sql).await?;
        let copy = self.named(name);
        copy.seal().await?;
        Ok(copy)
    }

    /// Makes an empty database that only its owner enters.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] when it exists.
    pub async fn create_empty(&self, name: &str) -> Result<Self, Error> {
        self.create_from_template(name, "template1").await
    }

    /// Drops a database of the server, and whatever is connected to it.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] when it is the one this session would stand in, or when others are
    /// connected to it and the owner may not end them.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        self.retire(name);
        let session = self.host().await?;
        let drop = format!("drop database if exists {}", quoted(name));
        let dropped = match session.batch(&format!("{drop} with (force)")).await {
            // The server waits some seconds for sessions that are about to end.
            Err(e) if e.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                session.batch(&drop).await
            }
            other => other,
        };
        let ending = format!("@{name}");
        let mut targets = self.shared.targets.lock().expect("nothing panics while it is held");
        targets.retain(|key, _| !key.ends_with(&ending));
        self.shared.works.lock().expect("nothing panics while it is held").remove(name);
        dropped
    }

    fn retire(&self, database: &str) {
        let ending = format!("@{database}");
        self.shared.services.retire(|key| key.ends_with(&ending));
        self.shared.host.retire(|key| key.ends_with(&ending));
    }

    /// Rights on the database itself are no part of a template: nobody but the admitted services
    /// connects, nobody makes temporary tables.
    pub(crate) async fn seal(&self) -> Result<(), Error> {
        let session = self.host().await?;
        let open = "select has_database_privilege('public', current_database(), 'connect') \
                    or has_database_privilege('public', current_database(), 'temporary'), \
                    to_regclass('platform.service') is not null";
        let rows = session.query(open, &[]).await?;
        if !rows[0].try_get::<_, bool>(0)? {
            return Ok(());
        }
        let name = quoted(&self.name);
        session.batch(&format!("revoke all on database {name} from public")).await?;
        if rows[0].try_get::<_, bool>(1)? {
            let rows = session.query("select role::text from platform.service", &[]).await?;
            let roles: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            let roles = roles?.join(", ");
            if !roles.is_empty() {
                session.batch(&format!("grant connect on database {name} to {roles}")).await?;
            }
        }
        Ok(())
    }

    /// Connections of the services, and of the host itself.
    pub fn stats(&self) -> (PoolStats, PoolStats) {
        (self.shared.services.stats(), self.shared.host.stats())
    }

    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }
}

fn raced(error: &Error) -> bool {
    let codes = [SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Whether the role exists; an error when it is not one this host made, or has been given more.
async fn check_role(session: &Session, role: &str) -> Result<bool, Error> {
    let sql = "select shobj_description(oid, 'pg_authid') is not distinct from $2, \
               rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls, \
               exists (select from pg_auth_members where member = r.oid) \
               from pg_roles r where rolname = $1";
    let rows = session.query(sql, &[&role, &MARK]).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let refuse = |reason: &str| Err(Error::Role { role: role.into(), reason: reason.into() });
    match (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) {
        (false, _, _) => refuse("a role of that name exists which the host did not make"),
        (_, true, _) => refuse("it may do more than log in"),
        (_, _, true) => refuse("it is a member of other roles"),
        (true, false, false) => Ok(true),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
