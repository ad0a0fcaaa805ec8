//! `spin:variables`: configuration and secrets by name, resolved the way Spin resolves them.
//!
//! A value comes from the first of: `NEXUS_VARIABLE_<NAME>`, `SPIN_VARIABLE_<NAME>`, the host's
//! [`Provider`] (files, Vault, what operators have set), the default in the manifest's
//! `[variables]`. What the provider says is asked once per component and number of its
//! configuration: a revision keeps its values, and an instance those it was opened with. Knows
//! names and where values come from; refuses to show a value in any message, log line or `Debug`
//! output.

mod host;
mod template;

use host::spin::variables::variables;
use nexus_runtime::{
    Capability, ComponentId, ComponentManifest, Denied, Has, Instance, Opening, VariableDeclaration,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use template::Part;
use wasmtime::component::Linker;

pub use template::name_fault;

/// The variable every component has, whatever its manifest says: where its own schema is.
pub const DATABASE: &str = "pg_url";

const INTERFACE: &str = "spin:variables/variables";

/// Ours first: an operator who sets both means this host by the more specific one.
const PREFIXES: [&str; 2] = ["NEXUS_VARIABLE_", "SPIN_VARIABLE_"];

/// Why a variable has no value. No variant carries a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariablesError {
    #[error("{name:?} is not a variable name: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("{component} has no variable {name:?}: its manifest lists {listed}")]
    Unlisted { component: ComponentId, name: String, listed: String },
    #[error(
        "variable {name:?} is not declared: add `{name} = {{ required = true }}` to [variables]"
    )]
    Undeclared { name: String },
    #[error(
        "variable {name:?} has no value: set NEXUS_VARIABLE_{upper} in the host's environment, \
         set it with `nexus config set` or `nexus secret set`, or give it a default in [variables]",
        upper = name.to_uppercase()
    )]
    Missing { name: String },
    #[error("a template has a `{{{{` without `}}}}`")]
    Template,
    #[error("configuration {configuration} of {component} cannot be read: {reason}")]
    Unread { component: ComponentId, configuration: u64, reason: String },
}

/// What stands between the environment and the defaults: where else the values of a host come from.
pub trait Provider: Send + Sync + 'static {
    /// The values of a component's configuration at a number (`ComponentManifest::configuration`),
    /// by variable name. May block: it is asked where components are prepared, never where they
    /// run.
    ///
    /// Fails with words that name what could not be read, and no value.
    fn values(&self, component: &ComponentId, configuration: u64) -> Result<Values, String>;

    /// A value as it is at this moment, from memory alone, for what has no number: templates in the
    /// grants of a component that is not prepared yet.
    fn at_hand(&self, component: &ComponentId, name: &str) -> Option<String>;
}

/// Values by variable name.
pub type Values = BTreeMap<String, String>;

/// The capability: every declared variable with what the operator set.
#[derive(Clone)]
pub struct Variables(Arc<Known>);

struct Known {
    declared: RwLock<BTreeMap<String, VariableDeclaration>>,
    /// What the operator set in the environment, by variable name.
    set: HashMap<String, String>,
    provider: OnceLock<Arc<dyn Provider>>,
    /// What the provider has said, by component and number. Few strings each, and a host lives
    /// through few numbers of a component.
    frozen: RwLock<HashMap<(ComponentId, u64), Arc<Values>>>,
    /// Those of each component's revision that was prepared last.
    latest: RwLock<HashMap<ComponentId, Arc<Values>>>,
}

/// The variables of one instance: as they were when it was opened.
pub struct Opened {
    variables: Variables,
    values: Option<Arc<Values>>,
}

impl Opened {
    /// As [`Variables::get`].
    ///
    /// # Errors
    ///
    /// Any [`VariablesError`]; the text is fit for the guest.
    pub fn get(&self, component: &ComponentManifest, name: &str) -> Result<String, VariablesError> {
        self.variables.get_of(component, name, self.values.as_deref())
    }
}

/// Names only: one `{:?}` in a log line must not leak every secret of the suite.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.declared().keys()).finish()
    }
}

impl Variables {
    /// Takes the manifest's `[variables]` and the process's environment (`std::env::vars_os`,
    /// say; entries that are not UTF-8 are the caller's to drop). The environment is read once:
    /// a value does not change under a running component.
    ///
    /// # Errors
    ///
    /// [`VariablesError::Name`] when a declared name is not lower_snake.
    pub fn new(
        declared: BTreeMap<String, VariableDeclaration>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, VariablesError> {
        for name in declared.keys() {
            checked(name)?;
        }
        let mut set = HashMap::new();
        let mut spin = HashMap::new();
        for (key, value) in environment {
            if let Some(name) = key.strip_prefix(PREFIXES[0]) {
                set.insert(name.to_ascii_lowercase(), value);
            } else if let Some(name) = key.strip_prefix(PREFIXES[1]) {
                spin.insert(name.to_ascii_lowercase(), value);
            }
        }
        for (name, value) in spin {
            set.entry(name).or_insert(value);
        }
        Ok(Self(Arc::new(Known {
            declared: RwLock::new(declared),
            set,
            provider: OnceLock::new(),
            frozen: RwLock::default(),
            latest: RwLock::default(),
        })))
    }

    /// Asks `provider` besides the environment from now on. The first call counts.
    pub fn provided_by(&self, provider: Arc<dyn Provider>) {
        self.0.provider.get_or_init(|| provider);
    }

    /// Knows these variables, too: those of a component that came after the manifest. A later
    /// declaration replaces one of the same name.
    ///
    /// # Errors
    ///
    /// [`VariablesError::Name`] when a declared name is not lower_snake; then none is known.
    pub fn declare(
        &self,
        variables: &BTreeMap<String, VariableDeclaration>,
    ) -> Result<(), VariablesError> {
        variables.keys().try_for_each(|name| checked(name))?;
        let mut declared = write(&self.0.declared);
        declared.extend(variables.iter().map(|(name, said)| (name.clone(), said.clone())));
        Ok(())
    }

    fn declared(&self) -> RwLockReadGuard<'_, BTreeMap<String, VariableDeclaration>> {
        read(&self.0.declared)
    }

    /// What the provider says to a component's number, from now on for good. May block.
    fn freeze(&self, component: &ComponentManifest) -> Result<Option<Arc<Values>>, VariablesError> {
        let Some(provider) = self.0.provider.get() else { return Ok(None) };
        let values = match self.frozen(component) {
            Some(values) => values,
            None => {
                let said = provider.values(&component.id, component.configuration);
                let fresh = said.map_err(|reason| VariablesError::Unread {
                    component: component.id.clone(),
                    configuration: component.configuration,
                    reason,
                })?;
                let key = (component.id.clone(), component.configuration);
                write(&self.0.frozen).entry(key).or_insert(Arc::new(fresh)).clone()
            }
        };
        write(&self.0.latest).insert(component.id.clone(), values.clone());
        Ok(Some(values))
    }

    fn frozen(&self, component: &ComponentManifest) -> Option<Arc<Values>> {
        self.0.provider.get()?;
        let key = (component.id.clone(), component.configuration);
        read(&self.0.frozen).get(&key).cloned()
    }

    /// The value of a component's variable `name`, as `spin:variables` answers it.
    ///
    /// # Errors
    ///
    /// Any [`VariablesError`]; the text is fit for the guest.
    pub fn get(&self, component: &ComponentManifest, name: &str) -> Result<String, VariablesError> {
        self.get_of(component, name, self.frozen(component).as_deref())
    }

    fn get_of(
        &self,
        component: &ComponentManifest,
        name: &str,
        values: Option<&Values>,
    ) -> Result<String, VariablesError> {
        checked(name)?;
        match component.variables.get(name) {
            Some(template) => self.fill(&component.id, template, values),
            None if name == DATABASE => self.value(&component.id, DATABASE, values),
            None => {
                let listed: Vec<_> = component.variables.keys().map(String::as_str).collect();
                let listed = if listed.is_empty() { "none".to_string() } else { listed.join(", ") };
                let component = component.id.clone();
                Err(VariablesError::Unlisted { component, name: name.into(), listed })
            }
        }
    }

    /// Fills in a template such as `redis://{{ redis_host }}:6379` on behalf of a component. For
    /// the other parts of the host: `allowed_outbound_hosts` may hold templates too.
    ///
    /// # Errors
    ///
    /// As [`Variables::get`], except [`VariablesError::Unlisted`].
    pub fn resolve(
        &self,
        component: &ComponentId,
        template: &str,
    ) -> Result<String, VariablesError> {
        let latest = read(&self.0.latest).get(component).cloned();
        self.fill(component, template, latest.as_deref())
    }

    fn fill(
        &self,
        component: &ComponentId,
        template: &str,
        values: Option<&Values>,
    ) -> Result<String, VariablesError> {
        let mut out = String::with_capacity(template.len());
        for part in template::parts(template)? {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Variable(name) => out.push_str(&self.value(component, name, values)?),
            }
        }
        Ok(out)
    }

    fn value(
        &self,
        component: &ComponentId,
        name: &str,
        values: Option<&Values>,
    ) -> Result<String, VariablesError> {
        checked(name)?;
        let declared = self.declared();
        let declared = declared.get(name);
        if declared.is_none() && name != DATABASE {
            return Err(VariablesError::Undeclared { name: name.into() });
        }
        if let Some(value) = self.0.set.get(name) {
            return Ok(value.clone());
        }
        let provided = match values {
            Some(values) => values.get(name).cloned(),
            None => self.0.provider.get().and_then(|provider| provider.at_hand(component, name)),
        };
        if let Some(value) = provided {
            return Ok(value);
        }
        match declared.and_then(|d| d.default.clone()) {
            Some(default) => Ok(default),
            None if name == DATABASE => Ok(format!("postgres://nexus.internal/{component}")),
            None => Err(VariablesError::Missing { name: name.into() }),
        }
    }

    /// The first thing wrong with what a component's manifest says about variables.
    ///
    /// # Errors
    ///
    /// Any [`VariablesError`] but [`VariablesError::Unlisted`].
    pub fn check(&self, component: &ComponentManifest) -> Result<(), VariablesError> {
        self.check_of(component, self.frozen(component).as_deref())
    }

    fn check_of(
        &self,
        component: &ComponentManifest,
        values: Option<&Values>,
    ) -> Result<(), VariablesError> {
        component.variables.iter().try_for_each(|(name, template)| {
            checked(name)?;
            self.fill(&component.id, template, values).map(drop)
        })
    }
}

/// Nothing that could panic is done under these locks.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn checked(name: &str) -> Result<(), VariablesError> {
    match name_fault(name) {
        None => Ok(()),
        Some(reason) => {
            let name = name.chars().take(template::NAME_BYTES_MAX).collect();
            Err(VariablesError::Name { name, reason })
        }
    }
}

impl Capability for Variables {
    const NAME: &'static str = "variables";
    const INTERFACES: &'static [&'static str] = &["spin:variables/"];
    type State = Opened;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        variables::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        let values = self.freeze(component).map_err(|error| denied(component, &error))?;
        let checked = self.check_of(component, values.as_deref());
        checked.map_err(|error| denied(component, &error))
    }

    fn open(&self, opening: &Opening<'_>) -> Self::State {
        Opened { variables: self.clone(), values: self.frozen(opening.component) }
    }
}

/// What the operator has to write, and where: a line of the manifest or of the environment.
fn denied(component: &ComponentManifest, error: &VariablesError) -> Denied {
    tracing::error!(component = %component.id, %error, "variables cannot be resolved");
    let line = match error {
        VariablesError::Missing { name } => {
            format!(
                "{name} = \"…\" (or set NEXUS_VARIABLE_{}, or `nexus config set {} {name}`)",
                name.to_uppercase(),
                component.id
            )
        }
        other => format!("variables = {{ … }} that can be resolved ({other})"),
    };
    Denied { component: component.id.to_string(), interface: INTERFACE, line }
}

#[cfg(test)]
mod tests;
