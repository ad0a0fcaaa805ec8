//! What a component gets for a name, and what an operator is told when it gets nothing.

use super::*;
use nexus_runtime::Manifest;
use std::path::Path;
use std::sync::Mutex;

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "suite"
[variables]
greeting = { default = "hello" }
api_key = { required = true, secret = true }
redis_host = { default = "cache.example" }
[component.catalog]
source = "catalog.wasm"
[component.catalog.variables]
title = "{{greeting}}, {{  greeting }}!"
key = "{{ api_key }}"
plain = "a }} b"
"#;

fn suite(environment: &[(&str, &str)]) -> (Variables, Arc<ComponentManifest>) {
    let manifest = Manifest::parse(MANIFEST, Path::new("spin.toml")).unwrap();
    let pairs = environment.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    let variables = Variables::new(manifest.variables.clone(), pairs).unwrap();
    (variables, manifest.components[0].clone())
}

#[test]
fn a_template_takes_whitespace_and_repeats_around_its_names() {
    let (variables, catalog) = suite(&[]);
    assert_eq!(variables.get(&catalog, "title").unwrap(), "hello, hello!");
    assert_eq!(variables.get(&catalog, "plain").unwrap(), "a }} b");
}

#[test]
fn what_the_operator_sets_wins_over_the_default_and_ours_over_spins() {
    let (variables, catalog) = suite(&[("SPIN_VARIABLE_GREETING", "servus")]);
    assert_eq!(variables.get(&catalog, "title").unwrap(), "servus, servus!");
    let both = [("NEXUS_VARIABLE_GREETING", "moin"), ("SPIN_VARIABLE_GREETING", "servus")];
    let (variables, catalog) = suite(&both);
    assert_eq!(variables.get(&catalog, "title").unwrap(), "moin, moin!");
}

#[test]
fn a_value_with_braces_is_not_expanded_again() {
    let (variables, catalog) = suite(&[("NEXUS_VARIABLE_GREETING", "{{ api_key }}")]);
    assert_eq!(variables.get(&catalog, "title").unwrap(), "{{ api_key }}, {{ api_key }}!");
}

#[test]
fn every_component_has_the_address_of_its_own_schema() {
    let (variables, catalog) = suite(&[]);
    let own = "postgres://nexus.internal/catalog";
    assert_eq!(variables.get(&catalog, "pg_url").unwrap(), own);
    let text = variables.resolve(&catalog.id, "{{ pg_url }}").unwrap();
    assert_eq!(text, own);
    let (variables, catalog) = suite(&[("SPIN_VARIABLE_PG_URL", "postgres://elsewhere/x")]);
    assert_eq!(variables.get(&catalog, "pg_url").unwrap(), "postgres://elsewhere/x");
}

#[test]
fn names_outside_lower_snake_are_refused() {
    let (variables, catalog) = suite(&[]);
    for name in ["", "Title", "1x", "_x", "x_", "a__b", "a-b", "a.b", "ä"] {
        let error = variables.get(&catalog, name).unwrap_err();
        assert!(matches!(error, VariablesError::Name { .. }), "{name:?}: {error}");
    }
    let long = variables.get(&catalog, &"x".repeat(1 << 20)).unwrap_err();
    assert!(long.to_string().len() < 300, "{long}");
    for name in ["a", "a1", "a_1_b"] {
        assert_eq!(name_fault(name), None, "{name}");
    }
}

#[test]
fn a_name_the_manifest_does_not_list_is_undefined_and_the_listed_ones_are_named() {
    let (variables, catalog) = suite(&[]);
    let error = variables.get(&catalog, "greeting").unwrap_err();
    assert_eq!(
        error.to_string(),
        "catalog has no variable \"greeting\": its manifest lists key, plain, title"
    );
}

#[test]
fn a_missing_required_variable_stops_activation_and_says_how_to_set_it() {
    let (variables, catalog) = suite(&[]);
    let error = variables.check(&catalog).unwrap_err().to_string();
    assert!(error.contains("\"api_key\" has no value: set NEXUS_VARIABLE_API_KEY"), "{error}");
    let denied = variables.admit(&catalog).unwrap_err();
    assert!(denied.line.contains("NEXUS_VARIABLE_API_KEY"), "{denied}");
    let (variables, catalog) = suite(&[("NEXUS_VARIABLE_API_KEY", "s3cret")]);
    assert_eq!(variables.admit(&catalog), Ok(()));
}

#[test]
fn a_template_that_names_nothing_declared_stops_activation() {
    let text = MANIFEST.replace("{{ api_key }}", "{{ typo }}");
    let manifest = Manifest::parse(&text, Path::new("spin.toml")).unwrap();
    let variables = Variables::new(manifest.variables, []).unwrap();
    let error = variables.check(&manifest.components[0]).unwrap_err();
    assert_eq!(error, VariablesError::Undeclared { name: "typo".into() });
    let open = variables.resolve(&manifest.components[0].id, "a {{ greeting").unwrap_err();
    assert_eq!(open, VariablesError::Template);
}

#[test]
fn no_value_shows_in_debug_output_or_in_an_error() {
    let (variables, catalog) = suite(&[("NEXUS_VARIABLE_API_KEY", "s3cret")]);
    assert_eq!(variables.get(&catalog, "key").unwrap(), "s3cret");
    let shown = format!("{variables:?} {:?}", variables.get(&catalog, "nope"));
    assert!(shown.contains("api_key"), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains("hello"), "{shown}");
}

#[test]
fn a_declared_name_that_is_no_name_is_refused_at_once() {
    let declared = BTreeMap::from([("API".to_string(), VariableDeclaration::default())]);
    assert!(matches!(Variables::new(declared, []), Err(VariablesError::Name { .. })));
}

/// What operators have set, by number; how often it was asked.
struct History(Mutex<Vec<Values>>, Mutex<u32>);

impl Provider for History {
    fn values(&self, _component: &ComponentId, configuration: u64) -> Result<Values, String> {
        *self.1.lock().unwrap() += 1;
        let history = self.0.lock().unwrap();
        let known = history.get(usize::try_from(configuration).unwrap());
        known.cloned().ok_or_else(|| "the store is away".into())
    }

    fn at_hand(&self, _component: &ComponentId, name: &str) -> Option<String> {
        self.0.lock().unwrap().last()?.get(name).cloned()
    }
}

fn numbered(catalog: &ComponentManifest, configuration: u64) -> ComponentManifest {
    ComponentManifest { configuration, ..catalog.clone() }
}

#[test]
fn every_revision_keeps_the_values_of_its_number() {
    let values = |key: &str| Values::from([("api_key".to_owned(), key.to_owned())]);
    let history = vec![Values::new(), values("first"), values("second")];
    let history = Arc::new(History(Mutex::new(history), Mutex::default()));
    let (variables, catalog) = suite(&[]);
    variables.provided_by(history.clone());
    let denied = variables.admit(&catalog).unwrap_err();
    assert!(denied.line.contains("nexus config set catalog api_key"), "{denied}");
    let (one, two) = (numbered(&catalog, 1), numbered(&catalog, 2));
    assert_eq!((variables.admit(&one), variables.admit(&two)), (Ok(()), Ok(())));
    assert_eq!(variables.get(&one, "key").unwrap(), "first");
    assert_eq!(variables.get(&two, "key").unwrap(), "second");
    // Grants have no number: they follow the revision that was prepared last.
    assert_eq!(variables.resolve(&catalog.id, "{{ api_key }}").unwrap(), "second");
    // Once said, it stays, also for a revision that comes back.
    history.0.lock().unwrap()[1] = values("forged");
    assert_eq!(variables.admit(&one), Ok(()));
    assert_eq!(variables.get(&one, "key").unwrap(), "first");
    assert_eq!(*history.1.lock().unwrap(), 3);
}

#[test]
fn the_environment_wins_over_the_provider_and_the_provider_over_the_default() {
    let said =
        Values::from([("greeting", "grüezi"), ("api_key", "x")].map(|(n, v)| (n.into(), v.into())));
    let history = Arc::new(History(Mutex::new(vec![said]), Mutex::default()));
    let (variables, catalog) = suite(&[]);
    assert_eq!(variables.get(&catalog, "title").unwrap(), "hello, hello!");
    variables.provided_by(history.clone());
    assert_eq!(variables.resolve(&catalog.id, "{{ greeting }}").unwrap(), "grüezi");
    assert_eq!(variables.admit(&catalog), Ok(()));
    assert_eq!(variables.get(&catalog, "title").unwrap(), "grüezi, grüezi!");
    let (variables, catalog) = suite(&[("NEXUS_VARIABLE_GREETING", "moin")]);
    variables.provided_by(history);
    assert_eq!(variables.admit(&catalog), Ok(()));
    assert_eq!(variables.get(&catalog, "title").unwrap(), "moin, moin!");
}

#[test]
fn what_cannot_be_read_keeps_a_component_out_and_is_asked_again() {
    let history = Arc::new(History(Mutex::default(), Mutex::default()));
    let (variables, catalog) = suite(&[]);
    variables.provided_by(history.clone());
    let denied = variables.admit(&catalog).unwrap_err();
    assert!(denied.line.contains("configuration 0 of catalog cannot be read"), "{denied}");
    history.0.lock().unwrap().push(Values::from([("api_key".into(), "x".into())]));
    assert_eq!(variables.admit(&catalog), Ok(()));
}

#[test]
fn a_component_that_comes_later_brings_its_declarations() {
    let (variables, catalog) = suite(&[("NEXUS_VARIABLE_COLOUR", "red")]);
    let template = "{{ colour }}";
    assert!(variables.resolve(&catalog.id, template).is_err());
    let declared = BTreeMap::from([("colour".to_owned(), VariableDeclaration::default())]);
    variables.declare(&declared).unwrap();
    assert_eq!(variables.resolve(&catalog.id, template).unwrap(), "red");
    let wrong = BTreeMap::from([("Colour".to_owned(), VariableDeclaration::default())]);
    assert!(variables.declare(&wrong).is_err());
}
