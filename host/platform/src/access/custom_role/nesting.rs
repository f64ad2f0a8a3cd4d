//! How deeply Cedar policies may be nested: Cedar's parser and validator recurse once per level, on a stack of 2 MiB.

use super::place;
use elias_api::{Code, Error, Result};

/// Brackets within brackets.
const BRACKETS_MAX: usize = 32;
/// Conditions (`if`) in one policy, which may stand within each other.
const CONDITIONS_MAX: usize = 32;
/// Characters of operators in one policy: each operator may stand within the next. With some thousand, Cedar's
/// validator runs out of stack and lets the policy pass.
const OPERATORS_MAX: usize = 500;

/// Looks at brackets, operators and `if` outside of strings and comments.
///
/// # Errors
/// `bad-input`, with line and column.
pub(super) fn check(policies: &str) -> Result<()> {
    let (mut brackets, mut conditions, mut operators) = (0_usize, 0, 0);
    let bytes = policies.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end);
            }
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            b';' => (conditions, operators) = (0, 0),
            b'.' | b'&' | b'|' | b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'!' => operators += 1,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                let end = bytes[at..].iter().position(|byte| !is_word(byte)).map_or(bytes.len(), |end| at + end);
                conditions += usize::from(&bytes[at..end] == b"if");
                at = end - 1;
            }
            _ => {}
        }
        if brackets > BRACKETS_MAX || conditions > CONDITIONS_MAX || operators > OPERATORS_MAX {
            let message = format!(
                "policy: {}a policy has at most {BRACKETS_MAX} brackets within each other, {CONDITIONS_MAX} times `if` \
                and {OPERATORS_MAX} characters of operators; make several of it",
                place(policies, at)
            );
            return Err(Error::new(Code::BadInput, message));
        }
        at += 1;
    }
    Ok(())
}

/// Where the quotation mark is that ends the string that begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'\\' => end += 2,
            b'"' => return end,
            _ => end += 1,
        }
    }
    bytes.len()
}
