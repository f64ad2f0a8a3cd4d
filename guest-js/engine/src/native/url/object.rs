//! Native fast paths of `URL` and `URLSearchParams`: the constructors and the members that handlers use most.
//!
//! The classes are defined in `url/url.js`. A native replaces one of their functions, handles the common case, and
//! calls the replaced function for everything else: instances of subclasses or with additional properties
//! (`quickjs/url.c`), arguments that are not strings, and errors. So there is one source of error messages and of
//! unusual behavior.

use super::super::http_request::is_own_url;
use super::super::raw::{self, Context, NativeFunction, RawValue, ValueTable};
use super::query::{self, EncodedPairs};
use super::serialized::{self, Part};
use super::{part_of, read};
use javy::quickjs::{Ctx, Exception, Function, Result, Value, qjs};
use std::borrow::Cow;
use std::ffi::c_int;
use std::ptr::null_mut;

unsafe extern "C" {
    // All defined in `quickjs/url.c`.
    fn elias_set_url_template(ctx: Context, kind: c_int, template: RawValue) -> bool;
    fn elias_url_fields(value: RawValue, kind: c_int) -> *mut RawValue;
    fn elias_new_url_object(ctx: Context, kind: c_int, first: RawValue, second: RawValue) -> RawValue;
}

/// The kinds of objects and the indexes of their fields, in the order of the class bodies in `url/url.js`.
const URL: c_int = 0;
const HREF: usize = 0;
const SEARCH_PARAMS: usize = 1;
const PARAMS: c_int = 1;
const LIST: usize = 0;
const OF_URL: usize = 1;

/// The interface's name.
pub(crate) const PARAMS_NAME: &str = "URLSearchParams";

/// The classes and the constructors that replace them, by kind.
static CLASSES: ValueTable<2> = ValueTable::new();
static CONSTRUCTORS: ValueTable<2> = ValueTable::new();

/// Members that natives replace; their numbers follow those of the URL's parts.
const NAMES: [&str; 7] = ["searchParams", "toString", "toJSON", "get", "has", "getAll", "size"];
const GET: usize = Part::ALL.len() + 3;
const HAS: usize = GET + 1;
const GET_ALL: usize = GET + 2;
static SCRIPTS: ValueTable<{ Part::ALL.len() + NAMES.len() }> = ValueTable::new();

/// Makes the constructor that replaces a class; `template` is an instance, whose shape identifies others.
pub(in crate::native::url) fn define_constructor<'js>(
    ctx: Ctx<'js>,
    class: Function<'js>,
    template: Value<'js>,
) -> Result<Value<'js>> {
    let name: String = class.get("name")?;
    let (kind, make): (c_int, raw::Method) = if name == "URL" { (URL, new_url) } else { (PARAMS, new_params) };
    // SAFETY: the context and the template are alive.
    if !unsafe { elias_set_url_template(ctx.as_raw().as_ptr(), kind, template.as_raw()) } {
        return Err(Exception::throw_internal(&ctx, &format!("a {name} has other fields than the engine knows")));
    }
    let constructor = raw::function(&class, NativeFunction::Constructor(make), kind as usize)?;
    CLASSES.set(kind as usize, &class);
    CONSTRUCTORS.set(kind as usize, &constructor);
    Ok(constructor)
}

/// Makes the native that replaces `script`, the member `what`: a part of a URL, or one of [`NAMES`].
pub(in crate::native::url) fn replace_member<'js>(
    ctx: Ctx<'js>,
    script: Function<'js>,
    what: String,
) -> Result<Value<'js>> {
    let part = Part::ALL.iter().position(|part| part.name() == what);
    let other = || NAMES.iter().position(|name| *name == what).map(|at| at + Part::ALL.len());
    let Some(number) = part.or_else(other) else {
        return Err(Exception::throw_internal(&ctx, &format!("native {what} of a URL does not exist")));
    };
    SCRIPTS.set(number, &script);
    let native = match what.as_str() {
        "searchParams" => NativeFunction::Getter(get_params),
        "toString" | "toJSON" => NativeFunction::Method(to_string),
        "get" | "has" | "getAll" => NativeFunction::Method(look_up),
        "size" => NativeFunction::Getter(get_size),
        _ => NativeFunction::Getter(get_part),
    };
    raw::function(&script, native, number)
}

/// Constructs through the class.
///
/// # Safety
/// All values must be alive.
unsafe fn construct(ctx: Context, target: RawValue, argc: c_int, argv: *mut RawValue, kind: usize) -> RawValue {
    let class = CLASSES.get(kind);
    // SAFETY: as for the caller. A call without `new` makes the class throw.
    unsafe {
        if qjs::JS_IsUndefined(target) {
            return qjs::JS_Call(ctx, class, qjs::JS_UNDEFINED, argc, argv);
        }
        let is_own = target == CONSTRUCTORS.get(kind);
        qjs::JS_CallConstructor2(ctx, class, if is_own { class } else { target }, argc, argv)
    }
}

/// Constructs an object whose first field is what `first` gives, an owned value or an exception; through the class if
/// it gives none, or if the target is another class.
///
/// # Safety
/// All values must be alive.
unsafe fn construct_with(
    ctx: Context,
    target: RawValue,
    argc: c_int,
    argv: *mut RawValue,
    kind: c_int,
    first: impl FnOnce() -> Option<RawValue>,
) -> RawValue {
    let is_own = target == CONSTRUCTORS.get(kind as usize);
    // SAFETY: as for the caller.
    unsafe {
        match is_own.then(first).flatten() {
            Some(exception) if qjs::JS_IsException(exception) => exception,
            Some(first) => elias_new_url_object(ctx, kind, first, qjs::JS_UNDEFINED),
            None => construct(ctx, target, argc, argv, kind as usize),
        }
    }
}

unsafe extern "C" fn new_url(
    ctx: Context,
    target: RawValue,
    argc: c_int,
    argv: *mut RawValue,
    kind: c_int,
) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        let href = || serialize(ctx, raw::argument(argc, argv, 0), raw::argument(argc, argv, 1));
        construct_with(ctx, target, argc, argv, kind, href)
    }
}

/// The serialized URL of `input`, relative to `base`; none if it is for the class to convert the arguments or to throw.
///
/// # Safety
/// All must be alive.
unsafe fn serialize(ctx: Context, input: RawValue, base: RawValue) -> Option<RawValue> {
    // SAFETY: as for the caller.
    unsafe {
        let text = raw::text(ctx, input)?;
        // Most URLs in a request are the request's own.
        if qjs::JS_IsUndefined(base) && is_own_url(input) {
            return Some(qjs::JS_DupValue(ctx, input));
        }
        if !qjs::JS_IsUndefined(base) {
            let base = raw::text(ctx, base)?;
            return Some(raw::new_text(ctx, &read(&text, Some(&base))?.part(Part::Href)));
        }
        if serialized::is_serialized_url(&text) {
            return Some(match text {
                Cow::Borrowed(_) => qjs::JS_DupValue(ctx, input),
                Cow::Owned(text) => raw::new_ascii(ctx, text.as_bytes()),
            });
        }
        Some(raw::new_text(ctx, &read(&text, None)?.part(Part::Href)))
    }
}

unsafe extern "C" fn new_params(
    ctx: Context,
    target: RawValue,
    argc: c_int,
    argv: *mut RawValue,
    kind: c_int,
) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        let list = || {
            let argument = raw::argument(argc, argv, 0);
            Some(match raw::ascii(argument)?.strip_prefix('?') {
                Some(text) => raw::new_ascii(ctx, text.as_bytes()),
                None => qjs::JS_DupValue(ctx, argument),
            })
        };
        construct_with(ctx, target, argc, argv, kind, list)
    }
}

/// The serialization of a URL object.
///
/// # Safety
/// The value must outlive the result.
unsafe fn href_of<'a>(value: RawValue) -> Option<&'a str> {
    // SAFETY: as for the caller; a URL that has this shape has its fields.
    unsafe {
        let fields = elias_url_fields(value, URL);
        if fields.is_null() { None } else { raw::ascii(*fields.add(HREF)) }
    }
}

unsafe extern "C" fn get_part(ctx: Context, this: RawValue, part: c_int) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        match href_of(this) {
            Some(_) if part == Part::Href as c_int => qjs::JS_DupValue(ctx, *elias_url_fields(this, URL)),
            Some(href) => raw::new_text(ctx, &part_of(href, Part::ALL[part as usize])),
            None => qjs::JS_Call(ctx, SCRIPTS.get(part as usize), this, 0, null_mut()),
        }
    }
}

unsafe extern "C" fn to_string(
    ctx: Context,
    this: RawValue,
    argc: c_int,
    argv: *mut RawValue,
    number: c_int,
) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        let fields = elias_url_fields(this, URL);
        if fields.is_null() {
            return qjs::JS_Call(ctx, SCRIPTS.get(number as usize), this, argc, argv);
        }
        qjs::JS_DupValue(ctx, *fields.add(HREF))
    }
}

unsafe extern "C" fn get_params(ctx: Context, this: RawValue, number: c_int) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        let fields = elias_url_fields(this, URL);
        if fields.is_null() {
            return qjs::JS_Call(ctx, SCRIPTS.get(number as usize), this, 0, null_mut());
        }
        if qjs::JS_IsUndefined(*fields.add(SEARCH_PARAMS)) {
            let params = elias_new_url_object(ctx, PARAMS, qjs::JS_UNDEFINED, qjs::JS_DupValue(ctx, this));
            if qjs::JS_IsException(params) {
                return params;
            }
            *fields.add(SEARCH_PARAMS) = params;
        }
        qjs::JS_DupValue(ctx, *fields.add(SEARCH_PARAMS))
    }
}

/// Where a URLSearchParams has its pairs.
enum PairSource<'a> {
    /// Text that is not decoded yet.
    Encoded(&'a [u8]),
    /// Names and values, alternating.
    List(&'a [RawValue]),
}

/// # Safety
/// The value must outlive the result unchanged.
unsafe fn source_of<'a>(ctx: Context, value: RawValue) -> Option<PairSource<'a>> {
    // SAFETY: as for the caller; what has this shape has its fields.
    unsafe {
        let fields = elias_url_fields(value, PARAMS);
        if fields.is_null() {
            return None;
        }
        let list = *fields.add(LIST);
        if qjs::JS_IsUndefined(list) {
            return href_of(*fields.add(OF_URL)).map(|href| PairSource::Encoded(serialized::query(href).as_bytes()));
        }
        match raw::ascii(list) {
            Some(text) => Some(PairSource::Encoded(text.as_bytes())),
            None => raw::items(ctx, list).map(PairSource::List),
        }
    }
}

/// The list of a URLSearchParams, decoded if it was not yet; an owned value or an exception. None if only the script
/// can answer.
///
/// # Safety
/// All must be alive.
pub(crate) unsafe fn list(ctx: Context, params: RawValue) -> Option<RawValue> {
    // SAFETY: as for the caller.
    unsafe {
        if let PairSource::Encoded(text) = source_of(ctx, params)? {
            let values: Vec<_> =
                EncodedPairs(text).flat_map(|(name, value)| [name, value]).map(|text| decoded(ctx, text)).collect();
            if values.iter().any(|&value| qjs::JS_IsException(value)) {
                values.into_iter().for_each(|value| qjs::JS_FreeValue(ctx, value));
                return Some(qjs::JS_EXCEPTION);
            }
            // The array takes ownership of the values.
            let list = qjs::JS_NewArrayFrom(ctx, values.len() as c_int, values.as_ptr());
            if qjs::JS_IsException(list) {
                return Some(list);
            }
            let former = std::mem::replace(&mut *elias_url_fields(params, PARAMS).add(LIST), list);
            qjs::JS_FreeValue(ctx, former);
        }
        Some(qjs::JS_DupValue(ctx, *elias_url_fields(params, PARAMS).add(LIST)))
    }
}

unsafe extern "C" fn get_size(ctx: Context, this: RawValue, number: c_int) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        let size = match source_of(ctx, this) {
            Some(PairSource::Encoded(text)) => EncodedPairs(text).count(),
            Some(PairSource::List(items)) => items.len() / 2,
            None => return qjs::JS_Call(ctx, SCRIPTS.get(number as usize), this, 0, null_mut()),
        };
        qjs::JS_MKVAL(qjs::JS_TAG_INT, size as c_int)
    }
}

/// A string value from encoded text.
///
/// # Safety
/// The context must be valid.
unsafe fn decoded(ctx: Context, text: &[u8]) -> RawValue {
    // SAFETY: as for the caller.
    unsafe { if query::is_plain(text) { raw::new_ascii(ctx, text) } else { raw::new_text(ctx, &query::decode(text)) } }
}

/// Calls `found` with each value of `name`, which is ASCII, until it returns true. None if only the script can compare
/// the names.
///
/// # Safety
/// All values must be alive and must not change.
unsafe fn each_value(
    ctx: Context,
    source: &PairSource<'_>,
    name: &str,
    mut found: impl FnMut(RawValue) -> bool,
) -> Option<()> {
    let name = name.as_bytes();
    match source {
        PairSource::Encoded(text) => {
            for (_, value) in EncodedPairs(text).filter(|(encoded, _)| query::decodes_to(encoded, name)) {
                // SAFETY: as for the caller.
                let value = unsafe { decoded(ctx, value) };
                if found(value) {
                    break;
                }
            }
        }
        PairSource::List(items) => {
            for pair in items.chunks_exact(2) {
                // SAFETY: as for the caller. A 16-bit string or a rope may be equal.
                if unsafe { raw::characters(pair[0])? } != name {
                    continue;
                }
                // SAFETY: as for the caller.
                if found(unsafe { qjs::JS_DupValue(ctx, pair[1]) }) {
                    break;
                }
            }
        }
    }
    Some(())
}

/// `get`, `has` and `getAll`.
unsafe extern "C" fn look_up(
    ctx: Context,
    this: RawValue,
    argc: c_int,
    argv: *mut RawValue,
    number: c_int,
) -> RawValue {
    // SAFETY: QuickJS passes live values, and no script runs in between that could change them.
    unsafe {
        quick_look_up(ctx, this, raw::argument(argc, argv, 0), raw::argument(argc, argv, 1), number as usize)
            .unwrap_or_else(|| qjs::JS_Call(ctx, SCRIPTS.get(number as usize), this, argc, argv))
    }
}

/// # Safety
/// All must be alive.
unsafe fn quick_look_up(
    ctx: Context,
    this: RawValue,
    name: RawValue,
    value: RawValue,
    number: usize,
) -> Option<RawValue> {
    // SAFETY: as for the caller.
    unsafe {
        let name = raw::ascii(name)?;
        let source = source_of(ctx, this)?;
        match number {
            GET => {
                let mut first = qjs::JS_NULL;
                each_value(ctx, &source, name, |value| {
                    first = value;
                    true
                })?;
                Some(first)
            }
            HAS if qjs::JS_IsUndefined(value) => {
                let mut is_there = false;
                each_value(ctx, &source, name, |value| {
                    qjs::JS_FreeValue(ctx, value);
                    is_there = true;
                    true
                })?;
                Some(if is_there { qjs::JS_TRUE } else { qjs::JS_FALSE })
            }
            GET_ALL => {
                let mut values = Vec::new();
                let outcome = each_value(ctx, &source, name, |value| {
                    values.push(value);
                    qjs::JS_IsException(value)
                });
                if values.last().is_some_and(|&value| qjs::JS_IsException(value)) {
                    values.drain(..).for_each(|value| qjs::JS_FreeValue(ctx, value));
                    return Some(qjs::JS_EXCEPTION);
                }
                let count = values.len() as c_int;
                if outcome.is_some() {
                    // The array takes ownership of the values.
                    return Some(qjs::JS_NewArrayFrom(ctx, count, values.as_ptr()));
                }
                for value in values {
                    qjs::JS_FreeValue(ctx, value);
                }
                None
            }
            _ => None,
        }
    }
}
