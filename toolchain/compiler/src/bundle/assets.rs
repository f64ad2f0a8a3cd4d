//! Files that are imported as text or as bytes.
//!
//! `import page from "./page.html"` gives the file's text, by its ending; `"./x.js?raw"`, `?text` or `with { type:
//! "text" }` that of any file; `?bytes` or `with { type: "bytes" }` a `Uint8Array`. All are read when the component is
//! built.

use crate::diagnostic::{BuildError, Details, SourceLocation};
use base64::Engine as _;
use rolldown::plugin::HookLoadOutput;
use rolldown_common::ModuleType;
use std::path::Path;

/// Endings of files that are text, and are imported as such.
pub(super) const TEXTS: [&str; 11] = ["csv", "ejs", "gql", "graphql", "htm", "html", "md", "sql", "svg", "txt", "xml"];
/// Endings of files that are bytes.
pub(super) const BYTES: [&str; 1] = ["bin"];

/// How a file is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Bytes,
}

impl Form {
    /// The form that stands behind a specifier's or an identifier's `?`, and what stands before it.
    pub(super) fn split(specifier: &str) -> Option<(&str, Self)> {
        let (path, query) = specifier.rsplit_once('?')?;
        match query {
            "raw" | "text" => Some((path, Self::Text)),
            "bytes" => Some((path, Self::Bytes)),
            _ => None,
        }
    }

    /// How the identifier of such a module ends.
    pub(super) fn query(self) -> &'static str {
        match self {
            Self::Text => "?text",
            Self::Bytes => "?bytes",
        }
    }

    /// The form of a file without a query, by its ending.
    fn of_ending(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        if TEXTS.contains(&ending.as_str()) {
            Some(Self::Text)
        } else if BYTES.contains(&ending.as_str()) {
            Some(Self::Bytes)
        } else {
            None
        }
    }
}

/// The file and the form of a module with this identifier, if it is such an import.
pub(super) fn of_id(id: &str) -> Option<(&Path, Form)> {
    if let Some((path, form)) = Form::split(id) {
        return Some((Path::new(path), form));
    }
    let path = Path::new(id);
    Some((path, Form::of_ending(path)?)).filter(|(path, _)| path.is_absolute())
}

/// The module, of the file's bytes. `file` is its name in errors.
pub(super) fn module(file: &str, bytes: &[u8], form: Form) -> Result<HookLoadOutput, BuildError> {
    let code = match form {
        Form::Text => match std::str::from_utf8(bytes) {
            Ok(text) => format!("export default {};\n", serde_json::Value::from(text.trim_start_matches('\u{feff}'))),
            Err(error) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                let location = SourceLocation::new(file, text, error.valid_up_to(), '\u{fffd}'.len_utf8());
                let details = Details::new(format!("{file} is not UTF-8 text"))
                    .help("Save the file in the encoding UTF-8, or import its bytes: put `?bytes` behind its name.")
                    .at(location.labelled("not a UTF-8 sequence"));
                return Err(BuildError::SyntaxError(Box::new(details)));
            }
        },
        Form::Bytes => {
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            format!("export default Uint8Array.from(atob(\"{text}\"), (c) => c.charCodeAt(0));\n")
        }
    };
    Ok(HookLoadOutput { code: code.into(), module_type: Some(ModuleType::Js), ..HookLoadOutput::default() })
}

/// The text of a JSON module as a module of JavaScript, if it has a surrogate without its other half. `JSON.parse`
/// takes that, and the bundler's reader does not.
pub(super) fn json_with_lone_surrogate(json: &str) -> Option<String> {
    let mut high = false;
    let mut lone = false;
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        lone |= high && at > 0;
        let escape = &rest[at + 1..];
        let unit = escape
            .strip_prefix('u')
            .and_then(|digits| digits.get(..4))
            .and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let (is_high, is_low) = match unit {
            Some(unit) => ((0xd800..0xdc00).contains(&unit), (0xdc00..0xe000).contains(&unit)),
            None => (false, false),
        };
        // Half a pair: a high one that no low one follows at once, or a low one that follows no high one at once.
        lone |= if is_low { !high || at > 0 } else { high && at == 0 };
        high = is_high;
        let length = if unit.is_some() { 5 } else { escape.chars().next().map_or(0, char::len_utf8) };
        rest = &escape[length..];
    }
    lone |= high;
    lone.then(|| format!("export default JSON.parse({});\n", serde_json::Value::from(json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_lone_surrogates() {
        for (json, wanted) in [
            (r#"{"a":"\ud83d\ude00"}"#, false),
            (r#"{"a":"\ud83d"}"#, true),
            (r#"{"a":"\ude00"}"#, true),
            (r#"{"a":"\ud83dx\ude00"}"#, true),
            (r#"{"a":"\\ud83d"}"#, false),
            (r#"{"a":"\ud83d\n"}"#, true),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, true),
            (r#""\u00e9""#, false),
            ("{}", false),
        ] {
            assert_eq!(json_with_lone_surrogate(json).is_some(), wanted, "{json}");
        }
    }
}
