//! An application's image, apart from the component that carries it.
//!
//! A component of `elias-build` has one memory, and its data segments say what the memory holds before the component is
//! called. A host that maps memories itself takes the segments out, and compiles what is left. It also uses an instance
//! again once its memory is as it was, and so has to know that there is no other state: [`separate`] and
//! [`check_engine`] refuse what has any.

use crate::layout;
use wasm_encoder::{ComponentSection, RawSection};
use wasmparser::{
    BinaryReaderError, Data, DataKind, GlobalType, MemoryType, Operator, Parser, Payload, TypeRef, ValType,
};

/// Bytes of a unit in which memories are measured.
const PAGE_BYTES: u64 = 64 << 10;

/// A component without its image, and the image.
#[derive(Debug)]
pub struct Separated<'a> {
    /// The component. Its memory begins with zeros.
    pub component: Vec<u8>,
    /// Bytes of the memory.
    pub memory_bytes: usize,
    /// What the memory holds, by address. Each lies within it.
    pub data: Vec<(usize, &'a [u8])>,
}

impl Separated<'_> {
    /// The memory as it is before the component is called.
    #[must_use]
    pub fn memory(&self) -> Vec<u8> {
        let mut memory = vec![0; self.memory_bytes];
        for (start, bytes) in &self.data {
            memory[*start..*start + bytes.len()].copy_from_slice(bytes);
        }
        memory
    }
}

/// Why a component has no image, or state beside its memory.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Cut short, or no WebAssembly.
    #[error("not a WebAssembly component: {0}")]
    Malformed(#[from] BinaryReaderError),
    /// What a component of `elias-build` does not have.
    #[error("this is not as elias-build makes components: {0}; build it again")]
    Foreign(&'static str),
}

/// Takes the image out of a component that imports its engine.
///
/// # Errors
/// [`ImageError::Foreign`] if it has not one memory with a known beginning, or changes anything else.
pub fn separate(component: &[u8]) -> Result<Separated<'_>, ImageError> {
    let mut separated = Separated { component: Vec::new(), memory_bytes: 0, data: Vec::new() };
    let mut copied = 0;
    let mut has_memory = false;
    for core in layout::core_modules(component)? {
        let module = Module::read(&component[core.module.clone()])?;
        if module.has_mutable_global {
            return Err(ImageError::Foreign("a core module beside the engine has a mutable global"));
        }
        let Some(memory) = module.memory else {
            if !module.data.is_empty() {
                return Err(ImageError::Foreign("a core module has data for the memory of another"));
            }
            continue;
        };
        if has_memory {
            return Err(ImageError::Foreign("it has more than one memory"));
        }
        has_memory = true;
        separated.memory_bytes = bytes_of(memory)?;
        for data in module.data {
            separated.data.push(place_of(&data, separated.memory_bytes)?);
        }
        separated.component.extend_from_slice(&component[copied..core.section.start]);
        let id = wasm_encoder::ComponentSectionId::CoreModule as u8;
        RawSection { id, data: &module.without_data }.append_to_component(&mut separated.component);
        copied = core.section.end;
    }
    if !has_memory {
        return Err(ImageError::Foreign("it has no memory"));
    }
    separated.component.extend_from_slice(&component[copied..]);
    Ok(separated)
}

/// Whether an engine keeps its state in the memory that it imports and nowhere else, but for the stack pointer, which
/// every function restores before it returns.
///
/// # Errors
/// [`ImageError::Foreign`] if it does not.
pub fn check_engine(module: &[u8]) -> Result<(), ImageError> {
    let module = Module::read(module)?;
    if module.memory.is_some() || !module.data.is_empty() {
        return Err(ImageError::Foreign("its engine has a memory, or data, of its own"));
    }
    Ok(())
}

/// What matters of a core module.
struct Module<'a> {
    memory: Option<MemoryType>,
    data: Vec<Data<'a>>,
    has_mutable_global: bool,
    /// The module's bytes but for its data.
    without_data: Vec<u8>,
}

impl<'a> Module<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let mut module = Self { memory: None, data: Vec::new(), has_mutable_global: false, without_data: Vec::new() };
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match &payload {
                Payload::Version { range, .. } => {
                    module.without_data.extend_from_slice(&bytes[..range.end as usize]);
                }
                Payload::ImportSection(section) => {
                    for import in section.clone().into_imports() {
                        if let TypeRef::Global(GlobalType { mutable: true, .. }) = import?.ty {
                            return Err(ImageError::Foreign("a core module imports a mutable global"));
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section.clone() {
                        if module.memory.replace(memory?).is_some() {
                            return Err(ImageError::Foreign("a core module has more than one memory"));
                        }
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section.clone() {
                        let ty = global?.ty;
                        if !ty.mutable {
                            continue;
                        }
                        if module.has_mutable_global || ty.content_type != ValType::I32 {
                            return Err(ImageError::Foreign("a core module has a global beside the stack pointer"));
                        }
                        module.has_mutable_global = true;
                    }
                }
                Payload::DataSection(section) => {
                    module.data = section.clone().into_iter().collect::<Result<_, _>>()?;
                }
                Payload::StartSection { .. } => {
                    return Err(ImageError::Foreign("a core module does something before it is called"));
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader()? {
                        check_operator(&operator?)?;
                    }
                }
                _ => {}
            }
            let is_data = matches!(payload, Payload::DataSection(_) | Payload::DataCountSection { .. });
            if let Some((id, range)) = payload.as_section()
                && !is_data
            {
                let data = &bytes[range.start as usize..range.end as usize];
                wasm_encoder::Section::append_to(&RawSection { id, data }, &mut module.without_data);
            }
        }
        Ok(module)
    }
}

/// Refuses what changes something that is not in the memory.
fn check_operator(operator: &Operator<'_>) -> Result<(), ImageError> {
    match operator {
        Operator::TableSet { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. }
        | Operator::ElemDrop { .. } => Err(ImageError::Foreign("a core module changes a table")),
        Operator::MemoryInit { .. } | Operator::DataDrop { .. } => {
            Err(ImageError::Foreign("a core module reads its data when it is called"))
        }
        _ => Ok(()),
    }
}

fn bytes_of(memory: MemoryType) -> Result<usize, ImageError> {
    let MemoryType { memory64, shared, initial, page_size_log2, .. } = memory;
    if memory64 || shared || page_size_log2.is_some() || initial == 0 {
        return Err(ImageError::Foreign("its memory is of a kind that engines do not have"));
    }
    usize::try_from(initial.saturating_mul(PAGE_BYTES)).map_err(|_| ImageError::Foreign("its memory is too large"))
}

fn place_of<'a>(data: &Data<'a>, memory_bytes: usize) -> Result<(usize, &'a [u8]), ImageError> {
    let unknown = ImageError::Foreign("it does not say where in memory its data is");
    let DataKind::Active { memory_index: 0, offset_expr } = &data.kind else { return Err(unknown) };
    let mut operators = offset_expr.get_operators_reader();
    let (first, second) = (operators.read()?, operators.read()?);
    let (Operator::I32Const { value }, Operator::End) = (first, second) else { return Err(unknown) };
    let start = value.cast_unsigned() as usize;
    if start.checked_add(data.data.len()).is_none_or(|end| end > memory_bytes) {
        return Err(ImageError::Foreign("its data does not fit into its memory"));
    }
    Ok((start, data.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(modules: &str) -> Vec<u8> {
        wat::parse_str(format!("(component {modules})")).expect("valid text")
    }

    #[test]
    fn a_component_and_its_image_are_separated() {
        let image = r#"(core module (memory (export "m") 2) (func (export "f") (result i32) i32.const 1)
            (data (i32.const 3) "abc") (data (i32.const 131070) "yz"))"#;
        let adapter = r#"(core module (import "e" "m" (memory 1)) (func (export "g")))"#;
        let whole = component(&format!("{image} {adapter}"));
        let separated = separate(&whole).expect("it is as elias-build makes them");
        assert_eq!(separated.memory_bytes, 2 << 16);
        let memory = separated.memory();
        assert_eq!((&memory[..7], &memory[131_069..]), (&b"\0\0\0abc\0"[..], &b"\0yz"[..]));
        let without = component(&format!(
            r#"(core module (memory (export "m") 2) (func (export "f") (result i32) i32.const 1)) {adapter}"#
        ));
        let printed = |bytes: &[u8]| {
            let mut sections = Vec::new();
            for payload in Parser::new(0).parse_all(bytes) {
                if let Some((id, range)) = payload.expect("valid").as_section()
                    && id != 0
                {
                    sections.push((id, bytes[range.start as usize..range.end as usize].to_vec()));
                }
            }
            sections
        };
        assert!(printed(&separated.component).starts_with(&printed(&without)[..1]));
        assert!(separate(&separated.component).expect("it still has its memory").data.is_empty());
    }

    #[test]
    fn state_beside_the_memory_is_refused() {
        for (text, what) in [
            ("(core module (func))", "no memory"),
            ("(core module (memory 1)) (core module (memory 1))", "more than one memory"),
            ("(core module (memory 0))", "kind"),
            ("(core module (memory 1) (global (mut i32) (i32.const 0)))", "mutable global"),
            ("(core module (memory 1) (func) (start 0))", "before it is called"),
            ("(core module (memory 1) (table 1 funcref) (func i32.const 0 ref.null func table.set))", "table"),
            (r#"(core module (memory 1) (data (i32.const 65535) "ab"))"#, "does not fit"),
            (r#"(core module (memory 1) (data "ab"))"#, "where in memory"),
            (r#"(core module (import "" "g" (global i32)) (memory 1) (data (global.get 0) "a"))"#, "where in memory"),
            (r#"(core module (memory 1) (data "ab") (func data.drop 0))"#, "when it is called"),
            (
                r#"(core module (memory 1)) (core module (import "" "m" (memory 1)) (data (i32.const 0) "a"))"#,
                "of another",
            ),
        ] {
            let error = separate(&component(text)).expect_err(text).to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
        let engine = |text: &str| check_engine(&wat::parse_str(format!("(module {text})")).expect("valid text"));
        engine(r#"(import "env" "memory" (memory 1)) (global (mut i32) (i32.const 1024))"#).expect("a stack pointer");
        for text in [
            "(memory 1)",
            "(global (mut i64) (i64.const 0))",
            "(global (mut i32) (i32.const 0)) (global (mut i32) (i32.const 0))",
            r#"(import "env" "g" (global (mut i32)))"#,
            "(table 1 funcref) (func i32.const 0 ref.null func table.set 0)",
        ] {
            engine(text).expect_err(text);
        }
    }
}
