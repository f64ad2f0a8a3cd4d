//! The identifiers in a bundle: the ground for deciding which web APIs and host imports a component needs.
//!
//! The scan errs on one side. A word that does occur is always reported; a reported word may turn out to be a local
//! variable of the same name, and then the component carries an API that it never calls.

use std::collections::HashSet;

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    Argument, AssignmentExpression, BindingPattern, CallExpression, ComputedMemberExpression, Expression,
    IdentifierName, IdentifierReference, MemberExpression, PropertyKey, StaticMemberExpression, StringLiteral,
    TemplateElement, VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;

/// The identifiers in a bundle. Made by [`scan`].
#[derive(Debug, Default)]
pub struct ApiUsage {
    words: HashSet<String>,
    /// Whether strings can become code, so that words inside of longer ones count.
    eval: bool,
    /// Free variables, and the members of the global object that are read by name.
    globals: HashSet<String>,
    /// Keys of objects and classes, and members that are assigned to.
    keys: HashSet<String>,
}

/// Names of the global object.
const GLOBAL_OBJECTS: [&str; 3] = ["globalThis", "self", "window"];

/// The word for a member of `Intl` whose name is not in the source.
const ANY_OF_INTL: &str = "Intl[]";

impl ApiUsage {
    /// Whether `word` occurs as an identifier that is read, as a property name, as a whole string or as a word of a
    /// template literal. Where strings can become code, words inside longer strings count too.
    #[must_use]
    pub fn mentions(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether `name` is read from the global scope: as a free variable, or as a member of the global object. A local
    /// variable or a property of this name does not count. Where strings can become code, every word of a string
    /// counts.
    #[must_use]
    pub fn reads_global(&self, name: &str) -> bool {
        self.globals.contains(name)
    }

    /// Whether an object or a class has a member `name`: a key in a literal, a class or a pattern, or an assignment to
    /// a member. Where strings can become code, every word of a string counts.
    #[must_use]
    pub fn has_key(&self, name: &str) -> bool {
        self.keys.contains(name)
    }

    fn add(&mut self, word: &str) {
        // Most words repeat: look before paying for a copy.
        if !self.words.contains(word) {
            self.words.insert(word.to_owned());
        }
    }

    /// Takes a string for code, if it could become code.
    fn add_code(&mut self, text: &str) {
        if self.eval {
            self.add_words(text);
            self.globals.extend(words(text).map(str::to_owned));
            self.keys.extend(words(text).map(str::to_owned));
        }
    }

    fn add_words(&mut self, text: &str) {
        words(text).for_each(|word| self.add(word));
    }
}

/// Splits `text` into what could be identifiers.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).filter(|word| !word.is_empty())
}

impl<'a> Visit<'a> for ApiUsage {
    fn visit_identifier_name(&mut self, name: &IdentifierName<'a>) {
        self.add(name.name.as_str());
    }

    fn visit_identifier_reference(&mut self, name: &IdentifierReference<'a>) {
        self.add(name.name.as_str());
    }

    fn visit_property_key(&mut self, key: &PropertyKey<'a>) {
        if let Some(name) = key.static_name() {
            self.keys.insert(name.into_owned());
        }
        walk::walk_property_key(self, key);
    }

    fn visit_assignment_expression(&mut self, assignment: &AssignmentExpression<'a>) {
        let member = assignment.left.as_member_expression();
        if let Some(name) = member.and_then(MemberExpression::static_property_name) {
            self.keys.insert(name.to_string());
        }
        walk::walk_assignment_expression(self, assignment);
    }

    fn visit_static_member_expression(&mut self, member: &StaticMemberExpression<'a>) {
        if member.object.get_identifier_reference().is_some_and(|object| GLOBAL_OBJECTS.contains(&object.name.as_str()))
        {
            self.globals.insert(member.property.name.to_string());
        }
        walk::walk_static_member_expression(self, member);
    }

    fn visit_computed_member_expression(&mut self, member: &ComputedMemberExpression<'a>) {
        // A name that is only known when it runs could be any of Intl's.
        let is_known = matches!(member.expression, Expression::StringLiteral(_));
        if !is_known && member.object.get_identifier_reference().is_some_and(|object| object.name == "Intl") {
            self.add(ANY_OF_INTL);
        }
        walk::walk_computed_member_expression(self, member);
    }

    fn visit_variable_declarator(&mut self, declarator: &VariableDeclarator<'a>) {
        let init = declarator.init.as_ref().and_then(Expression::get_identifier_reference);
        if let (BindingPattern::ObjectPattern(pattern), Some(init)) = (&declarator.id, init)
            && GLOBAL_OBJECTS.contains(&init.name.as_str())
        {
            self.globals
                .extend(pattern.properties.iter().filter_map(|property| property.key.static_name()).map(Into::into));
        }
        walk::walk_variable_declarator(self, declarator);
    }

    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        // A module of Node.js that is asked for when the program runs, with `node:` before its name or without.
        if call.callee.as_member_expression().and_then(MemberExpression::static_property_name)
            == Some("getBuiltinModule")
            && let Some(Argument::StringLiteral(name)) = call.arguments.first()
        {
            self.add(&format!("node:{}", name.value.trim_start_matches("node:")));
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_string_literal(&mut self, text: &StringLiteral<'a>) {
        let text = text.value.as_str();
        self.add(text);
        self.add_code(text);
    }

    fn visit_template_element(&mut self, text: &TemplateElement<'a>) {
        let text = text.value.cooked.unwrap_or(text.value.raw).as_str();
        self.add_words(text);
        self.add_code(text);
    }
}

/// Collects the words of an ES module in one pass. Comments do not count. Of text that does not parse, every word
/// counts. `eval` says whether strings can become code.
#[must_use]
pub fn scan(code: &str, eval: bool) -> ApiUsage {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::mjs()).parse();
    let mut uses = ApiUsage { eval, ..ApiUsage::default() };
    if parsed.panicked {
        uses.add_words(code);
        uses.globals = uses.words.clone();
        uses.keys = uses.words.clone();
    } else {
        uses.visit_program(&parsed.program);
        let semantic = SemanticBuilder::new().build(&parsed.program).semantic;
        let free = semantic.scoping().root_unresolved_references();
        uses.globals.extend(free.keys().map(ToString::to_string));
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words() {
        #[track_caller]
        fn check(code: &str, mentioned: &[&str], not: &[&str]) {
            let uses = scan(code, false);
            for word in mentioned {
                assert!(uses.mentions(word), "{code:?} mentions {word}");
            }
            for word in not {
                assert!(!uses.mentions(word), "{code:?} does not mention {word}");
            }
        }
        check("console.log(Math.random())", &["console", "log", "Math", "random"], &["Date"]);
        check("// Date\n/* setTimeout */ /** @see URL */ fetch", &["fetch"], &["Date", "setTimeout", "URL"]);
        check("globalThis['setTimeout'](f)", &["globalThis", "setTimeout"], &[]);
        check("globalThis[`set\\u0054imeout`]", &["setTimeout"], &[]);
        check("const { Date: D, [`a ReadableStream`]: x } = globalThis", &["Date", "ReadableStream"], &["D"]);
        check("`now ${Date.now()} URL-like`", &["Date", "now", "URL", "like"], &["URL-like"]);
        check("d\\u0061te; 'D\\x61te'", &["date", "Date"], &[]);
        check("'the Date header'", &["the Date header"], &["Date"]);
        check("eval('Date.now()')", &["eval"], &["Date", "now"]);
        check("class A extends B { #c() {} static URL = 1; get Date() {} }", &["B", "URL", "Date"], &["A"]);
        check("export { a as performance }; const a = 1", &["performance"], &[]);
        check("x?.crypto?.subtle; typeof Buffer; f`t`; /URL/.test(y)", &["crypto", "subtle", "Buffer"], &["URL"]);
        check("globalThis.process?.getBuiltinModule?.('util')", &["node:util"], &[]);
        check("new Intl[`${kind}Format`]", &["Intl", "Intl[]", "Format"], &[]);
        check("new Intl['NumberFormat']; Intl.Locale", &["NumberFormat", "Locale"], &["Intl[]"]);
        check("", &[], &["", "x"]);
        check("this is (not JavaScript, Date", &["Date", "JavaScript"], &["URL"]);
    }

    #[test]
    fn words_in_strings_count_where_strings_can_become_code() {
        let uses = scan("setTimeout('fetch(Date.now())'); const code = `new ${x} URL`", true);
        assert!(["fetch", "Date", "URL"].into_iter().all(|word| uses.mentions(word)));
        assert!(uses.reads_global("fetch"));
    }

    #[test]
    fn tells_members_from_what_has_their_names() {
        for (code, has) in [
            ("export default { job() {} }", true),
            ("export default { job: async () => {}, }", true),
            ("const job = () => {}; export default { job }", true),
            ("export default { ['job']() {} }", true),
            ("export default class { static async job() {} }", true),
            ("class App { job = () => {} } export default new App()", true),
            ("const app = {}; app.job = () => {}; app['fetch'] = 1; export default app", true),
            ("function f(job) { return job.input + x.job; }", false),
            ("'job'; jobs.job(); // job", false),
            ("const { input } = job", false),
        ] {
            assert_eq!(scan(code, false).has_key("job"), has, "{code}");
        }
        assert!(scan("eval('({ job() {} })')", true).has_key("job"));
    }

    #[test]
    fn tells_globals_from_what_has_their_names() {
        for (code, reads) in [
            ("fetch('/')", true),
            ("const f = globalThis.fetch; self?.fetch()", true),
            ("const { fetch } = globalThis", true),
            ("export default { fetch() {} }", false),
            ("const fetch = () => 1; export default { fetch }", false),
            ("app.fetch(request)", false),
            ("function f(fetch) { return fetch() }", false),
        ] {
            assert_eq!(scan(code, false).reads_global("fetch"), reads, "{code}");
        }
    }
}
