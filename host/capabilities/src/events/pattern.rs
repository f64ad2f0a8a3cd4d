//! Types of events, and patterns of them.

/// A pattern: parts separated by dots, of which `*` stands for any one, and `**`, at the end, for one or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    /// Reads a pattern; none if it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('.').map(str::to_owned).collect();
        let (last, before) = parts.split_last()?;
        let is_valid =
            before.iter().all(|part| part == "*" || is_part(part)) && (last == "*" || last == "**" || is_part(last));
        is_valid.then_some(Self(parts))
    }

    /// Whether a type fits it.
    pub(super) fn matches(&self, event_type: &str) -> bool {
        let mut parts = event_type.split('.');
        for expected in &self.0 {
            match (expected.as_str(), parts.next()) {
                (_, None) => return false,
                ("**", Some(_)) => return true,
                ("*", Some(_)) => {}
                (expected, Some(part)) if expected == part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
    }
}

/// Whether this is a type: parts of letters, digits, `-` and `_`, separated by dots.
pub(super) fn is_type(text: &str) -> bool {
    text.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_part_and_two_are_all() {
        let cases: [(&str, &[&str], &[&str]); 6] = [
            ("order.paid", &["order.paid"], &["order", "order.paid.late", "orders.paid"]),
            ("order.*", &["order.paid"], &["order", "order.paid.late", "x.paid"]),
            ("*.paid", &["order.paid"], &["paid", "a.b.paid"]),
            ("order.**", &["order.paid", "order.paid.late"], &["order", "x.order.paid"]),
            ("**", &["order", "order.paid"], &[]),
            ("*", &["order"], &["order.paid"]),
        ];
        for (pattern, fits, does_not) in cases {
            let parsed = Pattern::parse(pattern).expect("it is one");
            assert!(fits.iter().all(|event_type| parsed.matches(event_type)), "{pattern}");
            assert!(!does_not.iter().any(|event_type| parsed.matches(event_type)), "{pattern}");
        }
        for text in ["", ".", "a.", "**.a", "a*", "a b", "***"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_type_is_parts_and_dots() {
        assert!(["order", "order.paid", "a-b.c_d.9"].into_iter().all(is_type));
        assert!(!["", ".", "a..b", "a.*", "ö", "a b", "a\n"].into_iter().any(is_type));
    }
}
