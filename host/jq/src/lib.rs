//! Transformations of JSON by jq, of events and of responses: programs of strangers, which always end.
//!
//! [`Transform`] is a program. It is compiled only after `meter` has rewritten it, and `runtime` has what a run may
//! take.

mod meter;
mod runtime;

#[cfg(test)]
mod tests;

use jaq_core::load::parse::{Def, Parser};
use jaq_core::load::{Arena, File, Lexer, Loader};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, Filter, Vars};
use meter::Meter;
use runtime::{Budget, DEPTH_MAX, Metered, RunData};
use serde::de::IgnoredAny;
use std::fmt;
use std::sync::Arc;

/// Bytes of the longest expression.
const EXPRESSION_BYTES_MAX: usize = 4_096;
/// Steps of one run; some hundred milliseconds at most.
const STEPS_MAX: u64 = 1_000_000;
/// Characters of an error's text that are shown.
const ERROR_CHARS_MAX: usize = 500;
/// Digits in a row of a number in an input. To read an integer and to write it takes a time that grows with their
/// square: for a million of them, seconds.
const DIGITS_MAX: usize = 1_000;
/// The stack that an expression is parsed and compiled on, which goes into each other as deep as its brackets do.
const COMPILE_STACK_BYTES: usize = 128 * 1024 * 1024;

/// jaq's natives that an expression may use. None reads a clock, an environment or a file, ends the process, or takes
/// more than the size of its input and output.
const NATIVES: [&str; 35] = [
    "error_empty",
    "path",
    "path_value",
    "range",
    "keys_unsorted",
    "key_values",
    "first",
    "last",
    "limit",
    "skip",
    "floor",
    "round",
    "ceil",
    "utf8bytelength",
    "explode",
    "implode",
    "ascii_downcase",
    "ascii_upcase",
    "reverse",
    "sort",
    "sort_by",
    "group_by",
    "min_by_or_empty",
    "max_by_or_empty",
    "startswith",
    "endswith",
    "ltrimstr",
    "rtrimstr",
    "trim",
    "encode_uri",
    "encode_base64",
    "decode_base64",
    "tojson",
    "length",
    "has",
];

/// The definitions of jaq's library that an expression may use, with the number of their arguments. None calls itself.
const DEFINITIONS: [(&str, usize); 77] = [
    ("empty", 0),
    ("error", 0),
    ("error", 1),
    ("true", 0),
    ("false", 0),
    ("not", 0),
    ("select", 1),
    ("tostring", 0),
    ("range", 2),
    ("range", 1),
    ("paths", 0),
    ("paths", 1),
    ("getpath", 1),
    ("setpath", 2),
    ("delpaths", 1),
    ("map", 1),
    ("map_values", 1),
    ("walk", 1),
    ("del", 1),
    ("first", 0),
    ("last", 0),
    ("nth", 1),
    ("join", 1),
    ("nth", 2),
    ("to_entries", 0),
    ("from_entries", 0),
    ("with_entries", 1),
    ("isempty", 1),
    ("all", 2),
    ("any", 2),
    ("all", 1),
    ("any", 1),
    ("all", 0),
    ("any", 0),
    ("null", 0),
    ("isboolean", 0),
    ("isnumber", 0),
    ("isstring", 0),
    ("isarray", 0),
    ("isobject", 0),
    ("abs", 0),
    ("type", 0),
    ("values", 0),
    ("nulls", 0),
    ("booleans", 0),
    ("numbers", 0),
    ("strings", 0),
    ("arrays", 0),
    ("objects", 0),
    ("iterables", 0),
    ("scalars", 0),
    ("add", 1),
    ("add", 0),
    ("min_by", 1),
    ("max_by", 1),
    ("min", 0),
    ("max", 0),
    ("unique_by", 1),
    ("unique", 0),
    ("pick", 1),
    ("keys", 0),
    ("split", 1),
    ("@text", 0),
    ("@uri", 0),
    ("@base64", 0),
    ("@base64d", 0),
    ("in", 1),
    ("@json", 0),
    ("infinite", 0),
    ("nan", 0),
    ("isnan", 0),
    ("isinfinite", 0),
    ("isfinite", 0),
    ("finites", 0),
    ("isnormal", 0),
    ("normals", 0),
    ("transpose", 0),
];

/// An expression that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct InvalidTransform {
    what: String,
}

impl InvalidTransform {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

/// Why a transformation failed. It fails for the same input each time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// Its input is not JSON, nested more than 100 levels deep, or has a number with more than 1,000 digits in a row.
    #[error(
        "the input of the transformation is not JSON, nested more than {DEPTH_MAX} levels deep, \
         or has a number with more than {DIGITS_MAX} digits"
    )]
    InputNotJson,
    /// The expression's own error, such as an index into a text.
    #[error("the transformation failed: {0}")]
    Failed(String),
    /// It did not end within its steps, or made a value that is too large or too deep.
    #[error("the transformation needs more than {STEPS_MAX} steps, or makes values that are too large")]
    TooManySteps,
    /// It has more than one output.
    #[error("the transformation has more than one output: collect them in an array")]
    SeveralOutputs,
    /// Its output is no JSON, such as infinity.
    #[error("the output of the transformation is not JSON")]
    NotJson,
}

/// A jq expression that makes one JSON value of another.
///
/// Bounded: an expression has at most 4,096 bytes and a run a million steps, where each term that is evaluated is a
/// step and a value that is made, compared or gone through costs its size. Left out of jq: definitions, recursion,
/// regular expressions, dates, and everything that reads something other than the input.
#[derive(Clone)]
pub struct Transform {
    filter: Arc<Filter<Metered>>,
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform(..)")
    }
}

impl Transform {
    /// Compiles an expression, on a thread of its own.
    ///
    /// # Errors
    /// The fault, and where it is.
    pub fn compile(expression: &str) -> Result<Self, InvalidTransform> {
        if expression.trim().is_empty() || expression.len() > EXPRESSION_BYTES_MAX {
            return Err(InvalidTransform::new(format!("must be a jq expression of 1 to {EXPRESSION_BYTES_MAX} bytes")));
        }
        let filter = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(COMPILE_STACK_BYTES);
            let compiled = thread.spawn_scoped(scope, || compile(expression)).map(std::thread::ScopedJoinHandle::join);
            match compiled {
                Ok(Ok(compiled)) => compiled,
                Ok(Err(_)) | Err(_) => Err(InvalidTransform::new("cannot be compiled")),
            }
        })?;
        Ok(Self { filter: Arc::new(filter) })
    }

    /// The JSON text of the expression's output for an input, which is a JSON text too; none if it has no output, as
    /// `select` has for what it leaves out. It takes some hundred milliseconds at most, beside reading the input.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run(&self, input: &[u8]) -> Result<Option<String>, TransformError> {
        // jaq's parser goes into itself as deep as its input is nested, and reads more than JSON.
        if is_out_of_bounds(input) || serde_json::from_slice::<IgnoredAny>(input).is_err() {
            return Err(TransformError::InputNotJson);
        }
        let input = jaq_json::read::parse_single(input).map_err(|_| TransformError::InputNotJson)?;
        let budget = Budget::new(STEPS_MAX);
        let context = Ctx::<Metered>::new(RunData { lut: &self.filter.lut, budget: &budget }, Vars::new([]));
        let mut outputs = self.filter.id.run((context, input));
        let first = outputs.next();
        let more = matches!(first, Some(Ok(_))) && outputs.next().is_some();
        if budget.is_used_up() {
            return Err(TransformError::TooManySteps);
        }
        match first {
            Some(Ok(_)) if more => Err(TransformError::SeveralOutputs),
            Some(Ok(output)) => {
                let text = output.to_string();
                let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
                if is_json { Ok(Some(text)) } else { Err(TransformError::NotJson) }
            }
            Some(Err(exception)) => Err(TransformError::Failed(match exception.get_err() {
                Ok(error) => shown(&error.to_string()),
                Err(_) => "it broke off".to_owned(),
            })),
            None => Ok(None),
        }
    }
}

/// Whether arrays and objects of a JSON text are nested deeper than values may be, or a number has too many digits.
fn is_out_of_bounds(json: &[u8]) -> bool {
    let (mut depth, mut digits, mut in_text, mut is_escaped) = (0_usize, 0_usize, false, false);
    for byte in json {
        digits = if byte.is_ascii_digit() && !in_text { digits + 1 } else { 0 };
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX || digits > DIGITS_MAX {
            return true;
        }
    }
    false
}

fn compile(expression: &str) -> Result<Filter<Metered>, InvalidTransform> {
    let tokens = Lexer::new(expression).lex().map_err(|errors| {
        let (expected, rest) = errors.first().map_or(("token", ""), |(expected, rest)| (expected.as_str(), *rest));
        InvalidTransform::new(syntax_error(expected, rest))
    })?;
    let term = Parser::new(&tokens).parse(Parser::term).map_err(|errors| {
        let error = errors.first();
        let expected = error.map_or("term", |(expected, _)| expected.as_str());
        let found = error.and_then(|(_, token)| *token).map_or("", |token| token.0);
        InvalidTransform::new(syntax_error(expected, found))
    })?;
    let meter = Meter { natives: &NATIVES };
    let mut definitions = Vec::new();
    for definition in jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()) {
        if DEFINITIONS.contains(&(definition.name, definition.args.len())) {
            let body = meter.program(definition.body)?;
            definitions.push(Def { name: definition.name, args: definition.args, body });
        }
    }
    definitions.push(Def { name: "elias_transform", args: Vec::new(), body: meter.program(term)? });
    let arena = Arena::default();
    let main = File { code: "elias_transform", path: () };
    let modules =
        Loader::new(definitions).load(&arena, main).map_err(|_| InvalidTransform::new("cannot be compiled"))?;
    let natives = jaq_core::funs::<Metered>().chain(jaq_std::funs::<Metered>()).chain(jaq_json::funs::<Metered>());
    let allowed = natives.filter(|(name, _, _): &Fun<Metered>| NATIVES.contains(name));
    let compiled = Compiler::<_, Metered>::default().with_funs(allowed.chain(runtime::natives())).compile(modules);
    compiled.map_err(|errors| {
        let unknown = errors.into_iter().flat_map(|(_, errors)| errors).next();
        let (name, kind) = unknown.map_or(("", "filter"), |(name, kind)| (name, kind.as_str()));
        InvalidTransform::new(format!("uses the {kind} `{}`, which there is not", shown(name)))
    })
}

fn syntax_error(expected: &str, found: &str) -> String {
    let found: String = found.chars().take(20).collect();
    let at = if found.is_empty() { "its end".to_owned() } else { format!("`{}`", found.escape_debug()) };
    format!("is not a jq expression: {expected} expected at {at}")
}

fn shown(text: &str) -> String {
    text.chars().take(ERROR_CHARS_MAX).collect::<String>().escape_debug().to_string()
}
