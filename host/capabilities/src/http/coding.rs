//! The content codings of a response (RFC 9110, 8.4.1).

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Codings of one response, as many as undici and curl take.
pub(super) const CODINGS_MAX: usize = 5;

/// The `Accept-Encoding` of requests without one of their own.
pub(super) const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// A content coding that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// Its name in the registry of content codings.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// KiB that a decoder holds at most, which is its window above all: RFC 1951, 2; RFC 7932, 9.1; RFC 9659.
    pub(super) fn window_kib(self) -> u32 {
        match self {
            Self::Gzip | Self::Deflate => 64,
            Self::Brotli => 16 << 10,
            Self::Zstd => 8 << 10,
        }
    }

    /// The codings of a response, in the order in which they were applied. None where nothing can be decoded because
    /// one of them is unknown: the body is then given as it is. Names are compared without case, `identity` is no
    /// coding, and empty elements of the list are passed over (RFC 9110, 5.6.1).
    ///
    /// # Errors
    /// How many there are, if there are more than [`CODINGS_MAX`].
    pub(super) fn of(headers: &HeaderMap) -> Result<Vec<Self>, usize> {
        let mut codings = Vec::new();
        let (mut count, mut known) = (0, true);
        for value in headers.get_all(CONTENT_ENCODING) {
            for element in value.as_bytes().split(|byte| *byte == b',') {
                let coding = match element.trim_ascii().to_ascii_lowercase().as_slice() {
                    b"" => continue,
                    b"identity" => None,
                    b"gzip" | b"x-gzip" => Some(Self::Gzip),
                    b"deflate" => Some(Self::Deflate),
                    b"br" => Some(Self::Brotli),
                    b"zstd" => Some(Self::Zstd),
                    _ => {
                        known = false;
                        None
                    }
                };
                codings.extend(coding);
                count += 1;
            }
        }
        if count > CODINGS_MAX {
            return Err(count);
        }
        Ok(if known { codings } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn codings_are_read_as_servers_write_them() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        #[track_caller]
        fn check(values: &[&'static str], expected: Result<&[Coding], usize>) {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(Coding::of(&headers), expected.map(<[_]>::to_vec), "{values:?}");
        }
        check(&[], Ok(&[]));
        check(&[""], Ok(&[]));
        check(&["GZIP"], Ok(&[Gzip]));
        check(&["X-GZip"], Ok(&[Gzip]));
        check(&["gzip ,\tbr"], Ok(&[Gzip, Brotli]));
        check(&["gzip", "br"], Ok(&[Gzip, Brotli]));
        check(&[", deflate,,zstd,"], Ok(&[Deflate, Zstd]));
        check(&["identity"], Ok(&[]));
        check(&["identity, gzip"], Ok(&[Gzip]));
        check(&["compress, gzip"], Ok(&[]));
        check(&["gzip, br, gzip, zstd, deflate"], Ok(&[Gzip, Brotli, Gzip, Zstd, Deflate]));
        check(&["gzip, gzip, gzip", "gzip, gzip, gzip"], Err(6));
    }
}
