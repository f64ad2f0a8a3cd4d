//! The build phase: the exports of core WebAssembly by which `elias-build` evaluates modules, and their results.
//!
//! Input is a sequence of strings, each a little-endian `u32` of its length and its bytes. A result is the address of
//! two `u32`s, address and length of a JSON text.

use crate::error::ExceptionText;
use crate::json::write_json_string;
use crate::native::{self, builtins, describe_capabilities, fetch_handler, random};
use crate::phase::{self, Import};
use crate::runtime::{self, Spare};
use crate::{application, build_report, event_loop, heap, schemas, uncaught};
use javy::quickjs::{Ctx, Module, Object, Promise, Value, promise::PromiseState};
use std::collections::BTreeMap;

/// Bytes of memory that an instance finds free at its start, so that most requests do not have to ask the host for
/// more.
const HEADROOM_BYTES: usize = 1024 * 1024;

/// Room for what an application makes, and for what a request makes.
const SPARE_FOR_APPLICATION: Spare = Spare { atoms: 2_048, shapes: 1_024 };
const SPARE_FOR_REQUEST: Spare = Spare { atoms: 256, shapes: 128 };

/// Handlers that a component may have; each is a method of its default export.
const HANDLERS: [&str; 6] = ["call", "event", "events", "fetch", "job", "scheduled"];

/// Those that every component has the web modules for, and so need not be named in its source.
const EVERYWHERE: [&str; 2] = ["call", "fetch"];

/// Handlers of other platforms, which nothing calls here.
const FOREIGN_HANDLERS: [&str; 4] = ["alarm", "email", "queue", "tail"];

/// Space for input.
#[unsafe(no_mangle)]
extern "C" fn elias_allocate(bytes: usize) -> *mut u8 {
    Box::leak(vec![0_u8; bytes].into_boxed_slice()).as_mut_ptr()
}

/// Creates the runtime and evaluates web modules: the base that all applications' images begin with. Input: name and
/// source of each, in order.
#[unsafe(no_mangle)]
extern "C" fn elias_boot(input: *mut u8, length: usize) -> *const [usize; 2] {
    wit_bindgen::rt::run_ctors_once();
    let booted =
        runtime::create().map_err(|why| ExceptionText { name: "Error".into(), message: why, stack: String::new() });
    let result = answer(booted.and_then(|()| load(take_input(input, length))).map(|()| "{}".to_owned()));
    runtime::make_immortal(SPARE_FOR_APPLICATION);
    heap::fill_holes();
    result
}

/// Evaluates further web modules. Input as of [`elias_boot`].
#[unsafe(no_mangle)]
extern "C" fn elias_load(input: *mut u8, length: usize) -> *const [usize; 2] {
    answer(load(take_input(input, length)).map(|()| "{}".to_owned()))
}

/// Evaluates the application and ends the build phase. Input: module name, source, source date in seconds, the names of
/// the imports that the component will have, separated by spaces, `eval` if strings may be compiled as code, the number
/// of the implementation that the component is, 0 for the first that there is, and the random bytes that the top level
/// may draw, in hexadecimal, none if it may not, the component's name, and the description of the functions that it
/// imports from capabilities which the engine does not know.
///
/// The result names the handlers, those that nothing would ever call, the classes of service workers, the
/// implementation and the last that there is, the schemas (endpoint, part, and JSON or problem), the warnings (kind and
/// stack) and the log lines (level and message) of the top level.
#[unsafe(no_mangle)]
extern "C" fn elias_evaluate(input: *mut u8, length: usize) -> *const [usize; 2] {
    let mut input = take_input(input, length).into_iter();
    let mut next = || input.next().unwrap_or_default();
    let (name, source, date, imports, eval, stage) = (next(), next(), next(), next(), next(), next());
    random::allow_at_build(&next());
    application::set_name(next());
    if let Err(message) = describe_capabilities(&next()) {
        return answer(Err(ExceptionText { name: "Error".into(), message, stack: String::new() }));
    }
    phase::set_source_date(date.parse().unwrap_or(0));
    phase::wire(imports.split(' ').filter_map(Import::from_name));
    let evaluated = runtime::with(|ctx| {
        let stage = stage.parse().unwrap_or(0);
        let evaluated = build_report::watch(&ctx, || evaluate(&ctx, name, source, eval == "eval", stage));
        uncaught::forget_expected();
        evaluated
    });
    random::forget_build();
    application::set_name(String::new());
    let result = answer(evaluated.map(|evaluated| report(&evaluated)));
    runtime::make_immortal(SPARE_FOR_REQUEST);
    heap::leave_headroom(HEADROOM_BYTES);
    phase::seal();
    result
}

/// Evaluates modules.
fn load(modules: Vec<String>) -> Result<(), ExceptionText> {
    let names: Vec<String> = modules.iter().step_by(2).cloned().collect();
    let mut modules = modules.into_iter();
    let mut sources = BTreeMap::new();
    while let (Some(name), Some(source)) = (modules.next(), modules.next()) {
        // Those that are evaluated already come without.
        if !source.is_empty() {
            sources.insert(name, source);
        }
    }
    // Compiled before any is evaluated: what that leaves behind on the heap is none of the modules'.
    offer(sources)?;
    let loaded = runtime::with(|ctx| {
        for name in names {
            let imported = Module::import(&ctx, name.clone()).map_err(|error| ExceptionText::catch(&ctx, &error))?;
            uncaught::expect(&ctx, &imported);
            event_loop::run_jobs(&ctx);
            settled(&ctx, &imported)?;
            builtins::offer(&name, &imported);
        }
        Ok(())
    });
    offer(BTreeMap::new())?;
    loaded
}

fn offer(modules: BTreeMap<String, String>) -> Result<(), ExceptionText> {
    runtime::offer(modules).map_err(|message| ExceptionText { name: "Error".into(), message, stack: String::new() })
}

/// The result of evaluating the application's module.
struct Evaluation {
    /// The names of its handlers.
    handlers: Vec<&'static str>,
    /// The names of handlers that nothing would ever call.
    uncalled: Vec<&'static str>,
    /// The names of the classes of service workers that the module exports.
    workers: Vec<String>,
    /// The number of the implementation that the component is.
    stage: usize,
    /// The highest number of an implementation in the module.
    of: usize,
}

/// Evaluates the application's module.
fn evaluate(
    ctx: &Ctx<'_>,
    name: String,
    source: String,
    eval: bool,
    wanted: usize,
) -> Result<Evaluation, ExceptionText> {
    let catch = |error| ExceptionText::catch(ctx, &error);
    let module = Module::declare(ctx.clone(), name, source).map_err(catch)?;
    runtime::allow_eval(ctx, eval);
    // What the top level made, requests make again.
    fetch_handler::keep_shapes(true);
    let evaluated = module.eval().map(|(module, evaluated)| {
        uncaught::expect(ctx, &evaluated);
        event_loop::run_jobs(ctx);
        (module, evaluated)
    });
    fetch_handler::keep_shapes(false);
    let (module, evaluated) = evaluated.map_err(catch)?;
    settled(ctx, &evaluated)?;
    let exports = module.namespace().map_err(catch)?;
    schemas::describe_exports(ctx, &exports);
    let workers = native::worker::find_classes(ctx, exports).map_err(catch)?;
    let fail =
        |name: &str, message: &str| ExceptionText { name: name.into(), message: message.into(), stack: String::new() };
    let mut default: Value<'_> = module.get("default").unwrap_or_else(|_| {
        ctx.catch();
        Value::new_undefined(ctx.clone())
    });
    let mut made = application::take_implementations();
    let (first, of) = (made.keys().next().copied().unwrap_or(1), made.keys().last().copied().unwrap_or(1));
    let stage = if wanted == 0 { first } else { wanted };
    let is_there = if made.is_empty() { stage == 1 } else { made.contains_key(&stage) };
    if !is_there {
        let there: Vec<_> = made.keys().map(ToString::to_string).collect();
        let there = if there.is_empty() { "1".to_owned() } else { there.join(", ") };
        return Err(fail("elias:no-stage", &format!("implementation {stage} does not exist: the module has {there}")));
    }
    // Where there are several the default export is the last one, whichever is wanted.
    if default.is_undefined() || of > 1 {
        default = match made.remove(&stage) {
            Some(implementation) => implementation.restore(ctx).map_err(catch)?.into_value(),
            // Workers are enough for a component.
            None if !workers.is_empty() => Object::new(ctx.clone()).map_err(catch)?.into_value(),
            None => return Err(fail("elias:no-default-export", "the module has no default export")),
        };
    }
    drop(made); // the others are not in the component
    let Some(application) = default.as_object() else {
        return Err(fail("elias:no-handler", "the default export must be an object with a handler"));
    };
    let is_function = |name: &&str| application.get::<_, Value<'_>>(*name).is_ok_and(|value| value.is_function());
    // A router may be a proxy that gives a method for every name; of these names it has those that `in` finds.
    let is_present = |name: &&str| EVERYWHERE.contains(name) || application.contains_key(*name).unwrap_or(false);
    let handlers: Vec<&'static str> = HANDLERS.into_iter().filter(is_present).filter(is_function).collect();
    if let Some(name) = handlers.iter().find(|name| !native::is_handled(name)) {
        let message = format!("the default export has a handler `{name}` whose name is not a key in the source");
        return Err(fail("elias:no-handler", &message));
    }
    if handlers.is_empty() && workers.is_empty() {
        return Err(fail("elias:no-handler", "the default export has no handler"));
    }
    // Its own only: a router may be a proxy that has every method.
    let own: Vec<String> = application.keys::<String>().flatten().collect();
    let is_own = |name: &&str| own.iter().any(|key| key == name);
    let uncalled = FOREIGN_HANDLERS.into_iter().filter(is_own).filter(is_function).collect();
    application::set_implementation(ctx, application);
    Ok(Evaluation { handlers, uncalled, workers, stage, of })
}

fn settled(ctx: &Ctx<'_>, promise: &Promise<'_>) -> Result<(), ExceptionText> {
    match promise.state() {
        PromiseState::Pending => Err(ExceptionText {
            name: "elias:top-level-pending".into(),
            message: "a promise that is awaited at the top level never settles".into(),
            stack: String::new(),
        }),
        _ => match promise.result::<Value<'_>>() {
            Some(Err(error)) => Err(ExceptionText::catch(ctx, &error)),
            _ => Ok(()),
        },
    }
}

fn report(Evaluation { handlers, uncalled, workers, stage, of }: &Evaluation) -> String {
    let mut json = format!("{{\"stage\":{stage},\"of\":{of},\"handlers\":[");
    separated(&mut json, handlers, |json, handler| write_json_string(json, handler));
    json.push_str("],\"uncalled\":[");
    separated(&mut json, uncalled, |json, handler| write_json_string(json, handler));
    json.push_str("],\"workers\":[");
    separated(&mut json, workers, |json, class| write_json_string(json, class));
    json.push_str("],\"schemas\":[");
    json.push_str(&schemas::take(*stage));
    json.push_str("],\"dependencies\":[");
    separated(&mut json, &build_report::take_dependencies(), |json, package| write_json_string(json, package));
    json.push_str("],\"warnings\":[");
    separated(&mut json, &build_report::take_warnings(), |json, (kind, stack)| {
        json.push_str("{\"kind\":");
        write_json_string(json, kind);
        json.push_str(",\"stack\":");
        write_json_string(json, stack);
        json.push('}');
    });
    json.push_str("],\"logs\":[");
    separated(&mut json, &build_report::take_logs(), |json, (level, message)| {
        json.push_str(&format!("{{\"level\":{level},\"message\":"));
        write_json_string(json, message);
        json.push('}');
    });
    json.push_str("]}");
    json
}

fn separated<T>(json: &mut String, items: &[T], write: impl Fn(&mut String, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, item);
    }
}

/// The strings of the input, which is freed.
fn take_input(input: *mut u8, length: usize) -> Vec<String> {
    // SAFETY: `elias_allocate` gave this memory with this length, and the caller filled it.
    let bytes = unsafe { Vec::from_raw_parts(input, length, length) };
    let mut rest = bytes.as_slice();
    let mut strings = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = (u32::from_le_bytes(*length) as usize).min(after.len());
        strings.push(String::from_utf8_lossy(&after[..length]).into_owned());
        rest = &after[length..];
    }
    strings
}

fn answer(outcome: Result<String, ExceptionText>) -> *const [usize; 2] {
    let json = outcome.unwrap_or_else(|thrown| thrown.to_json("exception")).into_bytes().into_boxed_slice();
    let json = Box::leak(json);
    Box::leak(Box::new([json.as_ptr() as usize, json.len()]))
}
