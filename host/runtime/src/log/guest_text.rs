//! Makes texts of a component's guests fit for the log: maps stacks to original positions, redacts secrets, escapes and
//! truncates.

use super::escape::escape;
use super::redact::redact;
use elias_contract::stack::{self, SOURCE_MAP_BYTES_MAX, SourceMap, SourceMaps};
use parking_lot::{Mutex, RwLock};
use std::borrow::Cow;
use std::collections::VecDeque;
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

/// Codes whose source maps a component has beside its own: those that its workers were swapped into last.
const SWAPPED_MAX: usize = 4;

/// The settings by which the texts of one component are shown.
pub(crate) struct GuestText {
    source_map: Arc<LazySourceMap>,
    /// Those of modules that workers were swapped into, by the modules' names, the last one first.
    swapped: RwLock<VecDeque<(String, Arc<LazySourceMap>)>>,
    secrets: Vec<Arc<dyn Secrets>>,
}

/// A source map that is parsed when the first stack needs it.
pub(crate) struct LazySourceMap {
    packed: Mutex<Option<PackedSourceMap>>,
    parsed: OnceLock<Option<SourceMap<'static>>>,
}

impl LazySourceMap {
    fn new(packed: Option<PackedSourceMap>) -> Self {
        Self { packed: Mutex::new(packed), parsed: OnceLock::new() }
    }

    fn get(&self) -> Option<&SourceMap<'static>> {
        let parse = || stack::read_positions(&self.packed.lock().take()?.json()?);
        self.parsed.get_or_init(parse).as_ref()
    }
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
        let source_map = Arc::new(LazySourceMap::new(source_map));
        Self { source_map, swapped: RwLock::default(), secrets }
    }

    /// The component's own source map, for a component whose workers run its code.
    pub(crate) fn source_map(&self) -> Arc<LazySourceMap> {
        Arc::clone(&self.source_map)
    }

    /// Has stacks with a module of this name be mapped, too.
    pub(crate) fn add_source_map(&self, module: String, map: Arc<LazySourceMap>) {
        if self.swapped.read().iter().any(|(known, _)| *known == module) {
            return;
        }
        let mut swapped = self.swapped.write();
        swapped.push_front((module, map));
        swapped.truncate(SWAPPED_MAX);
    }

    /// What `remap` makes of the source maps that there are; none without any.
    fn with_source_maps<R>(&self, remap: impl FnOnce(SourceMaps<'_, 'static>) -> R) -> Option<R> {
        let swapped: Vec<_> = self.swapped.read().iter().cloned().collect();
        let swapped: Vec<_> = swapped.iter().filter_map(|(module, map)| Some((module.as_str(), map.get()?))).collect();
        let application = self.source_map.get();
        let has_any = application.is_some() || !swapped.is_empty();
        has_any.then(|| remap(SourceMaps { application, swapped: &swapped }))
    }

    /// A stack of the bundle in positions of the original sources.
    pub(crate) fn original_stack(&self, stack: &str) -> String {
        self.with_source_maps(|maps| stack::remap_stack_by(stack, maps)).unwrap_or_else(|| stack.to_owned())
    }

    /// Text with the stacks in it in positions of the original sources.
    fn original_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let remap = |maps: SourceMaps<'_, 'static>| stack::remap_text_by(text, maps);
        match stack::may_have_frames(text).then(|| self.with_source_maps(remap)).flatten() {
            Some(remapped) => Cow::Owned(remapped),
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
        let kept = text.source_map.packed.lock().as_ref().map(|packed| packed.bytes.len()).expect("it is kept");
        assert!(kept < json.len() / 10, "{kept} of {} bytes", json.len());
        for _ in 0..2 {
            assert_eq!(text.original_stack("    at f (app.js:2:1)"), "    at f (src/index.ts:2:1)");
        }
        assert!(text.source_map.packed.lock().is_none(), "once it is parsed nobody needs it");
    }

    #[test]
    fn the_modules_of_the_last_swaps_are_mapped_too() {
        let map = |file: &str| {
            let json = format!(r#"{{"version":3,"sources":["{file}"],"names":[],"mappings":"AAAA"}}"#);
            Arc::new(LazySourceMap::new(PackedSourceMap::new(json.as_bytes())))
        };
        let text = GuestText::new(None, Vec::new());
        let stack = |module: &str| text.original_stack(&format!("    at f ({module}:1:1)"));
        assert_eq!(stack("app-0.js"), "    at f (app-0.js:1:1)");
        for number in 0..=SWAPPED_MAX {
            text.add_source_map(format!("app-{number}.js"), map(&format!("src/{number}.ts")));
        }
        assert_eq!(stack("app-0.js"), "    at f (app-0.js:1:1)", "it was the first of too many");
        for number in 1..=SWAPPED_MAX {
            assert_eq!(stack(&format!("app-{number}.js")), format!("    at f (src/{number}.ts:1:1)"));
        }
        assert_eq!(stack("app.js"), "    at f (app.js:1:1)");
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
