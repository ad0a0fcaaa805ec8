//! Where the functions of a component stand in its code: those that services call, most called
//! first, before those that nobody calls. The kernel maps compiled code by 64 KiB around what is
//! executed, so code that stands together is little of it; and it is what a core's caches hold.
//!
//! Knows WebAssembly's sections, and the list of functions, which `cargo xtask order` makes by
//! counting calls (`calls`). Refuses to know what a component does. The names by which functions
//! are found are dropped here, as is all that only says something of a module.

pub mod calls;

use anyhow::{Context as _, Result, ensure};
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher as _};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, Encode as _, FunctionSection, Module};
use wasmparser::{
    BinaryReader, CodeSectionReader, CustomSectionReader, FunctionSectionReader, KnownCustom, Name,
    Parser, Payload, TypeRef,
};

/// What the compiler has to be told, so that names say of which types functions are.
pub const RUSTFLAGS: &str = "-C symbol-mangling-version=v0";

/// One name a line.
const LIST: &str = include_str!("function-order.txt");

/// Names of functions, those that stand first in a guest's code first.
pub struct Order {
    places: HashMap<String, usize>,
    fingerprint: u64,
}

impl Order {
    /// That of what services call.
    pub fn of_services() -> Self {
        Self::of(LIST)
    }

    fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        let names = text.lines().map(str::to_owned).enumerate();
        let places = names.map(|(place, name)| (name, place)).collect();
        Self { places, fingerprint: hasher.finish() }
    }

    /// Another for another order.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// After all that have a place, those without one are as they were.
    fn place(&self, name: &str) -> usize {
        self.places.get(name).copied().unwrap_or(usize::MAX)
    }
}

/// `guest`, a component, with the functions of its modules in `order`.
///
/// # Errors
/// When it is no component.
pub fn laid_out(guest: &[u8], order: &Order) -> Result<Vec<u8>> {
    each_module(guest, |module| {
        let functions = Functions::of(module)?;
        let mut own: Vec<usize> = (0..functions.names.len()).collect();
        own.sort_by_key(|at| order.place(&functions.names[*at]));
        let mut indices: Vec<u32> = (0..functions.end()).collect();
        for (old, new) in own.iter().zip(functions.imported..) {
            indices[functions.imported as usize + old] = new;
        }
        let mut module_laid_out = Module::new();
        let mut moves = Moves { own, indices };
        moves.parse_core_module(&mut module_laid_out, Parser::new(0), module)?;
        Ok(module_laid_out.finish())
    })
}

/// `guest` with its modules changed. All else of a component is sections, too, and stays as it is
/// (Component Model, Binary.md: a section is an id, the length of its content, the content).
fn each_module(guest: &[u8], mut change: impl FnMut(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    const MODULE: u8 = 1;
    ensure!(Parser::is_component(guest), "this is no component");
    let mut reader = BinaryReader::new(guest, 0);
    let mut changed = reader.read_bytes(8)?.to_vec();
    while !reader.eof() {
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()?;
        let content = reader.read_bytes(length as usize)?;
        changed.push(id);
        if id == MODULE {
            change(content)?.encode(&mut changed)
        } else {
            content.encode(&mut changed)
        }
    }
    Ok(changed)
}

/// The functions of a module: how many are imported, and the names of its own, in the words of
/// Rust and without hashes. What has no name has an empty one.
struct Functions {
    imported: u32,
    names: Vec<String>,
}

impl Functions {
    fn of(module: &[u8]) -> Result<Self> {
        let mut functions = Self { imported: 0, names: Vec::new() };
        for payload in Parser::new(0).parse_all(module) {
            match payload.context("read a module")? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let is_function =
                            matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                        functions.imported += u32::from(is_function);
                    }
                }
                Payload::FunctionSection(section) => {
                    functions.names.resize(section.count() as usize, String::new());
                }
                Payload::CustomSection(section) => functions.take_names(&section)?,
                _ => {}
            }
        }
        Ok(functions)
    }

    fn take_names(&mut self, section: &CustomSectionReader<'_>) -> Result<()> {
        let KnownCustom::Name(parts) = section.as_known() else { return Ok(()) };
        for part in parts {
            let Name::Function(names) = part? else { continue };
            for naming in names {
                let naming = naming?;
                let own = naming.index.checked_sub(self.imported);
                if let Some(name) = own.and_then(|own| self.names.get_mut(own as usize)) {
                    *name = format!("{:#}", rustc_demangle::demangle(naming.name));
                }
            }
        }
        Ok(())
    }

    fn end(&self) -> u32 {
        self.imported + u32::try_from(self.names.len()).expect("counted by 32 bits")
    }
}

/// Functions are called by their index, which all who call them are told anew.
struct Moves {
    /// A module's own functions as they will stand, by where they stood.
    own: Vec<usize>,
    /// New indices by old ones.
    indices: Vec<u32>,
}

impl Reencode for Moves {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        // One that does not exist is for the module's validation to find.
        Ok(self.indices.get(function as usize).copied().unwrap_or(function))
    }

    fn parse_function_section(
        &mut self,
        out: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for old in &self.own {
            out.function(types[*old]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        out: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        if bodies.len() != self.own.len() {
            return Err(Error::InvalidCodeSectionSize);
        }
        for old in self.own.clone() {
            self.parse_function_body(out, bodies[old].clone())?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{ElementItems, Operator, Validator};

    /// `a` gives 1, `b` what `c` gives, `c` 3; both ways of naming a function are there.
    const GUEST: &str = r#"(component
        (core module
            (import "host" "told" (func $told))
            (func $a (export "a") (result i32) i32.const 1)
            (func $b (export "b") (result i32) call $c)
            (func $c (result i32) i32.const 3)
            (table 2 funcref)
            (elem (i32.const 0) func $c $told)
            (@custom "of a compiler" "some words"))
        (core module $other)
        (core instance (instantiate $other)))"#;

    fn guest() -> Vec<u8> {
        wat::parse_str(GUEST).expect("a component")
    }

    /// What each function begins with, the functions in the table, and the exports.
    fn read(guest: &[u8]) -> (Vec<String>, Vec<u32>, HashMap<String, u32>) {
        let (mut bodies, mut table, mut exports) = (Vec::new(), Vec::new(), HashMap::new());
        for payload in Parser::new(0).parse_all(guest) {
            match payload.expect("a section") {
                Payload::CodeSectionEntry(body) => {
                    let mut operators = body.get_operators_reader().expect("a body");
                    bodies.push(match operators.read().expect("an instruction") {
                        Operator::I32Const { value } => format!("gives {value}"),
                        Operator::Call { function_index } => format!("calls {function_index}"),
                        other => panic!("{other:?}"),
                    });
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        let items = element.expect("an element").items;
                        let ElementItems::Functions(items) = items else { panic!("expressions") };
                        table.extend(items.into_iter().map(|it| it.expect("a function")));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.expect("an export");
                        exports.insert(export.name.to_owned(), export.index);
                    }
                }
                Payload::CustomSection(section) => {
                    // The component's own names.
                    assert_eq!(section.name(), "component-name");
                }
                _ => {}
            }
        }
        (bodies, table, exports)
    }

    #[test]
    fn named_functions_come_first_and_are_still_called_exported_and_in_tables() {
        let guest = laid_out(&guest(), &Order::of("c\nnobody\nb")).expect("a component");
        Validator::new().validate_all(&guest).expect("as valid as before");
        // The import is 0, `c` 1, `b` 2, `a` 3.
        let (bodies, table, exports) = read(&guest);
        assert_eq!(bodies, ["gives 3", "calls 1", "gives 1"]);
        assert_eq!(table, [1, 0]);
        assert_eq!((exports["a"], exports["b"]), (3, 2));
    }

    #[test]
    fn without_names_in_common_all_stay_where_they_are() {
        let guest = laid_out(&guest(), &Order::of("")).expect("a component");
        let (bodies, table, exports) = read(&guest);
        assert_eq!(bodies, ["gives 1", "calls 3", "gives 3"]);
        assert_eq!((table, exports["b"]), (vec![3, 0], 2));
    }

    #[test]
    fn what_is_no_component_is_refused() {
        let module = wat::parse_str("(module)").expect("a module");
        for bytes in [&module[..], b"", b"\0asm", &guest()[..40]] {
            assert!(laid_out(bytes, &Order::of("a")).is_err());
        }
    }

    #[test]
    fn names_are_those_of_rust_without_the_hashes_of_crates() {
        let text = "(module (func $_RNvNtCs4fqI2P2rA04_4core3fmt5write))";
        let module = wat::parse_str(text).expect("a module");
        assert_eq!(Functions::of(&module).expect("a module").names, ["core::fmt::write"]);
    }
}
