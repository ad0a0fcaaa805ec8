//! The configuration of a host: what is set, by whom, and what a component gets of it.

use crate::declared::Declared;
use crate::difference::{Difference, Side, compare};
use crate::keys::{Keyring, Place};
use crate::layers::Layers;
use crate::shown::Origin;
use crate::vault::Vault;
use crate::{ALL, Error, Sources};
use nexus_observability::masks;
use nexus_runtime::{ComponentManifest, Manifest, VariableDeclaration};
use nexus_storage::Database;
use nexus_storage::configuration::{Author, ChangeRow, Configurations, Kept, Setting};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Makes a new revision of what a component runs, with another configuration.
#[async_trait::async_trait]
pub trait Revise: Send + Sync + 'static {
    /// Returns once it is decided that the revision will be served. Fails with words for an
    /// operator.
    async fn revise(
        &self,
        component: &str,
        configuration: u64,
        by: &str,
        reason: &str,
    ) -> Result<Revised, String>;
}

/// A revision with another configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised {
    pub revision: u32,
    /// What brings it to its callers, as operators know it; None when it has them already.
    pub rollout: Option<String>,
}

/// What a configuration is made of.
pub struct Parts {
    /// None: nothing can be set.
    pub database: Option<Database>,
    /// None: nothing can be kept secret.
    pub keys: Option<Keyring>,
    pub sources: Sources,
    /// The environment's variables of the application, by lower-case name.
    pub environment: HashMap<String, String>,
}

/// Who orders something, and why.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub by: &'a str,
    pub reason: &'a str,
}

impl<'a> From<Order<'a>> for Author<'a> {
    fn from(order: Order<'a>) -> Self {
        Self { by: order.by, reason: order.reason }
    }
}

/// A configuration that was put in force for one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub component: String,
    pub configuration: u64,
    pub revised: Revised,
}

/// The configuration of a host. Cheap to clone.
#[derive(Clone)]
pub struct Configuration(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Option<Configurations>,
    keys: Option<Keyring>,
    pub(crate) sources: Sources,
    pub(crate) vault: Option<Vault>,
    pub(crate) environment: HashMap<String, String>,
    declared: RwLock<Declared>,
    pub(crate) layers: RwLock<Arc<Layers>>,
    pub(crate) revise: OnceLock<Arc<dyn Revise>>,
}

impl Configuration {
    /// Asks nothing yet: see [`Configuration::look`].
    ///
    /// # Errors
    ///
    /// [`Error::Source`] when Vault's authorities cannot be read.
    pub fn new(parts: Parts) -> Result<Self, Error> {
        let vault = parts.sources.vault.clone().map(Vault::new).transpose()?;
        Ok(Self(Arc::new(Inner {
            store: parts.database.map(Configurations::new),
            keys: parts.keys,
            sources: parts.sources,
            vault,
            environment: parts.environment,
            declared: RwLock::default(),
            layers: RwLock::default(),
            revise: OnceLock::new(),
        })))
    }

    /// Knows the components of a manifest and their variables.
    pub fn declare_all(&self, manifest: &Manifest) {
        for component in &manifest.components {
            self.declare(component, &manifest.variables);
        }
    }

    /// Knows a component that came later, or changed.
    pub fn declare(
        &self,
        component: &ComponentManifest,
        variables: &BTreeMap<String, VariableDeclaration>,
    ) {
        let mut declared = self.0.declared.write().unwrap_or_else(PoisonError::into_inner);
        declared.add(component, variables);
    }

    /// Revisions are made by `revise` from now on. The first call counts.
    pub fn revised_by(&self, revise: Arc<dyn Revise>) {
        self.0.revise.get_or_init(|| revise);
    }

    pub(crate) fn declared(&self) -> RwLockReadGuard<'_, Declared> {
        self.0.declared.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn layers(&self) -> Arc<Layers> {
        self.0.layers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn store(&self) -> Result<&Configurations, Error> {
        self.0.store.as_ref().ok_or_else(|| Error::Source {
            place: "the database".into(),
            reason: "this host has none, so nothing can be set".into(),
        })
    }

    pub(crate) fn keys(&self) -> Result<&Keyring, Error> {
        self.0.keys.as_ref().ok_or(Error::NoKey)
    }

    /// What a component's variables are at a number, of those that the environment does not set:
    /// what is read outside before what was set. At 0 nothing was set.
    ///
    /// # Errors
    ///
    /// [`Error::OtherKey`], [`Error::Forged`], [`Error::NoKey`] for a secret that cannot be opened.
    pub async fn values(
        &self,
        component: &str,
        configuration: u64,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut values = BTreeMap::new();
        if configuration > 0 {
            let store = self.store()?;
            for setting in store.at(component, configuration).await? {
                if let Some((secret, value)) = self.opened(&setting)? {
                    if secret {
                        masks::add([(&*setting.name, &*value)]);
                    }
                    values.insert(setting.name, value);
                }
            }
        }
        values.extend(self.layers().of(component));
        self.mask(&values);
        Ok(values)
    }

    /// A value that is read outside, as it was at the last look.
    pub fn at_hand(&self, component: &str, name: &str) -> Option<String> {
        self.layers().get(component, name).map(|(value, _)| value.to_owned())
    }

    /// Whether it is a secret, and what it says; None when it is unset.
    fn opened(&self, setting: &Setting) -> Result<Option<(bool, String)>, Error> {
        let place = Place { scope: &setting.scope, name: &setting.name, version: setting.version };
        Ok(match &setting.kept {
            Kept::Unset => None,
            Kept::Value(value) => Some((false, value.clone())),
            Kept::Secret(sealed) => {
                Some((true, self.keys()?.open(place, sealed)?.as_str().to_owned()))
            }
        })
    }

    /// Sets a name of a component, or of all; returns the change's number. It takes effect when it
    /// is applied.
    ///
    /// # Errors
    ///
    /// [`Error::Undeclared`], [`Error::Secret`], [`Error::TooLong`], [`Error::NoKey`].
    pub async fn set(
        &self,
        scope: &str,
        name: &str,
        value: &str,
        secret: bool,
        order: Order<'_>,
    ) -> Result<u64, Error> {
        if self.declared().of(scope, name)?.secret && !secret {
            return Err(Error::Secret(name.to_owned()));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::TooLong { bytes_max: VALUE_BYTES_MAX });
        }
        let keys = secret.then(|| self.keys()).transpose()?;
        let kept = |version| {
            Ok::<_, Error>(match keys {
                Some(keys) => Kept::Secret(keys.seal(Place { scope, name, version }, value)),
                None => Kept::Value(value.to_owned()),
            })
        };
        Ok(self.store()?.write(scope, name, order.into(), kept).await?)
    }

    /// Takes the value of a name away from a component, or from all; returns the change's number.
    ///
    /// # Errors
    ///
    /// [`Error::Undeclared`], unless it once was set, so that leftovers can be removed.
    pub async fn unset(&self, scope: &str, name: &str, order: Order<'_>) -> Result<u64, Error> {
        let store = self.store()?;
        let kept = store.at(scope, u64::MAX).await?;
        if !kept.iter().any(|setting| setting.name == name && setting.scope == scope) {
            self.declared().of(scope, name)?;
        }
        Ok(store.write(scope, name, order.into(), |_| Ok::<_, Error>(Kept::Unset)).await?)
    }

    /// The history of what concerns a component, the newest first.
    ///
    /// # Errors
    ///
    /// [`Error::NoComponent`], or of the database.
    pub async fn versions(
        &self,
        component: &str,
        before: Option<u64>,
        rows_max: u32,
    ) -> Result<Vec<ChangeRow>, Error> {
        self.declared().names(component)?;
        Ok(self.store()?.changes(component, before, rows_max).await?)
    }

    /// The number of the last change that concerns a component.
    ///
    /// # Errors
    ///
    /// Of the database.
    pub async fn newest(&self, component: &str) -> Result<u64, Error> {
        Ok(self.store()?.newest(component).await?)
    }

    /// What is different between two numbers of a component's configuration.
    ///
    /// # Errors
    ///
    /// [`Error::NoComponent`]; a secret that cannot be opened.
    pub async fn diff(
        &self,
        component: &str,
        from: u64,
        to: u64,
    ) -> Result<Vec<Difference>, Error> {
        self.declared().names(component)?;
        let (before, after) = (self.at(component, from).await?, self.at(component, to).await?);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let touched = names.into_iter().filter_map(|name| {
            let (one, other) = (before.get(name), after.get(name));
            // What was not set again is no difference.
            if one.map(|(version, _)| version) == other.map(|(version, _)| version) {
                return None;
            }
            let one: Side<'_> = one.map(|(_, (secret, value))| (*secret, &**value));
            let other: Side<'_> = other.map(|(_, (secret, value))| (*secret, &**value));
            compare(name, one, other)
        });
        Ok(touched.collect())
    }

    async fn at(
        &self,
        component: &str,
        version: u64,
    ) -> Result<BTreeMap<String, (u64, (bool, String))>, Error> {
        let mut found = BTreeMap::new();
        for setting in self.store()?.at(component, version).await? {
            if let Some(said) = self.opened(&setting)? {
                found.insert(setting.name, (setting.version, said));
            }
        }
        Ok(found)
    }

    /// Puts what is set now in force for a component, or for every one that has a name of `_`: each
    /// gets a new revision of what it runs.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] before anything is changed; [`Error::Revision`], [`Error::NoRevisions`].
    pub async fn apply(&self, scope: &str, order: Order<'_>) -> Result<Vec<Applied>, Error> {
        let components: Vec<String> = match scope {
            ALL => self.declared().components().map(str::to_owned).collect(),
            one => {
                self.declared().names(one)?;
                vec![one.to_owned()]
            }
        };
        for component in &components {
            self.check(component).await?;
        }
        let mut applied = Vec::with_capacity(components.len());
        for component in components {
            applied.push(self.revise(&component, order).await?);
        }
        Ok(applied)
    }

    /// A new revision of one component with its newest configuration.
    pub(crate) async fn revise(&self, component: &str, order: Order<'_>) -> Result<Applied, Error> {
        let revise = self.0.revise.get().ok_or(Error::NoRevisions)?;
        let configuration = self.store()?.newest(component).await?;
        let made = revise.revise(component, configuration, order.by, order.reason).await;
        let component = component.to_owned();
        match made {
            Ok(revised) => Ok(Applied { component, configuration, revised }),
            Err(reason) => Err(Error::Revision { component, reason }),
        }
    }

    /// Refuses a configuration in which a name that a component reads has no value.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] with all such names.
    pub async fn check(&self, component: &str) -> Result<(), Error> {
        let shown = self.show(component).await?;
        let missing = shown.iter().filter(|name| name.origin == Origin::Missing);
        let names: Vec<&str> = missing.map(|name| &*name.name).collect();
        match names.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::Missing { component: component.to_owned(), names: names.join(", ") })
            }
        }
    }

    /// As the database may keep it: nobody there can find out a short secret by trying.
    pub(crate) fn sealed_fingerprint(&self, hash: [u8; 32]) -> [u8; 32] {
        match &self.0.keys {
            Some(keys) => keys.fingerprint(&hash),
            None => hash,
        }
    }

    /// The secrets among these, and of the environment, never appear in a log line from now on.
    fn mask(&self, values: &BTreeMap<String, String>) {
        let declared = self.declared();
        let is_secret = |name: &str| declared.variables.get(name).is_some_and(|said| said.secret);
        let all = self.0.environment.iter().chain(values).filter(|(name, _)| is_secret(name));
        masks::add(all.map(|(name, value)| (&**name, &**value)));
    }
}
