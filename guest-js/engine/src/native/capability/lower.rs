//! Converts JavaScript's values into values of the Canonical ABI.
//!
//! A value is stored in memory first, whichever way it goes to the host: the flat form of a case depends on which
//! case it is, while its place in memory does not. Nothing of JavaScript's is held meanwhile, for a getter may change
//! it.

use super::types::{Cases, Field, Form, Function, Kind, Type};
use crate::native::bytes::{buffer_bytes, bytes_in};
use crate::native::convert::{SAFE_MAX, usv};
use javy::quickjs::{Coerced, Ctx, Error, Exception, Result, String as JsString, Value, qjs};
use std::fmt;

/// A place in an argument, for errors.
pub(super) struct Path<'a> {
    before: Option<&'a Path<'a>>,
    part: Part<'a>,
}

enum Part<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The place of a parameter.
    pub(super) fn of(parameter: &'a str) -> Self {
        Self { before: None, part: Part::Name(parameter) }
    }

    fn member(&'a self, name: &'a str) -> Self {
        Self { before: Some(self), part: Part::Name(name) }
    }

    fn item(&'a self, index: usize) -> Self {
        Self { before: Some(self), part: Part::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            before.fmt(f)?;
        }
        match self.part {
            Part::Name(name) if self.before.is_some() => write!(f, ".{name}"),
            Part::Name(name) => f.write_str(name),
            Part::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Memory that the host reads or writes during a call, aligned for all types.
pub(super) struct Block {
    words: Vec<u64>,
    length: usize,
}

impl Block {
    /// Allocates this many bytes, all zero.
    ///
    /// # Errors
    /// JavaScript's error for memory that is used up.
    pub(super) fn new(ctx: &Ctx<'_>, length: usize) -> Result<Self> {
        let mut words = Vec::new();
        let count = length.div_ceil(size_of::<u64>());
        if words.try_reserve_exact(count).is_err() {
            return Err(out_of_memory(ctx));
        }
        words.resize(count, 0);
        Ok(Self { words, length })
    }

    pub(super) fn address(&mut self) -> usize {
        self.words.as_mut_ptr() as usize
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the words are initialised and have at least this many bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; every value of a byte is right in a word.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.length) }
    }
}

fn out_of_memory(ctx: &Ctx<'_>) -> Error {
    // SAFETY: the context is valid; the function leaves an exception in it.
    unsafe { qjs::JS_ThrowOutOfMemory(ctx.as_raw().as_ptr()) };
    Error::Exception
}

/// The arguments of one call.
pub(super) struct Lowering<'a, 'js> {
    ctx: &'a Ctx<'js>,
    function: &'a Function,
    /// The memory that arguments own beside their own bytes: texts and lists. Freed with this, after the call.
    blocks: Vec<Block>,
}

impl<'a, 'js> Lowering<'a, 'js> {
    pub(super) fn new(ctx: &'a Ctx<'js>, function: &'a Function) -> Self {
        Self { ctx, function, blocks: Vec::new() }
    }

    /// Stores a value as a type in `out`, which has the type's size and is zero.
    ///
    /// # Errors
    /// A TypeError or a RangeError that names function, place and type, or whatever a getter throws.
    pub(super) fn store(&mut self, value: &Value<'js>, ty: &Type, out: &mut [u8], at: &Path<'_>) -> Result<()> {
        match &ty.kind {
            Kind::Bool => out[0] = u8::from(value.as_bool().ok_or_else(|| self.wrong(ty, value, at))?),
            Kind::Integer { signed } => {
                let integer = self.integer(value, ty, *signed, at)?;
                out.copy_from_slice(&integer.to_le_bytes()[..ty.size]);
            }
            Kind::Float => {
                let number = value.as_number().ok_or_else(|| self.wrong(ty, value, at))?;
                match ty.size {
                    4 => out.copy_from_slice(&(number as f32).to_le_bytes()),
                    _ => out.copy_from_slice(&number.to_le_bytes()),
                }
            }
            Kind::Char => {
                let text = value.as_string().map(usv).transpose()?.unwrap_or_default();
                let mut characters = text.chars();
                let (Some(character), None) = (characters.next(), characters.next()) else {
                    return Err(self.wrong(ty, value, at));
                };
                out.copy_from_slice(&u32::from(character).to_le_bytes());
            }
            Kind::String => {
                let text: &JsString<'_> = value.as_string().ok_or_else(|| self.wrong(ty, value, at))?;
                self.own_bytes(usv(text)?.as_bytes(), out)?;
            }
            Kind::List(item) => self.list(value, ty, item, out, at)?,
            Kind::Tuple(fields) => {
                let items = value.as_array().filter(|array| array.len() == fields.len());
                let items = items.ok_or_else(|| self.wrong(ty, value, at))?;
                for (index, field) in fields.iter().enumerate() {
                    self.store(&items.get::<Value<'_>>(index)?, &field.ty, place_in(out, field), &at.item(index))?;
                }
            }
            Kind::Record(fields) => {
                let object = value.as_object().ok_or_else(|| self.wrong(ty, value, at))?;
                for field in fields {
                    let member = object.get::<_, Value<'_>>(field.name.as_str())?;
                    self.store(&member, &field.ty, place_in(out, field), &at.member(&field.name))?;
                }
            }
            Kind::Cases(cases) => self.case(value, ty, cases, out, at)?,
            Kind::Flags(flags) => {
                let object = value.as_object().ok_or_else(|| self.wrong(ty, value, at))?;
                for (index, flag) in flags.iter().enumerate() {
                    let given = object.get::<_, Value<'_>>(flag.as_str())?;
                    let set = if given.is_undefined() { Some(false) } else { given.as_bool() };
                    let set = set.ok_or_else(|| self.refuse("bool (true or false)", &given, &at.member(flag)))?;
                    out[index / 8] |= u8::from(set) << (index % 8);
                }
            }
        }
        Ok(())
    }

    /// The bits of an integer.
    fn integer(&self, value: &Value<'js>, ty: &Type, signed: bool, at: &Path<'_>) -> Result<u64> {
        let parsed = if let Some(number) = value.as_number() {
            // Numbers hold integers of more than 53 bits, but not all of them: which one was meant is not known.
            let (least, most) = match (signed, ty.size.min(7)) {
                (true, 7) => (-(SAFE_MAX as f64), SAFE_MAX as f64),
                (false, 7) => (0.0, SAFE_MAX as f64),
                (true, bytes) => (-((1_u64 << (8 * bytes - 1)) as f64), ((1_u64 << (8 * bytes - 1)) - 1) as f64),
                (false, bytes) => (0.0, ((1_u64 << (8 * bytes)) - 1) as f64),
            };
            (number.fract() == 0.0 && (least..=most).contains(&number)).then_some((number as i64).cast_unsigned())
        } else if value.is_big_int() && ty.size == 8 {
            // As a text, for the conversion to 64 bits drops those that are too many.
            let digits = value.get::<Coerced<String>>()?.0;
            if signed { digits.parse::<i64>().ok().map(i64::cast_unsigned) } else { digits.parse().ok() }
        } else {
            return Err(self.wrong(ty, value, at));
        };
        parsed.ok_or_else(|| {
            let message = self.message(&expected(ty), value, at);
            Exception::throw_range(self.ctx, &message)
        })
    }

    fn list(&mut self, value: &Value<'js>, ty: &Type, item: &Type, out: &mut [u8], at: &Path<'_>) -> Result<()> {
        let Some(object) = value.as_object() else { return Err(self.wrong(ty, value, at)) };
        if is_byte(item) {
            if let Some(bytes) = object.as_typed_array::<u8>() {
                return self.own_bytes(bytes_in(bytes), out);
            }
            if let Some(bytes) = buffer_bytes(object) {
                return self.own_bytes(&bytes, out);
            }
        }
        // SAFETY: the value is valid and is only looked at.
        let is_typed_array = unsafe { qjs::JS_GetTypedArrayType(value.as_raw()) } >= 0;
        if !value.is_array() && !is_typed_array {
            return Err(self.wrong(ty, value, at));
        }
        let length: usize = object.get("length")?;
        let bytes = length.checked_mul(item.size).filter(|bytes| u32::try_from(*bytes).is_ok());
        let mut block = Block::new(self.ctx, bytes.ok_or_else(|| out_of_memory(self.ctx))?)?;
        for (index, place) in block.bytes_mut().chunks_exact_mut(item.size.max(1)).enumerate() {
            let member = match value.as_array() {
                Some(array) => array.get::<Value<'_>>(index)?,
                None => object.get::<_, Value<'_>>(index as u32)?,
            };
            self.store(&member, item, place, &at.item(index))?;
        }
        self.own(block, length, out);
        Ok(())
    }

    fn case(&mut self, value: &Value<'js>, ty: &Type, cases: &Cases, out: &mut [u8], at: &Path<'_>) -> Result<()> {
        let named = |name: &str| cases.cases.iter().position(|(case, _)| case == name);
        let (index, payload) = match cases.form {
            Form::Option if value.is_undefined() || value.is_null() => (Some(0), None),
            Form::Option => (Some(1), Some(value.clone())),
            Form::Enum => (text_of(value)?.and_then(|name| named(&name)), None),
            Form::Tagged | Form::Result => match value.as_object() {
                None => (None, None),
                Some(object) => {
                    let index = text_of(&object.get("tag")?)?.and_then(|name| named(&name));
                    let has_payload = index.is_some_and(|index| cases.cases[index].1.is_some());
                    let payload = if has_payload { Some(object.get::<_, Value<'_>>("val")?) } else { None };
                    (index, payload)
                }
            },
        };
        let index = index.ok_or_else(|| self.wrong(ty, value, at))?;
        out[..cases.tag_bytes].copy_from_slice(&(index as u32).to_le_bytes()[..cases.tag_bytes]);
        if let (Some(payload), Some(ty)) = (payload, &cases.cases[index].1) {
            let place = &mut out[cases.payload..cases.payload + ty.size];
            return match cases.form {
                Form::Option => self.store(&payload, ty, place, at),
                _ => self.store(&payload, ty, place, &at.member("val")),
            };
        }
        Ok(())
    }

    /// Keeps a copy of bytes for the call, and writes where they are.
    fn own_bytes(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<()> {
        let mut block = Block::new(self.ctx, bytes.len())?;
        block.bytes_mut().copy_from_slice(bytes);
        self.own(block, bytes.len(), out);
        Ok(())
    }

    /// Keeps a block for the call, and writes where it is and how many items it has.
    fn own(&mut self, mut block: Block, items: usize, out: &mut [u8]) {
        out[..4].copy_from_slice(&(block.address() as u32).to_le_bytes());
        out[4..].copy_from_slice(&(items as u32).to_le_bytes());
        self.blocks.push(block);
    }

    fn wrong(&self, ty: &Type, value: &Value<'js>, at: &Path<'_>) -> Error {
        self.refuse(&expected(ty), value, at)
    }

    fn refuse(&self, expected: &str, value: &Value<'js>, at: &Path<'_>) -> Error {
        Exception::throw_type(self.ctx, &self.message(expected, value, at))
    }

    fn message(&self, expected: &str, value: &Value<'js>, at: &Path<'_>) -> String {
        format!("{}: `{at}` must be {expected}, not {}", self.function.id, described(value))
    }
}

fn place_in<'o>(out: &'o mut [u8], field: &Field) -> &'o mut [u8] {
    &mut out[field.offset..field.offset + field.ty.size]
}

/// Whether lists of a type are lists of bytes.
pub(super) fn is_byte(ty: &Type) -> bool {
    ty.size == 1 && matches!(ty.kind, Kind::Integer { signed: false })
}

fn text_of(value: &Value<'_>) -> Result<Option<String>> {
    value.as_string().map(usv).transpose()
}

/// A type, and what JavaScript has for it.
fn expected(ty: &Type) -> String {
    let quoted = |cases: &Cases| cases.cases.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let hint = match &ty.kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Integer { signed } => {
            let bits = 8 * ty.size as u32;
            let what = if bits == 64 { "a bigint" } else { "an integer" };
            match signed {
                true => format!("{what} from -{} to {}", 1_u64 << (bits - 1), (1_u64 << (bits - 1)) - 1),
                false => format!("{what} from 0 to {}", u64::MAX >> (64 - bits)),
            }
        }
        Kind::Float => "a number".to_owned(),
        Kind::Char => "a string of one character".to_owned(),
        Kind::String => "a string".to_owned(),
        Kind::List(item) if is_byte(item) => "a Uint8Array".to_owned(),
        Kind::List(_) => "an array".to_owned(),
        Kind::Tuple(fields) => format!("an array of {}", fields.len()),
        Kind::Record(_) => "an object".to_owned(),
        Kind::Flags(_) => "an object of booleans".to_owned(),
        Kind::Cases(cases) => match cases.form {
            Form::Enum => format!("one of {}", quoted(cases)),
            _ => format!("an object whose `tag` is one of {}", quoted(cases)),
        },
    };
    if ty.name == "string" { hint } else { format!("{} ({hint})", ty.name) }
}

/// The given value, in a few words.
fn described(value: &Value<'_>) -> String {
    /// Digits of a bigint that are shown.
    const SHOWN: usize = 40;
    match value {
        _ if value.is_undefined() => "undefined".to_owned(),
        _ if value.is_null() => "null".to_owned(),
        _ if value.is_string() => "a string".to_owned(),
        _ if value.is_symbol() => "a symbol".to_owned(),
        _ if value.is_function() => "a function".to_owned(),
        _ if value.is_array() => "an array".to_owned(),
        _ if value.is_object() => "an object".to_owned(),
        // A boolean, a number or a bigint, none of which has a conversion that a script could change.
        _ => match value.get::<Coerced<String>>() {
            Ok(Coerced(text)) if text.len() > SHOWN => format!("{}... ({} digits)", &text[..SHOWN], text.len()),
            Ok(Coerced(text)) => text,
            Err(_) => {
                value.ctx().catch();
                "something else".to_owned()
            }
        },
    }
}

/// The flat values of a stored one, as bits: narrower ones in the lower bits.
pub(super) fn flatten(ty: &Type, bytes: &[u8], flat: &mut Vec<u64>) {
    match &ty.kind {
        Kind::Integer { signed: true } if ty.size < 8 => {
            let unused = 32 - 8 * ty.size as u32;
            let extended = ((read(bytes, ty.size) as u32) << unused).cast_signed() >> unused;
            flat.push(u64::from(extended.cast_unsigned()));
        }
        Kind::Bool | Kind::Integer { .. } | Kind::Float | Kind::Char | Kind::Flags(_) => {
            flat.push(read(bytes, ty.size));
        }
        Kind::String | Kind::List(_) => flat.extend([read(bytes, 4), read(&bytes[4..], 4)]),
        Kind::Tuple(fields) | Kind::Record(fields) => {
            for field in fields {
                flatten(&field.ty, &bytes[field.offset..], flat);
            }
        }
        Kind::Cases(cases) => {
            let end = flat.len() + ty.flat;
            let index = read(bytes, cases.tag_bytes);
            flat.push(index);
            if let Some((_, Some(payload))) = cases.cases.get(index as usize) {
                flatten(payload, &bytes[cases.payload..], flat);
            }
            flat.resize(end, 0);
        }
    }
}

/// The little-endian integer in the first bytes.
pub(super) fn read(bytes: &[u8], count: usize) -> u64 {
    bytes[..count].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}
