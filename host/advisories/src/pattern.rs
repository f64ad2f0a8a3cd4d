//! Which packages a tenant means: `name`, `name@RANGE`, `@scope/*`.

use super::sbom::NAME_BYTES_MAX;
use crate::error::{Error, Result};
use nodejs_semver::{Range, Version};

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 512;

/// Some packages.
#[derive(Debug)]
pub(super) enum Pattern {
    /// All of a scope, which has its `@` and its slash.
    Scope(String),
    /// One package, in all versions or those of a range.
    Package(String, Option<Range>),
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// `bad-input`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let bad = |what: &str| {
            let shown: String = text.chars().take(100).collect();
            let help = "write name, name@1.2.3, name@<4.17.21 or @scope/*";
            Error::BadInput(format!("`{}` {what}: {help}", shown.escape_debug()))
        };
        if text.len() > PATTERN_BYTES_MAX {
            return Err(bad("is too long for packages"));
        }
        if let Some(scope) = text.strip_suffix('*') {
            let name = scope.strip_prefix('@').and_then(|scope| scope.strip_suffix('/'));
            return match name {
                Some(name) if is_part(name) => Ok(Self::Scope(scope.to_owned())),
                _ => Err(bad("is not a scope")),
            };
        }
        let (name, range) = split(text);
        if !is_name(name) {
            return Err(bad("is not the name of an npm package"));
        }
        let range = range.map(|range| match range.trim() {
            "" => Err(bad("must have a version after the @")),
            range => Range::parse(range)
                .map_err(|_| bad("must have a range of versions after the @, such as `lodash@<4.17.21`")),
        });
        Ok(Self::Package(name.to_owned(), range.transpose()?))
    }

    /// Whether it is to be denied: of versions before a release too (`1.0.0-beta`), which npm's ranges leave out, and
    /// of what is not a version.
    pub(super) fn denies(&self, name: &str, version: Option<&Version>) -> bool {
        self.covers(name, |range| version.is_none_or(|version| range.satisfies_with_prerelease(version, true)))
    }

    /// Whether it is allowed: as npm would take it for the range.
    pub(super) fn allows(&self, name: &str, version: Option<&Version>) -> bool {
        self.covers(name, |range| version.is_some_and(|version| range.satisfies(version)))
    }

    fn covers(&self, name: &str, within: impl FnOnce(&Range) -> bool) -> bool {
        match self {
            Self::Scope(scope) => name.starts_with(scope.as_str()),
            Self::Package(wanted, range) => wanted == name && range.as_ref().is_none_or(within),
        }
    }
}

/// Name and what follows its `@`.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    // The first character may be a scope's.
    match text.char_indices().skip(1).find(|(_, c)| *c == '@') {
        Some((at, _)) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Whether npm knows such names: `name` or `@scope/name`.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| is_part(scope) && is_part(name)),
            None => is_part(name),
        }
}

/// Names of long ago have capitals, and some of these signs.
fn is_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!'()".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_say() {
        for (pattern, package, denied, allowed) in [
            ("lodash", "lodash@4.17.20", true, true),
            ("lodash", "lodash-es@4.17.20", false, false),
            ("lodash@4.17.20", "lodash@4.17.20", true, true),
            ("lodash@4.17.20", "lodash@4.17.21", false, false),
            ("lodash@<4.17.21", "lodash@4.17.20", true, true),
            ("lodash@<4.17.21", "lodash@4.17.21", false, false),
            // A version before the release is none that npm would choose for the range, and has what is wrong with it.
            ("lodash@<4.17.21", "lodash@4.17.21-beta.1", true, false),
            ("lodash@<4.17.21", "lodash@nonsense", true, false),
            ("lodash", "lodash@nonsense", true, true),
            ("lodash@^3 || >=4.17.21 <5", "lodash@4.17.21", true, true),
            ("lodash@^3 || >=4.17.21 <5", "lodash@4.0.0", false, false),
            ("@scope/*", "@scope/a@1.0.0", true, true),
            ("@scope/*", "@scoped/a@1.0.0", false, false),
            ("@scope/a@1.x", "@scope/a@1.9.0", true, true),
            ("@scope/a@1.x", "@scope/a@2.0.0", false, false),
        ] {
            let read = Pattern::parse(pattern).expect(pattern);
            let (name, version) = split(package);
            let version = version.and_then(|version| Version::parse(version).ok());
            assert_eq!(read.denies(name, version.as_ref()), denied, "{pattern} denies {package}");
            assert_eq!(read.allows(name, version.as_ref()), allowed, "{pattern} allows {package}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        for text in
            ["", "*", "@/*", "@scope*", "lod*", "a b", "@scope", "@scope/", "a@", "a@b c d", "../a", "a/b", &long]
        {
            assert_eq!(Pattern::parse(text).expect_err(text).code(), "bad-input", "{text}");
        }
    }
}
