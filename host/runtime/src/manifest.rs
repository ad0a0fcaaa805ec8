//! `spin.toml`, read strictly: the Spin v2 schema plus our `[component.X.tool.nexus]` table.
//! Refuses to know what a grant allows; each capability reads its own lines.
//! Source: the Spin manifest reference, version 2; unknown keys are errors there, so they are here.

use crate::limits::Limits;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The kebab-case name of a component; also its service, crate and folder.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId(Arc<str>);

impl ComponentId {
    /// Accepts lower-case letters, digits and single dashes, starting with a letter.
    pub fn new(name: &str) -> Result<Self, ManifestError> {
        let kebab = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !name.ends_with('-')
            && !name.contains("--");
        if kebab { Ok(Self(name.into())) } else { Err(ManifestError::ComponentName(name.into())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The service's database schema and role: `-` becomes `_`.
    pub fn schema(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A manifest, with paths resolved against the folder it was read from.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub application: String,
    pub version: String,
    pub variables: BTreeMap<String, VariableDeclaration>,
    pub routes: Vec<HttpRoute>,
    pub components: Vec<Arc<ComponentManifest>>,
}

/// `[variables]`: exactly one of `default` and `required`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariableDeclaration {
    pub default: Option<String>,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub secret: bool,
    pub description: Option<String>,
}

/// `[[trigger.http]]`: a Spin route pattern (`/a/:id/...`) and the component behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRoute {
    /// None is a private component, reachable in-process only.
    pub pattern: Option<String>,
    pub component: ComponentId,
}

/// Everything the manifest says about one component.
#[derive(Debug, Clone)]
pub struct ComponentManifest {
    pub id: ComponentId,
    /// The component's bytes.
    pub source: PathBuf,
    /// Name to template, e.g. `pg_url` to `{{ pg_url }}`.
    pub variables: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    /// `scheme://host:port`, with `*` and `{{ variables }}`, as Spin defines them.
    pub allowed_outbound_hosts: Vec<String>,
    pub key_value_stores: Vec<String>,
    pub buckets: Vec<String>,
    pub limits: Limits,
    pub isolation: Isolation,
    /// Class of the rate limiter in front of this component.
    pub rate: Option<String>,
    pub subscribe: Vec<Subscription>,
    pub cron: Vec<Cron>,
    /// Version of the stored configuration that its variables are read from; 0 is none.
    pub configuration: u64,
}

/// A component's own piece of a manifest (`component.toml`), alone.
#[derive(Debug, Clone)]
pub struct Fragment {
    pub component: Arc<ComponentManifest>,
    pub routes: Vec<HttpRoute>,
    /// Application variables that it declares.
    pub variables: BTreeMap<String, VariableDeclaration>,
}

/// Whether calls may share an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// One instance serves many calls, concurrently (WASI 0.3 guests only).
    #[default]
    Shared,
    /// A new instance for each call.
    Fresh,
}

/// A queue subscription: a topic or a pattern, with the consumer's own limits.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "SubscriptionLine")]
pub struct Subscription {
    pub topic: String,
    pub from: String,
    pub max_concurrency: Option<u32>,
    pub batch: Option<u32>,
    pub wait_ms: Option<u64>,
    pub wall_ms: Option<u64>,
    pub attempts_max: Option<u32>,
    pub ordered_by: Option<String>,
}

/// A cron entry of a component.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    pub name: String,
    pub schedule: String,
    #[serde(default = "utc")]
    pub zone: String,
    #[serde(default = "skip")]
    pub overlap: String,
    #[serde(default = "latest")]
    pub catchup: String,
    #[serde(default)]
    pub jitter_ms: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a Spin v2 manifest: {reason}")]
    Syntax { path: PathBuf, reason: String },
    #[error("{0:?} is not a component name: use lower-case letters, digits and single dashes")]
    ComponentName(String),
    #[error("a trigger names the component {0}, which the manifest does not define")]
    UnknownComponent(String),
    #[error("component {component}: {reason}")]
    Component { component: String, reason: String },
}

fn utc() -> String {
    "UTC".into()
}
fn skip() -> String {
    "skip".into()
}
fn latest() -> String {
    "latest".into()
}

impl Manifest {
    /// Reads and checks a manifest file; relative sources start at its folder.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ManifestError::Unreadable { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// As [`Manifest::read`], with the text already at hand.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ManifestError> {
        let raw: RawManifest = toml::from_str(text)
            .map_err(|e| ManifestError::Syntax { path: path.into(), reason: e.to_string() })?;
        if raw.spin_manifest_version != 2 {
            return Err(ManifestError::Syntax {
                path: path.into(),
                reason: format!("spin_manifest_version is {}, not 2", raw.spin_manifest_version),
            });
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let components = raw
            .component
            .into_iter()
            .map(|(name, component)| component.resolve(&name, folder).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let routes = raw.trigger.http.into_iter().map(RawRoute::resolve);
        let routes = routes.collect::<Result<Vec<_>, _>>()?;
        for route in &routes {
            if !components.iter().any(|c| c.id == route.component) {
                return Err(ManifestError::UnknownComponent(route.component.to_string()));
            }
        }
        Ok(Self {
            application: raw.application.name,
            version: raw.application.version,
            variables: raw.variables,
            routes,
            components,
        })
    }
}

impl Fragment {
    /// Reads the fragment of the component `name` alone; `source` stands in for the path of its
    /// bytes, and `path` is for messages.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Syntax`], [`ManifestError::UnknownComponent`],
    /// [`ManifestError::Component`].
    pub fn parse(
        text: &str,
        name: &str,
        source: &Path,
        path: &Path,
    ) -> Result<Self, ManifestError> {
        let wrong = |reason: String| ManifestError::Syntax { path: path.into(), reason };
        let raw: RawFragment = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let mut described = raw.component.into_iter();
        let component = match (described.next(), described.next()) {
            (Some((id, component)), None) if id == name => component,
            (Some((id, _)), None) => return Err(wrong(format!("it describes {id}, not {name}"))),
            _ => return Err(wrong("it describes no component, or several".into())),
        };
        let mut component = component.resolve(name, Path::new(""))?;
        component.source = source.into();
        let routes = raw.trigger.http.into_iter().map(RawRoute::resolve);
        let routes = routes.collect::<Result<Vec<_>, _>>()?;
        if let Some(other) = routes.iter().find(|route| route.component != component.id) {
            return Err(ManifestError::UnknownComponent(other.component.to_string()));
        }
        Ok(Self { component: Arc::new(component), routes, variables: raw.variables })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFragment {
    #[serde(default)]
    variables: BTreeMap<String, VariableDeclaration>,
    #[serde(default)]
    trigger: RawTriggers,
    component: BTreeMap<String, RawComponent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    spin_manifest_version: u32,
    application: RawApplication,
    #[serde(default)]
    variables: BTreeMap<String, VariableDeclaration>,
    #[serde(default)]
    trigger: RawTriggers,
    #[serde(default)]
    component: BTreeMap<String, RawComponent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApplication {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(rename = "description", default)]
    _description: Option<String>,
    #[serde(rename = "authors", default)]
    _authors: Vec<String>,
    #[serde(rename = "targets", default)]
    _targets: Vec<toml::Value>,
    #[serde(rename = "trigger", default)]
    _trigger: toml::Table,
    #[serde(rename = "tool", default)]
    _tool: toml::Table,
}

/// Trigger types other than ours are left to the runtime that knows them.
#[derive(Default, Deserialize)]
struct RawTriggers {
    #[serde(default)]
    http: Vec<RawRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    route: RawPattern,
    component: String,
    #[serde(rename = "id", default)]
    _id: Option<String>,
    #[serde(rename = "executor", default)]
    _executor: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPattern {
    Public(String),
    Private {
        #[serde(rename = "private")]
        _private: bool,
    },
}

impl RawRoute {
    fn resolve(self) -> Result<HttpRoute, ManifestError> {
        let pattern = match self.route {
            RawPattern::Public(pattern) => Some(pattern),
            RawPattern::Private { .. } => None,
        };
        Ok(HttpRoute { pattern, component: ComponentId::new(&self.component)? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    source: toml::Value,
    #[serde(rename = "description", default)]
    _description: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(rename = "files", default)]
    files: Vec<toml::Value>,
    #[serde(rename = "exclude_files", default)]
    _exclude_files: Vec<String>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(rename = "build", default)]
    _build: toml::Table,
    #[serde(default)]
    tool: RawTool,
}

/// Other tools' tables are theirs; ours is read strictly.
#[derive(Default, Deserialize)]
struct RawTool {
    #[serde(default)]
    nexus: RawNexus,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawNexus {
    wall_ms: Option<u64>,
    cpu_ms: Option<u64>,
    first_byte_ms: Option<u64>,
    stream_idle_ms: Option<u64>,
    memory_mib: Option<u32>,
    body_in_bytes: Option<u64>,
    body_out_bytes: Option<u64>,
    inflight_max: Option<u32>,
    queue_max: Option<u32>,
    outbound_max: Option<u32>,
    reuse_max: Option<u32>,
    concurrency_max: Option<u32>,
    isolation: Isolation,
    rate: Option<String>,
    buckets: Vec<String>,
    subscribe: Vec<Subscription>,
    cron: Vec<Cron>,
}

impl RawNexus {
    fn limits(&self) -> Result<Limits, String> {
        let mut limits = Limits::default();
        let d = |ms: u64| std::time::Duration::from_millis(ms);
        limits.wall = self.wall_ms.map_or(limits.wall, d);
        limits.cpu = self.cpu_ms.map_or(limits.cpu, d);
        limits.first_byte = self.first_byte_ms.map_or(limits.first_byte, d);
        limits.stream_idle = self.stream_idle_ms.map_or(limits.stream_idle, d);
        limits.memory_mib = self.memory_mib.unwrap_or(limits.memory_mib);
        limits.body_in_bytes = self.body_in_bytes.unwrap_or(limits.body_in_bytes);
        limits.body_out_bytes = self.body_out_bytes.unwrap_or(limits.body_out_bytes);
        limits.inflight_max = self.inflight_max.unwrap_or(limits.inflight_max);
        limits.queue_max = self.queue_max.unwrap_or(limits.queue_max);
        limits.outbound_max = self.outbound_max.unwrap_or(limits.outbound_max);
        limits.reuse_max = self.reuse_max.unwrap_or(limits.reuse_max);
        limits.concurrency_max = self.concurrency_max.unwrap_or(limits.concurrency_max);
        limits.checked()
    }
}

impl RawComponent {
    fn resolve(self, name: &str, folder: &Path) -> Result<ComponentManifest, ManifestError> {
        let fail = |reason: String| ManifestError::Component { component: name.into(), reason };
        let id = ComponentId::new(name)?;
        let toml::Value::String(source) = &self.source else {
            return Err(fail("source must be a path; fetch remote components first".into()));
        };
        if !self.files.is_empty() {
            return Err(fail("files are not mounted by this host; embed them or use blobs".into()));
        }
        let nexus = self.tool.nexus;
        Ok(ComponentManifest {
            id,
            source: folder.join(source),
            limits: nexus.limits().map_err(fail)?,
            variables: self.variables,
            environment: self.environment,
            allowed_outbound_hosts: self.allowed_outbound_hosts,
            key_value_stores: self.key_value_stores,
            buckets: nexus.buckets,
            isolation: nexus.isolation,
            rate: nexus.rate,
            subscribe: nexus.subscribe,
            cron: nexus.cron,
            configuration: 0,
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SubscriptionLine {
    Topic(String),
    Full(SubscriptionTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionTable {
    topic: String,
    #[serde(default)]
    from: Option<String>,
    max_concurrency: Option<u32>,
    batch: Option<u32>,
    wait_ms: Option<u64>,
    wall_ms: Option<u64>,
    attempts_max: Option<u32>,
    ordered_by: Option<String>,
}

impl From<SubscriptionLine> for Subscription {
    fn from(line: SubscriptionLine) -> Self {
        let table = match line {
            SubscriptionLine::Full(table) => table,
            SubscriptionLine::Topic(topic) => SubscriptionTable {
                topic,
                from: None,
                max_concurrency: None,
                batch: None,
                wait_ms: None,
                wall_ms: None,
                attempts_max: None,
                ordered_by: None,
            },
        };
        Self {
            topic: table.topic,
            from: table.from.unwrap_or_else(|| "now".into()),
            max_concurrency: table.max_concurrency,
            batch: table.batch,
            wait_ms: table.wait_ms,
            wall_ms: table.wall_ms,
            attempts_max: table.attempts_max,
            ordered_by: table.ordered_by,
        }
    }
}
