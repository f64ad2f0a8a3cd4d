//! The messages of `elias:component/fetch`: the head of a request, a whole response. Their layout: `wit/world.wit`.

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
    /// Where the fields begin.
    fields: usize,
    count: u32,
    /// Where the body begins.
    body: usize,
}

/// A header field of a request, its name in lower case.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

impl Request {
    /// Reads a message of the host; none if it is cut short.
    pub(super) fn read(message: Vec<u8>) -> Option<Self> {
        let mut at = 0;
        let [method, scheme, authority, path] = [(); 4].map(|()| text(&message, &mut at));
        let (method, scheme, authority, path) = (method?, scheme?, authority?, path?);
        let count = number(&message, &mut at)?;
        let fields = at;
        for _ in 0..count {
            text(&message, &mut at)?;
            text(&message, &mut at)?;
        }
        Some(Self { message, method, scheme, authority, path, fields, count, body: at })
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

    fn text(&self, at: &Range<usize>) -> &str {
        std::str::from_utf8(&self.message[at.clone()]).unwrap_or_default()
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

    /// How many fields it has.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let mut at = self.fields;
        // All texts were there when the message was read.
        (0..self.count).map_while(move |_| {
            let (name, value) = (text(&self.message, &mut at)?, text(&self.message, &mut at)?);
            Some((&self.message[name], &self.message[value]))
        })
    }

    /// The values of the fields with this name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields().filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// What lies behind the fields: the body of a request that came whole.
    pub(super) fn body(&self) -> &[u8] {
        &self.message[self.body..]
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

fn number(message: &[u8], at: &mut usize) -> Option<u32> {
    let bytes = message.get(*at..)?.first_chunk::<NUMBER_BYTES>()?;
    *at += NUMBER_BYTES;
    Some(u32::from_le_bytes(*bytes))
}

fn text(message: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let length = number(message, at)? as usize;
    let range = *at..at.checked_add(length).filter(|&end| end <= message.len())?;
    *at = range.end;
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
