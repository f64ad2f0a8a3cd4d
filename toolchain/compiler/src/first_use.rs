//! Which line of the source makes a capability needed: the first use of it in the bundle that a file of the author's
//! has.

use crate::capabilities::ImportedFunctions;
use elias_contract::stack::{SourceMap, locate};
use oxc::allocator::Allocator;
use oxc::ast::ast::{
    Argument, BindingPattern, Expression, IdentifierName, IdentifierReference, ImportDeclaration,
    ImportDeclarationSpecifier, VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::SourceType;
use std::collections::BTreeMap;

/// Capabilities that have to be granted: the interface, a module that gives it, and names that mean it besides.
const CAPABILITIES: [(&str, &str, &[&str]); 10] = [
    ("elias:cache/cache", "elias/cache", &[]),
    ("elias:config/config", "elias/config", &["env"]),
    ("elias:db/db", "elias/db", &[]),
    ("elias:events/events", "elias/events", &[]),
    ("elias:feature-flags/evaluation", "elias/flags", &[]),
    ("elias:jobs/jobs", "elias/jobs", &[]),
    ("elias:workers/workers", "elias/workers", &[]),
    ("elias:workers/workers", "elias/eiasw", &[]),
    ("elias:workflow/steps", "elias/workflow", &[]),
    ("wasi:http/outgoing-handler", "elias/http", &["fetch"]),
];

/// By interface with its version, the place `FILE:LINE:COLUMN` of the first use; without those that only packages use,
/// or nobody does.
pub(crate) fn of(
    code: &str,
    map: &str,
    imports: &[String],
    imported: &ImportedFunctions<'_>,
) -> BTreeMap<String, String> {
    let needed = |interface: &str| imports.iter().find(|name| name.split('@').next() == Some(interface));
    let mut places = BTreeMap::new();
    if imported.functions().is_empty() && !CAPABILITIES.iter().any(|(interface, ..)| needed(interface).is_some()) {
        return places;
    }
    let Ok(map) = SourceMap::from_json_string(map) else { return places };
    let allocator = Allocator::default();
    let program = Parser::new(&allocator, code, SourceType::mjs()).parse().program;
    let mut names = Names { found: Vec::new(), imported: Vec::new() };
    names.visit_program(&program);
    let place_of = |is_use: &dyn Fn(&str) -> bool| {
        names.found.iter().filter(|(local, _)| is_use(local)).find_map(|(_, offset)| {
            let (line, column) = line_and_column(code, *offset)?;
            let position = locate(&map, line, column)?;
            (!position.file.contains("node_modules/"))
                .then(|| format!("{}:{}:{}", position.file, position.line, position.column))
        })
    };
    for (interface, module, others) in CAPABILITIES {
        let Some(name) = needed(interface) else { continue };
        let imported = |local: &str| names.imported.iter().any(|(from, known)| from == module && known == local);
        if let Some(place) = place_of(&|local| imported(local) || others.contains(&local)) {
            places.entry(name.clone()).or_insert(place);
        }
    }
    for name in imports.iter().filter(|name| imported.functions().iter().any(|function| function.module == **name)) {
        let imported = |local: &str| {
            let functions = names.imported.iter().filter(|(_, known)| known == local);
            functions.filter_map(|(id, _)| id.split_once('#')).any(|(interface, _)| interface == name)
        };
        if let Some(place) = place_of(&imported) {
            places.insert(name.clone(), place);
        }
    }
    places
}

/// The line and the column (UTF-16) of a place in a text that is given in bytes, both from 1.
pub(crate) fn line_and_column(code: &str, offset: usize) -> Option<(u32, u32)> {
    let before = code.get(..offset)?;
    let line = u32::try_from(before.matches('\n').count()).ok()? + 1;
    let column = before.rsplit('\n').next()?.encode_utf16().count();
    Some((line, u32::try_from(column).ok()? + 1))
}

struct Names {
    /// Names that are read, and where, in order.
    found: Vec<(String, usize)>,
    /// Modules of ELIAS, or ids of functions of capabilities, and the local names of what is imported from them.
    imported: Vec<(String, String)>,
}

impl<'a> Visit<'a> for Names {
    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        for specifier in import.specifiers.iter().flatten() {
            let local = match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(it) => &it.local,
                ImportDeclarationSpecifier::ImportDefaultSpecifier(it) => &it.local,
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(it) => &it.local,
            };
            self.imported.push((import.source.value.to_string(), local.name.to_string()));
        }
    }

    fn visit_variable_declarator(&mut self, declarator: &VariableDeclarator<'a>) {
        // As `capabilities` writes it: `const f0 = native.capabilityFunction("example:geo/places#find")`.
        if let (BindingPattern::BindingIdentifier(local), Some(Expression::CallExpression(call))) =
            (&declarator.id, &declarator.init)
            && let [Argument::StringLiteral(id)] = &call.arguments[..]
        {
            self.imported.push((id.value.to_string(), local.name.to_string()));
        }
        walk::walk_variable_declarator(self, declarator);
    }

    fn visit_identifier_reference(&mut self, name: &IdentifierReference<'a>) {
        self.found.push((name.name.to_string(), name.span.start as usize));
    }

    fn visit_identifier_name(&mut self, name: &IdentifierName<'a>) {
        // `process.env`, and not `db` of another object.
        if name.name == "env" {
            self.found.push((name.name.to_string(), name.span.start as usize));
        }
    }
}
