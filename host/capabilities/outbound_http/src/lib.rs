//! Outbound HTTP: `wasi:http/client@0.3`, `wasi:http/outgoing-handler@0.2` and, between
//! components, `nexus:http/asking`; deny by default.
//! A component reaches what its `allowed_outbound_hosts` names, public addresses only unless a
//! line names a private one, and its neighbours in-process by `http://<name>.spin.internal`.
//! Refuses to know what requests are about.

mod address;
mod body;
mod client;
mod config;
mod connect;
mod connection;
mod destination;
mod egress;
mod error;
mod grants;
mod headers;
mod host;
mod pool;
mod tls;

pub use client::{Client, Origin};
pub use config::{Bounds, Config, FrontDoor};
pub use connect::{Resolve, SystemResolver};
pub use egress::{ComponentCall, Components, Egress};
pub use error::OutboundError;
pub use grants::Variables;
pub use host::OutboundState;

use nexus_runtime::{Capability, ComponentId, ComponentManifest, Denied, Instance, Opening};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Linker;

/// The capability.
pub struct OutboundHttp {
    config: Config,
    client: Client,
    /// One way out per component, of its newest revision.
    egress: Mutex<HashMap<ComponentId, Arc<Egress>>>,
}

impl OutboundHttp {
    /// # Errors
    /// [`OutboundError::CertificateAuthorities`] when `ca_file` cannot be used.
    pub fn new(config: Config) -> Result<Self, OutboundError> {
        let client = Client::new(&config)?;
        Ok(Self { config, client, egress: Mutex::default() })
    }

    fn egress(&self, opening: &Opening<'_>) -> Arc<Egress> {
        let manifest = opening.component;
        let mut known = self.egress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(egress) = known.get(&manifest.id)
            && Arc::ptr_eq(&egress.manifest, manifest)
        {
            return egress.clone();
        }
        let max = self.config.bounds.exchanges_per_component_max;
        let components = egress::components_of(opening.runtime);
        let variables = &*self.config.variables;
        let egress = Egress::new(manifest.clone(), variables, max, components.clone());
        let egress = Arc::new(egress.unwrap_or_else(|error| {
            // Admission refuses such a manifest; a variable may have vanished since.
            tracing::error!(component = %manifest.id, %error, "no outbound host is granted");
            Egress::without_grants(manifest.clone(), max, components)
        }));
        known.insert(manifest.id.clone(), egress.clone());
        egress
    }
}

impl Capability for OutboundHttp {
    const NAME: &'static str = "outbound_http";
    const INTERFACES: &'static [&'static str] =
        &["nexus:http/asking@", "wasi:http/client@", "wasi:http/outgoing-handler@"];
    type State = OutboundState;

    fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
        host::link(linker)
    }

    /// An empty list is admitted: which host a component will ask for is not known before it
    /// asks, and many import the interface without using it. A line that cannot be read is not.
    fn admit(&self, component: &ComponentManifest) -> Result<(), Denied> {
        let lines = &component.allowed_outbound_hosts;
        let parse = |lines: &[String]| grants::Grants::parse(lines, &*self.config.variables);
        let Err(error) = parse(lines) else { return Ok(()) };
        tracing::error!(component = %component.id, %error, "outbound HTTP is refused");
        // The usual slip is a missing scheme.
        let host = match &error {
            OutboundError::Grant { line, .. } => format!("https://{line}"),
            _ => String::new(),
        };
        let sound = parse(std::slice::from_ref(&host)).is_ok();
        let host = if sound { &host } else { "https://api.example.com" };
        Err(Denied {
            component: component.id.to_string(),
            interface: "wasi:http/client",
            line: format!("allowed_outbound_hosts = [{host:?}]"),
        })
    }

    fn open(&self, opening: &Opening<'_>) -> Self::State {
        OutboundState::new(self.client.clone(), self.egress(opening))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_runtime::Manifest;
    use std::path::Path;
    use wasmtime::Engine;

    fn admit(lines: &[&str]) -> Result<(), Denied> {
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"test\"\n\
             [component.shop]\nsource = \"shop.wasm\"\nallowed_outbound_hosts = {lines:?}\n"
        );
        let manifest = Manifest::parse(&text, Path::new("spin.toml")).expect("it is sound");
        let capability = OutboundHttp::new(Config::default()).expect("the defaults are sound");
        capability.admit(&manifest.components[0])
    }

    #[test]
    fn a_component_is_admitted_with_sound_lines_or_none() {
        assert_eq!(admit(&[]), Ok(()));
        assert_eq!(admit(&["https://api.example.com", "postgres://db.example.com"]), Ok(()));
    }

    #[test]
    fn a_line_that_grants_nothing_is_refused_with_one_that_does() {
        let line = |lines: &[&str]| admit(lines).expect_err("it is refused").line;
        let slip = line(&["http://a.example", "api.example.org:8443"]);
        assert_eq!(slip, r#"allowed_outbound_hosts = ["https://api.example.org:8443"]"#);
        let unknown = line(&["https://{{ nowhere }}"]);
        assert_eq!(unknown, r#"allowed_outbound_hosts = ["https://api.example.com"]"#);
    }

    #[test]
    fn both_generations_of_the_interface_link() {
        let mut linker = Linker::new(&Engine::default());
        OutboundHttp::link(&mut linker).expect("the interfaces are defined once");
    }
}
