//! Patterns of event types.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Bytes of the longest pattern.
const BYTES_MAX: usize = 255;
/// Parts of the longest pattern.
const PARTS_MAX: usize = 32;

/// A text that is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(&'static str);

/// A pattern of event types, such as `order.paid`, `order.*` or `order.**`: parts between dots, of which `*` is any one
/// part, and `**` any number of parts, also none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TypePattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    One,
    Any,
}

impl FromStr for TypePattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() || text.len() > BYTES_MAX {
            return Err(InvalidPattern("must be a text of 1 to 255 bytes, such as order.paid or order.*"));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidPattern("must not have control characters"));
        }
        let part = |text: &str| match text {
            "" => Err(InvalidPattern("must not have empty parts between its dots")),
            "*" => Ok(Part::One),
            "**" => Ok(Part::Any),
            text if text.contains('*') => {
                Err(InvalidPattern("may have * (one part) and ** (any number of parts) as whole parts only"))
            }
            text => Ok(Part::Text(text.to_owned())),
        };
        let mut parts = text.split('.').map(part).collect::<Result<Vec<_>, _>>()?;
        if parts.len() > PARTS_MAX {
            return Err(InvalidPattern("must have at most 32 parts"));
        }
        parts.dedup_by(|next, before| *next == Part::Any && *before == Part::Any);
        Ok(Self(parts))
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.iter().map(Part::as_str).collect();
        f.write_str(&parts.join("."))
    }
}

impl Part {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::One => "*",
            Self::Any => "**",
        }
    }

    fn matches(&self, part: &str) -> bool {
        match self {
            Self::Text(text) => text == part,
            Self::One | Self::Any => true,
        }
    }
}

impl TypePattern {
    /// Whether an event's type is matched. Takes a time of the lengths' product at most.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        let parts: Vec<&str> = event_type.split('.').collect();
        let (mut in_pattern, mut in_type) = (0, 0);
        // The last `**`, and the part of the type after what it stands for so far.
        let mut last_any: Option<(usize, usize)> = None;
        while in_type < parts.len() {
            match self.0.get(in_pattern) {
                Some(Part::Any) => {
                    last_any = Some((in_pattern, in_type));
                    in_pattern += 1;
                }
                Some(part) if part.matches(parts[in_type]) => {
                    in_pattern += 1;
                    in_type += 1;
                }
                Some(_) | None => {
                    let Some((any, up_to)) = last_any else { return false };
                    last_any = Some((any, up_to + 1));
                    in_pattern = any + 1;
                    in_type = up_to + 1;
                }
            }
        }
        self.0[in_pattern..].iter().all(|part| *part == Part::Any)
    }

    /// The type, if it is one and not a pattern.
    fn literal(&self) -> Option<String> {
        self.0.iter().all(|part| matches!(part, Part::Text(_))).then(|| self.to_string())
    }
}

/// Values by patterns, such as a tenant's subscriptions: finds those that match a type without asking each.
#[derive(Debug, Clone)]
pub struct PatternIndex<T> {
    /// By the whole type.
    literals: HashMap<String, Vec<T>>,
    /// By the first part.
    by_first: HashMap<String, Vec<(TypePattern, T)>>,
    /// Patterns that begin with `*` or `**`.
    others: Vec<(TypePattern, T)>,
}

impl<T> Default for PatternIndex<T> {
    fn default() -> Self {
        Self { literals: HashMap::new(), by_first: HashMap::new(), others: Vec::new() }
    }
}

impl<T> FromIterator<(TypePattern, T)> for PatternIndex<T> {
    fn from_iter<I: IntoIterator<Item = (TypePattern, T)>>(values: I) -> Self {
        let mut index = Self::default();
        for (pattern, value) in values {
            index.insert(pattern, value);
        }
        index
    }
}

impl<T> PatternIndex<T> {
    /// Adds a value.
    pub fn insert(&mut self, pattern: TypePattern, value: T) {
        if let Some(event_type) = pattern.literal() {
            self.literals.entry(event_type).or_default().push(value);
            return;
        }
        match pattern.0.first() {
            Some(Part::Text(first)) => self.by_first.entry(first.clone()).or_default().push((pattern, value)),
            Some(Part::One | Part::Any) | None => self.others.push((pattern, value)),
        }
    }

    /// The values whose patterns match a type, in no particular order.
    pub fn matching<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a T> {
        let first = event_type.split('.').next().unwrap_or_default();
        let literals = self.literals.get(event_type).into_iter().flatten();
        let by_first = self.by_first.get(first).into_iter().flatten();
        let patterns = by_first.chain(&self.others).filter(move |(pattern, _)| pattern.matches(event_type));
        literals.chain(patterns.map(|(_, value)| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> TypePattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn one_star_is_one_part_and_two_are_any_number() {
        for (text, matched, not_matched) in [
            ("order.paid", vec!["order.paid"], vec!["order", "order.paid.late", "Order.paid", "order.pai"]),
            ("order.*", vec!["order.paid", "order.*"], vec!["order", "order.paid.late", "orders.paid"]),
            ("*.paid", vec!["order.paid"], vec!["paid", "a.b.paid"]),
            ("order.**", vec!["order", "order.paid", "order.paid.late"], vec!["orders"]),
            ("**", vec!["order", "order.paid.late"], vec![]),
            ("**.paid.**.late", vec!["paid.late", "a.b.paid.c.late", "paid.paid.late.late"], vec!["paid", "late.paid"]),
        ] {
            assert_eq!(pattern(text).to_string(), text);
            assert!(matched.iter().all(|event_type| pattern(text).matches(event_type)), "{text}");
            assert!(!not_matched.iter().any(|event_type| pattern(text).matches(event_type)), "{text}");
        }
        assert_eq!(pattern("a.**.**.b"), pattern("a.**.b"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a*", "a.***", "a\n", &"a.".repeat(40), &"a".repeat(256)] {
            assert!(text.parse::<TypePattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let many = pattern("**.a.".repeat(15).trim_end_matches('.'));
        assert!(!many.matches(&"a.".repeat(10_000)));
    }

    /// By recursion, as the definition reads.
    fn naive(pattern: &[&str], parts: &[&str]) -> bool {
        match (pattern.split_first(), parts.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => naive(rest, parts) || (!parts.is_empty() && naive(pattern, &parts[1..])),
            (Some((first, rest)), Some((part, parts))) => (*first == "*" || first == part) && naive(rest, parts),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_matcher_and_the_index_agree_with_the_definition(
            patterns in proptest::collection::vec("(a|b|\\*|\\*\\*)(\\.(a|b|\\*|\\*\\*)){0,5}", 1..20),
            event_type in "(a|b|c)(\\.(a|b|c)){0,6}",
        ) {
            let parts: Vec<&str> = event_type.split('.').collect();
            let mut expected = Vec::new();
            for (position, text) in patterns.iter().enumerate() {
                let naively = naive(&text.split('.').collect::<Vec<_>>(), &parts);
                prop_assert_eq!(pattern(text).matches(&event_type), naively, "{} {}", text, event_type);
                expected.extend(naively.then_some(position));
            }
            let index: PatternIndex<usize> = patterns.iter().map(|text| pattern(text)).zip(0..).collect();
            let mut found: Vec<usize> = index.matching(&event_type).copied().collect();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
