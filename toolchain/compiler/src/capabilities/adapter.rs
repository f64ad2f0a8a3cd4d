//! The core module between the engine and the lowered functions of capabilities: it knows their core types, so that
//! the engine need not.

use super::ImportedFunctions;
use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemArg,
    MemArgTarget, MemoryType, Module, TypeSection, ValType,
};
use wit_parser::abi::{WasmSignature, WasmType};

/// The module by which it imports the application's memory.
pub(crate) const MEMORY_MODULE: &str = "env";
/// The module by which it imports the lowered functions, by their numbers.
pub(crate) const FUNCTIONS_MODULE: &str = "functions";
/// Its one export, which the engine imports: `(function, slots)`.
pub(crate) const CALL_EXPORT: &str = "call";

/// Bytes of a slot: each core value has one.
const SLOT_BYTES: u64 = 8;

/// The module. Its export calls the function with a number: loads its core values from the slots, and stores what it
/// gives, if that is a core value, into the first.
pub(crate) fn adapter(imported: &ImportedFunctions<'_>, memory_export: &str) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32, ValType::I32], []);
    let mut imports = ImportSection::new();
    let memory = MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
    imports.import(MEMORY_MODULE, memory_export, EntityType::Memory(memory));
    let mut body = Function::new([]);
    let count = imported.functions().len() as u32;
    // The block of a function ends before its call; the outermost is for a number that is none.
    for _ in 0..=count {
        body.instructions().block(BlockType::Empty);
    }
    body.instructions().local_get(0).br_table(0..count, count);
    for (number, function) in (0_u32..).zip(imported.functions()) {
        let signature = imported.signature(function);
        let (parameters, result) = core_types(&signature);
        types.ty().function(parameters.iter().copied(), result);
        imports.import(FUNCTIONS_MODULE, &number.to_string(), EntityType::Function(number + 1));
        let mut code = body.instructions();
        code.end();
        if result.is_some() {
            code.local_get(1); // where what it gives is stored
        }
        for (place, ty) in (0_u64..).zip(&parameters) {
            let slot = slot(place * SLOT_BYTES, *ty);
            code.local_get(1);
            match ty {
                ValType::I64 => code.i64_load(slot),
                ValType::F32 => code.f32_load(slot),
                ValType::F64 => code.f64_load(slot),
                _ => code.i32_load(slot),
            };
        }
        code.call(number);
        if let Some(ty) = result {
            let slot = slot(0, ty);
            match ty {
                ValType::I64 => code.i64_store(slot),
                ValType::F32 => code.f32_store(slot),
                ValType::F64 => code.f64_store(slot),
                _ => code.i32_store(slot),
            };
        }
        code.return_();
    }
    body.instructions().end().unreachable().end();
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export(CALL_EXPORT, ExportKind::Func, count);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
    module.finish()
}

/// The core types of a lowered function's parameters, and of what it gives.
pub(crate) fn core_types(signature: &WasmSignature) -> (Vec<ValType>, Option<ValType>) {
    let parameters = signature.params.iter().map(|ty| core_type(*ty)).collect();
    (parameters, signature.results.first().map(|ty| core_type(*ty)))
}

/// Memories of components have 32 bits here.
fn core_type(ty: WasmType) -> ValType {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
    }
}

/// Where a slot of a type is, aligned as the type.
fn slot(offset: u64, ty: ValType) -> MemArg {
    let align = if matches!(ty, ValType::I64 | ValType::F64) { 3 } else { 2 };
    MemArg { offset, align, target: MemArgTarget::Memory(0), ordering: None }
}
