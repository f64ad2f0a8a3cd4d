//! Says in the author's own lines what went wrong when the top level ran.

use crate::bundle::Bundle;
use crate::diagnostic::{BuildError, BuildWarning, Details, SourceLocation};
use crate::evaluate::{Failure, MODULE_NAME, ReportedException, Warning};
use crate::{BuildOptions, engine_error};
use elias_contract::hint;
use elias_contract::stack::{SourceMap, locate, parse_stack, remap_stack};

/// How the engine's refusal of randomness begins; see `guest-js/engine/src/native/random.rs`.
const RANDOM_REFUSED: &str = "cryptographic randomness at the top level";

/// The error for a failed evaluation.
pub(crate) fn failure(failure: Failure, options: &BuildOptions, bundle: &Bundle) -> BuildError {
    let thrown = match failure {
        Failure::Thrown(thrown) => thrown,
        Failure::OutOfFuel(running) => {
            let map = map(bundle);
            let details = Details::new("the top level does not come to an end").help(
                "the top level runs once, during the build, with a limit on its CPU; look for an endless loop, or move \
                 the work into a handler",
            );
            let details = match location(&running, map.as_ref()) {
                Some(location) => details.at(location.labelled("running here")),
                None => details,
            };
            let stack = map.as_ref().map(|map| remap_stack(&running, map)).unwrap_or_default();
            return BuildError::TopLevelException(Box::new(details.stack(stack)));
        }
        Failure::Engine(error) => return engine_error(error),
    };
    match thrown.name.as_str() {
        "elias:no-default-export" => return no_default_export(options, bundle),
        "elias:no-handler" => {
            let details = Details::new(thrown.message).help(
                "export an object with a method `fetch`, `call`, `scheduled`, `job`, `event` or `events`: \
                 export default { fetch(request, env, ctx) { ... } }; or, as a named export, a class that extends \
                 worker.Worker",
            );
            return BuildError::NoHandler(Box::new(at_default_export(details, options, bundle)));
        }
        "elias:no-stage" => {
            let details = Details::new(thrown.message).help(
                "leave --stage out for the first, or add the implementation: .stage2().implement({ ... }) after the \
                first implement",
            );
            return BuildError::NoStage(Box::new(details));
        }
        "elias:top-level-pending" => {
            let details = Details::new(thrown.message).help(
                "nothing happens during the build that could settle it: timers do not fire and nothing can be fetched; \
                 await it in a handler",
            );
            return BuildError::TopLevelPending(Box::new(at_top_level_await(details, bundle)));
        }
        _ => {}
    }
    let map = map(bundle);
    let stack = map.as_ref().map_or_else(|| thrown.stack.clone(), |map| remap_stack(&thrown.stack, map));
    let ReportedException { name, message, .. } = thrown;
    let random = message.starts_with(RANDOM_REFUSED);
    let hint = hint::for_exception(&name, &message);
    let details = Details::new(if random { message } else { format!("{name}: {message}") }).stack(stack);
    let location = location(&thrown.stack, map.as_ref());
    if name == "SyntaxError" && location.as_ref().is_some_and(has_decorator) {
        let details = Details::new(
            "decorators of the ECMAScript proposal are not known to the engine, and not rewritten",
        )
        .help("those of TypeScript are: write \"experimentalDecorators\": true under compilerOptions in tsconfig.json");
        return BuildError::SyntaxError(Box::new(match location {
            Some(location) => details.at(location.labelled("decorated here")),
            None => details,
        }));
    }
    let details = match location {
        Some(location) => details.at(location.labelled("thrown here")),
        None => details,
    };
    if random {
        return BuildError::RandomAtBuild(Box::new(details.help(
            "call it inside a handler, where every instance has randomness of its own; where a package does this \
             and the value may be the same in all instances, allow it in elias.toml: `[build]` and under it \
             `random = \"per-build\"`",
        )));
    }
    BuildError::TopLevelException(Box::new(details.help(hint.unwrap_or(
        "the top level of a component runs during the build; what needs a request, time or the network belongs in a \
        handler",
    ))))
}

/// The error for an entry module without a default export.
pub(crate) fn no_default_export(options: &BuildOptions, bundle: &Bundle) -> BuildError {
    let details = Details::new("the entry module has no default export").help(
        "say what the component handles: export default { fetch(request, env, ctx) \
         { return new Response(\"hello\"); } }; or export a class of service workers: \
         export class Cart extends worker.Worker { ... }",
    );
    BuildError::NoDefaultExport(Box::new(at_default_export(details, options, bundle)))
}

/// The error for a handler of other platforms, which would be lost without a word.
pub(crate) fn unknown_handler(name: &str, options: &BuildOptions) -> BuildError {
    let details = Details::new(format!(
        "the default export has a handler `{name}`, which nothing would ever call"
    ))
    .help(
        "a component handles `fetch`, `call`, `scheduled`, `job`, `event` and `events`; queues of other platforms and \
         mail cannot call it. Remove the handler, or write it as one of these",
    );
    let entry = options.project.join(&options.entry);
    let Ok(source) = std::fs::read_to_string(&entry) else { return BuildError::UnknownHandler(Box::new(details)) };
    let shown = entry.strip_prefix(&options.project).unwrap_or(&entry).to_string_lossy().into_owned();
    BuildError::UnknownHandler(Box::new(match source.find(name) {
        Some(at) => details.at(SourceLocation::new(shown, source, at, name.len()).labelled("never called")),
        None => details,
    }))
}

/// The warnings for what the engine noticed.
pub(crate) fn warnings(warnings: &[Warning], bundle: &Bundle) -> Vec<BuildWarning> {
    let map = map(bundle);
    let explained = warnings.iter().map(|warning| {
        let details = |message: &str, help: &str| {
            let details = Details::new(message).help(help);
            Box::new(match location(&warning.stack, map.as_ref()) {
                Some(location) => details.at(location.labelled("here")),
                None => details,
            })
        };
        match warning.kind.as_str() {
            "clock-at-build" => BuildWarning::ClockAtBuild(details(
                "the top level reads the clock: it runs during the build and gets the source date",
                "read the clock in a handler; SOURCE_DATE_EPOCH sets the source date",
            )),
            "timer-at-build" => BuildWarning::TimerAtBuild(details(
                "the top level sets a timer, which never fires: it runs during the build, where no time passes",
                "set it in a handler; a package that sweeps its caches does without, since instances do not live long",
            )),
            "random-per-build" => BuildWarning::RandomPerBuild(details(
                "the top level draws a random value, which every instance of this build shares",
                "it must not be a key or an id that has to be unique; `random` of [build] in elias.toml allows it",
            )),
            "environment-at-build" => BuildWarning::EnvironmentAtBuild(details(
                "the top level reads the environment, which is not there during the build",
                "read it in a handler, or let the build bring the value along: `env` of [build] in elias.toml names it",
            )),
            _ => BuildWarning::RandomAtBuildSeeded(details(
                "the top level calls Math.random: it runs during the build and gets a fixed sequence",
                "call it in a handler, where every instance is seeded anew",
            )),
        }
    });
    explained.collect()
}

fn map(bundle: &Bundle) -> Option<SourceMap<'_>> {
    SourceMap::from_json_string(&bundle.map).ok()
}

/// The first frame of a stack that lies in the author's files.
fn location(stack: &str, map: Option<&SourceMap<'_>>) -> Option<SourceLocation> {
    let map = map?;
    let frame = parse_stack(stack).into_iter().find(|frame| frame.file == MODULE_NAME)?;
    let position = locate(map, frame.line, frame.column)?;
    let source = position.source.unwrap_or_default().to_owned();
    Some(SourceLocation::of_line(position.file, source, position.line as usize, position.column as usize))
}

/// Whether there is a decorator in the location's line, or in the one before.
fn has_decorator(location: &SourceLocation) -> bool {
    let source = location.source.as_deref().unwrap_or_default();
    let mut lines = source
        .lines()
        .skip(location.line.saturating_sub(2))
        .take(2)
        .flat_map(|line| line.match_indices('@').map(move |(at, _)| &line[at + 1..]));
    lines.any(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$'))
}

/// Points at the entry's default export, or at its first line.
fn at_default_export(details: Details, options: &BuildOptions, bundle: &Bundle) -> Details {
    let entry = options.project.join(&options.entry);
    let Ok(source) = std::fs::read_to_string(&entry) else { return details };
    let name = options.project.canonicalize().ok().zip(entry.canonicalize().ok());
    let name = name.and_then(|(root, entry)| Some(entry.strip_prefix(root).ok()?.to_string_lossy().into_owned()));
    let offset = if bundle.has_default_export { source.find("export default").unwrap_or(0) } else { 0 };
    let label = if bundle.has_default_export { "exported here" } else { "this module" };
    let length = if bundle.has_default_export { "export default".len() } else { 1 };
    let name = name.unwrap_or_else(|| options.entry.to_string_lossy().into_owned());
    details.at(SourceLocation::new(name, source, offset, length).labelled(label))
}

/// Points at the first `await` of the bundle that maps to a source; the engine has no stack for a pending promise.
fn at_top_level_await(details: Details, bundle: &Bundle) -> Details {
    let Some(map) = map(bundle) else { return details };
    for (index, line) in bundle.code.lines().enumerate() {
        // Top-level statements of the bundle are not indented.
        let Some(column) = line.find("await ").filter(|_| !line.starts_with([' ', '\t', '}'])) else { continue };
        let column = line[..column].encode_utf16().count() as u32 + 1;
        if let Some(position) = locate(&map, index as u32 + 1, column) {
            let source = position.source.unwrap_or_default().to_owned();
            let location =
                SourceLocation::of_line(position.file, source, position.line as usize, position.column as usize);
            return details.at(location.labelled("awaited here"));
        }
    }
    details
}
