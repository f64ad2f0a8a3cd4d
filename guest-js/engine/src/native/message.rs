//! The messages of `elias:component/fetch`: the headers of a request, and a whole response. `wit/world.wit` has their
//! layout.

use crate::bindings::wasi::http::types::{IncomingRequest, Method, Scheme};
use std::ops::Range;

/// Bytes of a number.
const NUMBER_BYTES: usize = 4;

/// A request without the body that is not there yet.
pub(super) struct Request {
    message: Vec<u8>,
    method: Range<usize>,
    scheme: Range<usize>,
    authority: Range<usize>,
    path: Range<usize>,
    /// The offset at which the fields begin.
    fields_offset: usize,
    field_count: u32,
    /// The offset at which the body begins.
    body_offset: usize,
}

/// A header field of a request, its name in lower case.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

impl Request {
    /// Reads a message of the host; none if it is truncated.
    pub(super) fn read(message: Vec<u8>) -> Option<Self> {
        let mut offset = 0;
        let [method, scheme, authority, path] = [(); 4].map(|()| text(&message, &mut offset));
        let (method, scheme, authority, path) = (method?, scheme?, authority?, path?);
        let field_count = number(&message, &mut offset)?;
        let fields_offset = offset;
        for _ in 0..field_count {
            text(&message, &mut offset)?;
            text(&message, &mut offset)?;
        }
        Some(Self { message, method, scheme, authority, path, fields_offset, field_count, body_offset: offset })
    }

    /// The same of a request of `wasi:http`.
    pub(super) fn of(request: &IncomingRequest) -> Option<Self> {
        let method = match request.method() {
            Method::Get => "GET".into(),
            Method::Head => "HEAD".into(),
            Method::Post => "POST".into(),
            Method::Put => "PUT".into(),
            Method::Delete => "DELETE".into(),
            Method::Connect => "CONNECT".into(),
            Method::Options => "OPTIONS".into(),
            Method::Trace => "TRACE".into(),
            Method::Patch => "PATCH".into(),
            Method::Other(other) => other,
        };
        let scheme = if matches!(request.scheme(), Some(Scheme::Https)) { "https" } else { "http" };
        let authority = request.authority().unwrap_or_default();
        let path = request.path_with_query().unwrap_or_default();
        let mut message = Vec::new();
        for text in [&method, scheme, &authority, &path] {
            put(&mut message, text.as_bytes());
        }
        let fields = request.headers().entries();
        put_number(&mut message, fields.len());
        for (name, value) in fields {
            put(&mut message, name.as_bytes());
            put(&mut message, &value);
        }
        Self::read(message)
    }

    fn text(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(&self.message[range.clone()]).unwrap_or_default()
    }

    pub(super) fn method(&self) -> &str {
        self.text(&self.method)
    }

    pub(super) fn scheme(&self) -> &str {
        self.text(&self.scheme)
    }

    /// The host that it is for; none as HTTP/1.0 has it.
    pub(super) fn authority(&self) -> Option<&str> {
        Some(self.text(&self.authority)).filter(|authority| !authority.is_empty())
    }

    pub(super) fn path(&self) -> &str {
        self.text(&self.path)
    }

    /// The number of its fields.
    pub(super) fn count(&self) -> usize {
        self.field_count as usize
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let mut offset = self.fields_offset;
        // All texts were there when the message was read.
        (0..self.field_count).map_while(move |_| {
            let (name, value) = (text(&self.message, &mut offset)?, text(&self.message, &mut offset)?);
            Some((&self.message[name], &self.message[value]))
        })
    }

    /// The values of the fields with this name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The bytes behind the fields: the body of a request that came whole.
    pub(super) fn body(&self) -> &[u8] {
        &self.message[self.body_offset..]
    }
}

/// A whole response.
pub(super) fn response(status: u16, fields: &[(String, Vec<u8>)], body: &[u8]) -> Vec<u8> {
    let texts: usize = fields.iter().map(|(name, value)| 2 * NUMBER_BYTES + name.len() + value.len()).sum();
    let mut message = Vec::with_capacity(2 + NUMBER_BYTES + texts + body.len());
    message.extend_from_slice(&status.to_le_bytes());
    put_number(&mut message, fields.len());
    for (name, value) in fields {
        put(&mut message, name.as_bytes());
        put(&mut message, value);
    }
    message.extend_from_slice(body);
    message
}

/// The number at `offset`, which is moved behind it.
fn number(message: &[u8], offset: &mut usize) -> Option<u32> {
    let bytes = message.get(*offset..)?.first_chunk::<NUMBER_BYTES>()?;
    *offset += NUMBER_BYTES;
    Some(u32::from_le_bytes(*bytes))
}

/// The range of the text at `offset`, which is moved behind it.
fn text(message: &[u8], offset: &mut usize) -> Option<Range<usize>> {
    let length = number(message, offset)? as usize;
    let range = *offset..offset.checked_add(length).filter(|&end| end <= message.len())?;
    *offset = range.end;
    Some(range)
}

fn put_number(message: &mut Vec<u8>, number: usize) {
    // A guest has no more than 4 GiB.
    message.extend_from_slice(&(number as u32).to_le_bytes());
}

fn put(message: &mut Vec<u8>, text: &[u8]) {
    put_number(message, text.len());
    message.extend_from_slice(text);
}
