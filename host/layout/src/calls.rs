//! A guest that counts how often each of its functions is called, to be served like any other.
//! Its counters stand behind the memory that it begins with, where the guest itself has nothing;
//! whoever looks into the host's process finds them there by [`MARK`].

use super::{Functions, each_module};
use anyhow::{Result, ensure};
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, Instruction, MemArg, MemorySection, Module,
};
use wasmparser::{
    CustomSectionReader, DataSectionReader, FunctionBody, MemorySectionReader, Parser,
};

/// Stands at the beginning of a page, before the counters: 32 bits for each function.
pub const MARK: [u8; 16] = *b"\x9fcalls counted\x01\xf7";

/// Bytes of a page of memory (WebAssembly, 4.2.8).
const PAGE: u64 = 64 << 10;

/// A module with fewer functions is what joins the real one to its imports.
const FUNCTIONS_MIN: usize = 100;

/// The guest that counts, and the names of the functions in the order of the counters.
pub struct Counting {
    pub guest: Vec<u8>,
    pub functions: Vec<String>,
}

/// `guest`, a component with one module that matters, as one that counts.
///
/// # Errors
/// When it is no such component.
pub fn counting(guest: &[u8]) -> Result<Counting> {
    let mut functions = Vec::new();
    let guest = each_module(guest, |module| {
        let own = Functions::of(module)?.names;
        if own.len() < FUNCTIONS_MIN {
            return Ok(module.to_vec());
        }
        ensure!(functions.is_empty(), "a second module with functions that matter");
        let mut counter = Counter { next: 0, mark: 0, functions: own.len() as u64 };
        functions = own;
        let mut module_counting = Module::new();
        counter.parse_core_module(&mut module_counting, Parser::new(0), module)?;
        Ok(module_counting.finish())
    })?;
    ensure!(!functions.is_empty(), "no module with functions that matter");
    Ok(Counting { guest, functions })
}

struct Counter {
    /// The function whose body comes next.
    next: u64,
    /// Where the mark stands in the guest's memory.
    mark: u64,
    functions: u64,
}

impl Reencode for Counter {
    type Error = Infallible;

    fn parse_memory_section(
        &mut self,
        out: &mut MemorySection,
        section: MemorySectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for memory in section {
            let mut memory = self.memory_type(memory?)?;
            self.mark = memory.minimum * PAGE;
            memory.minimum += (MARK.len() as u64 + self.functions * 4).div_ceil(PAGE);
            out.memory(memory);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        out: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let offset = self.mark + MARK.len() as u64 + self.next * 4;
        let counter = MemArg { offset, align: 2, memory_index: 0 };
        self.next += 1;
        let mut function = self.new_function_with_parsed_locals(&body)?;
        for instruction in [
            Instruction::I32Const(0),
            Instruction::I32Const(0),
            Instruction::I32Load(counter),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::I32Store(counter),
        ] {
            function.instruction(&instruction);
        }
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            function.instruction(&self.parse_instruction(&mut reader)?);
        }
        out.function(&function);
        Ok(())
    }

    fn data_count(&mut self, count: u32) -> Result<u32, Error<Infallible>> {
        Ok(count + 1)
    }

    fn parse_data_section(
        &mut self,
        out: &mut DataSection,
        section: DataSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        utils::parse_data_section(self, out, section)?;
        let address = u32::try_from(self.mark).expect("a guest's memory has 32 bits");
        out.active(0, &ConstExpr::i32_const(address.cast_signed()), MARK);
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
use wasmparser::{Operator, Payload};

#[test]
fn each_function_counts_where_its_place_is_behind_the_guests_own_memory() {
    let functions: String = (0..100).map(|at| format!("(func $f{at} nop)")).collect();
    let text =
        format!("(component (core module (memory 2) (data (i32.const 8) \"x\") {functions}))");
    let counting = counting(&wat::parse_str(text).expect("a component")).expect("one that counts");
    wasmparser::Validator::new().validate_all(&counting.guest).expect("as valid as before");
    assert_eq!((counting.functions.len(), counting.functions[99].as_str()), (100, "f99"));
    let end = 3 * PAGE;
    let mut counters = Vec::new();
    for payload in Parser::new(0).parse_all(&counting.guest) {
        match payload.expect("a section") {
            Payload::MemorySection(section) => {
                let memory = section.into_iter().next().expect("a memory").expect("a memory");
                assert_eq!(memory.initial * PAGE, end);
            }
            Payload::DataSection(section) => {
                let last = section.into_iter().last().expect("the mark").expect("the mark");
                assert_eq!(last.data, MARK);
            }
            Payload::CodeSectionEntry(body) => {
                let operators = body.get_operators_reader().expect("a body");
                let load = operators.into_iter().nth(2).expect("an instruction");
                let Ok(Operator::I32Load { memarg }) = load else { panic!("{load:?}") };
                counters.push(memarg.offset);
            }
            _ => {}
        }
    }
    let first = 2 * PAGE + MARK.len() as u64;
    assert_eq!(counters, (0..100).map(|at| first + at * 4).collect::<Vec<_>>());
}

#[test]
fn a_component_without_a_module_that_matters_is_refused() {
    let small = wat::parse_str("(component (core module (func $f nop)))").expect("a component");
    assert!(counting(&small).is_err());
}
