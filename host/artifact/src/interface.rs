//! What a component asks of its host and gives to it, read out of its bytes. Refuses to validate
//! the code: whoever compiles it does.

use crate::error::Error;
use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

/// A component's interfaces by their full names, e.g. `wasi:http/handler@0.3.0`; sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Interface {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// A component of the suite has a few dozen of both together.
const NAMES_MAX: usize = 1_000;

impl Interface {
    /// Reads the names at the component's outside.
    ///
    /// # Errors
    ///
    /// [`Error::Wasm`] when the bytes are no component: a core module has to be made one first.
    pub fn read(wasm: &[u8]) -> Result<Self, Error> {
        let wrong = |error: wasmparser::BinaryReaderError| Error::Wasm(error.to_string());
        let mut found = Self::default();
        // Modules and components stand inside one another; only the outermost speaks to a host.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(wrong)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    let reason = "it is a core module, not a component: build for wasm32-wasip2";
                    return Err(Error::Wasm(reason.into()));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        found.imports.push(import.map_err(wrong)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        found.exports.push(export.map_err(wrong)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
            if found.imports.len() + found.exports.len() > NAMES_MAX {
                return Err(Error::Wasm(format!("it has more than {NAMES_MAX} interfaces")));
            }
        }
        found.imports.sort();
        found.exports.sort();
        Ok(found)
    }

    /// The world that its HTTP export belongs to, by name and version; the bytes of a component
    /// do not say which world it was written for.
    pub fn world(&self) -> Option<String> {
        let version = |interface: &str| {
            let of = |name: &String| Some(name.strip_prefix(interface)?.strip_prefix('@')?.into());
            self.exports.iter().find_map(of)
        };
        let named = |world: &str, version: String| format!("{world}@{version}");
        let service = version("wasi:http/handler").map(|it| named("wasi:http/service", it));
        let proxy = || version("wasi:http/incoming-handler").map(|it| named("wasi:http/proxy", it));
        let command = || version("wasi:cli/run").map(|it| named("wasi:cli/command", it));
        service.or_else(proxy).or_else(command)
    }

    /// Whether it exports an interface, in any version when `interface` names none.
    pub fn exports(&self, interface: &str) -> bool {
        self.exports.iter().any(|name| name == interface || without_version(name) == interface)
    }
}

pub(crate) fn without_version(interface: &str) -> &str {
    interface.split('@').next().unwrap_or(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_component_speaks_to_the_host() {
        let wasm = nested();
        let interface = Interface::read(&wasm).unwrap();
        assert_eq!(interface.imports, IMPORTS);
        assert_eq!(interface.exports, ["wasi:http/handler@0.3.0"]);
        assert_eq!(interface.world().as_deref(), Some("wasi:http/service@0.3.0"));
        assert!(interface.exports("wasi:http/handler"));
        assert!(!interface.exports("wasi:http/handler@0.2.0"));
    }

    const IMPORTS: [&str; 2] =
        ["spin:variables/variables@3.0.0", "wasi:clocks/monotonic-clock@0.2.3"];

    fn nested() -> Vec<u8> {
        wat::parse_str(
            r#"(component
                (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock))
                (component $inner
                    (import "spin:redis/redis@3.0.0" (instance))
                    (core module (import "deep" "er" (func))))
                (core module)
                (import "spin:variables/variables@3.0.0" (instance))
                (export "wasi:http/handler@0.3.0" (instance $clock))
            )"#,
        )
        .unwrap()
    }

    #[test]
    fn what_is_no_component_is_refused_with_the_reason() {
        let told = |bytes: &[u8]| Interface::read(bytes).unwrap_err().to_string();
        assert!(told(&wat::parse_str("(module)").unwrap()).contains("core module"));
        assert!(told(b"").contains("wasm"));
        assert!(told(b"#!/bin/sh\n").contains("wasm"));
        let whole = nested();
        assert!(Interface::read(&whole[..whole.len() - 3]).is_err(), "a piece is no component");
    }
}
