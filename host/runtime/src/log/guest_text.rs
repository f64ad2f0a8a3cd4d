//! Makes texts of a component's guests fit for the log: maps stacks to original positions, redacts secrets, escapes and
//! truncates.

use super::escape::escape;
use super::redact::redact;
use elias_contract::stack::{self, SOURCE_MAP_BYTES_MAX, SourceMap};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// The level at which source maps are compressed: most components are never asked for theirs.
const ZSTD_LEVEL: i32 = 1;

/// Bytes of the shortest secret that is looked for in texts; shorter ones occur everywhere.
pub const SECRET_BYTES_MIN: usize = 4;

/// A source of secrets that must not be shown.
pub(crate) trait Secrets: Send + Sync {
    /// The secrets. They are asked for with each text that is shown, and copied nowhere.
    fn secrets(&self) -> Vec<&str>;
}

/// The settings by which the texts of one component are shown.
pub(crate) struct GuestText {
    /// The source map until the first stack needs it, when it is parsed.
    packed: Mutex<Option<PackedSourceMap>>,
    source_map: OnceLock<Option<SourceMap<'static>>>,
    secrets: Vec<Arc<dyn Secrets>>,
}

/// A source map as JSON, compressed. It has the text of all sources, which is most of it: of 590 KB, for a router and a
/// library of schemas, 140 KB are left.
pub(crate) struct PackedSourceMap {
    bytes: Vec<u8>,
    json_bytes: usize,
}

impl PackedSourceMap {
    /// Compresses a source map, which takes some milliseconds a megabyte. None for one that is too large to be read.
    pub(crate) fn new(json: &[u8]) -> Option<Self> {
        if json.len() > SOURCE_MAP_BYTES_MAX {
            return None;
        }
        // It cannot fail but for want of memory.
        let bytes = zstd::bulk::compress(json, ZSTD_LEVEL).ok()?;
        Some(Self { bytes, json_bytes: json.len() })
    }

    fn json(&self) -> Option<String> {
        String::from_utf8(zstd::bulk::decompress(&self.bytes, self.json_bytes).ok()?).ok()
    }
}

impl GuestText {
    /// Of a component with this source map and these secrets.
    pub(crate) fn new(source_map: Option<PackedSourceMap>, secrets: Vec<Arc<dyn Secrets>>) -> Self {
        Self { packed: Mutex::new(source_map), source_map: OnceLock::new(), secrets }
    }

    fn source_map(&self) -> Option<&SourceMap<'static>> {
        let parse = || stack::read_positions(&self.packed.lock().take()?.json()?);
        self.source_map.get_or_init(parse).as_ref()
    }

    /// A stack of the bundle in positions of the original sources.
    pub(crate) fn original_stack(&self, stack: &str) -> String {
        self.source_map().map_or_else(|| stack.to_owned(), |map| stack::remap_stack(stack, map))
    }

    /// Text with the stacks in it in positions of the original sources.
    fn original_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match stack::may_have_frames(text).then(|| self.source_map()).flatten() {
            Some(map) => Cow::Owned(stack::remap_text(text, map)),
            None => Cow::Borrowed(text),
        }
    }

    /// `text` without the component's secrets; see [`crate::capability::InstanceInfo::redact`].
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        redact(text, self.secrets(), usize::MAX)
    }

    /// The first `bytes_max` bytes of a text likewise, in which no part of a secret is left by the cut.
    pub(crate) fn redact_start<'t>(&self, text: &'t str, bytes_max: usize) -> Cow<'t, str> {
        redact(text, self.secrets(), bytes_max)
    }

    /// The secrets that are long enough to be looked for.
    fn secrets(&self) -> impl Iterator<Item = &str> + Clone {
        let secrets = self.secrets.iter().flat_map(|granted| granted.secrets());
        secrets.filter(|secret| secret.len() >= SECRET_BYTES_MIN)
    }

    /// Text as it may be shown: cut to the bound before anything else is done, so that nothing below takes longer for a
    /// longer text; then without secrets, with stacks in original positions, and safe. What is cut is said at the end.
    pub(super) fn readable<'t>(&self, text: &'t str, bytes_max: usize) -> Cow<'t, str> {
        let kept = text.floor_char_boundary(bytes_max);
        let cut = text.len() - kept;
        let redacted = redact(text, self.secrets(), bytes_max);
        if let Cow::Borrowed(redacted) = redacted
            && let Cow::Borrowed(original) = self.original_text(redacted)
        {
            return escape(original, bytes_max, cut);
        }
        Cow::Owned(escape(&self.original_text(&redacted), bytes_max, cut).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Password;

    impl Secrets for Password {
        fn secrets(&self) -> Vec<&str> {
            vec!["hunter2"]
        }
    }

    #[test]
    fn the_beginning_of_a_text_has_no_part_of_a_secret() {
        let text = GuestText::new(None, vec![Arc::new(Password)]);
        for bytes_max in 3..9 {
            assert_eq!(text.redact_start("x hunter2 y", bytes_max), "x [redacted]", "{bytes_max}");
        }
        assert_eq!(text.redact_start("nothing here", 7), "nothing");
    }

    #[test]
    fn a_source_map_is_kept_compressed_and_maps_as_before() {
        let source = "export default { fetch: () => new Response() };\\n".repeat(1_000);
        let json = format!(
            r#"{{"version":3,"sources":["src/index.ts"],"sourcesContent":["{source}"],"names":[],{}}}"#,
            r#""mappings":"AAAA;AACA""#
        );
        let text = GuestText::new(PackedSourceMap::new(json.as_bytes()), Vec::new());
        let kept = text.packed.lock().as_ref().map(|packed| packed.bytes.len()).expect("it is kept");
        assert!(kept < json.len() / 10, "{kept} of {} bytes", json.len());
        for _ in 0..2 {
            assert_eq!(text.original_stack("    at f (app.js:2:1)"), "    at f (src/index.ts:2:1)");
        }
        assert!(text.packed.lock().is_none(), "once it is parsed nobody needs it");
    }

    #[test]
    fn without_a_source_map_that_can_be_read_stacks_stay_as_they_are() {
        for source_map in [None, Some(""), Some("{}"), Some("not JSON")] {
            let packed = source_map.and_then(|json| PackedSourceMap::new(json.as_bytes()));
            let text = GuestText::new(packed, Vec::new());
            assert_eq!(text.original_stack("    at f (app.js:2:1)"), "    at f (app.js:2:1)");
        }
    }
}
