//! The application's core module I: the memory as the snapshot found it, and the little code that stands between the
//! two.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function, FunctionSection, MemorySection,
    MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// I's memory.
pub(crate) const MEMORY_EXPORT: &str = "memory";
/// I's table of one element, where E puts its allocator.
pub(crate) const TABLE_EXPORT: &str = "allocator";
/// A trampoline to E's allocator. I exists before E and so can give it to the imports that E is instantiated with.
pub(crate) const REALLOC_EXPORT: &str = "cabi_realloc";

/// Runs of zeros shorter than this stay within a data segment: a segment costs some nine bytes, and time when it is
/// read.
const GAP_BYTES_MIN: usize = 16;

/// The most data segments of an image; engines refuse modules with more than 100,000.
const SEGMENTS_MAX: usize = 60_000;

/// The bytes of a core module I.
///
/// `data` is what memory holds, by offset, zeros left out; `pages` its size in units of 64 KiB. For each type in
/// `traps` the module exports a function of that type, named by [`trap_export`], that traps.
pub(crate) fn encode<'a>(
    data: impl IntoIterator<Item = (u32, &'a [u8])>,
    pages: u64,
    traps: &[wasmparser::FuncType],
) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 4], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export(MEMORY_EXPORT, ExportKind::Memory, 0);
    exports.export(TABLE_EXPORT, ExportKind::Table, 0);
    exports.export(REALLOC_EXPORT, ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let mut realloc = Function::new([]);
    realloc.instructions().local_get(0).local_get(1).local_get(2).local_get(3);
    realloc.instructions().i32_const(0).call_indirect(0, 0).end();
    code.function(&realloc);
    for (index, ty) in traps.iter().enumerate() {
        // The engine's own types: plain numbers, which always re-encode.
        if let Ok(ty) = RoundtripReencoder.func_type(ty.clone()) {
            types.ty().func_type(&ty);
        }
        let number = index as u32 + 1;
        functions.function(number);
        exports.export(&trap_export(index), ExportKind::Func, number);
        let mut trap = Function::new([]);
        trap.instructions().unreachable().end();
        code.function(&trap);
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: Some(1),
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: pages, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut segments = DataSection::new();
    for (offset, bytes) in data {
        segments.active(0, &ConstExpr::i32_const(offset.cast_signed()), bytes.iter().copied());
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&memories).section(&exports).section(&code);
    module.section(&segments);
    module.finish()
}

/// The name of the trap for the `index`th type.
pub(crate) fn trap_export(index: usize) -> String {
    format!("trap-{index}")
}

/// The parts of `memory` from `start` on that are not zero.
pub(crate) fn occupied(memory: &[u8], start: usize) -> Vec<(u32, &[u8])> {
    let mut gap_bytes_min = GAP_BYTES_MIN;
    loop {
        let segments = occupied_but_for_gaps(memory, start, gap_bytes_min);
        if segments.len() <= SEGMENTS_MAX {
            return segments;
        }
        gap_bytes_min *= 2;
    }
}

fn occupied_but_for_gaps(memory: &[u8], start: usize, gap_bytes_min: usize) -> Vec<(u32, &[u8])> {
    let mut segments = Vec::new();
    let mut at = start;
    while let Some(first) = memory[at..].iter().position(|&byte| byte != 0).map(|skip| at + skip) {
        let mut end = first + 1; // one past the last byte that is not zero
        let mut next = end;
        while next < memory.len() && next - end < gap_bytes_min {
            if memory[next] != 0 {
                end = next + 1;
            }
            next += 1;
        }
        segments.push((first as u32, &memory[first..end]));
        at = next;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_not_zero() {
        let mut memory = vec![0; 200];
        memory[3] = 9; // below the start: not looked at
        memory[10] = 1;
        memory[12] = 2;
        memory[100] = 3;
        memory[199] = 4;
        let found: Vec<(u32, Vec<u8>)> =
            occupied(&memory, 5).into_iter().map(|(at, bytes)| (at, bytes.to_vec())).collect();
        assert_eq!(found, [(10, vec![1, 0, 2]), (100, vec![3]), (199, vec![4])]);
        assert!(occupied(&[0; 64], 0).is_empty());
    }
}
