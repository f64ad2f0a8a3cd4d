//! Headers that a script has no say in: they belong to one connection and not to the message (RFC 9110, section 7.6.1),
//! or say where the message goes. The host writes them, and `wasi:http` refuses them. Scripts copy them along with
//! others, from one message to the next; so they are left out, as Fetch's "forbidden request-header" has it, and not
//! refused.

const CONNECTION_HEADERS: [&str; 9] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// The headers that servers alone decide on.
const SERVER_HEADERS: [&str; 2] = ["te", "trailer"];

fn is_among(headers: &[&str], name: &str) -> bool {
    headers.iter().any(|header| name.eq_ignore_ascii_case(header))
}

/// Whether the header is left out of requests that a script makes.
pub(super) fn left_out_of_request(name: &str) -> bool {
    is_among(&CONNECTION_HEADERS, name)
}

/// Whether the header is left out of responses.
pub(super) fn left_out_of_response(name: &str) -> bool {
    is_among(&CONNECTION_HEADERS, name) || is_among(&SERVER_HEADERS, name)
}
