//! The data of Intl for locales other than English: the archive that `guest-js/web/vendor/intl/archive.mjs` writes, and
//! the web module that brings what a component asks for into it.

use crate::diagnostic::{BuildError, Details};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::LazyLock;

/// The archive; `archive.mjs` says how it is laid out.
static ARCHIVE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/web/locales.bin"));

/// The name of the module, beside `intl/support.js`.
const MODULE: &str = "elias:web/intl/locales.js";

/// The locales that every component has.
const BUILT_IN: [&str; 2] = ["en", "en-US"];

/// Bytes that are decompressed at a time.
const BUFFER: usize = 64 << 10;

/// How many names an error shows.
const NEAR_MAX: usize = 5;

#[derive(Debug, Default, Deserialize)]
struct Index {
    /// Tag, stream, line of the stream, and other tags that mean the same.
    locales: Vec<(String, usize, usize, Vec<String>)>,
    /// Offset and size of each stream.
    streams: Vec<(usize, usize)>,
    /// Parents of locales where they are not the tag without its last part.
    parents: BTreeMap<String, String>,
}

/// The index, and where the streams begin. The archive is ours, and a test reads all of it.
static INDEX: LazyLock<(Index, usize)> = LazyLock::new(|| {
    let length = ARCHIVE.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    let index = ARCHIVE.get(4..4 + length).and_then(|json| serde_json::from_slice(json).ok());
    (index.unwrap_or_default(), 4 + length)
});

/// The place in the index of a locale, by its tag or another that means the same, in any case.
fn find(tag: &str) -> Option<usize> {
    let is = |name: &String| name.eq_ignore_ascii_case(tag);
    let locales = &INDEX.0.locales;
    locales
        .iter()
        .position(|(name, ..)| is(name))
        .or_else(|| locales.iter().position(|(.., others)| others.iter().any(is)))
}

/// Whether there is a locale of this name.
pub(crate) fn is_known(tag: &str) -> bool {
    BUILT_IN.iter().any(|name| name.eq_ignore_ascii_case(tag)) || find(tag).is_some()
}

/// The message for a locale that does not exist.
pub(crate) fn unknown(tag: &str) -> Details {
    let tags = INDEX.0.locales.iter().map(|(name, ..)| name.as_str()).chain(BUILT_IN);
    let language = tag.split(['-', '_']).next().unwrap_or(tag);
    let distance = |name: &str| {
        let other = name.split('-').next().unwrap_or(name);
        // Locales of the same language first.
        (!other.eq_ignore_ascii_case(language), strsim::damerau_levenshtein(&name.to_lowercase(), &tag.to_lowercase()))
    };
    let mut near: Vec<_> = tags.map(|name| (distance(name), name)).collect();
    near.sort_unstable();
    let near: Vec<_> = near.into_iter().take(NEAR_MAX).map(|(_, name)| name).collect();
    let help = format!(
        "write the tag of a locale that the Unicode CLDR covers, such as {}; a locale answers for its regions, `de` \
        for de-LU too",
        near.join(", ")
    );
    Details::new(format!("the locale `{tag}` does not exist")).help(help)
}

/// The web module that adds these locales: its name and source; none where they are all there anyway.
///
/// # Errors
/// [`BuildError::UnknownLocale`] for a name that there is not.
pub(crate) fn module(tags: &[String]) -> Result<Option<(String, String)>, BuildError> {
    let (index, start) = &*INDEX;
    let mut wanted = BTreeSet::new();
    for tag in tags {
        if BUILT_IN.iter().any(|name| name.eq_ignore_ascii_case(tag)) {
            continue;
        }
        wanted.insert(find(tag).ok_or_else(|| BuildError::UnknownLocale(Box::new(unknown(tag))))?);
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut source = String::from("import { addLocale, addParents } from \"./support.js\";\n");
    let languages: BTreeSet<&str> = wanted.iter().map(|&at| language(&index.locales[at].0)).collect();
    let parents: BTreeMap<_, _> = index.parents.iter().filter(|(tag, _)| languages.contains(language(tag))).collect();
    source.push_str(&format!("addParents({});\n", serde_json::json!(parents)));
    // Locales of a language are in one stream, and so together.
    let mut open: Option<(usize, String)> = None;
    for at in wanted {
        let (tag, stream, line, others) = &index.locales[at];
        if open.as_ref().is_none_or(|(number, _)| number != stream) {
            open = Some((*stream, decompress(*start, index.streams.get(*stream).copied())?));
        }
        let data = open.as_ref().and_then(|(_, text)| data_of(text, *line)).ok_or_else(damaged)?;
        source.push_str(&format!("addLocale(\"{tag}\", {}, {data});\n", serde_json::json!(others)));
    }
    Ok(Some((MODULE.to_owned(), source)))
}

fn language(tag: &str) -> &str {
    match tag.split('-').next().unwrap_or(tag) {
        "nb" => "no", // whose parent it is
        language => language,
    }
}

/// The data of the locale at a line of a stream: the first is whole, the others are differences to it by JSON pointers.
fn data_of(stream: &str, line: usize) -> Option<Value> {
    let mut lines = stream.lines();
    let mut data: Value = serde_json::from_str(lines.next()?).ok()?;
    if line > 0 {
        let changes: BTreeMap<String, Value> = serde_json::from_str(lines.nth(line - 1)?).ok()?;
        for (pointer, value) in changes {
            *data.pointer_mut(&pointer)? = value;
        }
    }
    Some(data)
}

fn damaged() -> BuildError {
    BuildError::Engine(Box::new(Details::new("the archive of locales is damaged: install elias-build again")))
}

fn decompress(start: usize, stream: Option<(usize, usize)>) -> Result<String, BuildError> {
    let (offset, length) = stream.ok_or_else(damaged)?;
    let bytes = ARCHIVE.get(start + offset..start + offset + length).ok_or_else(damaged)?;
    let mut text = String::new();
    brotli_decompressor::Decompressor::new(bytes, BUFFER).read_to_string(&mut text).map_err(|_| damaged())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_locale_can_be_had() {
        let tags: Vec<String> = INDEX.0.locales.iter().map(|(tag, ..)| tag.clone()).collect();
        assert!(tags.len() > 400, "{}", tags.len());
        let (_, source) = module(&tags).expect("they are all known").expect("they are not built in");
        assert_eq!(source.matches("addLocale(\"").count(), tags.len());
    }

    #[test]
    fn names_are_tags_or_what_means_the_same() {
        for tag in ["de", "DE-at", "zh-TW", "zh-Hant", "de-DE", "pt-BR", "nb-NO", "en-GB", "en", "en-US"] {
            assert!(is_known(tag), "{tag}");
        }
        assert!(module(&["en".to_owned(), "en-US".to_owned()]).expect("they are known").is_none());
        let error = module(&["de-XX".to_owned()]).expect_err("there is none");
        assert_eq!(error.code(), "unknown-locale");
        let help = error.details().to_string() + error.to_json()["help"].as_str().unwrap_or_default();
        assert!(help.contains("`de-XX`") && help.contains(" de-AT,"), "{help}");
    }
}
