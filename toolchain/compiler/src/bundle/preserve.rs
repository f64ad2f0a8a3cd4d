//! Keeps what a module does as its source says it, although it is bundled.
//!
//! rolldown asks oxc which statements may be dropped when nobody uses their result, and oxc answers for programs as
//! they are usually written: `decodeURIComponent(x)` cannot throw, `a < b` calls no `valueOf`, every superclass is a
//! constructor. That is wrong for a program that asks just that. So oxc's dead-code pass does not run at all (see
//! `rolldown_options`), and before the bundler looks at a module this pass
//!
//! - drops branches that cannot be reached in production, which is what that pass was good for: only those whose
//!   condition consists of literals and `process.env.NODE_ENV`;
//! - marks each statement of the top level that has an effect although oxc thinks otherwise. The mark is `delete 0`,
//!   which does nothing and which every bundler takes for an effect;
//! - says where the module is, for `import.meta.url` and its kin: a place below `/app` that is the same on every
//!   machine;
//! - takes the type of an import (`with { type: "text" }`) into its name, where the rest of the bundler finds it;
//! - writes what the printer would print as something else: a function that must stay without a name, and `new` on a
//!   constructor that comes out of a `new`, which QuickJS reads differently when its parentheses are gone.

mod effects;
mod expressions;
mod place;

use effects::Effects;
use expressions::{VarNames, comes_out_of_new, is_anonymous_definition, is_assignment, is_import_meta};
use oxc::allocator::{Allocator, GetAllocator, TakeIn};
use oxc::ast::ast::{
    ArrowFunctionExpression, AssignmentOperator, AssignmentTarget, AwaitExpression, BinaryOperator, BindingPattern,
    Class, ClassElement, Declaration, ExportDefaultDeclarationKind, Expression, ForOfStatement, Function, IfStatement,
    ImportDeclaration, LogicalOperator, NumberBase, Program, Statement, StaticBlock, StringLiteral, UnaryOperator,
    VariableDeclaration, VariableDeclarationKind, VariableDeclarator, WithClause,
};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{Visit, VisitMut, walk_mut};
use oxc::semantic::{ScopeFlags, Scoping, SemanticBuilder};
use oxc::span::{GetSpan, SPAN};
use place::{escape_path, place};

/// The facts about a module's code beside its imports and exports.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traits {
    /// Whether its top level waits.
    pub(super) awaits: bool,
}

/// Rewrites a module; see the head of this file. `file` is its path from the project's root.
pub(super) fn preserve<'a>(program: &mut Program<'a>, allocator: &'a Allocator, file: &str) -> Traits {
    let scoping = SemanticBuilder::new().build(program).semantic.into_scoping();
    let commonjs = !program.body.iter().any(Statement::is_module_declaration);
    let mut rewriter = Rewriter {
        ast: AstBuilder::new(allocator),
        scoping,
        place: place(file),
        commonjs,
        functions: 0,
        traits: Traits::default(),
    };
    rewriter.visit_program(program);
    for statement in &mut program.body {
        rewriter.mark(statement);
    }
    rewriter.traits
}

/// The value of a condition that is the same whenever it is evaluated.
#[derive(Clone, Copy, PartialEq)]
struct ConditionValue {
    truth: bool,
    /// Whether it consists of constants only, so that it needs no evaluation.
    constant: bool,
}

struct Rewriter<'a> {
    ast: AstBuilder<'a>,
    scoping: Scoping,
    /// Path of the module as it is told.
    place: String,
    /// Whether nothing says that it is an ES module, so that it has what Node.js gives a CommonJS module.
    commonjs: bool,
    /// How many functions are around the node that is visited.
    functions: usize,
    traits: Traits,
}

impl<'a> Rewriter<'a> {
    /// `0`.
    fn zero(&self) -> Expression<'a> {
        Expression::new_numeric_literal(SPAN, 0.0, None, NumberBase::Decimal, &self.ast)
    }

    /// `delete 0`: an effect that has none.
    fn effect(&self) -> Expression<'a> {
        Expression::new_unary_expression(SPAN, UnaryOperator::Delete, self.zero(), &self.ast)
    }

    /// `(first, expression)`.
    fn after(&self, first: Expression<'a>, expression: &mut Expression<'a>) {
        let span = expression.span();
        let expression_there = expression.take_in(&self.ast);
        *expression = Expression::new_sequence_expression(span, [first, expression_there], &self.ast);
    }

    /// Lets `expression` stand where another expression stood that evaluates to it, which gives no `this` to a call and
    /// no name to a function.
    fn as_value(&self, expression: &mut Expression<'a>) {
        let inner = expression.get_inner_expression();
        let changes = inner.is_member_expression()
            || matches!(inner, Expression::ChainExpression(_) | Expression::Identifier(_))
            || is_anonymous_definition(inner);
        if changes {
            self.after(self.zero(), expression);
        }
    }

    /// Whether `expression` is a free variable called `name`.
    fn is_free(&self, expression: &Expression<'a>, name: &str) -> bool {
        expression.get_identifier_reference().is_some_and(|reference| {
            reference.name == name
                && reference.reference_id.get().is_none_or(|id| self.scoping.get_reference(id).symbol_id().is_none())
        })
    }

    fn text_of(&self, text: &str) -> Expression<'a> {
        let text = self.ast_allocator().alloc_str(text);
        Expression::new_string_literal(SPAN, text, None, &self.ast)
    }

    /// The value of `import.meta.NAME` here, or of a free `__dirname` or `__filename`.
    fn told_place(&self, expression: &Expression<'a>) -> Option<Expression<'a>> {
        let folder = || self.place.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
        let told = match expression {
            Expression::StaticMemberExpression(member) if is_import_meta(&member.object) => {
                match member.property.name.as_str() {
                    "url" => format!("file://{}", escape_path(&self.place)),
                    "filename" => self.place.clone(),
                    "dirname" => folder(),
                    _ => return None,
                }
            }
            Expression::Identifier(_) if self.commonjs && self.is_free(expression, "__filename") => self.place.clone(),
            Expression::Identifier(_) if self.commonjs && self.is_free(expression, "__dirname") => folder(),
            _ => return None,
        };
        Some(self.text_of(&told))
    }

    /// Takes an import's type into its name: `"./a.js" with { type: "text" }` becomes `"./a.js?text"`.
    fn typed(&self, source: &mut StringLiteral<'a>, with: &mut Option<oxc::allocator::Box<'a, WithClause<'a>>>) {
        let kind = with.iter().flat_map(|with| &with.with_entries).find_map(|entry| {
            (entry.key.as_arena_str() == "type" && matches!(entry.value.value.as_str(), "text" | "bytes"))
                .then_some(entry.value.value.as_str())
        });
        if let Some(kind) = kind
            && !source.value.contains('?')
        {
            let name = self.ast_allocator().alloc_str(&format!("{}?{kind}", source.value));
            source.value = name.into();
            source.raw = None;
            *with = None;
        }
    }

    /// The text that `expression` is known to be: a literal, or `process.env.NODE_ENV`.
    fn text<'e>(&self, expression: &'e Expression<'a>) -> Option<&'e str> {
        match expression.get_inner_expression() {
            Expression::StringLiteral(literal) => Some(literal.value.as_str()),
            Expression::StaticMemberExpression(member) if member.property.name == "NODE_ENV" => {
                let Expression::StaticMemberExpression(env) = &member.object else { return None };
                (env.property.name == "env" && self.is_free(&env.object, "process")).then_some(super::NODE_ENV)
            }
            _ => None,
        }
    }

    /// The value of `expression` if it is always true or always false.
    fn condition_value(&self, expression: &Expression<'a>) -> Option<ConditionValue> {
        match expression.get_inner_expression() {
            Expression::BooleanLiteral(literal) => Some(ConditionValue { truth: literal.value, constant: true }),
            Expression::UnaryExpression(unary) if unary.operator == UnaryOperator::LogicalNot => {
                if let Expression::NumericLiteral(number) = &unary.argument {
                    // `!0` and `!1`, as minifiers write them.
                    return Some(ConditionValue { truth: number.value == 0.0, constant: true });
                }
                self.condition_value(&unary.argument).map(|value| ConditionValue { truth: !value.truth, ..value })
            }
            Expression::BinaryExpression(binary) => {
                let equal = match binary.operator {
                    BinaryOperator::StrictEquality | BinaryOperator::Equality => true,
                    BinaryOperator::StrictInequality | BinaryOperator::Inequality => false,
                    _ => return None,
                };
                let same = self.text(&binary.left)? == self.text(&binary.right)?;
                Some(ConditionValue { truth: same == equal, constant: true })
            }
            Expression::LogicalExpression(logical) => {
                let deciding = match logical.operator {
                    LogicalOperator::And => false,
                    LogicalOperator::Or => true,
                    LogicalOperator::Coalesce => return None,
                };
                let (left, right) = (self.condition_value(&logical.left), self.condition_value(&logical.right));
                match (left, right) {
                    (Some(left), _) if left.truth == deciding => Some(left),
                    (_, Some(right)) if right.truth == deciding => Some(ConditionValue {
                        truth: deciding,
                        constant: left.is_some_and(|left| left.constant) && right.constant,
                    }),
                    (Some(left), Some(right)) => {
                        Some(ConditionValue { truth: !deciding, constant: left.constant && right.constant })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The rest of a branch that is never taken: its `var`s, which belong to the function around.
    fn remains(&self, branch: Option<&Statement<'a>>) -> Option<Statement<'a>> {
        let mut names = VarNames::default();
        if let Some(branch) = branch {
            names.visit_statement(branch);
        }
        if names.found.is_empty() {
            return None;
        }
        let declarators = names.found.iter().map(|identifier| {
            let pattern = BindingPattern::new_binding_identifier(identifier.span, identifier.name, &self.ast);
            VariableDeclarator::new(identifier.span, pattern, None, None, false, &self.ast)
        });
        let declarators = oxc::allocator::Vec::from_iter_in(declarators, &self.ast);
        let declaration = VariableDeclaration::boxed(SPAN, VariableDeclarationKind::Var, declarators, false, &self.ast);
        Some(Statement::VariableDeclaration(declaration))
    }

    fn ast_allocator(&self) -> &'a Allocator {
        self.ast.allocator()
    }

    /// An `if` whose condition is known becomes the branch that is taken; says whether it is one.
    fn decide(&self, statement: &mut Statement<'a>) -> bool {
        let Statement::IfStatement(whole) = statement else { return false };
        let Some(value) = self.condition_value(&whole.test) else { return false };
        let IfStatement { consequent, alternate, .. } = &mut **whole;
        let empty = || Statement::new_empty_statement(SPAN, &self.ast);
        if !value.constant {
            // The condition is evaluated, for what it does.
            if value.truth {
                *alternate = self.remains(alternate.as_ref());
            } else {
                let vars = self.remains(Some(&*consequent));
                let vars = oxc::allocator::Vec::from_iter_in(vars, &self.ast);
                *consequent = Statement::new_block_statement(SPAN, vars, &self.ast);
            }
            return false;
        }
        let (taken, dead) = if value.truth {
            (consequent.take_in(&self.ast), self.remains(alternate.as_ref()))
        } else {
            (alternate.take().unwrap_or_else(empty), self.remains(Some(&*consequent)))
        };
        *statement = match dead {
            Some(vars) => Statement::new_block_statement(SPAN, [vars, taken], &self.ast),
            None => taken,
        };
        true
    }

    /// Marks a statement of the top level that has an effect and does not look so.
    #[expect(clippy::collapsible_match, reason = "a guard would move what the arm changes out of its sight")]
    fn mark(&self, statement: &mut Statement<'a>) {
        match statement {
            // Assigned exports stay anyway, and `exports.x = ...` has to be seen as it is.
            Statement::ExpressionStatement(it) if is_assignment(&it.expression) => {}
            Statement::ExpressionStatement(it) => {
                if self.hides(|effects| effects.visit_expression(&it.expression)) {
                    self.after(self.effect(), &mut it.expression);
                }
            }
            Statement::VariableDeclaration(declaration) => self.mark_variables(declaration),
            Statement::ClassDeclaration(class) => self.mark_class(class),
            Statement::ExportDeclaration(export) => match &mut export.declaration {
                Declaration::VariableDeclaration(declaration) => self.mark_variables(declaration),
                Declaration::ClassDeclaration(class) => self.mark_class(class),
                _ => {}
            },
            Statement::ExportDefaultDeclaration(export) => match &mut export.declaration {
                ExportDefaultDeclarationKind::ClassDeclaration(class) => self.mark_class(class),
                declaration => {
                    if let Some(expression) = declaration.as_expression_mut() {
                        self.mark_value(expression);
                    }
                }
            },
            Statement::BlockStatement(_)
            | Statement::DoWhileStatement(_)
            | Statement::IfStatement(_)
            | Statement::LabeledStatement(_)
            | Statement::ReturnStatement(_)
            | Statement::SwitchStatement(_)
            | Statement::TryStatement(_)
            | Statement::WhileStatement(_) => {
                if self.hides(|effects| effects.visit_statement(statement)) {
                    let mark = Statement::new_expression_statement(SPAN, self.effect(), &self.ast);
                    let there = statement.take_in(&self.ast);
                    *statement = Statement::new_block_statement(SPAN, [mark, there], &self.ast);
                }
            }
            _ => {}
        }
    }

    fn hides(&self, visit: impl FnOnce(&mut Effects<'_>)) -> bool {
        let mut effects = Effects::new(&self.scoping);
        visit(&mut effects);
        effects.found
    }

    fn mark_variables(&self, declaration: &mut VariableDeclaration<'a>) {
        for declarator in &mut declaration.declarations {
            // Taking a list apart runs its iterator, which rolldown does not count.
            let iterates = matches!(declarator.id, BindingPattern::ArrayPattern(_));
            match &mut declarator.init {
                Some(value) if iterates => self.after(self.effect(), value),
                Some(value) => self.mark_value(value),
                None => {}
            }
        }
    }

    /// Marks an expression whose value gets a name.
    fn mark_value(&self, value: &mut Expression<'a>) {
        if !self.hides(|effects| effects.visit_expression(value)) {
            return;
        }
        match value.get_inner_expression_mut() {
            // It would lose its name within a sequence.
            Expression::ClassExpression(class) => self.add_mark(class),
            _ => self.after(self.effect(), value),
        }
    }

    fn mark_class(&self, class: &mut Class<'a>) {
        if !class.declare && self.hides(|effects| effects.visit_class(class)) {
            self.add_mark(class);
        }
    }

    /// TypeScript's decorators of static members come after those of all others, which the transformer does not know.
    /// The order of what is static and of what is not stays, and so nothing else changes, unless names are computed.
    fn order_decorated(&self, class: &mut Class<'a>) {
        let elements = &class.body.body;
        let decorated = |element: &ClassElement<'a>| match element {
            ClassElement::MethodDefinition(it) => {
                !it.decorators.is_empty() || it.value.params.items.iter().any(|item| !item.decorators.is_empty())
            }
            ClassElement::PropertyDefinition(it) => !it.decorators.is_empty(),
            ClassElement::AccessorProperty(it) => !it.decorators.is_empty(),
            ClassElement::StaticBlock(_) | ClassElement::TSIndexSignature(_) => false,
        };
        if !elements.iter().any(decorated) || elements.iter().any(ClassElement::computed) {
            return;
        }
        let is_static =
            |element: &ClassElement<'a>| element.r#static() || matches!(element, ClassElement::StaticBlock(_));
        let (last, first): (Vec<_>, Vec<_>) = class.body.body.take_in(&self.ast).into_iter().partition(is_static);
        class.body.body.extend(first.into_iter().chain(last));
    }

    fn add_mark(&self, class: &mut Class<'a>) {
        let mark = Statement::new_expression_statement(SPAN, self.effect(), &self.ast);
        let block = StaticBlock::boxed(SPAN, [mark], &self.ast);
        class.body.body.insert(0, ClassElement::StaticBlock(block));
    }
}

impl<'a> VisitMut<'a> for Rewriter<'a> {
    fn visit_function(&mut self, function: &mut Function<'a>, flags: ScopeFlags) {
        self.functions += 1;
        walk_mut::walk_function(self, function, flags);
        self.functions -= 1;
    }

    fn visit_arrow_function_expression(&mut self, function: &mut ArrowFunctionExpression<'a>) {
        self.functions += 1;
        walk_mut::walk_arrow_function_expression(self, function);
        self.functions -= 1;
    }

    fn visit_await_expression(&mut self, it: &mut AwaitExpression<'a>) {
        self.traits.awaits |= self.functions == 0;
        walk_mut::walk_await_expression(self, it);
    }

    fn visit_for_of_statement(&mut self, it: &mut ForOfStatement<'a>) {
        self.traits.awaits |= it.r#await && self.functions == 0;
        walk_mut::walk_for_of_statement(self, it);
    }

    fn visit_class(&mut self, class: &mut Class<'a>) {
        self.order_decorated(class);
        walk_mut::walk_class(self, class);
    }

    fn visit_import_declaration(&mut self, it: &mut ImportDeclaration<'a>) {
        self.typed(&mut it.source, &mut it.with_clause);
    }

    fn visit_statement(&mut self, statement: &mut Statement<'a>) {
        // The branch that stays may be decided as well.
        while self.decide(statement) {}
        walk_mut::walk_statement(self, statement);
    }

    #[expect(clippy::collapsible_match, reason = "a guard would move what the arm changes out of its sight")]
    fn visit_expression(&mut self, expression: &mut Expression<'a>) {
        if let Some(told) = self.told_place(expression) {
            *expression = told;
            return;
        }
        walk_mut::walk_expression(self, expression);
        match expression {
            Expression::ConditionalExpression(it) => {
                if let Some(value) = self.condition_value(&it.test).filter(|value| value.constant) {
                    let taken = if value.truth { &mut it.consequent } else { &mut it.alternate };
                    let mut taken = taken.take_in(&self.ast);
                    self.as_value(&mut taken);
                    *expression = taken;
                }
            }
            Expression::LogicalExpression(it) if it.operator != LogicalOperator::Coalesce => {
                if let Some(value) = self.condition_value(&it.left).filter(|value| value.constant) {
                    let goes_on = value.truth == (it.operator == LogicalOperator::And);
                    let mut taken = if goes_on { it.right.take_in(&self.ast) } else { it.left.take_in(&self.ast) };
                    self.as_value(&mut taken);
                    *expression = taken;
                }
            }
            Expression::AssignmentExpression(it) => {
                let names = matches!(
                    it.operator,
                    AssignmentOperator::Assign
                        | AssignmentOperator::LogicalAnd
                        | AssignmentOperator::LogicalOr
                        | AssignmentOperator::LogicalNullish
                );
                // ECMA-262 13.15.2: a target in parentheses names nothing. The parser drops the parentheses and keeps
                // their place.
                let in_parentheses = matches!(it.left, AssignmentTarget::AssignmentTargetIdentifier(_))
                    && it.left.span().start > it.span.start;
                if names && in_parentheses && is_anonymous_definition(it.right.get_inner_expression()) {
                    self.after(self.zero(), &mut it.right);
                }
            }
            Expression::NewExpression(it) => {
                if comes_out_of_new(&it.callee) {
                    self.after(self.zero(), &mut it.callee);
                }
            }
            _ => {}
        }
    }
}
