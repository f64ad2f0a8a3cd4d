//! The end of a sign-in with a browser: the redirect to a port of this machine (RFC 8252, section 7.3).

use super::identity::Metadata;
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure};
use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// The path to which the provider sends the browser.
const PATH: &str = "/callback";
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long a request may take: browsers open connections on which nothing comes.
const REQUEST: Duration = Duration::from_secs(10);
/// Connections at a time.
const CONNECTIONS: usize = 32;

/// What a request to the port says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing that was asked for: another path, or another sign-in.
    Other,
    /// The authorization code.
    Code(String),
    /// The provider refuses, with this code.
    Refused(String),
}

/// Whether a URL is of this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    url.scheme() == "http" && (host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

fn io(error: std::io::Error) -> Failure {
    Failure::new(CliErrorCode::Io, format_args!("cannot listen on this machine: {error}"))
}

/// Listens on a port that the system chooses; the listener, and the redirect URI.
pub(super) async fn listen() -> Result<(TcpListener, String), Failure> {
    // By its number: `localhost` may be something else (RFC 8252, section 8.3).
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io)?;
    let port = listener.local_addr().map_err(io)?.port();
    Ok((listener, format!("http://{}:{port}{PATH}", Ipv4Addr::LOCALHOST)))
}

/// The authorization code that the browser brings. Requests that are something else are told so, and end nothing: any
/// page may send some here.
///
/// # Errors
/// `sign-in-failed` if the provider refuses, `io`.
pub(super) async fn receive_code(listener: TcpListener, state: &str, metadata: &Metadata) -> Result<String, Failure> {
    let issuer: Arc<str> = metadata.issuer.as_str().into();
    let (state, needs_issuer) = (Arc::<str>::from(state), metadata.authorization_response_iss_parameter_supported);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let (sender, mut answers) = mpsc::channel(1);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(io)?;
                let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
                let (sender, state, issuer) = (sender.clone(), Arc::clone(&state), Arc::clone(&issuer));
                tokio::spawn(async move {
                    let answer = timeout(REQUEST, serve(stream, |target| read(target, &state, &issuer, needs_issuer)));
                    if let Ok(Some(answer)) = answer.await {
                        let _ = sender.send(answer).await; // the first is enough
                    }
                    drop(permit);
                });
            }
            Some(answer) = answers.recv() => match answer {
                Answer::Code(code) => return Ok(code),
                Answer::Refused(code) => {
                    let message = format!("the identity provider refuses: {}", plain(&code));
                    return Err(Failure::new(CliErrorCode::SignInFailed, message));
                }
                Answer::Other => {}
            },
        }
    }
}

/// Responds to a request; what it says, if it is the end of the sign-in.
async fn serve(mut stream: TcpStream, read: impl Fn(&str) -> Answer) -> Option<Answer> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&piece[..count]);
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
    let target = line.and_then(|line| line.strip_prefix("GET ")?.split(' ').next()).unwrap_or_default();
    let answer = read(target);
    let (status, text) = match &answer {
        Answer::Code(_) => ("200 OK", "You are signed in. You can close this window.\n"),
        Answer::Refused(_) => ("200 OK", "The sign-in failed; the command line says why. You can close this window.\n"),
        Answer::Other => ("404 Not Found", "This is not the end of a sign-in.\n"),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = stream.write_all(response.as_bytes()).await; // the browser may have left
    let _ = stream.shutdown().await;
    (answer != Answer::Other).then_some(answer)
}

/// Reads the target of a request. Only with the state of this sign-in, and of this issuer (RFC 9207), it is an answer.
fn read(target: &str, state: &str, issuer: &str, needs_issuer: bool) -> Answer {
    let Ok(url) = Url::parse(&format!("http://127.0.0.1{target}")) else { return Answer::Other };
    let value = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    let is_of_issuer = match value("iss") {
        Some(named) => named == issuer,
        None => !needs_issuer,
    };
    if url.path() != PATH || value("state").as_deref() != Some(state) || !is_of_issuer {
        return Answer::Other;
    }
    match (value("error"), value("code")) {
        (Some(error), _) => Answer::Refused(error),
        (None, Some(code)) => Answer::Code(code),
        (None, None) => Answer::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_sign_in_is_one() {
        let issuer = "https://id.test";
        let read = |target: &str, needs_issuer: bool| read(target, "s1", issuer, needs_issuer);
        let code = Answer::Code("c d".to_owned());
        assert_eq!(read("/callback?state=s1&code=c%20d", false), code);
        assert_eq!(read("/callback?code=c%20d&iss=https%3A%2F%2Fid.test&state=s1", true), code);
        let refused = Answer::Refused("access_denied".to_owned());
        assert_eq!(read("/callback?state=s1&error=access_denied", false), refused);
        for other in [
            "",
            "/",
            "/favicon.ico",
            "/callback",
            "/callback?code=c",
            "/callback?state=s2&code=c",
            "/callback?state=s1",
            "/callback?state=s1&code=c&iss=https%3A%2F%2Fevil.test",
            "/other?state=s1&code=c",
            "@evil.test/callback",
        ] {
            assert_eq!(read(other, false), Answer::Other, "{other}");
        }
        assert_eq!(read("/callback?state=s1&code=c", true), Answer::Other, "the issuer was left out");
    }

    #[tokio::test]
    async fn a_port_waits_for_the_answer_and_for_nothing_else() {
        let metadata = r#"{ "issuer": "https://id.test", "authorization_endpoint": "", "token_endpoint": "" }"#;
        let metadata: Metadata = serde_json::from_str(metadata).expect("metadata");
        let (listener, uri) = listen().await.expect("it listens");
        let address = uri.trim_start_matches("http://").trim_end_matches(PATH).to_owned();
        let get = async |target: &str| {
            let mut stream = TcpStream::connect(&address).await.expect("it is there");
            let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.expect("written");
            let mut response = String::new();
            stream.read_to_string(&mut response).await.expect("a response");
            response
        };
        let ask = async {
            let _idle = TcpStream::connect(&address).await.expect("as browsers do");
            assert!(get("/favicon.ico").await.starts_with("HTTP/1.1 404"));
            assert!(get("/callback?state=wrong&code=c").await.starts_with("HTTP/1.1 404"));
            assert!(get("/callback?state=s1&code=right").await.contains("You are signed in"));
        };
        let (code, ()) = tokio::join!(receive_code(listener, "s1", &metadata), ask);
        assert_eq!(code.expect("the code"), "right");
    }
}
