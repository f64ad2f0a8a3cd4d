//! `--9p`: the service workers of a platform as files.

use crate::service_files::ServiceFiles;
use elias_command_line::{CliErrorCode, Failure, PlatformArguments};
use elias_nine_p::{Endpoint, Limits, ListenError, Server, Tls};
use elias_platform::Platform;
use std::sync::Arc;

/// Listens where the arguments say; nowhere without any.
///
/// # Errors
/// `config` for an endpoint, a certificate or a key that cannot be used, `io` if the system refuses.
pub(super) async fn bind(arguments: &PlatformArguments, platform: &Platform) -> Result<Server, Failure> {
    let endpoints = endpoints(&arguments.nine_p)?;
    let tls = match (&arguments.nine_p_certificate, &arguments.nine_p_key) {
        (Some(certificate), Some(key)) => Some(Tls::read(certificate, key).map_err(|error| failure(&error))?),
        _ => None,
    };
    let files = Arc::new(ServiceFiles::new(platform.clone()));
    Server::bind(&endpoints, tls.as_ref(), files, Limits::default()).await.map_err(|error| failure(&error))
}

fn endpoints(given: &[String]) -> Result<Vec<Endpoint>, Failure> {
    let malformed =
        |text: &str, error: String| Failure::new(CliErrorCode::Config, format_args!("--9p {text}: {error}"));
    given.iter().map(|text| text.parse().map_err(|error: String| malformed(text, error))).collect()
}

fn failure(error: &ListenError) -> Failure {
    match error {
        ListenError::PlainTcp(_) => Failure::new(CliErrorCode::Config, format_args!("--9p: {error}"))
            .help("give --9p-certificate and --9p-key, or listen on 127.0.0.1 and have a tunnel before it"),
        ListenError::Certificate { .. } => Failure::new(CliErrorCode::Config, format_args!("--9p: {error}")),
        ListenError::Io(..) => Failure::new(CliErrorCode::Io, error).help("choose another endpoint with --9p"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_checked() {
        let given = ["unix:/run/9p".to_owned(), "tcp:127.0.0.1:564".to_owned()];
        assert_eq!(endpoints(&given).map(|endpoints| endpoints.len()).map_err(|failure| failure.to_string()), Ok(2));
        let failure = endpoints(&["/run/9p".to_owned()]).expect_err("no endpoint").to_string();
        assert!(failure.contains("--9p /run/9p") && failure.contains("unix:/PATH"), "{failure}");
    }

    #[test]
    fn plain_tcp_says_what_to_do() {
        let text = failure(&ListenError::PlainTcp("0.0.0.0:564".to_owned())).to_string();
        assert!(text.contains("0.0.0.0:564") && text.contains("--9p-certificate"), "{text}");
    }
}
