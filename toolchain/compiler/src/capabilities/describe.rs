//! The text by which the engine knows the functions that a component imports, and their types. Its form stands in
//! `guest-js/engine/src/native/capability/types.rs`, which reads it.

use super::ImportedFunctions;
use heck::ToLowerCamelCase;
use std::collections::HashMap;
use std::fmt::Write as _;
use wit_parser::{Resolve, Type, TypeDefKind, TypeId};

pub(super) fn describe(imported: &ImportedFunctions<'_>) -> String {
    let mut text = Description { resolve: imported.resolve, lines: String::new(), numbers: HashMap::new(), count: 0 };
    for imported in &imported.functions {
        let function = imported.function;
        let mut line = format!("func {} {}", imported.id, function.name.to_lower_camel_case());
        let _ = write!(line, " {}", text.optional(function.result.as_ref()));
        for parameter in &function.params {
            let _ = write!(line, " {} {}", parameter.name.to_lower_camel_case(), text.number(&parameter.ty));
        }
        let _ = writeln!(text.lines, "{line}");
    }
    text.lines
}

struct Description<'a> {
    resolve: &'a Resolve,
    lines: String,
    numbers: HashMap<Type, usize>,
    count: usize,
}

impl Description<'_> {
    /// The number of a type, which is described if it was not yet, after all that it is made of.
    fn number(&mut self, ty: &Type) -> usize {
        let ty = &self.resolved(*ty);
        if let Some(number) = self.numbers.get(ty) {
            return *number;
        }
        let kind = match ty {
            Type::Id(id) => self.kind(*id),
            scalar => scalar_name(scalar).to_owned(),
        };
        let name = name(self.resolve, ty).replace(", ", ",");
        let _ = writeln!(self.lines, "type {name} {kind}");
        let number = self.count;
        self.count += 1;
        self.numbers.insert(*ty, number);
        number
    }

    /// A type without the names that others have for it.
    fn resolved(&self, mut ty: Type) -> Type {
        while let Type::Id(id) = ty
            && let TypeDefKind::Type(other) = self.resolve.types[id].kind
        {
            ty = other;
        }
        ty
    }

    fn optional(&mut self, ty: Option<&Type>) -> String {
        ty.map_or_else(|| "_".to_owned(), |ty| self.number(ty).to_string())
    }

    fn kind(&mut self, id: TypeId) -> String {
        let resolve = self.resolve;
        let mut words = Vec::new();
        match &resolve.types[id].kind {
            TypeDefKind::List(item) => words.extend(["list".to_owned(), self.number(item).to_string()]),
            TypeDefKind::Tuple(tuple) => {
                words.push("tuple".to_owned());
                words.extend(tuple.types.iter().map(|ty| self.number(ty).to_string()));
            }
            TypeDefKind::Record(record) => {
                words.push("record".to_owned());
                for field in &record.fields {
                    words.extend([field.name.to_lower_camel_case(), self.number(&field.ty).to_string()]);
                }
            }
            TypeDefKind::Variant(variant) => {
                words.push("variant".to_owned());
                for case in &variant.cases {
                    words.extend([case.name.clone(), self.optional(case.ty.as_ref())]);
                }
            }
            TypeDefKind::Enum(cases) => {
                words.push("enum".to_owned());
                words.extend(cases.cases.iter().map(|case| case.name.clone()));
            }
            TypeDefKind::Option(some) => {
                let form = if can_be_undefined(resolve, some) { "tagged-option" } else { "option" };
                words.extend([form.to_owned(), self.number(some).to_string()]);
            }
            TypeDefKind::Result(result) => {
                let (ok, err) = (self.optional(result.ok.as_ref()), self.optional(result.err.as_ref()));
                words.extend(["result".to_owned(), ok, err]);
            }
            TypeDefKind::Flags(flags) => {
                words.push("flags".to_owned());
                words.extend(flags.flags.iter().map(|flag| flag.name.to_lower_camel_case()));
            }
            // Refused before; the engine says which line it is.
            other => words.push(other.as_str().to_owned()),
        }
        words.join(" ")
    }
}

/// Whether a value of a type may be `undefined`, so that an option of it must be another thing than `undefined`.
pub(super) fn can_be_undefined(resolve: &Resolve, ty: &Type) -> bool {
    match ty {
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Option(some) => !can_be_undefined(resolve, some),
            TypeDefKind::Type(ty) => can_be_undefined(resolve, ty),
            _ => false,
        },
        _ => false,
    }
}

/// A type as WIT writes it.
pub(super) fn name(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return scalar_name(ty).to_owned() };
    let definition = &resolve.types[*id];
    if let Some(name) = &definition.name {
        return name.clone();
    }
    let optional = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), |ty| name(resolve, ty));
    match &definition.kind {
        TypeDefKind::List(item) => format!("list<{}>", name(resolve, item)),
        TypeDefKind::Option(some) => format!("option<{}>", name(resolve, some)),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(|ty| name(resolve, ty)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", optional(ok)),
            (ok, err) => format!("result<{}, {}>", optional(ok), optional(err)),
        },
        other => other.as_str().to_owned(),
    }
}

fn scalar_name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "_",
    }
}
