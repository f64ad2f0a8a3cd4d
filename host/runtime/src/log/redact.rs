//! Replaces secrets in a text of a guest.

use std::borrow::Cow;

/// The text in place of a secret.
const REDACTED: &str = "[redacted]";

/// The first `bytes_max` bytes of `text` with [`REDACTED`] in place of the secrets that begin in them. A secret that
/// lies across the cut is found whole, and so no part of it is shown.
///
/// It looks at `bytes_max` bytes and those of the longest secret more, once for each secret, however long the text is.
pub(super) fn redact<'t, 's>(
    text: &'t str,
    secrets: impl Iterator<Item = &'s str> + Clone,
    bytes_max: usize,
) -> Cow<'t, str> {
    let kept = text.floor_char_boundary(bytes_max);
    let longest = secrets.clone().map(str::len).max().unwrap_or(0);
    let window = &text[..text.floor_char_boundary(kept.saturating_add(longest))];
    let mut found: Vec<(usize, usize)> = secrets
        .filter(|secret| !secret.is_empty())
        .flat_map(|secret| window.match_indices(secret).map(|(at, secret)| (at, at + secret.len())))
        .filter(|(start, _)| *start < kept)
        .collect();
    if found.is_empty() {
        return Cow::Borrowed(&text[..kept]);
    }
    found.sort_unstable();
    let mut redacted = String::with_capacity(kept);
    let mut at = 0;
    for (start, end) in found {
        // One that begins within another lengthens what is left out.
        if start >= at {
            redacted.push_str(&text[at..start]);
            redacted.push_str(REDACTED);
        }
        at = at.max(end);
    }
    redacted.push_str(text.get(at..kept).unwrap_or_default());
    Cow::Owned(redacted)
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[track_caller]
    fn check(text: &str, secrets: &[&str], bytes_max: usize, expected: &str) {
        assert_eq!(redact(text, secrets.iter().copied(), bytes_max), expected);
    }

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        check("a hunter2 b hunter2", &["hunter2"], usize::MAX, "a [redacted] b [redacted]");
        check("nothing here", &["hunter2"], usize::MAX, "nothing here");
        check("abcdefgh", &["abcd", "cdef"], usize::MAX, "[redacted]gh");
        check("xabcdx", &["abcd", "bc"], usize::MAX, "x[redacted]x");
        check("secretsecret", &["secret"], usize::MAX, "[redacted][redacted]");
        check("é", &[""], usize::MAX, "é");
    }

    #[test]
    fn no_part_of_a_secret_is_left_by_the_cut() {
        for bytes_max in 2..9 {
            check("x hunter2 and more", &["hunter2"], bytes_max, if bytes_max > 2 { "x [redacted]" } else { "x " });
        }
        // The room that a short replacement leaves is not filled up: it could be half of another secret.
        check("hunter2hunter2", &["hunter2"], 7, "[redacted]");
        check("éhunter2", &["hunter2"], 1, "");
    }
}
