//! The host under test: assembled like the real one, on free ports, in a home of its own.

use crate::client::Client;
use crate::database::{TestDatabase, migrations};
use crate::log::Watch;
use crate::raw::Raw;
use crate::staged::repository;
use nexus::{Database, Host, Objects, Settings};
use nexus_observability::Scrape;
use nexus_runtime::{DEFAULT_TENANT, Manifest, PrincipalKind, Runtime};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

/// A start with cached code takes a second; one that compiles, on a busy machine, longer.
const READY_MAX: Duration = Duration::from_secs(240);

/// Enough for every test, and little address space: several hosts share a process.
const INSTANCES_MAX: u32 = 256;

/// Services that have native workers do things; hosts without them start none.
const WORKED_FOR: [&str; 4] = ["email", "media-metadata", "thumbnailer", "transcoder"];

/// A running host. Cut off when dropped, ended in order by [`Nexus::stop`].
///
/// A warning or an error in its log that the test does not expect fails the test, at the end.
pub struct Nexus {
    /// The first field: looks before the host goes.
    log: Watch,
    host: Host,
    tenant: Uuid,
    _home: TempDir,
}

/// What a host under test is made of; begun with [`Nexus::setup`].
pub struct Setup {
    manifest: Option<String>,
    database: bool,
    change: Vec<Box<dyn FnOnce(&mut Settings)>>,
}

impl Nexus {
    /// The whole suite, as the repository's `spin.toml` says.
    ///
    /// # Panics
    ///
    /// When a component is not staged, or the host does not become ready.
    pub async fn start() -> Self {
        Self::setup().start().await
    }

    /// Only these guests, each at `/<name>/...` after the name of its file; the only one also at
    /// `/...`. They are granted a `default` key-value store and bucket and their neighbours.
    ///
    /// # Panics
    ///
    /// As [`Nexus::start`].
    pub async fn with_components(files: &[impl AsRef<Path>]) -> Self {
        Self::setup().components(files).start().await
    }

    /// A host of other components, stores or settings.
    pub fn setup() -> Setup {
        Setup { manifest: None, database: true, change: Vec::new() }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where the host listens in cleartext.
    pub fn address(&self) -> SocketAddr {
        self.host.http_addresses()[0]
    }

    /// Nobody in particular.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.url())
    }

    /// A user with these permissions, somebody else each time.
    pub async fn member_with<P: AsRef<str>>(&self, permissions: impl AsRef<[P]>) -> Client {
        let permissions = permissions.as_ref().iter().map(|p| p.as_ref().to_owned()).collect();
        self.principal(PrincipalKind::User, self.tenant, permissions)
    }

    /// As [`Nexus::member_with`], of another tenant.
    pub async fn stranger_with<P: AsRef<str>>(
        &self,
        tenant: Uuid,
        permissions: impl AsRef<[P]>,
    ) -> Client {
        let permissions = permissions.as_ref().iter().map(|p| p.as_ref().to_owned()).collect();
        self.principal(PrincipalKind::User, tenant, permissions)
    }

    /// One who may do everything.
    pub fn operator(&self) -> Client {
        self.principal(PrincipalKind::Operator, self.tenant, vec!["*".into()])
    }

    /// The secret of the link by which the first administrator comes in.
    ///
    /// # Panics
    ///
    /// When there is an administrator already.
    pub async fn setup_token(&self) -> String {
        let database = self.host.database().expect("the host has a database").clone();
        let made = nexus_storage::identity::Identity::new(database).setup_link(self.tenant).await;
        made.expect("ask PostgreSQL").expect("nobody administers the tenant yet")
    }

    /// The token of one who may do everything, for programs beside the test.
    pub fn operator_token(&self) -> String {
        self.token_of(PrincipalKind::Operator, self.tenant, vec!["*".into()])
    }

    /// A token with any claims; whatever is not a valid token is made by hand.
    ///
    /// # Panics
    ///
    /// When the host has no development key, because a component issues tokens.
    pub fn token(&self, claims: &nexus::dev_tokens::Claims) -> String {
        let key = self.host.development_key().expect("the host under test has a development key");
        key.mint(self.host.public_url(), claims).expect("sign a token")
    }

    fn principal(&self, kind: PrincipalKind, tenant: Uuid, permissions: Vec<String>) -> Client {
        self.anonymous().bearer(&self.token_of(kind, tenant, permissions))
    }

    fn token_of(&self, kind: PrincipalKind, tenant: Uuid, permissions: Vec<String>) -> String {
        let subject = Uuid::now_v7().to_string();
        let lifetime = Duration::from_secs(3600);
        let claims = nexus::dev_tokens::Claims { subject, kind, permissions, tenant, lifetime };
        self.token(&claims)
    }

    /// A bare connection to the public port.
    pub async fn connect(&self) -> Raw {
        Raw::connect(self.address()).await
    }

    /// A client of the operators' surface, with its token.
    pub fn admin(&self) -> Client {
        Client::new(&format!("http://{}", self.host.admin_address()))
            .bearer(self.host.admin_token())
    }

    /// What Prometheus would read now.
    ///
    /// # Panics
    ///
    /// When the page breaks the format.
    pub async fn metrics(&self) -> Scrape {
        let page = self.admin().get("/metrics").await.ok().text();
        Scrape::read(&page).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until calls are let through; for hosts begun with [`Setup::start_unready`].
    ///
    /// # Panics
    ///
    /// When that does not come, or the start fails.
    pub async fn ready(&mut self) {
        let ready = tokio::time::timeout(READY_MAX, self.host.ready()).await;
        ready
            .unwrap_or_else(|_| panic!("the host was not ready within {READY_MAX:?}"))
            .unwrap_or_else(|error| panic!("the host could not start: {error:#}"));
    }

    /// Moves the components' clock forward; it never goes back.
    pub async fn advance(&self, by: Duration) {
        self.runtime().clock().advance(by);
    }

    /// The runtime itself, for calls that no client can make.
    ///
    /// # Panics
    ///
    /// While the host waits for PostgreSQL.
    pub fn runtime(&self) -> &Runtime {
        self.host.runtime().expect("the host is ready")
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Lines with these words may be logged as warnings or errors, before now or after.
    pub fn expects_log(&self, words: &str) {
        self.log.expect(words);
    }

    /// Stops it as SIGTERM would and returns how it ended.
    ///
    /// # Errors
    ///
    /// When serving failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        let ended = self.host.shut_down().await;
        self.log.stopped();
        ended
    }
}

impl Setup {
    /// Another manifest; its sources are relative to the repository.
    #[must_use]
    pub fn manifest(mut self, toml: impl Into<String>) -> Self {
        self.manifest = Some(toml.into());
        self
    }

    /// The manifest of [`Nexus::with_components`].
    #[must_use]
    pub fn components(self, files: &[impl AsRef<Path>]) -> Self {
        let files: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
        self.manifest(inline(&files))
    }

    /// Only these services of the suite, as their fragments grant: starts faster.
    ///
    /// # Panics
    ///
    /// When the manifest has no such service.
    #[must_use]
    pub fn services(self, names: &[&str]) -> Self {
        self.manifest(subset(names))
    }

    /// Keys, counters and channels on a real Redis.
    #[must_use]
    pub fn redis(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.settings(move |settings| settings.redis_url = Some(url))
    }

    /// Objects on a real S3 server; credentials come from the AWS variables.
    #[must_use]
    pub fn objects(self, objects: Objects) -> Self {
        self.settings(move |settings| settings.objects = Some(objects))
    }

    /// A variable of the application.
    #[must_use]
    pub fn variable(self, name: &str, value: &str) -> Self {
        let line = (format!("NEXUS_VARIABLE_{}", name.to_uppercase()), value.to_owned());
        self.settings(move |settings| settings.environment.push(line))
    }

    /// A database that already holds something, in place of an empty one.
    #[must_use]
    pub fn database(self, database: nexus_storage::Database) -> Self {
        self.without_database().settings(|settings| settings.database = Database::Open(database))
    }

    /// No database, for guests that use none: starts faster.
    #[must_use]
    pub fn without_database(mut self) -> Self {
        self.database = false;
        self
    }

    /// Any other setting, changed last.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings) + 'static) -> Self {
        self.change.push(Box::new(change));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When a guest is not staged or not admitted, or the host does not become ready.
    pub async fn start(self) -> Nexus {
        let mut nexus = self.start_unready().await;
        nexus.ready().await;
        let inactive: Vec<_> = nexus
            .runtime()
            .snapshot()
            .into_iter()
            .filter_map(|c| Some(format!("{}: {}", c.component, c.inactive_reason?)))
            .collect();
        assert!(inactive.is_empty(), "not active: {}", inactive.join("; "));
        nexus
    }

    /// Starts it and returns as soon as it listens.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start_unready(self) -> Nexus {
        let log = Watch::begin();
        let home = TempDir::with_prefix("nx-").expect("a temporary folder can be made");
        let mut settings =
            Settings::new(home.path().to_owned(), manifest(self.manifest.as_deref()));
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        settings.listen = vec![any];
        settings.admin_listen = any;
        settings.public_url = None;
        settings.migrations = Some(migrations());
        settings.compiled = repository().join(".nexus/compiled");
        settings.instances_max = INSTANCES_MAX;
        settings.shards = NonZeroUsize::new(2).expect("two is not zero");
        let mut components = settings.manifest.components.iter();
        if components.any(|component| WORKED_FOR.contains(&component.id.as_str())) {
            settings.workers.program = crate::staged::worker();
        }
        settings.database = match self.database {
            true => Database::Open(TestDatabase::create().await.database().clone()),
            false => Database::None,
        };
        for change in self.change {
            change(&mut settings);
        }
        let host = Host::start(settings).await;
        let host = host.unwrap_or_else(|error| panic!("the host could not start: {error:#}"));
        Nexus { log, host, tenant: DEFAULT_TENANT, _home: home }
    }
}

fn manifest(inline: Option<&str>) -> Manifest {
    let file = repository().join("spin.toml");
    let read = match inline {
        Some(toml) => Manifest::parse(toml, &file),
        None => Manifest::read(&file),
    };
    let manifest = read.unwrap_or_else(|error| panic!("{error}"));
    for component in &manifest.components {
        let source = component.source.display();
        assert!(component.source.is_file(), "{source} is missing: run cargo xtask build");
    }
    manifest
}

/// The head of the repository's manifest and the fragments of some services.
fn subset(names: &[&str]) -> String {
    let whole = std::fs::read_to_string(repository().join("spin.toml")).expect("the manifest");
    let mut parts = whole.split("\n# components/");
    let head = parts.next().unwrap_or_default().to_owned();
    let fragments: Vec<&str> = parts.collect();
    let fragment = |name: &&str| {
        let own = |part: &&&str| part.split('/').nth(1) == Some(*name);
        let found = fragments.iter().find(own);
        format!("\n# components/{}", found.unwrap_or_else(|| panic!("there is no service {name}")))
    };
    names.iter().fold(head, |manifest, name| manifest + &fragment(name))
}

fn inline(files: &[&Path]) -> String {
    let mut toml = String::from(
        "spin_manifest_version = 2\n[application]\nname = \"test\"\nversion = \"0.0.0\"\n",
    );
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).expect("a component's file");
        let mut route = |pattern: &str| {
            toml += &format!("[[trigger.http]]\nroute = \"{pattern}\"\ncomponent = \"{name}\"\n");
        };
        route(&format!("/{name}/..."));
        if files.len() == 1 {
            route("/...");
        }
        toml += &format!(
            "[component.{name}]\nsource = \"{}\"\nkey_value_stores = [\"default\"]\n\
             allowed_outbound_hosts = [\"http://*.spin.internal\", \
             \"postgres://nexus.internal\", \"redis://nexus.internal\"]\n\
             [component.{name}.tool.nexus]\nbuckets = [\"default\"]\n",
            file.display()
        );
    }
    toml
}
