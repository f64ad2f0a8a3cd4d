//! Effects that oxc does not see.
//!
//! oxc's `MayHaveSideEffects` takes conversions to primitives, the built-in functions that convert, and the definition
//! of a class for free of effects. This visitor says where a statement of the top level has one of these. It errs on
//! one side: what it finds stays in the bundle, and what it does not find is oxc's to judge.

use oxc::ast::ast::{
    AccessorProperty, Argument, ArrowFunctionBody, ArrowFunctionExpression, BinaryExpression, BinaryOperator,
    CallExpression, Class, ClassElement, Expression, Function, IdentifierReference, MethodDefinition, NewExpression,
    ObjectProperty, PropertyDefinition, PropertyKey, ReturnStatement, TSClassImplements, TSType, TSTypeAnnotation,
    TSTypeParameterDeclaration, TSTypeParameterInstantiation, TemplateLiteral, UnaryExpression, UnaryOperator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::semantic::{ScopeFlags, Scoping};

/// Globals of ECMA-262, which every engine has: to read one has no effect. Any other name may be missing.
const STANDARD: [&str; 53] = [
    "AggregateError",
    "Array",
    "ArrayBuffer",
    "Atomics",
    "BigInt",
    "BigInt64Array",
    "BigUint64Array",
    "Boolean",
    "DataView",
    "Date",
    "Error",
    "EvalError",
    "FinalizationRegistry",
    "Float32Array",
    "Float64Array",
    "Function",
    "Infinity",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "JSON",
    "Map",
    "Math",
    "NaN",
    "Number",
    "Object",
    "Promise",
    "Proxy",
    "RangeError",
    "ReferenceError",
    "Reflect",
    "RegExp",
    "Set",
    "String",
    "Symbol",
    "SyntaxError",
    "TypeError",
    "URIError",
    "Uint16Array",
    "Uint32Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "WeakMap",
    "WeakRef",
    "WeakSet",
    "console",
    "decodeURIComponent",
    "encodeURIComponent",
    "globalThis",
    "isNaN",
    "parseFloat",
    "parseInt",
    "undefined",
];

/// The names that a CommonJS module has beside them.
const COMMONJS: [&str; 4] = ["arguments", "exports", "module", "require"];

/// Looks for effects. Functions are not entered, for they do not run where they stand.
pub(super) struct Effects<'s> {
    scoping: &'s Scoping,
    /// Whether there is one.
    pub(super) found: bool,
}

impl<'s> Effects<'s> {
    pub(super) fn new(scoping: &'s Scoping) -> Self {
        Self { scoping, found: false }
    }

    fn is_free(&self, reference: &IdentifierReference<'_>) -> bool {
        reference.reference_id.get().is_none_or(|id| self.scoping.get_reference(id).symbol_id().is_none())
    }

    /// The free variable that `expression` is, or is a member of.
    fn root<'e>(&self, expression: &'e Expression<'_>) -> Option<(&'e str, Option<&'e str>)> {
        match expression.get_inner_expression() {
            Expression::Identifier(name) => self.is_free(name).then_some((name.name.as_str(), None)),
            Expression::StaticMemberExpression(member) => {
                let object = member.object.get_identifier_reference()?;
                self.is_free(object).then_some((object.name.as_str(), Some(member.property.name.as_str())))
            }
            Expression::ComputedMemberExpression(member) => {
                let object = member.object.get_identifier_reference()?;
                self.is_free(object).then_some((object.name.as_str(), Some("")))
            }
            _ => None,
        }
    }

    /// Enters a function that is called where it stands.
    fn enter_called(&mut self, callee: &Expression<'_>) {
        match callee.get_inner_expression() {
            Expression::FunctionExpression(function) => {
                if let Some(body) = &function.body {
                    self.visit_function_body_statements(&body.statements);
                }
            }
            Expression::ArrowFunctionExpression(function) => match &function.body {
                ArrowFunctionBody::FunctionBody(body) => self.visit_function_body_statements(&body.statements),
                body => {
                    if let Some(expression) = body.as_expression() {
                        self.visit_expression(expression);
                    }
                }
            },
            _ => {}
        }
    }

    fn visit_function_body_statements(&mut self, statements: &[oxc::ast::ast::Statement<'_>]) {
        // Its `return` ends the function, and not the module.
        for statement in statements {
            match statement {
                oxc::ast::ast::Statement::ReturnStatement(it) => {
                    if let Some(value) = &it.argument {
                        self.visit_expression(value);
                    }
                }
                statement => self.visit_statement(statement),
            }
        }
    }
}

/// A literal that converts without an effect.
fn is_plain(expression: &Expression<'_>) -> bool {
    matches!(
        expression.get_inner_expression(),
        Expression::StringLiteral(_)
            | Expression::NumericLiteral(_)
            | Expression::BooleanLiteral(_)
            | Expression::NullLiteral(_)
    )
}

/// Whether it is a text for certain: `typeof x`, or a literal.
fn is_text(expression: &Expression<'_>) -> bool {
    match expression.get_inner_expression() {
        Expression::UnaryExpression(unary) => unary.operator == UnaryOperator::Typeof,
        expression => is_plain(expression),
    }
}

fn is_nothing(expression: &Expression<'_>) -> bool {
    match expression.get_inner_expression() {
        Expression::NullLiteral(_) => true,
        Expression::Identifier(name) => name.name == "undefined",
        Expression::UnaryExpression(unary) => unary.operator == UnaryOperator::Void,
        _ => false,
    }
}

/// Whether a computed key converts without an effect: a literal, or `Symbol.iterator` and its like.
fn is_plain_key(key: &PropertyKey<'_>) -> bool {
    match key.as_expression() {
        Some(Expression::StaticMemberExpression(member)) => {
            member.object.get_identifier_reference().is_some_and(|object| object.name == "Symbol")
        }
        Some(expression) => is_plain(expression),
        None => true,
    }
}

/// Whether oxc takes a call of this free variable, or of its member, for one without effects. What it knows to have
/// some stays anyway, and other parts of the bundler want to see it as it is: `Object.defineProperty(exports,
/// "__esModule", ...)`.
fn is_taken_for_pure(callee: (&str, Option<&str>), constructs: bool) -> bool {
    let typed_array = |name: &str| name.ends_with("Array") && name != "Array";
    match callee {
        (name, None) if constructs => {
            matches!(
                name,
                "ArrayBuffer"
                    | "Boolean"
                    | "Date"
                    | "Map"
                    | "Number"
                    | "Object"
                    | "RegExp"
                    | "Set"
                    | "String"
                    | "WeakMap"
            ) || matches!(name, "WeakSet")
                || name.ends_with("Error")
                || typed_array(name)
        }
        (name, None) => {
            matches!(
                name,
                "BigInt" | "Boolean" | "Date" | "Number" | "Object" | "RegExp" | "String" | "Symbol" | "escape"
            ) || ["decodeURI", "encodeURI", "is", "parse"].iter().any(|start| name.starts_with(start))
                || name.ends_with("Error")
        }
        ("Object", Some(member)) => {
            ["create", "get", "has", "is", "keys"].iter().any(|start| member.starts_with(start)) || member.is_empty()
        }
        (name, Some(_)) => {
            matches!(name, "Array" | "ArrayBuffer" | "Date" | "Math" | "Number" | "String" | "Symbol" | "URL")
                || typed_array(name)
        }
    }
}

/// Whether calling a built-in with these arguments has no effect, whatever oxc thinks.
fn is_harmless(callee: (&str, Option<&str>), arguments: &[Argument<'_>], constructs: bool) -> bool {
    let plain = || arguments.iter().all(|argument| argument.as_expression().is_some_and(is_plain));
    match callee {
        ("Map" | "Set" | "WeakMap" | "WeakSet", None) if constructs => arguments.is_empty() || plain_list(arguments),
        (name, None) if name.ends_with("Error") => plain(),
        ("Symbol", None | Some("for")) | ("String" | "Boolean", None) => plain(),
        ("Object", None) => arguments.is_empty(),
        ("Object", Some("create")) => match arguments {
            [argument] => argument.as_expression().is_some_and(|it| matches!(it, Expression::NullLiteral(_))),
            _ => false,
        },
        ("Array", Some("isArray")) => true,
        _ => false,
    }
}

impl<'a> Visit<'a> for Effects<'_> {
    fn visit_function(&mut self, _: &Function<'a>, _: ScopeFlags) {}

    fn visit_arrow_function_expression(&mut self, _: &ArrowFunctionExpression<'a>) {}

    // Types are not there when the program runs.
    fn visit_ts_type(&mut self, _: &TSType<'a>) {}
    fn visit_ts_type_annotation(&mut self, _: &TSTypeAnnotation<'a>) {}
    fn visit_ts_type_parameter_declaration(&mut self, _: &TSTypeParameterDeclaration<'a>) {}
    fn visit_ts_type_parameter_instantiation(&mut self, _: &TSTypeParameterInstantiation<'a>) {}
    fn visit_ts_class_implements(&mut self, _: &TSClassImplements<'a>) {}

    fn visit_return_statement(&mut self, _: &ReturnStatement<'a>) {
        // The end of a CommonJS module.
        self.found = true;
    }

    fn visit_identifier_reference(&mut self, reference: &IdentifierReference<'a>) {
        let symbol = reference.reference_id.get().and_then(|id| self.scoping.get_reference(id).symbol_id());
        self.found |= match symbol {
            None => {
                STANDARD.binary_search(&reference.name.as_str()).is_err()
                    && !COMMONJS.contains(&reference.name.as_str())
            }
            // Names that `let`, `const` and `class` declare cannot be read before.
            Some(symbol) => {
                self.scoping.symbol_flags(symbol).is_block_scoped()
                    && !self.scoping.symbol_flags(symbol).is_function()
                    && self.scoping.symbol_span(symbol).start > reference.span.start
            }
        };
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        if !call.pure {
            self.enter_called(&call.callee);
            if let Some(callee) = self.root(&call.callee) {
                self.found |= is_taken_for_pure(callee, false) && !is_harmless(callee, &call.arguments, false);
            }
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_new_expression(&mut self, new: &NewExpression<'a>) {
        if !new.pure
            && let Some(callee) = self.root(&new.callee)
        {
            self.found |= is_taken_for_pure(callee, true) && !is_harmless(callee, &new.arguments, true);
        }
        walk::walk_new_expression(self, new);
    }

    fn visit_template_literal(&mut self, template: &TemplateLiteral<'a>) {
        self.found |= !template.expressions.iter().all(is_plain);
        walk::walk_template_literal(self, template);
    }

    fn visit_unary_expression(&mut self, unary: &UnaryExpression<'a>) {
        match unary.operator {
            // A name that is not there has the type "undefined".
            UnaryOperator::Typeof if unary.argument.is_identifier_reference() => return,
            UnaryOperator::UnaryPlus | UnaryOperator::UnaryNegation | UnaryOperator::BitwiseNot => {
                self.found |= !is_plain(&unary.argument);
            }
            _ => {}
        }
        walk::walk_unary_expression(self, unary);
    }

    fn visit_binary_expression(&mut self, binary: &BinaryExpression<'a>) {
        let (left, right) = (&binary.left, &binary.right);
        self.found |= match binary.operator {
            BinaryOperator::StrictEquality | BinaryOperator::StrictInequality => false,
            BinaryOperator::Equality | BinaryOperator::Inequality => {
                !(is_nothing(left) || is_nothing(right) || is_text(left) && is_text(right))
            }
            _ => !(is_text(left) && is_text(right)),
        };
        walk::walk_binary_expression(self, binary);
    }

    fn visit_object_property(&mut self, property: &ObjectProperty<'a>) {
        self.found |= property.computed && !is_plain_key(&property.key);
        walk::walk_object_property(self, property);
    }

    fn visit_class(&mut self, class: &Class<'a>) {
        if let Some(parent) = class.heritage_expression() {
            self.found |= match parent.get_inner_expression() {
                Expression::NullLiteral(_) | Expression::ClassExpression(_) => false,
                // That it is a constructor is what a superclass is for; a literal is none.
                Expression::Identifier(_)
                | Expression::CallExpression(_)
                | Expression::StaticMemberExpression(_)
                | Expression::ComputedMemberExpression(_) => false,
                Expression::FunctionExpression(function) => function.r#async || function.generator,
                _ => true,
            };
            self.visit_expression(parent);
        }
        for element in &class.body.body {
            self.visit_class_element(element);
        }
    }

    fn visit_class_element(&mut self, element: &ClassElement<'a>) {
        // A static member called "prototype" throws; by a plain name it is an error of the syntax.
        let forbidden = |computed: bool, r#static: bool, key: &PropertyKey<'a>| {
            computed && r#static && key.static_name().is_none_or(|name| name == "prototype")
        };
        let (computed, r#static, key) = match element {
            ClassElement::MethodDefinition(it) => (it.computed, it.r#static, &it.key),
            ClassElement::PropertyDefinition(it) => (it.computed, it.r#static, &it.key),
            ClassElement::AccessorProperty(it) => (it.computed, it.r#static, &it.key),
            ClassElement::StaticBlock(_) | ClassElement::TSIndexSignature(_) => {
                return walk::walk_class_element(self, element);
            }
        };
        self.found |= computed && !is_plain_key(key);
        if forbidden(computed, r#static, key) && !key.as_expression().is_some_and(Expression::is_member_expression) {
            self.found = true;
        }
        walk::walk_class_element(self, element);
    }

    fn visit_method_definition(&mut self, method: &MethodDefinition<'a>) {
        if method.computed {
            self.visit_property_key(&method.key);
        }
    }

    fn visit_property_definition(&mut self, property: &PropertyDefinition<'a>) {
        if property.computed {
            self.visit_property_key(&property.key);
        }
        if property.r#static
            && let Some(value) = &property.value
        {
            self.visit_expression(value);
        }
    }

    fn visit_accessor_property(&mut self, property: &AccessorProperty<'a>) {
        if property.computed {
            self.visit_property_key(&property.key);
        }
        if property.r#static
            && let Some(value) = &property.value
        {
            self.visit_expression(value);
        }
    }
}

/// Whether the only argument is a list of plain values, or of nothing.
fn plain_list(arguments: &[Argument<'_>]) -> bool {
    match arguments {
        [argument] => match argument.as_expression().map(Expression::get_inner_expression) {
            Some(Expression::ArrayExpression(list)) => {
                list.elements.iter().all(|element| element.as_expression().is_some_and(is_plain))
            }
            Some(expression) => is_nothing(expression),
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_of_globals_is_sorted() {
        assert!(super::STANDARD.is_sorted());
    }
}
