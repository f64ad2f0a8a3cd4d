//! Properties of expressions for the rewriter, and the names that `var` declares.

use oxc::ast::ast::{BindingIdentifier, Class, Expression, Function, VariableDeclaration, VariableDeclarationKind};
use oxc::ast_visit::Visit;
use oxc::semantic::ScopeFlags;

/// Whether it is `import.meta`.
pub(super) fn is_import_meta(expression: &Expression<'_>) -> bool {
    matches!(expression, Expression::ImportMeta(_))
}

/// Whether it is a function or class that takes the name of what it is assigned to.
pub(super) fn is_anonymous_definition(expression: &Expression<'_>) -> bool {
    match expression {
        Expression::ArrowFunctionExpression(_) => true,
        Expression::FunctionExpression(function) => function.id.is_none(),
        Expression::ClassExpression(class) => class.id.is_none(),
        _ => false,
    }
}

/// Whether it changes what it is about.
pub(super) fn is_assignment(expression: &Expression<'_>) -> bool {
    matches!(expression.get_inner_expression(), Expression::AssignmentExpression(_) | Expression::UpdateExpression(_))
}

/// Whether it is `new X()`, or reached from one by members.
pub(super) fn comes_out_of_new(expression: &Expression<'_>) -> bool {
    let mut at = expression.get_inner_expression();
    loop {
        at = match at {
            Expression::NewExpression(_) => return true,
            Expression::StaticMemberExpression(member) => member.object.get_inner_expression(),
            Expression::ComputedMemberExpression(member) => member.object.get_inner_expression(),
            Expression::PrivateFieldExpression(member) => member.object.get_inner_expression(),
            Expression::TaggedTemplateExpression(tagged) => tagged.tag.get_inner_expression(),
            _ => return false,
        }
    }
}

/// The names that `var` declares, without those of inner functions.
#[derive(Default)]
pub(super) struct VarNames<'a> {
    pub(super) found: Vec<BindingIdentifier<'a>>,
}

impl<'a> Visit<'a> for VarNames<'a> {
    fn visit_variable_declaration(&mut self, declaration: &VariableDeclaration<'a>) {
        if declaration.kind == VariableDeclarationKind::Var {
            for declarator in &declaration.declarations {
                self.found.extend(declarator.id.get_binding_identifiers().into_iter().cloned());
            }
        }
    }

    fn visit_function(&mut self, _: &Function<'a>, _: ScopeFlags) {}

    fn visit_expression(&mut self, _: &Expression<'a>) {}

    fn visit_class(&mut self, _: &Class<'a>) {}
}
