//! Which variables there are, and which of them a component reads: the manifest's words, and those
//! of components that came later. Refuses to know values.

use crate::{ALL, Error};
use nexus_runtime::{ComponentManifest, VariableDeclaration};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that may be configured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    pub(crate) variables: BTreeMap<String, VariableDeclaration>,
    /// By component, the names that its manifest's templates name.
    components: BTreeMap<String, BTreeSet<String>>,
}

impl Declared {
    pub(crate) fn add(
        &mut self,
        component: &ComponentManifest,
        variables: &BTreeMap<String, VariableDeclaration>,
    ) {
        self.variables.extend(variables.iter().map(|(name, said)| (name.clone(), said.clone())));
        let templates = component.variables.values().chain(&component.allowed_outbound_hosts);
        let names = templates.flat_map(|template| names_in(template)).map(str::to_owned);
        self.components.insert(component.id.to_string(), names.collect());
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }

    /// The names that a scope has: of a component those that it reads, of all every one.
    ///
    /// # Errors
    ///
    /// [`Error::NoComponent`].
    pub(crate) fn names(&self, scope: &str) -> Result<BTreeSet<&str>, Error> {
        if scope == ALL {
            return Ok(self.variables.keys().map(String::as_str).collect());
        }
        let read =
            self.components.get(scope).ok_or_else(|| Error::NoComponent(scope.to_owned()))?;
        let declared = read.iter().filter(|name| self.variables.contains_key(*name));
        Ok(declared.map(String::as_str).collect())
    }

    /// What is said of a name that a scope has.
    ///
    /// # Errors
    ///
    /// [`Error::NoComponent`]; [`Error::Undeclared`], which lists what there is.
    pub(crate) fn of(&self, scope: &str, name: &str) -> Result<&VariableDeclaration, Error> {
        let names = self.names(scope)?;
        let found = self.variables.get(name).filter(|_| names.contains(name));
        found.ok_or_else(|| {
            let listed: Vec<&str> = names.into_iter().collect();
            let known = match listed.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has {}", listed.join(", ")),
            };
            Error::Undeclared { scope: scope.to_owned(), name: name.to_owned(), known }
        })
    }
}

/// The names between `{{` and `}}`; what is no template has none.
fn names_in(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once("{{")?;
        let (name, left) = after.split_once("}}")?;
        rest = left;
        Some(name.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_between_braces() {
        let names = |text| names_in(text).collect::<Vec<_>>();
        assert_eq!(names("redis://{{ host }}:{{port}}/{{"), ["host", "port"]);
        assert_eq!(names("plain }} text"), [""; 0]);
    }
}
