//! The messages of `elias:component/fetch`: requests as a guest gets them, and its responses. `wit/world.wit` has their
//! layout.

use bytes::{Buf, Bytes};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request};
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

/// Bytes of a response that is a message: more than the engine puts into one, and little enough to be copied at once.
const RESPONSE_BYTES_MAX: usize = 256 << 10;

/// Header fields of such a response.
const FIELDS_MAX: u32 = 4_096;

/// Why a request has no message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum BadRequest {
    #[error("the request has neither an authority in its URI nor a `host` header")]
    NoAuthority,
    #[error("the request's `host` header has characters that are not ASCII")]
    BadHost,
}

/// The defect of a message from a guest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum BadResponse {
    #[error("the guest's response has {0} bytes; as a message it has at most {RESPONSE_BYTES_MAX}")]
    TooLarge(usize),
    #[error("the guest's response has {0} header fields; it has at most {FIELDS_MAX}")]
    TooManyFields(u32),
    #[error("the guest's response ends within its headers")]
    CutShort,
    #[error("the guest's response has a status that is not one")]
    Status,
    #[error("the guest's response has a header that is not valid, or not a response's to set")]
    Header,
}

/// The message of a request whose body is `body`, or is not in the message if that is empty.
pub(super) fn request(parts: &request::Parts, body: &[Bytes]) -> Result<Vec<u8>, BadRequest> {
    let authority = match (parts.uri.authority(), parts.headers.get(HOST)) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => host.to_str().map_err(|_| BadRequest::BadHost)?,
        (None, None) => return Err(BadRequest::NoAuthority),
    };
    let scheme = if parts.uri.scheme_str() == Some("https") { "https" } else { "http" };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    // Fields of the connection are not the guest's.
    let fields = || parts.headers.iter().filter(|(name, _)| !DEFAULT_FORBIDDEN_HEADERS.contains(name));
    let texts = [parts.method.as_str(), scheme, authority, path];
    let head_bytes: usize = texts.iter().map(|text| 4 + text.len()).sum();
    let fields_bytes: usize = fields().map(|(name, value)| 8 + name.as_str().len() + value.len()).sum();
    let body_bytes: usize = body.iter().map(Bytes::len).sum();
    let mut message = Vec::with_capacity(head_bytes + 4 + fields_bytes + body_bytes);
    texts.iter().for_each(|text| put(&mut message, text.as_bytes()));
    put_number(&mut message, fields().count());
    for (name, value) in fields() {
        put(&mut message, name.as_str().as_bytes());
        put(&mut message, value.as_bytes());
    }
    body.iter().for_each(|piece| message.extend_from_slice(piece));
    Ok(message)
}

fn put_number(message: &mut Vec<u8>, number: usize) {
    // A guest's memory, for which the message is, has less than 4 GiB.
    message.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn put(message: &mut Vec<u8>, text: &[u8]) {
    put_number(message, text.len());
    message.extend_from_slice(text);
}

/// The response that a message is, checked as `wasi:http` checks one.
pub(super) fn response(message: Vec<u8>) -> Result<http::Response<Bytes>, BadResponse> {
    if message.len() > RESPONSE_BYTES_MAX {
        return Err(BadResponse::TooLarge(message.len()));
    }
    let mut rest = Bytes::from(message);
    let status = rest.try_get_u16_le().map_err(|_| BadResponse::CutShort)?;
    let status = StatusCode::from_u16(status).map_err(|_| BadResponse::Status)?;
    let count = rest.try_get_u32_le().map_err(|_| BadResponse::CutShort)?;
    if count > FIELDS_MAX {
        return Err(BadResponse::TooManyFields(count));
    }
    let mut headers = HeaderMap::with_capacity(count.min(16) as usize);
    for _ in 0..count {
        let (name, value) = (text(&mut rest)?, text(&mut rest)?);
        let name = HeaderName::from_bytes(&name).map_err(|_| BadResponse::Header)?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| BadResponse::Header)?;
        if DEFAULT_FORBIDDEN_HEADERS.contains(&name) || headers.try_append(name, value).is_err() {
            return Err(BadResponse::Header);
        }
    }
    let mut response = http::Response::new(rest);
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}

fn text(rest: &mut Bytes) -> Result<Bytes, BadResponse> {
    let length = rest.try_get_u32_le().map_err(|_| BadResponse::CutShort)? as usize;
    if length > rest.len() {
        return Err(BadResponse::CutShort);
    }
    Ok(rest.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(request: request::Builder) -> request::Parts {
        request.body(()).expect("well formed").into_parts().0
    }

    fn texts(texts: &[&str]) -> Vec<u8> {
        let mut message = Vec::new();
        texts.iter().for_each(|text| put(&mut message, text.as_bytes()));
        message
    }

    #[test]
    fn a_request_has_its_head_without_what_is_the_connections_and_its_body() {
        let request = http::Request::post("/a?b=c").header("Host", "example.com").header("Connection", "close");
        let request = parts(request.header("X-One", "1").header("x-one", "2"));
        let body = [Bytes::from_static(b"ab"), Bytes::from_static(b"c")];
        let wanted = [
            texts(&["POST", "http", "example.com", "/a?b=c"]),
            2_u32.to_le_bytes().to_vec(),
            texts(&["x-one", "1", "x-one", "2"]),
            b"abc".to_vec(),
        ];
        assert_eq!(super::request(&request, &body), Ok(wanted.concat()));
        let https = parts(http::Request::get("https://a:1/"));
        assert_eq!(super::request(&https, &[]), Ok([texts(&["GET", "https", "a:1", "/"]), vec![0; 4]].concat()));
        assert_eq!(super::request(&parts(http::Request::get("/")), &[]), Err(BadRequest::NoAuthority));
        let host = parts(http::Request::get("/").header("host", HeaderValue::from_bytes(b"\xff").expect("a value")));
        assert_eq!(super::request(&host, &[]), Err(BadRequest::BadHost));
    }

    fn message(status: u16, count: u32, fields: &[&str], body: &[u8]) -> Vec<u8> {
        [&status.to_le_bytes()[..], &count.to_le_bytes(), &texts(fields), body].concat()
    }

    #[test]
    fn a_response_has_status_fields_and_body() {
        let given = response(message(404, 2, &["x-one", "1", "X-One", "\u{e9}"], b"not here")).expect("a response");
        assert_eq!(given.status(), 404);
        let values: Vec<_> = given.headers().get_all("x-one").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"1"[..], "\u{e9}".as_bytes()]);
        assert_eq!(given.body(), &Bytes::from_static(b"not here"));
    }

    #[test]
    fn what_is_not_a_response_is_refused_wherever_it_ends() {
        let whole = message(200, 1, &["a", "b"], b"");
        for length in 0..whole.len() {
            assert_eq!(response(whole[..length].to_vec()).expect_err("cut short"), BadResponse::CutShort, "{length}");
        }
        let refused = |message| response(message).expect_err("refused");
        assert_eq!(refused(message(99, 0, &[], b"")), BadResponse::Status);
        assert_eq!(refused(message(200, 4_097, &[], b"")), BadResponse::TooManyFields(4_097));
        let large = message(200, 0, &[], &vec![0; RESPONSE_BYTES_MAX]);
        assert_eq!(refused(large.clone()), BadResponse::TooLarge(large.len()));
        for field in [["a b", "c"], ["", "c"], ["a", "b\r\nc: d"], ["connection", "close"], ["Transfer-Encoding", "x"]]
        {
            assert_eq!(refused(message(200, 1, &field, b"")), BadResponse::Header, "{field:?}");
        }
        let mut huge = message(200, 1, &[], b"");
        huge.extend_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(refused(huge), BadResponse::CutShort);
    }
}
