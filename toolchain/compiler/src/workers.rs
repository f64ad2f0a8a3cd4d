//! Classes of service workers that have no workers, since the entry module does not export them.
//!
//! What the entry exports the engine sees when it evaluates the bundle. This reads the bundle for the others, which
//! are mistakes, unless a class extends them. Where a class gets its name in another way than by a declaration or a
//! variable, nothing is said.

use crate::bundle::Bundle;
use crate::diagnostic::{BuildWarning, Details, SourceLocation};
use crate::first_use::line_and_column;
use elias_contract::stack::{SourceMap, locate};
use oxc::allocator::Allocator;
use oxc::ast::ast::{
    AssignmentExpression, AssignmentTarget, BindingPattern, Class, ExportNamedDeclaration, Expression,
    ImportDeclaration, ImportDeclarationSpecifier, VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::SourceType;
use std::collections::HashSet;

/// The module that gives the base class, and its export.
const MODULE: &str = "elias/workers";
const EXPORT: &str = "worker";
/// The base class, a member of that.
const BASE: &str = "Worker";

/// A warning for each class that extends `Worker`, is not exported and is no other's parent.
pub(crate) fn warnings(bundle: &Bundle) -> Vec<BuildWarning> {
    let Ok(map) = SourceMap::from_json_string(&bundle.map) else { return Vec::new() };
    let warnings = unexported(&bundle.code).into_iter().filter_map(|offset| {
        let (line, column) = line_and_column(&bundle.code, offset)?;
        let location = SourceLocation::from(locate(&map, line, column)?).labelled("not exported");
        let message =
            "the class extends worker.Worker and is not a named export of the entry module: it has no workers";
        let help = "export it from the entry module: export class Cart extends worker.Worker { ... }";
        Some(BuildWarning::UnexportedWorker(Box::new(Details::new(message).help(help).at(location))))
    });
    warnings.collect()
}

/// Where such classes stand in the bundle, in bytes.
fn unexported(code: &str) -> Vec<usize> {
    let allocator = Allocator::default();
    let program = Parser::new(&allocator, code, SourceType::mjs()).parse().program;
    let mut classes = Classes::default();
    classes.visit_program(&program);
    let Classes { factories, found, exported } = classes;
    let mut workers = HashSet::new();
    loop {
        let before = workers.len();
        for class in &found {
            let extends = match &class.parent {
                Parent::Class(parent) => workers.contains(parent),
                Parent::BaseOf(object) => factories.contains(object),
            };
            if extends {
                workers.insert(class.name.clone());
            }
        }
        if workers.len() == before {
            break;
        }
    }
    let is_parent = |name: &str| found.iter().any(|class| matches!(&class.parent, Parent::Class(of) if of == name));
    let lost = found.iter().filter(|class| workers.contains(&class.name));
    let lost = lost.filter(|class| !exported.contains(&class.name) && !is_parent(&class.name));
    lost.map(|class| class.offset).collect()
}

/// The parent of a class.
enum Parent {
    /// A class with this name.
    Class(String),
    /// The member `Worker` of a variable with this name.
    BaseOf(String),
}

struct FoundClass {
    name: String,
    parent: Parent,
    offset: usize,
}

#[derive(Default)]
struct Classes {
    /// The local names of `worker`.
    factories: HashSet<String>,
    /// The classes with a name and a parent, in order.
    found: Vec<FoundClass>,
    /// The local names of what the bundle exports.
    exported: HashSet<String>,
}

impl Classes {
    fn add(&mut self, name: &str, class: &Class<'_>) {
        let parent = match class.heritage_expression() {
            Some(Expression::Identifier(parent)) => Parent::Class(parent.name.to_string()),
            Some(Expression::StaticMemberExpression(member)) if member.property.name.as_str() == BASE => {
                let Some(object) = member.object.get_identifier_reference() else { return };
                Parent::BaseOf(object.name.to_string())
            }
            _ => return,
        };
        self.found.push(FoundClass { name: name.to_owned(), parent, offset: class.span.start as usize });
    }
}

impl<'a> Visit<'a> for Classes {
    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        if import.source.value.as_str() != MODULE {
            return;
        }
        for specifier in import.specifiers.iter().flatten() {
            if let ImportDeclarationSpecifier::ImportSpecifier(specifier) = specifier
                && specifier.imported.name().as_str() == EXPORT
            {
                self.factories.insert(specifier.local.name.to_string());
            }
        }
    }

    fn visit_export_named_declaration(&mut self, export: &ExportNamedDeclaration<'a>) {
        let is_default = |name: &str| name == "default";
        let named = export.specifiers.iter().filter(|specifier| !is_default(specifier.exported.name().as_str()));
        self.exported.extend(named.map(|specifier| specifier.local.name().to_string()));
        walk::walk_export_named_declaration(self, export);
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        if let (true, Some(id)) = (class.is_declaration(), &class.id) {
            self.add(id.name.as_str(), class);
        }
        walk::walk_class(self, class);
    }

    fn visit_variable_declarator(&mut self, declarator: &VariableDeclarator<'a>) {
        if let (BindingPattern::BindingIdentifier(local), Some(Expression::ClassExpression(class))) =
            (&declarator.id, &declarator.init)
        {
            self.add(local.name.as_str(), class);
        }
        walk::walk_variable_declarator(self, declarator);
    }

    fn visit_assignment_expression(&mut self, assignment: &AssignmentExpression<'a>) {
        if let (AssignmentTarget::AssignmentTargetIdentifier(local), Expression::ClassExpression(class)) =
            (&assignment.left, &assignment.right)
        {
            self.add(local.name.as_str(), class);
        }
        walk::walk_assignment_expression(self, assignment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first words of the classes that are not exported.
    fn lost(code: &str) -> Vec<String> {
        let code = format!("import {{ worker }} from \"elias/workers\";\n{code}");
        unexported(&code).into_iter().map(|at| code[at..].split(" extends").next().unwrap_or("").to_owned()).collect()
    }

    #[test]
    fn finds_worker_classes_that_nobody_can_start() {
        let none = Vec::<String>::new();
        assert_eq!(lost("class Cart extends worker.Worker {} export { Cart };"), none);
        assert_eq!(lost("class Cart$1 extends worker.Worker {} export { Cart$1 as Cart };"), none);
        assert_eq!(lost("var Cart = class extends worker.Worker {}; export { Cart };"), none);
        assert_eq!(lost("class Cart extends worker.Worker {}"), ["class Cart"]);
        assert_eq!(lost("class Cart extends worker.Worker {} export { Cart as default };"), ["class Cart"]);
        assert_eq!(lost("var Cart; Cart = class Cart extends worker.Worker {};"), ["class Cart"]);
        assert_eq!(lost("const Cart = class extends worker.Worker {};"), ["class"]);
    }

    #[test]
    fn a_parent_of_others_need_not_be_exported() {
        let code = "class Base extends worker.Worker {} class Cart extends Base {}";
        assert_eq!(lost(code), ["class Cart"]);
        assert_eq!(lost(&format!("{code} export {{ Cart }};")), Vec::<String>::new());
    }

    #[test]
    fn other_classes_are_not_meant() {
        assert_eq!(lost("class A extends other.Worker {} class B extends worker.Other {}"), Vec::<String>::new());
        assert_eq!(lost("exports.A = class extends worker.Worker {};"), Vec::<String>::new());
        assert_eq!(lost("class C extends D {} class E {} f(class extends worker.Worker {});"), Vec::<String>::new());
        assert_eq!(unexported("import { worker } from \"x\"; class A extends worker.Worker {}"), Vec::<usize>::new());
        assert_eq!(unexported("import { worker as w } from \"elias/workers\"; class A extends w.Worker {}"), [45]);
    }
}
