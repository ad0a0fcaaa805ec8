//! `spin:variables`: configuration and secrets by name, resolved the way Spin resolves them.
//!
//! A value comes from the first of: `NEXUS_VARIABLE_<NAME>`, `SPIN_VARIABLE_<NAME>`, the default
//! in the manifest's `[variables]`. Knows names and where values come from; refuses to show a
//! value in any message, log line or `Debug` output.

mod host;
mod template;

use host::spin::variables::variables;
use nexus_runtime::{
    Capability, ComponentId, ComponentManifest, Denied, Has, Instance, Opening, VariableDeclaration,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
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
         or give it a default in [variables]",
        upper = name.to_uppercase()
    )]
    Missing { name: String },
    #[error("a template has a `{{{{` without `}}}}`")]
    Template,
}

/// The capability: every declared variable with what the operator set.
#[derive(Clone)]
pub struct Variables(Arc<Known>);

struct Known {
    declared: BTreeMap<String, VariableDeclaration>,
    /// What the operator set, by variable name.
    set: HashMap<String, String>,
}

/// Names only: one `{:?}` in a log line must not leak every secret of the suite.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.declared.keys()).finish()
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
        Ok(Self(Arc::new(Known { declared, set })))
    }

    /// The value of a component's variable `name`, as `spin:variables` answers it.
    ///
    /// # Errors
    ///
    /// Any [`VariablesError`]; the text is fit for the guest.
    pub fn get(&self, component: &ComponentManifest, name: &str) -> Result<String, VariablesError> {
        checked(name)?;
        match component.variables.get(name) {
            Some(template) => self.resolve(&component.id, template),
            None if name == DATABASE => self.value(&component.id, DATABASE),
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
        let mut out = String::with_capacity(template.len());
        for part in template::parts(template)? {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Variable(name) => out.push_str(&self.value(component, name)?),
            }
        }
        Ok(out)
    }

    fn value(&self, component: &ComponentId, name: &str) -> Result<String, VariablesError> {
        checked(name)?;
        let declared = self.0.declared.get(name);
        if declared.is_none() && name != DATABASE {
            return Err(VariablesError::Undeclared { name: name.into() });
        }
        if let Some(value) = self.0.set.get(name) {
            return Ok(value.clone());
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
        component.variables.iter().try_for_each(|(name, template)| {
            checked(name)?;
            self.resolve(&component.id, template).map(drop)
        })
    }
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
    type State = Variables;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        variables::add_to_linker::<Instance, Has<Self>>(linker, Instance::view::<Self>)
    }

    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        self.check(component).map_err(|error| denied(component, &error))
    }

    fn open(&self, _opening: &Opening<'_>) -> Self::State {
        self.clone()
    }
}

/// What the operator has to write, and where: a line of the manifest or of the environment.
fn denied(component: &ComponentManifest, error: &VariablesError) -> Denied {
    tracing::error!(component = %component.id, %error, "variables cannot be resolved");
    let line = match error {
        VariablesError::Missing { name } => {
            format!("{name} = \"…\" (or set NEXUS_VARIABLE_{})", name.to_uppercase())
        }
        other => format!("variables = {{ … }} that can be resolved ({other})"),
    };
    Denied { component: component.id.to_string(), interface: INTERFACE, line }
}

#[cfg(test)]
mod tests;
