//! The client's errors in the terms of `wasi:http`.

use std::error::Error as StdError;
use std::io;
use wasmtime_wasi_http::Error;

/// A name has no address that may be dialled.
#[derive(Debug, thiserror::Error)]
#[error("all addresses of this name are prohibited")]
pub(super) struct ProhibitedAddress;

/// The error for a failure of the client; if the request's body could not be sent, the error for that. Its text
/// stays here: it can name addresses.
pub(super) fn from_client(error: &reqwest::Error, body: Option<&RequestBodyError>) -> Error {
    tracing::debug!(?error, "an outgoing request failed");
    if chain(error).any(<dyn StdError>::is::<ProhibitedAddress>) {
        return Error::DestinationIpProhibited;
    }
    if let Some(failed) = body {
        return failed.meaning();
    }
    if error.is_timeout() {
        return if error.is_connect() { Error::ConnectionTimeout } else { Error::ConnectionReadTimeout };
    }
    // The TLS library's error is inside of an io::Error that shows it and hides its type.
    let speaks_of = |word| chain(error).any(|cause| cause.to_string().contains(word));
    if error.is_connect() && (speaks_of("certificate") || speaks_of("fatal alert")) {
        return Error::TlsCertificateError;
    }
    let io = chain(error).find_map(<dyn StdError>::downcast_ref::<io::Error>);
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
        Some(io::ErrorKind::TimedOut) => Error::ConnectionTimeout,
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => {
            Error::ConnectionTerminated
        }
        _ if error.is_decode() => Error::HttpResponseContentCoding(None),
        _ if speaks_of("dns error") => Error::DnsError { rcode: None, info_code: None },
        _ if error.is_connect() => Error::DestinationUnavailable,
        _ if error.is_body() => Error::HttpResponseIncomplete,
        _ => Error::HttpProtocolError,
    }
}

/// Why the guest's body could not be sent.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum RequestBodyError {
    #[error("it has more bytes than it may")]
    TooLarge(u64),
    #[error("the guest broke it off")]
    Broken,
}

impl RequestBodyError {
    fn meaning(&self) -> Error {
        match self {
            Self::TooLarge(bytes) => Error::HttpRequestBodySize(Some(*bytes)),
            Self::Broken => Error::HttpProtocolError,
        }
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}
