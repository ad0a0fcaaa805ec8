//! The registry over HTTP: services, modules, front ends and aliases. Facts, no state.

use crate::registry::{ALIASES, APPS, Alias, App, MODULES, Module, SERVICES, Service};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/services", get(list_services))
        .route("/services/{name}", get(show_service))
        .route("/modules", get(list_modules))
        .route("/modules/{name}", get(show_module))
        .route("/apps", get(list_apps))
        .route("/aliases", get(list_aliases))
}

#[derive(Serialize, JsonSchema)]
struct ServiceEntry {
    name: &'static str,
    domain: &'static str,
    duty: &'static str,
    /// Other names that stand for this service alone, as the founding documents spell them.
    aliases: Vec<&'static str>,
    /// Modules it is a part of.
    modules: Vec<&'static str>,
    health: String,
    api: String,
}

#[derive(Serialize, JsonSchema)]
struct ModuleEntry {
    name: &'static str,
    title: &'static str,
    services: Vec<&'static str>,
    health: String,
}

#[derive(Serialize, JsonSchema)]
struct AppEntry {
    name: &'static str,
    path: &'static str,
    health: String,
}

#[derive(Serialize, JsonSchema)]
struct AliasEntry {
    name: &'static str,
    spelled: &'static str,
    stands_for: Vec<&'static str>,
}

/// A whole list: the registry is small and changes with the release only.
#[derive(Serialize, JsonSchema)]
struct Listing<T> {
    items: Vec<T>,
}

impl From<&Service> for ServiceEntry {
    fn from(service: &Service) -> Self {
        let alone = |alias: &&Alias| alias.parts == [service.name];
        let within = |module: &&Module| module.parts.contains(&service.name);
        Self {
            name: service.name,
            domain: service.domain,
            duty: service.duty,
            aliases: ALIASES.iter().filter(alone).map(|alias| alias.spelled).collect(),
            modules: MODULES.iter().filter(within).map(|module| module.name).collect(),
            health: format!("/services/{}/health", service.name),
            api: format!("/api/{}/v1", service.name),
        }
    }
}

impl From<&Module> for ModuleEntry {
    fn from(module: &Module) -> Self {
        Self {
            name: module.name,
            title: module.title,
            services: module.parts.to_vec(),
            health: format!("/services/{}/health", module.name),
        }
    }
}

async fn list_services(_anyone: Public) -> Json<Listing<ServiceEntry>> {
    Json(Listing { items: SERVICES.iter().map(ServiceEntry::from).collect() })
}

async fn show_service(_anyone: Public, Path(name): Path<String>) -> Result<Json<ServiceEntry>> {
    let found = SERVICES.iter().find(|service| service.name == name);
    Ok(Json(found.ok_or(standard::NotFound)?.into()))
}

async fn list_modules(_anyone: Public) -> Json<Listing<ModuleEntry>> {
    Json(Listing { items: MODULES.iter().map(ModuleEntry::from).collect() })
}

async fn show_module(_anyone: Public, Path(name): Path<String>) -> Result<Json<ModuleEntry>> {
    let found = MODULES.iter().find(|module| module.name == name);
    Ok(Json(found.ok_or(standard::NotFound)?.into()))
}

async fn list_apps(_anyone: Public) -> Json<Listing<AppEntry>> {
    let entry = |app: &App| AppEntry {
        name: app.name,
        path: app.path,
        health: format!("/services/{}/health", app.name),
    };
    Json(Listing { items: APPS.iter().map(entry).collect() })
}

async fn list_aliases(_anyone: Public) -> Json<Listing<AliasEntry>> {
    let entry = |alias: &Alias| AliasEntry {
        name: alias.name,
        spelled: alias.spelled,
        stands_for: alias.parts.to_vec(),
    };
    Json(Listing { items: ALIASES.iter().map(entry).collect() })
}

/// What must run for `name` to be healthy: the parts of the alias, module, service or front end.
/// Any spelling is accepted: lower case, every run of other characters is one dash.
pub fn parts_of(name: &str) -> Option<Vec<&'static str>> {
    let name = normalised(name);
    if let Some(alias) = ALIASES.iter().find(|alias| alias.name == name) {
        return Some(alias.parts.to_vec());
    }
    if let Some(module) = MODULES.iter().find(|module| module.name == name) {
        return Some(module.parts.to_vec());
    }
    let services = SERVICES.iter().map(|service| service.name);
    let apps = APPS.iter().map(|app| app.name);
    services.chain(apps).find(|known| *known == name).map(|known| vec![known])
}

fn normalised(name: &str) -> String {
    let mut dashed = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => dashed.push(c),
            _ if dashed.ends_with('-') || dashed.is_empty() => {}
            _ => dashed.push('-'),
        }
    }
    dashed.truncate(dashed.trim_end_matches('-').len());
    dashed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_seventy_seven_services_and_sixteen_modules() {
        assert_eq!((SERVICES.len(), MODULES.len(), APPS.len()), (77, 16, 8));
    }

    #[test]
    fn every_part_of_an_alias_or_module_is_a_service_or_a_front_end() {
        let known = |part: &str| {
            SERVICES.iter().any(|s| s.name == part) || APPS.iter().any(|app| app.name == part)
        };
        let of_aliases = ALIASES.iter().flat_map(|alias| alias.parts);
        for part in of_aliases.chain(MODULES.iter().flat_map(|module| module.parts)) {
            assert!(known(part), "{part}");
        }
    }

    #[test]
    fn an_alias_is_stored_as_it_is_normalised() {
        for alias in ALIASES {
            assert_eq!(normalised(alias.spelled), alias.name);
        }
        assert!(ALIASES.is_sorted_by(|a, b| a.name < b.name), "sorted, each once");
    }

    #[test]
    fn any_spelling_of_a_name_finds_what_it_stands_for() {
        for (name, parts) in [
            ("Backend API", vec!["gateway"]),
            ("backend-api", vec!["gateway"]),
            ("PUABO BLAC", vec!["blac-loans", "blac-risk"]),
            ("puabo-nuki-product-catalog", vec!["nuki-catalog"]),
            ("  V-Screen  Hollywood ", vec!["v-screen-hollywood"]),
            ("core-os", vec!["core-os"]),
            ("nexus-stream", vec!["nexus-stream"]),
        ] {
            assert_eq!(parts_of(name), Some(parts), "{name}");
        }
        assert_eq!(parts_of("no-such-thing"), None);
        assert_eq!(parts_of("--"), None);
    }
}
