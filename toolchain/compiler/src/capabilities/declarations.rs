//! TypeScript's declarations of the modules of capabilities.

use super::describe::can_be_undefined;
use super::{Capabilities, supported};
use elias_project::types::CAPABILITIES_HEADER;
use heck::{ToLowerCamelCase, ToUpperCamelCase};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use wit_parser::{Docs, Function, InterfaceId, Type, TypeDefKind, TypeId, TypeOwner};

/// Words that are not names of functions in a declaration.
const RESERVED: [&str; 38] = [
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "import",
    "in",
    "instanceof",
    "new",
    "null",
    "return",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
];

impl Capabilities {
    /// The declarations of the modules for TypeScript: one for each interface, by its name with its version and
    /// without, and of the interfaces whose types these use. Functions that JavaScript cannot be given are left out.
    #[must_use]
    pub fn declarations(&self) -> String {
        let mut text = CAPABILITIES_HEADER.to_owned();
        let mut ids = Vec::new();
        self.interfaces.iter().for_each(|(_, id)| super::add_needed(&self.resolve, *id, &mut ids));
        for id in ids {
            let Some(name) = self.resolve.id_of(id) else { continue };
            let _ = writeln!(text, "\ndeclare module \"{name}\" {{");
            self.interface(id, &mut text);
            text.push_str("}\n");
            let short = name.split('@').next().unwrap_or_default();
            if short != name && self.find(short) == Some(&name) {
                let _ = writeln!(text, "\ndeclare module \"{short}\" {{\n  export * from \"{name}\";\n}}");
            }
        }
        text
    }

    fn interface(&self, id: InterfaceId, text: &mut String) {
        let interface = &self.resolve.interfaces[id];
        for (name, ty) in &interface.types {
            if let Some(declared) = self.type_declaration(name, *ty) {
                comment(&self.resolve.types[*ty].docs, None, "  ", text);
                let _ = writeln!(text, "  {declared}");
            }
        }
        let mut renamed = Vec::new();
        for function in interface.functions.values().filter(|function| supported::check(self, function).is_ok()) {
            let name = function.name.to_lower_camel_case();
            let is_reserved = RESERVED.contains(&name.as_str());
            let local = if is_reserved { format!("{name}_") } else { name.clone() };
            let (result, fails) = self.result(function);
            comment(&function.docs, fails.as_deref(), "  ", text);
            let export = if is_reserved { "" } else { "export " };
            let parameters = self.parameters(function);
            let _ = writeln!(text, "  {export}function {local}({parameters}): {result};");
            if is_reserved {
                renamed.push(format!("{local} as {name}"));
            }
        }
        if !renamed.is_empty() {
            let _ = writeln!(text, "  export {{ {} }};", renamed.join(", "));
        }
    }

    /// A parameter at the end that may be undefined may be left out.
    fn parameters(&self, function: &Function) -> String {
        let is_optional = |ty: &Type| can_be_undefined(&self.resolve, ty);
        let required = function.params.iter().rposition(|parameter| !is_optional(&parameter.ty)).map_or(0, |at| at + 1);
        let mut taken = BTreeSet::new();
        let parameters = function.params.iter().enumerate().map(|(index, parameter)| {
            let mut name = parameter.name.to_lower_camel_case();
            while RESERVED.contains(&name.as_str()) || !taken.insert(name.clone()) {
                name.push('_');
            }
            let mark = if index >= required { "?" } else { "" };
            format!("{name}{mark}: {}", self.type_name(&parameter.ty))
        });
        parameters.collect::<Vec<_>>().join(", ")
    }

    /// The result type of a function, and the type of the `payload` of its exception.
    fn result(&self, function: &Function) -> (String, Option<String>) {
        let Some(ty) = &function.result else { return ("void".to_owned(), None) };
        let Some(TypeDefKind::Result(result)) = self.kind(ty) else { return (self.type_name(ty), None) };
        let ok = result.ok.map_or_else(|| "void".to_owned(), |ty| self.type_name(&ty));
        let err = result.err.map_or_else(|| "undefined".to_owned(), |ty| self.type_name(&ty));
        (ok, Some(format!("@throws an Error whose `payload` is `{err}`")))
    }

    /// The definition of a type, whatever others call it.
    fn kind(&self, ty: &Type) -> Option<&TypeDefKind> {
        match ty {
            Type::Id(id) => match &self.resolve.types[*id].kind {
                TypeDefKind::Type(ty) => self.kind(ty),
                kind => Some(kind),
            },
            _ => None,
        }
    }

    fn type_declaration(&self, name: &str, id: TypeId) -> Option<String> {
        let definition = &self.resolve.types[id];
        let name = name.to_upper_camel_case();
        Some(match &definition.kind {
            TypeDefKind::Record(record) => {
                let mut text = format!("export interface {name} {{\n");
                for field in &record.fields {
                    comment(&field.docs, None, "    ", &mut text);
                    let mark = if can_be_undefined(&self.resolve, &field.ty) { "?" } else { "" };
                    let ty = self.type_name(&field.ty);
                    let _ = writeln!(text, "    {}{mark}: {ty};", field.name.to_lower_camel_case());
                }
                text + "  }"
            }
            TypeDefKind::Flags(flags) => {
                let mut text = format!("export interface {name} {{\n");
                for flag in &flags.flags {
                    comment(&flag.docs, None, "    ", &mut text);
                    let _ = writeln!(text, "    {}?: boolean;", flag.name.to_lower_camel_case());
                }
                text + "  }"
            }
            TypeDefKind::Resource => return None,
            kind => format!("export type {name} = {};", self.structure(kind, definition.owner)),
        })
    }

    /// How a type is written where it is used.
    fn type_name(&self, ty: &Type) -> String {
        let Type::Id(id) = ty else { return scalar(ty).to_owned() };
        let definition = &self.resolve.types[*id];
        match &definition.name {
            Some(name) => name.to_upper_camel_case(),
            None => self.structure(&definition.kind, definition.owner),
        }
    }

    fn structure(&self, kind: &TypeDefKind, owner: TypeOwner) -> String {
        let case = |tag: &str, ty: Option<&Type>| match ty {
            Some(ty) => format!("{{ tag: \"{tag}\"; val: {} }}", self.type_name(ty)),
            None => format!("{{ tag: \"{tag}\" }}"),
        };
        match kind {
            TypeDefKind::Type(ty) => match self.elsewhere(ty, owner) {
                Some((interface, name)) => format!("import(\"{interface}\").{name}"),
                None => self.type_name(ty),
            },
            TypeDefKind::List(Type::U8) => "Uint8Array".to_owned(),
            TypeDefKind::List(item) => format!("Array<{}>", self.type_name(item)),
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<String> = tuple.types.iter().map(|ty| self.type_name(ty)).collect();
                format!("[{}]", types.join(", "))
            }
            TypeDefKind::Variant(variant) => {
                let cases: Vec<_> = variant.cases.iter().map(|each| case(&each.name, each.ty.as_ref())).collect();
                cases.join(" | ")
            }
            TypeDefKind::Enum(cases) => {
                let cases: Vec<_> = cases.cases.iter().map(|case| format!("\"{}\"", case.name)).collect();
                cases.join(" | ")
            }
            TypeDefKind::Option(some) if can_be_undefined(&self.resolve, some) => {
                format!("{} | {}", case("none", None), case("some", Some(some)))
            }
            TypeDefKind::Option(some) => format!("{} | undefined", self.type_name(some)),
            TypeDefKind::Result(result) => {
                format!("{} | {}", case("ok", result.ok.as_ref()), case("err", result.err.as_ref()))
            }
            _ => "never".to_owned(), // refused where it is used
        }
    }

    /// The interface that a type comes from, and its name there, if it is another one.
    fn elsewhere(&self, ty: &Type, owner: TypeOwner) -> Option<(String, String)> {
        let Type::Id(id) = ty else { return None };
        let definition = &self.resolve.types[*id];
        match definition.owner {
            TypeOwner::Interface(interface) if definition.owner != owner => {
                Some((self.resolve.id_of(interface)?, definition.name.as_ref()?.to_upper_camel_case()))
            }
            _ => None,
        }
    }
}

fn scalar(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "boolean",
        Type::U64 | Type::S64 => "bigint",
        Type::Char | Type::String => "string",
        Type::ErrorContext | Type::Id(_) => "never",
        _ => "number",
    }
}

/// Writes what WIT says of something, and a line more, as a comment.
fn comment(docs: &Docs, more: Option<&str>, indent: &str, text: &mut String) {
    let lines: Vec<&str> = docs.contents.iter().flat_map(|docs| docs.lines()).map(str::trim_end).chain(more).collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{indent}/**");
    for line in lines {
        let _ = writeln!(text, "{indent} * {}", line.replace("*/", "* /"));
    }
    let _ = writeln!(text, "{indent} */");
}
