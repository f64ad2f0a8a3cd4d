//! How texts of a component's guests are shown: stacks in original positions, without secrets, safe, and cut.

use super::escape::escape;
use super::redact::redact;
use elias_contract::stack::{self, SourceMap};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// Bytes of the shortest secret that is looked for in texts; shorter ones occur everywhere.
pub const SECRET_BYTES_MIN: usize = 4;

/// Has texts that must not be shown.
pub(crate) trait Secrets: Send + Sync {
    /// Those texts. They are asked for with each text that is shown, and copied nowhere.
    fn secrets(&self) -> Vec<&str>;
}

/// The settings by which the texts of one component are shown.
pub(crate) struct GuestText {
    /// The source map, parsed when the first stack needs it.
    json: Option<String>,
    source_map: OnceLock<Option<SourceMap<'static>>>,
    secrets: Vec<Arc<dyn Secrets>>,
}

impl GuestText {
    /// Of a component with this source map, as JSON, and these secrets.
    pub(crate) fn new(source_map: Option<String>, secrets: Vec<Arc<dyn Secrets>>) -> Self {
        Self { json: source_map, source_map: OnceLock::new(), secrets }
    }

    fn source_map(&self) -> Option<&SourceMap<'static>> {
        self.source_map.get_or_init(|| self.json.as_deref().and_then(stack::read_positions)).as_ref()
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
