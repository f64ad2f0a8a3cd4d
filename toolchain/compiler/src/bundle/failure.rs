//! Turns rolldown's diagnostics into ours.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oxc::allocator::Allocator;
use oxc::parser::Parser;
use oxc::span::SourceType;
use rolldown_error::{BuildDiagnostic, DiagnosableArcstr, DiagnosableResolveError, DiagnosticOptions, EventKind};

use super::boundary::Boundary;
use super::{capability, package_json, resolve_help};
use crate::diagnostic::{BuildError, BuildWarning, Details, SourceLocation};
use crate::paths::relative;

/// All errors of a bundling run as one, sorted by location. `not_installed` are the packages that were imported and are
/// not there: the bundler tells of them only once nothing else is missing.
pub(super) fn from_rolldown(
    diagnostics: Vec<BuildDiagnostic>,
    not_installed: &[(PathBuf, String)],
    cwd: &Path,
    boundary: &Boundary,
) -> BuildError {
    let is_missing = diagnostics.iter().any(|diagnostic| matches!(diagnostic.kind(), EventKind::UnresolvedImport));
    let convert = |diagnostic| convert(diagnostic, cwd, boundary);
    let mut errors: Vec<BuildError> = diagnostics.into_iter().map(convert).collect();
    if is_missing {
        errors.extend(not_installed.iter().map(|(importer, package)| {
            let location = quoted(importer, package, cwd).map(|location| location.labelled(NOT_FOUND));
            not_found(package, importer, location, cwd)
        }));
    }
    // Modules are read in parallel: without an order, which error leads would change from run to run.
    let key = |error: &BuildError| {
        let location = error.details().location.as_ref();
        (
            location.map(|location| (location.file.clone(), location.line, location.column)),
            error.details().message.clone(),
        )
    };
    errors.sort_by_cached_key(key);
    errors.dedup_by_key(|error| key(error));
    BuildError::all(errors)
        .unwrap_or_else(|| BuildError::Bundle(Box::new(Details::new("the bundler failed without a reason"))))
}

/// A warning, if it concerns the project's own files.
pub(super) fn warning_from_rolldown(diagnostic: &BuildDiagnostic, cwd: &Path) -> Option<BuildWarning> {
    let id = diagnostic.id()?;
    if id.contains("/node_modules/") || !Path::new(&id).starts_with(cwd) {
        return None;
    }
    Some(BuildWarning::Bundle(Box::new(located(diagnostic, cwd, |_| true))))
}

fn convert(mut diagnostic: BuildDiagnostic, cwd: &Path, boundary: &Boundary) -> BuildError {
    if let Some(error) = diagnostic.downcast_mut::<DiagnosableResolveError>() {
        return unresolved(error, cwd);
    }
    let details = Box::new(located(&diagnostic, cwd, |path| boundary.contains(path)));
    match diagnostic.kind() {
        EventKind::ParseError => {
            let path = diagnostic.id().unwrap_or_default();
            BuildError::SyntaxError(Box::new(explain_syntax(Path::new(&path), *details)))
        }
        EventKind::JsonParseError | EventKind::TransformError | EventKind::IllegalReassignmentError => {
            BuildError::SyntaxError(details)
        }
        EventKind::MissingExportError => BuildError::MissingExport(details),
        EventKind::UnresolvedEntry => BuildError::EntryNotFound(details),
        EventKind::UnloadableDependencyError => unloadable(*details, cwd),
        EventKind::UnhandleableError => unexplained(*details, cwd),
        _ => BuildError::Bundle(details),
    }
}

/// Message and location as rolldown has them. It does not tell how long the marked span is: take the word there.
fn located(diagnostic: &BuildDiagnostic, cwd: &Path, may_show: impl Fn(&Path) -> bool) -> Details {
    let report = diagnostic.to_diagnostic_with(&DiagnosticOptions { cwd: cwd.to_owned() });
    let title = diagnostic.to_message_with(&DiagnosticOptions { cwd: cwd.to_owned() });
    // Some messages name files in full, and modules that were made by what they are called within.
    let title = title.replace(&format!("{}/", cwd.display()), "").replace(capability::SHOWN_MODULE, "");
    let mut details = Details::new(title);
    if let Some((file, line, column, _)) = report.get_primary_location() {
        let path = cwd.join(&file);
        let file = relative(&path, cwd);
        if let Some(source) = may_show(&path).then(|| std::fs::read_to_string(&path).ok()).flatten() {
            details = details.at(SourceLocation::of_line(file, source, line, column + 1));
        }
    }
    details
}

/// Parses the file again: the parser itself knows what to mark and what to advise.
fn explain_syntax(path: &Path, details: Details) -> Details {
    let Some(location) = details.location.as_ref() else { return details };
    let Some(source) = location.source.clone() else { return details };
    // `from_path` would let JSX pass in .js files, which the bundler does not.
    let plain = path.extension().is_some_and(|extension| ["js", "mjs", "cjs"].iter().any(|&plain| extension == plain));
    let kind =
        if plain { SourceType::mjs() } else { SourceType::from_path(path).unwrap_or_else(|_| SourceType::mjs()) };
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, &source, kind.with_module(true)).parse();
    let found = parsed.diagnostics.iter().find_map(|error| {
        let label = error.labels.first()?;
        let marked =
            SourceLocation::new(&location.file, Arc::clone(&source), label.offset() as usize, label.len() as usize);
        let text = label.label().unwrap_or_default();
        ((marked.line, marked.column) == (location.line, location.column)).then(|| (marked.labelled(text), error))
    });
    match found {
        Some((marked, error)) => {
            let help = advise_extension(&source, kind).or(error.help.as_deref());
            Details::new(error.message.to_string()).help(help.unwrap_or_default()).at(marked)
        }
        None => details,
    }
}

/// If the file would parse under another extension, that is the advice.
fn advise_extension(source: &str, kind: SourceType) -> Option<&'static str> {
    let parses = |kind: SourceType| {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, source, kind.with_module(true)).parse();
        !parsed.panicked && parsed.diagnostics.is_empty()
    };
    if kind.is_javascript() && !kind.is_jsx() && parses(SourceType::jsx()) {
        Some("This is JSX. Let the file end in .jsx.")
    } else if kind.is_javascript() && parses(SourceType::ts()) {
        Some("This is TypeScript. Let the file end in .ts.")
    } else if !(kind.is_typescript() && kind.is_jsx()) && parses(SourceType::tsx()) {
        Some("This is TypeScript with JSX. Let the file end in .tsx.")
    } else {
        None
    }
}

/// The failure that the bundler itself cannot explain. Its resolver fails so on a package.json that it cannot read.
fn unexplained(details: Details, cwd: &Path) -> BuildError {
    match package_json::unreadable("", cwd) {
        Some((file, reason)) => unreadable_package(&file, &reason, cwd),
        None => BuildError::Bundle(Box::new(details)),
    }
}

fn unreadable_package(file: &Path, reason: &str, cwd: &Path) -> BuildError {
    let details = Details::new(format!("{} cannot be read: {reason}", relative(file, cwd)));
    let help = "it must be a JSON object that nests no more than 127 deep";
    BuildError::SyntaxError(Box::new(details.help(help)))
}

fn unresolved(error: &DiagnosableResolveError, cwd: &Path) -> BuildError {
    let importer = Path::new(error.importer_id.as_str());
    let file = relative(importer, cwd);
    let (specifier, location) = match &error.importee {
        DiagnosableArcstr::String(name) => (name.to_string(), None),
        DiagnosableArcstr::Span(span) => {
            let (start, end) = (span.start as usize, span.end as usize);
            let quoted = error.source.get(start..end).unwrap_or_default();
            let location = SourceLocation::new(&file, error.source.as_str(), start, end - start);
            (quoted.trim_matches(['"', '\'', '`']).to_owned(), Some(location))
        }
    };
    if let Some((file, reason)) =
        package_json::unreadable(resolve_help::package_name(&specifier), importer.parent().unwrap_or(cwd))
    {
        return unreadable_package(&file, &reason, cwd);
    }
    let reason = match error.diagnostic_kind {
        EventKind::UnresolvedImport => NOT_FOUND, // rolldown's reason speaks of externals, which there are none of here
        _ => &error.reason,
    };
    not_found(&specifier, importer, location.map(|location| location.labelled(reason)), cwd)
}

const NOT_FOUND: &str = "not found";

fn not_found(specifier: &str, importer: &Path, location: Option<SourceLocation>, cwd: &Path) -> BuildError {
    let file = relative(importer, cwd);
    let mut details = Details::new(format!("cannot find {specifier:?}, imported by {file}"))
        .help(resolve_help::advise(specifier, importer, cwd));
    details.location = location;
    BuildError::UnresolvedImport(Box::new(details))
}

/// Imports that are still in the bundle, as one error. The bundler does not say who wrote them: look through the
/// sources.
pub(super) fn left_over<'a>(
    specifiers: impl Iterator<Item = &'a str>,
    sources: &[(PathBuf, String)],
    cwd: &Path,
) -> Option<BuildError> {
    let error = |specifier: &str| {
        let found = sources.iter().find_map(|(path, _)| Some((path.as_path(), quoted(path, specifier, cwd)?)));
        let (importer, location) = found.map_or((cwd, None), |(importer, location)| (importer, Some(location)));
        let mut details = Details::new(format!("cannot import {specifier:?} into a component"))
            .help(resolve_help::advise(specifier, importer, cwd));
        details.location = location;
        BuildError::UnresolvedImport(Box::new(details))
    };
    BuildError::all(specifiers.map(error).collect())
}

/// Where a file has this text in quotes.
pub(super) fn quoted(file: &Path, text: &str, cwd: &Path) -> Option<SourceLocation> {
    let source = std::fs::read_to_string(file).ok()?;
    let offset = ['"', '\'', '`'].iter().find_map(|quote| source.find(&format!("{quote}{text}{quote}")))?;
    Some(SourceLocation::new(relative(file, cwd), source, offset, text.len() + 2))
}

/// A file that was found and could not be read as text.
fn unloadable(details: Details, cwd: &Path) -> BuildError {
    let path = details.message.strip_prefix("Could not load ").and_then(|rest| {
        let end = rest.find(" (imported by ").or_else(|| rest.find(" - "))?;
        rest.get(..end)
    });
    let Some(path) = path.map(|path| cwd.join(path)) else { return BuildError::Bundle(Box::new(details)) };
    let file = relative(&path, cwd);
    match std::fs::read(&path) {
        Err(error) => {
            let mut failed = Details::new(format!("cannot read {file}: {error}"));
            failed.location = details.location;
            BuildError::Io(Box::new(failed))
        }
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(_) => BuildError::Bundle(Box::new(details)),
            Err(error) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let location = SourceLocation::new(&file, text, error.valid_up_to(), '\u{fffd}'.len_utf8());
                BuildError::SyntaxError(Box::new(
                    Details::new(format!("{file} is not UTF-8 text"))
                        .help("Save the file in the encoding UTF-8, or import it as a module that exports its data.")
                        .at(location.labelled("not a UTF-8 sequence")),
                ))
            }
        },
    }
}
