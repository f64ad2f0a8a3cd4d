//! The functions that a component imports from an embedder's capabilities: parses their description, and lays out their
//! types in memory.
//!
//! `elias-build` describes them in a text, a line each (`toolchain/compiler/src/capabilities/describe.rs`). A type is
//! named by the number of its line among the types, from 0, and comes before what uses it; `_` is none. Names have no
//! spaces:
//!
//! ```text
//! type NAME KIND ARGUMENTS      NAME as errors show it, with `,` for `, `
//!     bool | u8 .. u64 | s8 .. s64 | f32 | f64 | char | string
//!     list TYPE
//!     tuple TYPE..
//!     record (FIELD TYPE)..     FIELD in camelCase
//!     variant (CASE TYPE|_)..   an object with `tag` and `val`
//!     enum CASE..
//!     option TYPE               undefined, or the value
//!     tagged-option TYPE        an object with `tag` and `val`: an option of what may itself be undefined
//!     result OK|_ ERR|_
//!     flags FLAG..              FLAG in camelCase
//! func ID NAME RESULT|_ (PARAMETER TYPE)..
//! ```
//!
//! Sizes, alignments and flat forms are those of the Canonical ABI:
//! <https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md>.

use std::rc::Rc;

/// A function of a capability.
pub(super) struct Function {
    /// `PACKAGE/INTERFACE@VERSION#FUNCTION`.
    pub(super) id: String,
    /// Its name in JavaScript.
    pub(super) name: String,
    /// Name and type of each; the offset is that in the tuple of all.
    pub(super) parameters: Vec<Field>,
    pub(super) result: Option<Rc<Type>>,
}

/// A type of WIT.
pub(super) struct Type {
    /// As WIT writes it.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Bytes in memory.
    pub(super) size: usize,
    /// Alignment in bytes: 1, 2, 4 or 8.
    pub(super) align: usize,
    /// How many core values it is as an argument.
    pub(super) flat: usize,
    /// Whether it has memory of its own beside these bytes: strings and lists.
    pub(super) owns_memory: bool,
}

pub(super) enum Kind {
    Bool,
    Integer { signed: bool },
    Float,
    Char,
    String,
    List(Rc<Type>),
    Tuple(Vec<Field>),
    Record(Vec<Field>),
    Cases(Cases),
    Flags(Vec<String>),
}

/// A member of a record or tuple.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: Rc<Type>,
    pub(super) offset: usize,
}

/// A type that is one of several cases.
pub(super) struct Cases {
    pub(super) form: Form,
    pub(super) cases: Vec<(String, Option<Rc<Type>>)>,
    /// Bytes of the case's number: 1, 2 or 4.
    pub(super) tag_bytes: usize,
    /// Where the value of the case begins.
    pub(super) payload: usize,
}

/// The form of cases in JavaScript.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object with `tag` and `val`.
    Tagged,
    /// A text.
    Enum,
    /// `undefined`, or the value.
    Option,
    /// An object with `tag` and `val`; as what a function gives, the value or an exception.
    Result,
}

/// Reads a description.
///
/// # Errors
/// The line that is not as the module says; `elias-build` and the engine are of one version, so there should be none.
pub(super) fn parse(text: &str) -> Result<Vec<Function>, String> {
    let mut types: Vec<Rc<Type>> = Vec::new();
    let mut functions = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let parsed = match words.next() {
            Some("type") => parse_type(&mut words, &types).map(|ty| types.push(Rc::new(ty))),
            Some("func") => parse_function(&mut words, &types).map(|function| functions.push(function)),
            _ => None,
        };
        parsed.ok_or_else(|| format!("the description of capabilities has the line {line:?}"))?;
    }
    Ok(functions)
}

type Words<'a> = std::str::Split<'a, char>;

/// How values of a type are passed; the fields are those of [`Type`].
#[derive(Clone, Copy)]
struct Layout {
    size: usize,
    align: usize,
    flat: usize,
    owns_memory: bool,
}

/// Members with their offsets, and the layout of all of them together.
struct Members {
    fields: Vec<Field>,
    layout: Layout,
}

fn parse_function(words: &mut Words<'_>, types: &[Rc<Type>]) -> Option<Function> {
    let (id, name) = (words.next()?.to_owned(), words.next()?.to_owned());
    let result = find_optional(words.next()?, types)?;
    let parameters = layout_members(parse_members(words, types)?).fields;
    Some(Function { id, name, parameters, result })
}

fn parse_type(words: &mut Words<'_>, types: &[Rc<Type>]) -> Option<Type> {
    let name = words.next()?.replace(',', ", ");
    let scalar = |kind, size| Some((kind, Layout { size, align: size, flat: 1, owns_memory: false }));
    // The address and the length of what lies elsewhere in memory.
    let pointer_and_length = Layout { size: 8, align: 4, flat: 2, owns_memory: true };
    let (kind, layout) = match words.next()? {
        "bool" => scalar(Kind::Bool, 1),
        "u8" => scalar(Kind::Integer { signed: false }, 1),
        "u16" => scalar(Kind::Integer { signed: false }, 2),
        "u32" => scalar(Kind::Integer { signed: false }, 4),
        "u64" => scalar(Kind::Integer { signed: false }, 8),
        "s8" => scalar(Kind::Integer { signed: true }, 1),
        "s16" => scalar(Kind::Integer { signed: true }, 2),
        "s32" => scalar(Kind::Integer { signed: true }, 4),
        "s64" => scalar(Kind::Integer { signed: true }, 8),
        "f32" => scalar(Kind::Float, 4),
        "f64" => scalar(Kind::Float, 8),
        "char" => scalar(Kind::Char, 4),
        "string" => Some((Kind::String, pointer_and_length)),
        "list" => Some((Kind::List(find(words.next()?, types)?), pointer_and_length)),
        "tuple" => {
            let members = words.map(|word| Some((String::new(), find(word, types)?))).collect::<Option<Vec<_>>>()?;
            let Members { fields, layout } = layout_members(members);
            Some((Kind::Tuple(fields), layout))
        }
        "record" => {
            let Members { fields, layout } = layout_members(parse_members(words, types)?);
            Some((Kind::Record(fields), layout))
        }
        "variant" => {
            let mut all = Vec::new();
            while let Some(case) = words.next() {
                all.push((case.to_owned(), find_optional(words.next()?, types)?));
            }
            layout_cases(Form::Tagged, all)
        }
        "enum" => layout_cases(Form::Enum, words.map(|case| (case.to_owned(), None)).collect()),
        form @ ("option" | "tagged-option") => {
            let form = if form == "option" { Form::Option } else { Form::Tagged };
            layout_cases(form, vec![("none".to_owned(), None), ("some".to_owned(), Some(find(words.next()?, types)?))])
        }
        "result" => {
            let (ok, err) = (find_optional(words.next()?, types)?, find_optional(words.next()?, types)?);
            layout_cases(Form::Result, vec![("ok".to_owned(), ok), ("err".to_owned(), err)])
        }
        "flags" => {
            let flags: Vec<String> = words.map(str::to_owned).collect();
            let bytes = match flags.len() {
                0..=8 => 1,
                9..=16 => 2,
                17..=32 => 4,
                _ => return None,
            };
            scalar(Kind::Flags(flags), bytes)
        }
        _ => None,
    }?;
    let Layout { size, align, flat, owns_memory } = layout;
    Some(Type { name, kind, size, align, flat, owns_memory })
}

/// Finds the type with a number.
fn find(word: &str, types: &[Rc<Type>]) -> Option<Rc<Type>> {
    types.get(word.parse::<usize>().ok()?).cloned()
}

/// Finds the type with a number; none for `_`.
#[allow(clippy::option_option)] // a word that is wrong is not one that means none
fn find_optional(word: &str, types: &[Rc<Type>]) -> Option<Option<Rc<Type>>> {
    if word == "_" { Some(None) } else { find(word, types).map(Some) }
}

/// Reads pairs of a name and a type.
fn parse_members(words: &mut Words<'_>, types: &[Rc<Type>]) -> Option<Vec<(String, Rc<Type>)>> {
    let mut members = Vec::new();
    while let Some(name) = words.next() {
        members.push((name.to_owned(), find(words.next()?, types)?));
    }
    Some(members)
}

/// Places members one after the other.
fn layout_members(members: Vec<(String, Rc<Type>)>) -> Members {
    let (mut size, mut align, mut flat, mut owns_memory) = (0_usize, 1, 0_usize, false);
    let mut fields = Vec::with_capacity(members.len());
    for (name, ty) in members {
        let offset = size.next_multiple_of(ty.align);
        size = offset + ty.size;
        align = align.max(ty.align);
        flat = flat.saturating_add(ty.flat);
        owns_memory |= ty.owns_memory;
        fields.push(Field { name, ty, offset });
    }
    Members { fields, layout: Layout { size: size.next_multiple_of(align), align, flat, owns_memory } }
}

/// Places the values of all cases at the same offset, behind the case's number; none if there is no case.
fn layout_cases(form: Form, cases: Vec<(String, Option<Rc<Type>>)>) -> Option<(Kind, Layout)> {
    let tag_bytes = match cases.len() {
        0 => return None,
        1..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    };
    let payloads = || cases.iter().filter_map(|(_, ty)| ty.as_ref());
    let payload_align = payloads().map(|ty| ty.align).max().unwrap_or(1);
    let payload_size = payloads().map(|ty| ty.size).max().unwrap_or(0);
    let flat = payloads().map(|ty| ty.flat).max().unwrap_or(0).saturating_add(1);
    let owns_memory = payloads().any(|ty| ty.owns_memory);
    let payload = usize::next_multiple_of(tag_bytes, payload_align);
    let align = payload_align.max(tag_bytes);
    let size = (payload + payload_size).next_multiple_of(align);
    Some((Kind::Cases(Cases { form, cases, tag_bytes, payload }), Layout { size, align, flat, owns_memory }))
}

/// The size in bytes of the tuple of a function's parameters.
pub(super) fn parameters_size(parameters: &[Field]) -> usize {
    parameters.last().map_or(0, |last| last.offset + last.ty.size)
}
