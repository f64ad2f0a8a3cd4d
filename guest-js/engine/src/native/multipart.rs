//! Parsing of `multipart/form-data` (RFC 7578), as strictly as browsers write it.
//!
//! The bytes are at hand: a body is limited before it gets here. Further limits are on what would cost more than its
//! bytes.

use super::bytes::bytes_in;
use super::convert::isomorphic;
use super::header_fields::{is_name, is_token};
use javy::quickjs::{Array, Ctx, Exception, Function, Object, Result, TypedArray};
use std::borrow::Cow;

/// Entries of a form. Each is some objects in the engine, and so more memory than its bytes.
const PARTS_MAX: usize = 10_000;
/// Bytes of the header of a part.
const HEADER_BYTES_MAX: usize = 16 * 1024;

struct Part<'a> {
    name: String,
    /// There is one in what came from a file.
    file_name: Option<String>,
    content_type: Option<String>,
    body: &'a [u8],
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("parseMultipart", Function::new(native.ctx().clone(), parse_for_js)?)
}

/// The parts of a form, flat: name, file name or null, content type or null, bytes. A `TypeError` says what is wrong.
fn parse_for_js<'js>(ctx: Ctx<'js>, bytes: TypedArray<'js, u8>, boundary: String) -> Result<Array<'js>> {
    let parts = match parse(bytes_in(&bytes), &boundary) {
        Ok(parts) => parts,
        Err(what) => {
            return Err(Exception::throw_type(&ctx, &format!("the multipart/form-data body is malformed: {what}")));
        }
    };
    let flat = Array::new(ctx.clone())?;
    for (at, part) in parts.into_iter().enumerate() {
        flat.set(4 * at, part.name)?;
        flat.set(4 * at + 1, part.file_name)?;
        flat.set(4 * at + 2, part.content_type)?;
        flat.set(4 * at + 3, TypedArray::<u8>::new_copy(ctx.clone(), part.body)?)?;
    }
    Ok(flat)
}

/// The rest to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads `bytes`, if they come next; says whether they did.
    fn accept(&mut self, bytes: &[u8]) -> bool {
        self.0.strip_prefix(bytes).map(|rest| self.0 = rest).is_some()
    }

    fn skip_blanks(&mut self) {
        let blanks = self.0.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.0 = &self.0[blanks..];
    }

    /// The bytes before `end`, which are skipped.
    fn until(&mut self, end: &[u8]) -> Option<&'a [u8]> {
        let at = find(self.0, end)?;
        let before = &self.0[..at];
        self.0 = &self.0[at + end.len()..];
        Some(before)
    }

    /// The text of a quoted string whose opening quote was read. `\"` is a quote within it, as clients that go by
    /// RFC 2183 write it (curl before 7.81, Java's), unless the value ends there: a path of Windows may end with a
    /// backslash.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let piece = self.until(b"\"")?;
            match piece.strip_suffix(b"\\") {
                Some(before) if !self.is_after_value() => {
                    text.extend_from_slice(before);
                    text.push(b'"');
                }
                _ => {
                    text.extend_from_slice(piece);
                    return Some(text);
                }
            }
        }
    }

    /// Whether a parameter's value cannot go on.
    fn is_after_value(&self) -> bool {
        matches!(self.0.trim_ascii_start().first(), None | Some(b';'))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let (first, mut from) = (*what.first()?, 0);
    loop {
        let at = from + bytes.get(from..)?.iter().position(|&byte| byte == first)?;
        if bytes[at..].starts_with(what) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn parse<'a>(bytes: &'a [u8], boundary: &str) -> std::result::Result<Vec<Part<'a>>, &'static str> {
    let delimiter = format!("--{boundary}").into_bytes();
    let end = [b"\r\n", delimiter.as_slice()].concat();
    let mut input = Input(bytes);
    let mut parts = Vec::new();
    while input.accept(b"\r\n") {}
    if !input.accept(&delimiter) {
        return Err("it does not begin with its boundary");
    }
    // What follows the last boundary is to be ignored (RFC 2046, 5.1.1).
    while !input.accept(b"--") {
        input.skip_blanks();
        if !input.accept(b"\r\n") {
            return Err("a boundary is not at the end of its line");
        }
        if parts.len() == PARTS_MAX {
            return Err("it has more than 10,000 parts");
        }
        let (name, file_name, content_type) = header(&mut input)?;
        let body = input.until(&end).ok_or("a part has no end")?;
        parts.push(Part { name, file_name, content_type, body });
    }
    Ok(parts)
}

type Header = (String, Option<String>, Option<String>);

/// A part's name, file name and content type.
fn header(input: &mut Input<'_>) -> std::result::Result<Header, &'static str> {
    let start = input.0.len();
    let (mut disposition, mut content_type) = (None, None);
    while !input.accept(b"\r\n") {
        let line = input.until(b"\r\n").ok_or("the header of a part has no end")?;
        if start - input.0.len() > HEADER_BYTES_MAX {
            return Err("the header of a part is longer than 16 KiB");
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or("a line in the header of a part has no colon")?;
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if !is_name(name) {
            return Err("a line in the header of a part has no name");
        }
        if name.eq_ignore_ascii_case(b"content-disposition") {
            disposition = Some(parse_disposition(value)?);
        } else if name.eq_ignore_ascii_case(b"content-type") {
            content_type = Some(isomorphic(value.to_vec()));
        }
    }
    match disposition {
        Some((Some(name), file_name)) => Ok((name, file_name, content_type)),
        _ => Err("a part has no name"),
    }
}

/// The parameters name and filename of `form-data; name="..."; filename="..."`.
fn parse_disposition(value: &[u8]) -> std::result::Result<(Option<String>, Option<String>), &'static str> {
    const MALFORMED: &str = "a content-disposition is malformed";
    let mut input = Input(value);
    let kind = value.get(..9).unwrap_or_default();
    if !kind.eq_ignore_ascii_case(b"form-data") {
        return Err("the content-disposition of a part is not form-data");
    }
    input.0 = &value[9..];
    let (mut name, mut file_name, mut extended_file_name) = (None, None, None);
    loop {
        input.skip_blanks();
        if input.0.is_empty() {
            return Ok((name, extended_file_name.or(file_name)));
        }
        if !input.accept(b";") {
            return Err(MALFORMED);
        }
        input.skip_blanks();
        let key = input.until(b"=").ok_or(MALFORMED)?.trim_ascii();
        input.skip_blanks();
        let value: Cow<'_, [u8]> = if input.accept(b"\"") {
            input.quoted().ok_or(MALFORMED)?.into()
        } else {
            let length = input.0.iter().take_while(|&&byte| is_token(byte)).count();
            let (token, rest) = input.0.split_at(length);
            input.0 = rest;
            token.into()
        };
        if key.eq_ignore_ascii_case(b"name") {
            name = Some(unescape(&value));
        } else if key.eq_ignore_ascii_case(b"filename") {
            file_name = Some(unescape(&value));
        } else if key.eq_ignore_ascii_case(b"filename*") {
            // It counts for more than `filename` (RFC 6266, section 4.3), unless it cannot be read.
            extended_file_name = extended_value(&value).or(extended_file_name);
        }
    }
}

/// The text of `charset'language'percent-encoded` (RFC 8187, section 3.2), as .NET and Java write file names.
fn extended_value(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let [high, low, after @ ..] = rest else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    if charset.eq_ignore_ascii_case(b"utf-8") {
        String::from_utf8(bytes).ok()
    } else if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        Some(isomorphic(bytes))
    } else {
        None
    }
}

/// The three characters that are escaped in a name.
fn unescape(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    if !text.contains('%') {
        return text.into_owned();
    }
    let text = text.replace("%0A", "\n").replace("%0a", "\n").replace("%0D", "\r").replace("%0d", "\r");
    text.replace("%22", "\"")
}
