//! What this host is made of: one line per capability and per trigger. Knows how each part is
//! configured from [`Settings`]; refuses to contain any of their rules.

use crate::background::Background;
use crate::configuration;
use crate::dev_tokens::DevKey;
use crate::development::is_development;
use crate::front::Mount;
use crate::secret;
use crate::settings::{Database as Choice, Objects, Settings, machine_name};
use crate::sources::Work;
use anyhow::{Context as _, Result};
use capability_blob::{
    Blob, Door, Folder, FolderSettings, S3, S3Credentials, S3Settings, Signer, Store,
};
use capability_jobs::Jobs;
use capability_key_value::{EmbeddedSettings, KeyValue};
use capability_outbound_http::{FrontDoor, OutboundHttp};
use capability_password::Password;
use capability_postgres::Postgres;
use capability_redis::Redis;
use capability_rsa::Rsa;
use capability_variables::Variables;
use http::Uri;
use nexus_artifact::{KeyRing, Policy};
use nexus_configuration::Configuration;
use nexus_redis_link::{Address, Link, Reach};
use nexus_rollout::{Declare, Rollout, RolloutConfig};
use nexus_runtime::{
    ClockOffset, ComponentId, DEFAULT_TENANT, EngineSettings, Pools, Runtime, RuntimeBuilder,
    Trigger as _,
};
use nexus_storage::Database;
use nexus_storage::queue::Queue;
use nexus_storage::schedules::Schedules;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use tokio::runtime::Handle;
use trigger_cron::{CronConfig, CronLimits, CronTrigger};
use trigger_http::{
    CorsConfig, HttpConfig, HttpTrigger, Identities, Inherited, LocalKeys, MediaOrigin, PeerConfig,
    TlsConfig,
};
use trigger_queue::{QueueConfig, QueueLimits, QueueTrigger};

/// What the capabilities are made from.
pub(crate) struct Parts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) home: &'a Path,
    pub(crate) public_url: &'a Uri,
    pub(crate) database: Option<Database>,
    /// What operators have configured; None where nothing is called.
    pub(crate) configuration: Option<Configuration>,
    /// Where this host listens in cleartext.
    pub(crate) front_door: Option<SocketAddr>,
    /// Filled once the runtime is there.
    pub(crate) clock: Arc<OnceLock<Arc<ClockOffset>>>,
}

/// A runtime that is ready to load components, and what the host serves beside them.
pub(crate) struct Assembled {
    pub(crate) runtime: RuntimeBuilder,
    pub(crate) mounts: Vec<Mount>,
    /// The objects of all components, for workers.
    pub(crate) objects: Arc<dyn Store>,
    /// What components are told; more of them may be declared.
    pub(crate) variables: Variables,
}

/// Every capability of this host.
pub(crate) fn assemble(parts: &Parts<'_>) -> Result<Assembled> {
    let settings = parts.settings;
    let variables = variables(parts)?;
    let (blob, mounts) = blob(parts)?;
    let objects = blob.store().clone();
    let engine = engine(settings);
    let runtime = Runtime::builder(engine, settings.shards.get())
        .capability(key_value(parts)?)
        .capability(redis(parts, &variables)?)
        .capability(postgres(parts, &variables))
        .capability(outbound_http(parts, &variables)?)
        .capability(capability_schedules::Schedules)
        .capability(Password::new(Default::default()).context("start the password threads")?)
        .capability(Rsa::new(Default::default(), Handle::current()))
        .capability(blob)
        .capability(Jobs::new(parts.database.clone(), Handle::current()))
        .capability(variables.clone());
    Ok(Assembled { runtime, mounts, objects, variables })
}

/// What the engine is made from.
pub(crate) fn engine(settings: &Settings) -> EngineSettings {
    EngineSettings {
        pools: Pools { instances: settings.instances_max, ..Pools::default() },
        cache: settings.compiled.clone(),
        cpu_limits: settings.cpu_limits,
    }
}

/// The HTTP trigger, bound to its addresses.
pub(crate) fn http(
    settings: &Settings,
    public_url: &Uri,
    share_ports: bool,
    key: Option<&DevKey>,
    identities: Option<Identities>,
    media: Option<MediaOrigin>,
    inherited: Vec<Inherited>,
) -> Result<HttpTrigger> {
    let issuer = origin(public_url);
    let verifier = key.map(|key| LocalKeys::from_jwks(&key.jwks(), &issuer, DEFAULT_TENANT));
    let verifier = verifier.transpose().context("use the development key")?;
    let tls = settings.tls.clone();
    HttpTrigger::new(HttpConfig {
        listen: settings.listen.clone(),
        tls: tls.map(|tls| TlsConfig::new(tls.listen, tls.certificate, tls.key)),
        public_url: public_url.clone(),
        cors: CorsConfig {
            origins: settings.cors_origins.iter().cloned().collect(),
            ..CorsConfig::default()
        },
        peers: PeerConfig {
            allow: settings.ip_allow.clone(),
            deny: settings.ip_deny.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
        },
        verifier: verifier.map(|keys| Arc::new(keys) as _),
        identities,
        redis: settings.redis_url.as_deref().map(rate_counts).transpose()?,
        media,
        share_ports,
        inherited,
        ..HttpConfig::default()
    })
}

/// What the HTTP trigger knows of the platform's identity: nothing yet, and ever nothing without a
/// database. Sessions and tokens are made by components, so their times are by the components'
/// clock.
pub(crate) fn identities(
    settings: &Settings,
    public_url: &Uri,
    clock: &Arc<OnceLock<Arc<ClockOffset>>>,
) -> Option<Identities> {
    if matches!(settings.database, Choice::None) {
        return None;
    }
    let clock = clock.clone();
    let now = move || {
        let now = clock.get().map_or_else(SystemTime::now, |clock| clock.now());
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    Some(Identities::new(&origin(public_url), DEFAULT_TENANT, Arc::new(now)))
}

/// A connection of the data plane's own: what guests send must not be in the way of its few
/// milliseconds.
fn rate_counts(url: &str) -> Result<Link> {
    let address = Address::parse(url).context("use REDIS_URL")?;
    Ok(Link::new(address, Reach::Anywhere, Handle::current()))
}

/// The triggers besides HTTP; each works on the database, so without one there are none. What they
/// wait for is in force when this returns, before the first request comes in.
pub(crate) async fn background(
    settings: &Settings,
    database: &Database,
    runtime: &Runtime,
    background: &Background,
    work: &Work,
) -> Result<()> {
    let queue = QueueTrigger::new(QueueConfig {
        queue: Queue::new(database.clone()),
        host: settings.host_name.as_str().into(),
        limits: QueueLimits { lease: settings.queue_lease, ..QueueLimits::default() },
    })?;
    let schedules = Schedules::new(database.clone());
    let cron = CronTrigger::new(CronConfig { schedules, limits: CronLimits::default() })?;
    for prepared in [queue.prepare(runtime).await, cron.prepare(runtime.clone()).await] {
        if let Err(error) = prepared {
            // The triggers try again for as long as it takes.
            tracing::warn!(%error, "subscriptions and schedules are not in force yet");
        }
    }
    work.queue.get_or_init(|| queue.stats());
    work.cron.get_or_init(|| cron.stats());
    background.run(queue, runtime);
    background.run(cron, runtime);
    Ok(())
}

/// This host's part in rollouts.
pub(crate) fn rollout(
    settings: &Settings,
    public_url: &Uri,
    home: &Path,
    database: &Database,
    declare: Declare,
) -> Result<Rollout> {
    let usual = match is_development(public_url) {
        true => Policy::Off,
        false => Policy::Warn,
    };
    let policy = settings.signatures.unwrap_or(usual);
    let keys = KeyRing::read(policy, settings.signature_keys.as_deref());
    Ok(Rollout::new(RolloutConfig {
        database: database.clone(),
        folder: home.join("artifacts"),
        host: format!("{}:{}", machine_name(), home.display()),
        version: crate::VERSION.into(),
        from_manifest: settings.from_manifest,
        keys: keys.context("use the keys of signatures")?,
        drain: nexus_rollout::DRAIN,
        declare,
    }))
}

/// An origin without the slash that `Uri` adds.
pub(crate) fn origin(url: &Uri) -> String {
    url.to_string().trim_end_matches('/').to_owned()
}

fn variables(parts: &Parts<'_>) -> Result<Variables> {
    let declared = parts.settings.manifest.variables.clone();
    let variables = Variables::new(declared, parts.settings.environment.clone());
    let variables = variables.context("read the application's variables")?;
    if let Some(configuration) = &parts.configuration {
        variables.provided_by(configuration::provider(configuration.clone()));
    }
    Ok(variables)
}

fn key_value(parts: &Parts<'_>) -> Result<KeyValue> {
    use capability_key_value::{Embedded, OnRedis};
    if let Some(url) = &parts.settings.redis_url {
        let server = OnRedis::new(url, Handle::current()).context("use REDIS_URL")?;
        return Ok(KeyValue::new(server));
    }
    let folder = parts.home.join("key-value");
    let store = Embedded::open(&folder, &EmbeddedSettings::default());
    Ok(KeyValue::new(store.context("open the key-value store")?))
}

/// Memory of the host's own counters and channels: a page of counters for each of a million users.
const REDIS_BYTES_MAX: usize = 256 << 20;

/// Fills in `{{ variables }}` in the grants of a component.
fn resolve(variables: &Variables) -> capability_redis::Resolve {
    let variables = variables.clone();
    Arc::new(move |component: &ComponentId, template: &str| {
        variables.resolve(component, template).map_err(|error| error.to_string())
    })
}

fn redis(parts: &Parts<'_>, variables: &Variables) -> Result<Redis> {
    use capability_redis::{Embedded, OnServer};
    let resolve = resolve(variables);
    if let Some(url) = &parts.settings.redis_url {
        let server = OnServer::new(url, Handle::current()).context("use REDIS_URL")?;
        return Ok(Redis::new(server, resolve, Handle::current()));
    }
    let clock = parts.clock.clone();
    let now = move || clock.get().map_or_else(SystemTime::now, |clock| clock.now());
    let own = Embedded::with_clock(REDIS_BYTES_MAX, Arc::new(now));
    Ok(Redis::new(own, resolve, Handle::current()))
}

fn postgres(parts: &Parts<'_>, variables: &Variables) -> Postgres {
    Postgres::new(parts.database.clone(), resolve(variables), Handle::current())
}

fn outbound_http(parts: &Parts<'_>, variables: &Variables) -> Result<OutboundHttp> {
    let variables = variables.clone();
    let host = ComponentId::new("host").context("name the host")?;
    let value = move |name: &str| variables.resolve(&host, &format!("{{{{ {name} }}}}")).ok();
    let front_door = FrontDoor::default();
    if let Some(address) = parts.front_door {
        front_door.opened_at(address);
    }
    let config = capability_outbound_http::Config {
        variables: Arc::new(value),
        front_door,
        ..Default::default()
    };
    OutboundHttp::new(config).context("prepare outbound HTTP")
}

/// Objects on S3, or in the home with a door for the URLs that are signed for them.
fn blob(parts: &Parts<'_>) -> Result<(Blob, Vec<Mount>)> {
    if let Some(objects) = &parts.settings.objects {
        let store = S3::new(s3(objects, &parts.settings.environment)?).context("use S3")?;
        return Ok((Blob::new(Arc::new(store)), Vec::new()));
    }
    let public_url = origin(parts.public_url).parse().context("read the public URL")?;
    let secret = secret::kept_in(&parts.home.join("blob-secret"))?;
    let folder = Folder::open(FolderSettings {
        root: parts.home.join("blobs"),
        signer: Signer::new(&secret, &public_url),
        object_bytes_max: OBJECT_BYTES_MAX,
    });
    let folder = folder.context("open the object folder")?;
    let door = Mount::new("blob-door", capability_blob::MOUNT, Door::new(folder.clone()))?;
    Ok((Blob::new(Arc::new(folder)), vec![door]))
}

/// An hour of production video; larger things belong on an object store of their own.
const OBJECT_BYTES_MAX: u64 = 64 << 30;

pub(crate) fn s3(objects: &Objects, environment: &[(String, String)]) -> Result<S3Settings> {
    let set = |name: &str| {
        let found = environment.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let needed = |name: &str| set(name).with_context(|| format!("S3 needs {name}"));
    let credentials = S3Credentials {
        access_key_id: needed("AWS_ACCESS_KEY_ID")?,
        secret_access_key: needed("AWS_SECRET_ACCESS_KEY")?,
        session_token: set("AWS_SESSION_TOKEN"),
    };
    let mut settings = S3Settings::new(&objects.bucket, &objects.region, credentials);
    settings.endpoint = objects.endpoint.clone();
    settings.public_endpoint = objects.public_endpoint.clone();
    Ok(settings)
}
