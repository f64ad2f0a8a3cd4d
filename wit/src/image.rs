//! An application's image, apart from the component that carries it.
//!
//! A component of `elias-build` has one memory, and its data segments say what the memory holds before the component is
//! called. A host that maps memories itself takes the segments out, and compiles what is left. It also uses an instance
//! again once its memory is as it was, and so has to know that there is no other state: [`separate`] and
//! [`check_engine`] refuse what has any.

use crate::layout::{self, Section, SectionKind};
use crate::payloads::payloads;
use std::ops::Range;
use wasm_encoder::{ComponentSection, RawSection};
use wasmparser::{
    BinaryReaderError, CanonicalFunction, ComponentType, Data as Segment, DataKind, DataSectionReader, Encoding,
    Instance, MemoryType, Operator, Parser, Payload, TypeRef, ValType,
};

/// Bytes of a unit in which memories are measured.
const PAGE_BYTES: u64 = 64 << 10;

/// Core modules that are instantiated: engine, image and adapter.
const INSTANCES_MAX: usize = 3;

/// Bytes before a component's first section: the magic number, version and layer.
const HEADER_BYTES: usize = 8;

/// Functions, imports and tables of the engine, and of any other core module; globals of the engine. An instance has a
/// record of each.
const ENGINE_ITEMS_MAX: usize = 50_000;
const OTHER_ITEMS_MAX: usize = 5_000;
const ENGINE_GLOBALS_MAX: usize = 100;

/// Operators of the expressions that say where data is.
const I32_CONST: u8 = 0x41;
const END: u8 = 0x0b;

/// The content of a memory, by address, in order.
pub type Data<'a> = Vec<(usize, &'a [u8])>;

/// A component without its image, and the image.
#[derive(Debug)]
pub struct SeparatedComponent<'a> {
    /// The component. Its memory begins with zeros.
    pub component: Vec<u8>,
    /// Bytes of the memory.
    pub memory_bytes: usize,
    /// The content of the memory, by address: all but zeros, or, of a component that names a [base](crate::base), all
    /// that differs from it. Each lies within the memory.
    pub data: Data<'a>,
}

/// Why a component has no image, or state beside its memory.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Cut short, or no WebAssembly.
    #[error("not a WebAssembly component: {0}")]
    Malformed(#[from] BinaryReaderError),
    /// A construct that a component of `elias-build` does not have.
    #[error("this is not as elias-build makes components: {0}; build it again")]
    Foreign(&'static str),
}

/// Takes the image out of a component that imports its engine, and what means nothing to a compiler: what is left is
/// the same for all components that import and export the same.
///
/// # Errors
/// [`ImageError::Foreign`] if it has not one memory with a known beginning, or changes anything else.
pub fn separate(component: &[u8]) -> Result<SeparatedComponent<'_>, ImageError> {
    separate_from(component, None)
}

/// As [`separate`], of a component that carries its engine in the section at `engine`: what is left imports it by the
/// sections `import`, and equals what is left of the thin form.
///
/// # Errors
/// As [`separate`].
pub fn separate_carried<'a>(
    component: &'a [u8],
    engine: &Range<usize>,
    import: &[u8],
) -> Result<SeparatedComponent<'a>, ImageError> {
    separate_from(component, Some((engine, import)))
}

fn separate_from<'a>(
    component: &'a [u8],
    carried: Option<(&Range<usize>, &[u8])>,
) -> Result<SeparatedComponent<'a>, ImageError> {
    check_structure(component)?;
    let mut separated =
        SeparatedComponent { component: component[..HEADER_BYTES].to_vec(), memory_bytes: 0, data: Vec::new() };
    let mut has_memory = false;
    for Section { range, kind } in layout::sections(component)? {
        if let Some((engine, import)) = carried
            && range == *engine
        {
            separated.component.extend_from_slice(import);
            continue;
        }
        let module = match kind {
            SectionKind::CoreModule(module) => Module::read(&component[module])?,
            SectionKind::Custom => continue,
            SectionKind::Other => {
                separated.component.extend_from_slice(&component[range]);
                continue;
            }
        };
        if module.globals > 0 || module.items > OTHER_ITEMS_MAX {
            return Err(ImageError::Foreign("a core module beside the engine has globals, or is too large"));
        }
        let Some(memory) = module.memory else {
            if module.has_data() {
                return Err(ImageError::Foreign("a core module has data for the memory of another"));
            }
            separated.component.extend_from_slice(&component[range]);
            continue;
        };
        if has_memory {
            return Err(ImageError::Foreign("it has more than one memory"));
        }
        has_memory = true;
        separated.memory_bytes = bytes_of(memory)?;
        separated.data = places_of(module.data, separated.memory_bytes)?;
        let id = wasm_encoder::ComponentSectionId::CoreModule as u8;
        RawSection { id, data: &module.without_data }.append_to_component(&mut separated.component);
    }
    if !has_memory {
        return Err(ImageError::Foreign("it has no memory"));
    }
    Ok(separated)
}

/// The memory of a core module, in bytes, and its data, by address.
pub(crate) fn memory_of(module: &[u8]) -> Result<(usize, Data<'_>), ImageError> {
    let module = Module::read(module)?;
    let memory_bytes = bytes_of(module.memory.ok_or(ImageError::Foreign("it has no memory"))?)?;
    Ok((memory_bytes, places_of(module.data, memory_bytes)?))
}

/// Whether an engine keeps its state in the memory that it imports and nowhere else, but for the stack pointer, which
/// every function restores before it returns.
///
/// # Errors
/// [`ImageError::Foreign`] if it does not.
pub fn check_engine(module: &[u8]) -> Result<(), ImageError> {
    let module = Module::read(module)?;
    if module.memory.is_some() || module.has_data() {
        return Err(ImageError::Foreign("its engine has a memory, or data, of its own"));
    }
    if module.globals > ENGINE_GLOBALS_MAX || module.items > ENGINE_ITEMS_MAX {
        return Err(ImageError::Foreign("its engine is too large"));
    }
    Ok(())
}

/// Bytes of an engine's stack: it begins with its memory, which the engine is linked for, and ends where the stack
/// pointer stands while no function of the engine runs. What is in it then means nothing to the engine. 0 if the engine
/// has no stack pointer.
///
/// # Errors
/// [`ImageError::Malformed`]; [`ImageError::Foreign`] if the stack pointer does not begin with a constant.
pub fn stack_bytes(module: &[u8]) -> Result<usize, ImageError> {
    for payload in Parser::new(0).parse_all(module) {
        let Payload::GlobalSection(section) = payload? else { continue };
        for global in section {
            let global = global?;
            if !global.ty.mutable {
                continue;
            }
            let mut operators = global.init_expr.get_operators_reader();
            let Operator::I32Const { value } = operators.read()? else {
                return Err(ImageError::Foreign("its engine's stack pointer does not begin with a constant"));
            };
            return Ok(value.cast_unsigned() as usize);
        }
        break;
    }
    Ok(0)
}

/// Refuses what is not a component around an engine: what runs is the engine and the few modules around it, and
/// whatever has a handle is the host's. Components within it only have types.
fn check_structure(component: &[u8]) -> Result<(), ImageError> {
    let mut depth = 0_u32;
    let mut instances = 0;
    for payload in payloads(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::CoreTypeSection(_) | Payload::InstanceSection(_) if depth > 0 => {
                return Err(ImageError::Foreign("a component within it has core modules"));
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::InstanceSection(section) => {
                for instance in section {
                    instances += usize::from(matches!(instance?, Instance::Instantiate { .. }));
                }
                if instances > INSTANCES_MAX {
                    return Err(ImageError::Foreign("it instantiates more than engine, image and adapter"));
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    if let ComponentType::Resource { .. } = ty? {
                        return Err(ImageError::Foreign("it has resources of its own"));
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    if let CanonicalFunction::ResourceNew { .. } | CanonicalFunction::ResourceRep { .. } = function? {
                        return Err(ImageError::Foreign("it has resources of its own"));
                    }
                }
            }
            Payload::ComponentStartSection { .. } => {
                return Err(ImageError::Foreign("it does something before it is called"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The relevant parts of a core module.
struct Module<'a> {
    memory: Option<MemoryType>,
    data: Option<DataSectionReader<'a>>,
    /// How many globals it has of its own, of which at most one can be changed.
    globals: usize,
    /// How many functions, imports and tables it has.
    items: usize,
    /// The module's bytes but for its data.
    without_data: Vec<u8>,
}

impl<'a> Module<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let mut module = Self { memory: None, data: None, globals: 0, items: 0, without_data: Vec::new() };
        let mut has_stack_pointer = false;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match &payload {
                Payload::Version { encoding: Encoding::Module, range, .. } => {
                    module.without_data.extend_from_slice(&bytes[..range.end as usize]);
                }
                Payload::Version { .. } => return Err(ImageError::Foreign("a core module is a component")),
                Payload::ImportSection(section) => {
                    for import in section.clone().into_imports() {
                        if let TypeRef::Global(_) = import?.ty {
                            return Err(ImageError::Foreign("a core module imports a global"));
                        }
                        module.items += 1;
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
                        module.globals += 1;
                        if !ty.mutable {
                            continue;
                        }
                        if has_stack_pointer || ty.content_type != ValType::I32 {
                            return Err(ImageError::Foreign("a core module has a global beside the stack pointer"));
                        }
                        has_stack_pointer = true;
                    }
                }
                Payload::FunctionSection(section) => module.items += section.count() as usize,
                Payload::TableSection(section) => module.items += section.count() as usize,
                Payload::DataSection(section) => module.data = Some(section.clone()),
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
                // The parser tells of a section before it knows that there is all of it.
                let data = bytes.get(range.start as usize..range.end as usize);
                let data = data.ok_or(ImageError::Foreign("a core module is cut short"))?;
                wasm_encoder::Section::append_to(&RawSection { id, data }, &mut module.without_data);
            }
        }
        Ok(module)
    }

    fn has_data(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.count() > 0)
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

/// Where data goes in a memory of this size; in order, and nothing twice.
fn places_of(segments: Option<DataSectionReader<'_>>, memory_bytes: usize) -> Result<Data<'_>, ImageError> {
    let mut end = 0;
    let mut places = Vec::new();
    for segment in segments.into_iter().flatten() {
        let (start, bytes) = place_of(&segment?, memory_bytes)?;
        if start < end {
            return Err(ImageError::Foreign("its data is not in order"));
        }
        end = start + bytes.len();
        places.push((start, bytes));
    }
    Ok(places)
}

fn place_of<'a>(data: &Segment<'a>, memory_bytes: usize) -> Result<(usize, &'a [u8]), ImageError> {
    let unknown = ImageError::Foreign("it does not say where in memory its data is");
    let DataKind::Active { memory_index: 0, offset_expr } = &data.kind else { return Err(unknown) };
    // There are tens of thousands: a reader of operators takes longer.
    let mut expression = offset_expr.get_binary_reader();
    if expression.read_u8()? != I32_CONST {
        return Err(unknown);
    }
    let start = expression.read_var_i32()?.cast_unsigned() as usize;
    if expression.read_u8()? != END {
        return Err(unknown);
    }
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
        assert_eq!(separated.data, [(3, &b"abc"[..]), (131_070, &b"yz"[..])]);
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
        // Other parts that differ from one component to the next are not compiled either.
        let mut named = whole.clone();
        layout::append_custom_section(&mut named, "name of mine", b"one of many");
        assert_eq!(separate(&named).expect("as before").component, separated.component);
    }

    #[test]
    fn a_component_that_carries_its_engine_leaves_the_same_as_its_thin_form() {
        let engine = r#"(core module $e (import "env" "memory" (memory 1)) (func (export "f")))"#;
        let image = r#"(core module (memory (export "memory") 1) (data (i32.const 7) "abc"))"#;
        let whole = component(&format!(r#"(import "a" (func)) {engine} {image} (type string)"#));
        let first = layout::core_modules(&whole).expect("a component").remove(0);
        let module = &whole[first.module.clone()];
        let import = layout::engine_import_sections(module, "0").expect("its type is plain");
        let thin = layout::leave_out(&whole, module, "0", first.section.clone()).expect("its type is plain");
        let of_thin = separate(&thin).expect("it is as elias-build makes them");
        let of_whole = separate_carried(&whole, &first.section, &import).expect("as above");
        assert_eq!(of_whole.component, of_thin.component);
        assert_eq!((of_whole.memory_bytes, of_whole.data), (of_thin.memory_bytes, of_thin.data));
    }

    #[test]
    fn state_beside_the_memory_is_refused() {
        for (text, what) in [
            ("(core module (func))", "no memory"),
            ("(core module (memory 1)) (core module (memory 1))", "more than one memory"),
            ("(core module (memory 0))", "kind"),
            ("(core module (memory 1) (global (mut i32) (i32.const 0)))", "globals"),
            ("(core module (memory 1)) (component (core module (global (mut i32) (i32.const 0))))", "within it"),
            ("(core module (memory 1)) (type (resource (rep i32)))", "resources of its own"),
            (
                "(core module $m (memory 1)) (core instance (instantiate $m)) (core instance (instantiate $m)) \
                 (core instance (instantiate $m)) (core instance (instantiate $m))",
                "instantiates more",
            ),
            (r#"(core module (memory 1) (data (i32.const 9) "abc") (data (i32.const 11) "d"))"#, "not in order"),
            ("(core module (memory 1) (func) (start 0))", "before it is called"),
            ("(core module (memory 1) (table 1 funcref) (func i32.const 0 ref.null func table.set))", "table"),
            (r#"(core module (memory 1) (data (i32.const 65535) "ab"))"#, "does not fit"),
            (r#"(core module (memory 1) (data "ab"))"#, "where in memory"),
            (r#"(core module (import "" "g" (global i32)) (memory 1) (data (global.get 0) "a"))"#, "imports a global"),
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
        let stack = |text: &str| stack_bytes(&wat::parse_str(format!("(module {text})")).expect("valid text"));
        let globals = "(global i32 (i32.const 7)) (global (mut i32) (i32.const 1024)) (func)";
        assert_eq!(stack(globals).expect("a constant"), 1024);
        assert_eq!(stack("(func)").expect("no globals"), 0);
        stack(r#"(import "e" "g" (global i32)) (global (mut i32) (global.get 0))"#).expect_err("no constant");
        check_engine(b"\0asm\x0d\0\x01\0\x01\x02").expect_err("a component");
        check_engine(b"\0asm\x01\0\0\0\x04\x7f\x01").expect_err("cut short");
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
