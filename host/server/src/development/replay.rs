//! Sending a request again: by a connection of its own to this server, so that it goes the way of all others.

use super::requests::{self, RecordedRequest};
use super::{Console, no_request};
use crate::admin::{ApiPath, Problem};
use crate::body::CapturedBody;
use crate::headers::{EXECUTION_ID, strip_hop_by_hop};
use axum::Json;
use axum::extract::State;
use elias_api::{Code, Error};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST};
use http::{HeaderValue, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How long the response is waited for, and its end.
const WAIT: Duration = Duration::from_secs(120);

/// Bytes of the response that are read; the connection is closed after them.
const RESPONSE_BYTES_MAX: u64 = 16 << 20;

/// Sends a request again, with the same method, target, headers and body; what comes of it is the response, and a
/// further request in the list.
pub(super) async fn replay(
    State(console): State<Console>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<Value>, Problem> {
    let recorded = console.0.requests.find(&id).ok_or_else(|| no_request(&id))?;
    if let Some(reason) = recorded.not_replayable() {
        return Err(Error::new(Code::WrongState, format!("the request cannot be sent again: {reason}")).into());
    }
    let sending = send(&recorded, reachable(console.0.address));
    let sent = tokio::time::timeout(WAIT, sending).await;
    let late = |_| Error::new(Code::AnswerTimeout, format!("the response has not ended within {} s", WAIT.as_secs()));
    Ok(Json(sent.map_err(late)??))
}

async fn send(recorded: &RecordedRequest, address: SocketAddr) -> Result<Value, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(Code::Internal, format!("no response: {error}"));
    let begun = Instant::now();
    let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request(recorded)?).await.map_err(|error| failed(&error));
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            connection.abort();
            return Err(error);
        }
    };
    let (parts, mut body) = response.into_parts();
    let (captured, mut bytes) = (CapturedBody::default(), 0);
    let mut cut = None;
    loop {
        match body.frame().await {
            None => {
                captured.end();
                break;
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    captured.push(data);
                    bytes += data.len() as u64;
                }
                if bytes > RESPONSE_BYTES_MAX {
                    cut = Some("it is longer than what is read of it".to_owned());
                    break;
                }
            }
            Some(Err(error)) => {
                cut = Some(error.to_string());
                break;
            }
        }
    }
    connection.abort();
    let execution = parts.headers.get(EXECUTION_ID).and_then(|id| id.to_str().ok());
    Ok(json!({
        "status": parts.status.as_u16(),
        "duration_us": u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        "execution": execution,
        "cut": cut,
        "headers": requests::list(&parts.headers),
        "body": requests::body(&captured.beginning()),
    }))
}

/// The request in HTTP/1.1, without what was for its connection.
fn request(recorded: &RecordedRequest) -> Result<Request<Full<bytes::Bytes>>, Error> {
    let body = recorded.body.beginning.clone();
    let has_body = !body.is_empty() || recorded.headers.contains_key(CONTENT_LENGTH);
    let mut headers = recorded.headers.clone();
    strip_hop_by_hop(&mut headers);
    for name in [EXPECT, CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if has_body {
        headers.insert(CONTENT_LENGTH, body.len().into());
    }
    if let Some(authority) = &recorded.authority
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(HOST, host);
    }
    let request = Request::builder().method(recorded.method.clone()).uri(&recorded.target).version(Version::HTTP_11);
    let mut request = request.body(Full::new(body)).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The address by which this machine reaches a server that listens on `address`: the loopback one if it listens on all.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_on_all_addresses_is_reached_by_the_loopback_one() {
        for (listens, wanted) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:2", "[::1]:2"),
            ("192.168.1.7:3", "192.168.1.7:3"),
            ("127.0.0.2:4", "127.0.0.2:4"),
        ] {
            let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
            assert_eq!(reachable(address(listens)), address(wanted));
        }
    }
}
