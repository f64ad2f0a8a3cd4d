//! TLS to a server, as the parameters `sslmode` and `sslrootcert` of its URL ask for it: libpq's, whose names and
//! meanings every client of PostgreSQL shares. The driver knows three modes and no certificates, so they are read here
//! and taken out of what it gets.

use elias_host::capability::ConfigureError;
use std::io::{self, Read};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

/// Bytes of a file with certificates.
const FILE_BYTES: u64 = 1 << 20;

/// The request of a client to speak TLS.
const REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// How a connection is to be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Not at all.
    Disable,
    /// From those who only listen, where the server can.
    Prefer,
    /// From those who only listen.
    Require,
    /// The server has a certificate of a trusted authority.
    VerifyCa,
    /// And its certificate is for the name in the URL.
    VerifyFull,
}

/// The TLS parameters of a URL.
#[derive(Clone)]
pub(super) struct Tls {
    mode: Mode,
    config: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// Takes the parameters about TLS out of a URL, or out of a text of `key=value`.
    ///
    /// # Errors
    /// A mode that there is not, or certificates that cannot be read.
    pub(super) fn take(url: &str) -> Result<(String, Self), ConfigureError> {
        let (rest, mode, roots) = split(url);
        let mode = match mode.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("prefer" | "allow") => Mode::Prefer,
            Some("disable") => Mode::Disable,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(_) => return Err(invalid("sslmode must be one of disable, prefer, require, verify-ca, verify-full")),
        };
        let verifies = matches!(mode, Mode::VerifyCa | Mode::VerifyFull);
        if roots.is_some() && !verifies {
            return Err(invalid("sslrootcert is looked at with sslmode=verify-full (or verify-ca) alone: add that"));
        }
        let config = if mode == Mode::Disable { None } else { Some(config(mode, roots.as_deref())?) };
        Ok((rest, Self { mode, config }))
    }

    /// Speaks TLS on a connection to this host, if it is to be. None: the server has none, and that is allowed.
    pub(super) async fn start(&self, mut stream: TcpStream, host: &str) -> io::Result<ServerStream> {
        let Some(config) = &self.config else { return Ok(ServerStream::Plain(stream)) };
        stream.write_all(&REQUEST).await?;
        // One byte and none more: what else came with it would be read as if it had been protected.
        if stream.read_u8().await? != b'S' {
            return if self.mode == Mode::Prefer {
                Ok(ServerStream::Plain(stream))
            } else {
                Err(io::Error::new(io::ErrorKind::Unsupported, "the server does not speak TLS"))
            };
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let protected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        Ok(ServerStream::Protected(Box::new(protected)))
    }

    /// Whether a server with which TLS fails may be spoken to without.
    pub(super) fn may_do_without(&self) -> bool {
        self.mode == Mode::Prefer
    }

    /// The same without TLS.
    pub(super) fn disabled() -> Self {
        Self { mode: Mode::Disable, config: None }
    }
}

/// A connection.
pub(super) enum ServerStream {
    Plain(TcpStream),
    Protected(Box<TlsStream<TcpStream>>),
}

fn invalid(why: &str) -> ConfigureError {
    ConfigureError::Invalid(format!("url: {why}"))
}

/// A URL without `sslmode` and `sslrootcert`, and their values.
fn split(url: &str) -> (String, Option<String>, Option<String>) {
    let (mut mode, mut roots) = (None, None);
    let mut keep = |pair: &str, decode: bool| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = if decode { percent_decoded(value) } else { value.trim_matches('\'').to_owned() };
        match name.trim() {
            "sslmode" => mode = Some(value),
            "sslrootcert" => roots = Some(value),
            _ => return true,
        }
        false
    };
    let rest = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        match url.split_once('?') {
            None => url.to_owned(),
            Some((base, query)) => {
                let kept: Vec<&str> = query.split('&').filter(|pair| keep(pair, true)).collect();
                if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
            }
        }
    } else {
        pairs(url).into_iter().filter(|pair| keep(pair, false)).collect::<Vec<_>>().join(" ")
    };
    (rest, mode, roots)
}

/// The pairs of a text `key=value key='a value'`.
fn pairs(text: &str) -> Vec<&str> {
    let (mut pairs, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'\'' => quoted = !quoted,
            _ if byte.is_ascii_whitespace() && !quoted => {
                pairs.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(&text[start..]);
    pairs.retain(|pair| !pair.is_empty());
    pairs
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn config(mode: Mode, roots: Option<&str>) -> Result<Arc<ClientConfig>, ConfigureError> {
    let provider = Arc::new(ring::default_provider());
    let lenient = |chain| Arc::new(LenientVerifier { provider: Arc::clone(&provider), chain });
    let verifier: Arc<dyn ServerCertVerifier> = if matches!(mode, Mode::VerifyCa | Mode::VerifyFull) {
        let roots = Arc::new(root_certificates(roots)?);
        let full = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|_| invalid("sslrootcert must contain the certificate of a certificate authority"))?;
        if mode == Mode::VerifyFull { full } else { lenient(Some(full)) }
    } else {
        lenient(None)
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| invalid("TLS cannot be set up"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The authorities of a file, or those that browsers trust.
fn root_certificates(file: Option<&str>) -> Result<RootCertStore, ConfigureError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file.filter(|file| *file != "system") else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let pem = read(file).ok_or_else(|| invalid("the file that sslrootcert names cannot be read"))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| invalid("the file that sslrootcert names must contain PEM certificates"))?;
    }
    Ok(roots)
}

/// A file of some certificates, and nothing that is none, or has no end.
fn read(file: &str) -> Option<Vec<u8>> {
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut pem = Vec::new();
    std::fs::File::open(file).ok()?.take(FILE_BYTES).read_to_end(&mut pem).ok()?;
    Some(pem)
}

/// Verifies less than a client of the web does, as libpq's modes below `verify-full` do: that the server has the key of
/// its certificate, and, with `chain`, that a trusted authority issued it, for whatever name.
#[derive(Debug)]
struct LenientVerifier {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for LenientVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The name is verified last: a certificate that fails there has passed everything else.
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_tls_is_taken_out() {
        for (url, rest, mode, roots) in [
            ("postgres://u:p@h/d", "postgres://u:p@h/d", None, None),
            ("postgres://u@h/d?sslmode=require", "postgres://u@h/d", Some("require"), None),
            (
                "postgresql://u@h/d?a=b&sslrootcert=%2Fetc%2Fca%20x.pem&sslmode=verify-full",
                "postgresql://u@h/d?a=b",
                Some("verify-full"),
                Some("/etc/ca x.pem"),
            ),
            ("host=h password='a sslmode=x' sslmode=disable", "host=h password='a sslmode=x'", Some("disable"), None),
        ] {
            assert_eq!(split(url), (rest.to_owned(), mode.map(str::to_owned), roots.map(str::to_owned)), "{url}");
        }
    }

    #[test]
    fn modes_and_files_that_there_are_not_are_told() {
        for url in [
            "postgres://u@h/d?sslmode=perhaps",
            "postgres://u@h/d?sslrootcert=/x",
            "postgres://u@h/d?sslmode=require&sslrootcert=/x",
            "postgres://u@h/d?sslmode=verify-full&sslrootcert=/no/such/file",
            "postgres://u@h/d?sslmode=verify-full&sslrootcert=/dev/zero",
        ] {
            let refused = Tls::take(url).err();
            assert!(
                matches!(&refused, Some(ConfigureError::Invalid(why)) if why.contains("ssl")),
                "{url}: {refused:?}"
            );
        }
        assert!(Tls::take("postgres://u@h/d?sslmode=verify-full").is_ok());
    }
}
