//! Calls the application's `fetch` without running a web module: `component/handlers.js` provides the arguments, and
//! sends every response that is not plain. See also `quickjs/response.c`.

use super::convert::{bytes_of, header_entries};
use super::http_response;
use super::raw::owned;
use javy::quickjs::{Ctx, Error, Exception, Function, Object, Result, Value, qjs};
use std::cell::Cell;

unsafe extern "C" {
    /// Of `quickjs/response.c`, as all of these.
    fn elias_install_response(ctx: *mut qjs::JSContext, class: qjs::JSValue, template: qjs::JSValue) -> qjs::JSValue;
    fn elias_response_fields(value: qjs::JSValue) -> *mut qjs::JSValue;
    fn elias_keep_shapes(count: u32);
}

/// The indices of a response's fields, in the order of the class body in `fetch/response.js`. `install` checks them
/// while the base image is made: `elias_install_response` how many fields there are, and [`check_fields`] their kinds.
const STATUS: usize = 0;
const HEADERS: usize = 2;
const BODY: usize = 3;

/// Shapes that are kept while `component/warm-up.js` runs, and while the application's top level runs.
const KEPT_SHAPES_MAX: u32 = 1024;

/// Values that scripts gave while the component was built; each is owned, and lives as long as the memory.
struct State {
    request: Cell<qjs::JSValue>,
    env: Cell<qjs::JSValue>,
    context: Cell<qjs::JSValue>,
    /// The script's function that sends every response which `send` does not.
    finish: Cell<qjs::JSValue>,
    /// The body of a response whose text was sent: a `Body` that was used up.
    sent_body: Cell<qjs::JSValue>,
    /// The header lists of responses to a text, and of those to a value as JSON, which were given no others.
    text_headers: Cell<qjs::JSValue>,
    json_headers: Cell<qjs::JSValue>,
    /// The atom of the text `fetch`.
    handler_name: Cell<qjs::JSAtom>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

const fn undefined() -> Cell<qjs::JSValue> {
    Cell::new(qjs::JS_UNDEFINED)
}

static STATE: State = State {
    request: undefined(),
    env: undefined(),
    context: undefined(),
    finish: undefined(),
    sent_body: undefined(),
    text_headers: undefined(),
    json_headers: undefined(),
    handler_name: Cell::new(0),
};

/// Sets a value of the state to a reference that is never freed.
fn set(cell: &Cell<qjs::JSValue>, value: &Value<'_>) {
    // SAFETY: the value is alive.
    cell.set(unsafe { qjs::JS_DupValue(value.ctx().as_raw().as_ptr(), value.as_raw()) });
}

pub(super) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("responseConstructor", Function::new(ctx.clone(), install)?)?;
    native.set("fetchHandler", Function::new(ctx.clone(), set_arguments)?)?;
    native.set("fetchEnv", Function::new(ctx.clone(), |env: Value<'_>| set(&STATE.env, &env))?)?;
    native.set("keepShapes", Function::new(ctx, keep_shapes)?)
}

/// Begins to keep the shapes of objects that are made, or ends it.
pub(crate) fn keep_shapes(keep: bool) {
    // SAFETY: sets a number.
    unsafe { elias_keep_shapes(if keep { KEPT_SHAPES_MAX } else { 0 }) };
}

/// The constructor that stands for the class `Response`; `template` is the response to a text.
fn install<'js>(
    ctx: Ctx<'js>,
    class: Function<'js>,
    template: Object<'js>,
    sent: Value<'js>,
    json_headers: Value<'js>,
) -> Result<Value<'js>> {
    // SAFETY: the values are alive; the result is ours, or an exception that the context has.
    let constructor = unsafe { elias_install_response(ctx.as_raw().as_ptr(), class.as_raw(), template.as_raw()) };
    // SAFETY: looks at the tag alone.
    if unsafe { qjs::JS_IsException(constructor) } {
        return Err(Error::Exception);
    }
    set(&STATE.sent_body, &sent);
    set(&STATE.json_headers, &json_headers);
    // SAFETY: `elias_install_response` saw just now that the template has the fields of a response.
    unsafe {
        let constructor = Value::from_raw(ctx.clone(), constructor);
        let fields = elias_response_fields(template.as_raw());
        check_fields(&ctx, fields)?;
        STATE.text_headers.set(qjs::JS_DupValue(ctx.as_raw().as_ptr(), *fields.add(HEADERS)));
        Ok(constructor)
    }
}

/// Fails if the fields of the response to a text are in another order than the indices say.
///
/// # Safety
/// `fields` must be those of a response that is alive.
unsafe fn check_fields(ctx: &Ctx<'_>, fields: *const qjs::JSValue) -> Result<()> {
    // SAFETY: as for the caller; each value gets a reference of its own.
    let field = |index: usize| unsafe {
        Value::from_raw(ctx.clone(), qjs::JS_DupValue(ctx.as_raw().as_ptr(), *fields.add(index)))
    };
    if field(STATUS).is_int() && field(HEADERS).is_array() && field(BODY).is_string() {
        return Ok(());
    }
    Err(Exception::throw_internal(ctx, "a response has other fields than the engine knows"))
}

fn set_arguments<'js>(ctx: Ctx<'js>, request: Value<'js>, env: Value<'js>, context: Value<'js>, finish: Function<'js>) {
    set(&STATE.request, &request);
    set(&STATE.env, &env);
    set(&STATE.context, &context);
    set(&STATE.finish, &finish);
    // SAFETY: the text ends with a zero.
    STATE.handler_name.set(unsafe { qjs::JS_NewAtom(ctx.as_raw().as_ptr(), c"fetch".as_ptr()) });
}

/// Whether a value is the incoming request.
pub(super) fn is_request(value: qjs::JSValue) -> bool {
    STATE.request.get() == value
}

/// Calls the handler; none if the application has no `fetch`.
pub(crate) fn call<'js>(ctx: &Ctx<'js>, application: &Object<'js>) -> Result<Option<Value<'js>>> {
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: all values are alive; what QuickJS gives is ours.
    unsafe {
        let handler = owned(ctx, qjs::JS_GetProperty(raw, application.as_raw(), STATE.handler_name.get()))?;
        if !handler.is_function() {
            return Ok(None);
        }
        let mut arguments = [STATE.request.get(), STATE.env.get(), STATE.context.get()];
        let result = qjs::JS_Call(raw, handler.as_raw(), application.as_raw(), 3, arguments.as_mut_ptr());
        owned(ctx, result).map(Some)
    }
}

/// Sends the handler's result: a response, or a promise of one. Returns a promise if sending it has to wait.
pub(crate) fn finish<'js>(ctx: &Ctx<'js>, response: &Value<'js>) -> Result<Value<'js>> {
    if send(ctx, response)? {
        return Ok(Value::new_undefined(ctx.clone()));
    }
    let raw = ctx.as_raw().as_ptr();
    let mut argument = response.as_raw();
    // SAFETY: all values are alive; what QuickJS gives is ours.
    unsafe { owned(ctx, qjs::JS_Call(raw, STATE.finish.get(), qjs::JS_UNDEFINED, 1, &raw mut argument)) }
}

/// Sends a response whose body is a text, or which has none; false if it is another.
fn send<'js>(ctx: &Ctx<'js>, response: &Value<'js>) -> Result<bool> {
    // SAFETY: the response is alive.
    let fields = unsafe { elias_response_fields(response.as_raw()) };
    if fields.is_null() {
        return Ok(false);
    }
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: these are values of the response, which lives through the call.
    let field = |index: usize| unsafe { Value::from_raw(ctx.clone(), qjs::JS_DupValue(raw, *fields.add(index))) };
    let (status, body) = (field(STATUS).as_int(), field(BODY));
    // SAFETY: as above; this one is only compared.
    let headers = unsafe { *fields.add(HEADERS) };
    let Some(status @ 200..) = status else { return Ok(false) };
    if !body.is_null() && !body.is_string() {
        return Ok(false);
    }
    let headers = if headers == STATE.text_headers.get() {
        vec![content_type("text/plain;charset=UTF-8")]
    } else if headers == STATE.json_headers.get() {
        vec![content_type("application/json")]
    } else {
        let headers = field(HEADERS);
        if !headers.is_array() {
            return Ok(false);
        }
        header_entries(headers.get::<Vec<String>>()?)
    };
    let bytes = bytes_of(&body)?.unwrap_or_default();
    if body.is_string() {
        // SAFETY: the field is the response's, and what was in it is given up.
        unsafe {
            let previous = std::mem::replace(&mut *fields.add(BODY), qjs::JS_DupValue(raw, STATE.sent_body.get()));
            qjs::JS_FreeValue(raw, previous);
        }
    }
    http_response::send_bytes(ctx, status as u16, headers, bytes)?;
    Ok(true)
}

fn content_type(value: &str) -> (String, Vec<u8>) {
    ("content-type".to_owned(), value.into())
}
