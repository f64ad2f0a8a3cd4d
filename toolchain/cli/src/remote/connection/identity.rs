//! Tokens of the identity provider of a platform: by a browser on this machine (RFC 8252, with PKCE) or on another
//! device (RFC 8628), and newer ones by a refresh token.
//!
//! The tokens are not read here. The platform checks them, and it alone says who they are for.

use super::client::refused;
use super::loopback;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use elias_api::SignInClient;
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure};
use rand::RngCore;
use rand::rngs::OsRng;
use reqwest::header::ACCEPT;
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::{sleep, timeout};

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a sign-in with a browser may take.
const SIGN_IN: Duration = Duration::from_secs(300);
/// How long a sign-in on another device may take at the most, whatever the provider says.
const DEVICE_MAX: Duration = Duration::from_secs(1_800);
/// Bytes of a document of the provider.
const BYTES_MAX: usize = 1 << 20;
/// How long before its end a token is replaced: the request that it is for takes its time.
const EARLY: Duration = Duration::from_secs(60);
/// The scope with which a provider gives refresh tokens (OpenID Connect Core 1.0, section 11).
const OFFLINE: &str = "offline_access";

/// What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    /// Whether every answer has the issuer (RFC 9207).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// The means to replace a token before it expires.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Renewal {
    token_endpoint: String,
    client_id: String,
    refresh_token: String,
    uses_id_token: bool,
    /// When the token expires, in milliseconds since 1970.
    expires_at: u64,
}

/// A token for the platform, and the means to replace it if there are any.
pub(crate) struct ProviderToken {
    pub(crate) token: String,
    pub(crate) renewal: Option<Renewal>,
}

/// The provider's response to a code, a device's code or a refresh token.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenResponse {
    access_token: Option<String>,
    id_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
    error: Option<String>,
}

/// The response to a request for a device's code (RFC 8628, section 3.2).
#[derive(Deserialize)]
struct DeviceAuthorization {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// The identity provider of a platform, for its users on the command line.
pub(crate) struct IdentityProvider {
    client: SignInClient,
    metadata: Metadata,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

fn failed(why: impl fmt::Display) -> Failure {
    Failure::new(CliErrorCode::SignInFailed, why).help("run the command again; `elias login URL` takes a token instead")
}

fn random() -> String {
    let mut bytes = [0; 32];
    OsRng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn client() -> Result<(reqwest::Client, tokio::runtime::Runtime), Failure> {
    let io = |error: &dyn fmt::Display| Failure::new(CliErrorCode::Io, error);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    let http = http.user_agent(concat!("elias/", env!("CARGO_PKG_VERSION"))).build().map_err(|error| io(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| io(&error))?;
    Ok((http, runtime))
}

/// The response to a request, of bounded size.
async fn exchange(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Failure> {
    let unreachable = |error: reqwest::Error| {
        let url = error.url().map(|url| plain(url.as_str())).unwrap_or_default();
        Failure::new(CliErrorCode::Unreachable, format_args!("{url} does not respond: {}", plain(&error.to_string())))
    };
    let mut response = request.header(ACCEPT, "application/json").send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > BYTES_MAX {
            return Err(failed("the response of the identity provider is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status(), body))
}

fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| failed(format_args!("{what} cannot be read: {error}")))
}

impl IdentityProvider {
    /// The provider of the platform at a URL.
    ///
    /// # Errors
    /// `not-found` if the platform names none, `unreachable`, `sign-in-failed` if the provider cannot be used.
    pub(crate) fn of_platform(url: &str) -> Result<Self, Failure> {
        let (http, runtime) = client()?;
        let base = Url::parse(url).map_err(|error| Failure::new(CliErrorCode::BadUrl, error))?;
        let (client, metadata) = runtime.block_on(async {
            let (status, body) = exchange(http.get(format!("{url}/v1/sign-in"))).await?;
            if !status.is_success() {
                return Err(refused(&base, status, &body));
            }
            let client: SignInClient = read("the platform's response", &body)?;
            // Whoever changes the document on its way says where the rest is sent.
            check_encrypted(&client.issuer)?;
            let document = format!("{}/.well-known/openid-configuration", client.issuer.trim_end_matches('/'));
            let (status, body) = exchange(http.get(&document)).await?;
            if !status.is_success() {
                return Err(failed(format_args!("{} has status {status}", plain(&document))));
            }
            let metadata: Metadata = read(&plain(&document), &body)?;
            metadata.check(&client.issuer)?;
            Ok((client, metadata))
        })?;
        Ok(Self { client, metadata, http, runtime })
    }

    /// A token for a user who signs in with a browser on this machine.
    ///
    /// # Errors
    /// `sign-in-failed`, `unreachable`, `io`.
    pub(crate) fn by_browser(&self) -> Result<ProviderToken, Failure> {
        self.runtime.block_on(async {
            let (listener, redirect_uri) = loopback::listen().await?;
            let (state, verifier) = (random(), random());
            let url = self.authorization_url(&redirect_uri, &state, &verifier)?;
            eprintln!("Sign in with the browser. If it does not open, open this URL in it:\n\n    {url}\n");
            open_browser(url.as_str());
            let code = timeout(SIGN_IN, loopback::receive_code(listener, &state, &self.metadata)).await;
            let code = code.map_err(|_| failed("nobody signed in within five minutes"))??;
            let form = [
                ("grant_type", "authorization_code"),
                ("code", &*code),
                ("redirect_uri", &*redirect_uri),
                ("code_verifier", &*verifier),
                ("client_id", &*self.client.client_id),
            ];
            let response = ask(&self.http, &self.metadata.token_endpoint, &form).await?;
            self.token_of(response.map_err(|code| failed(format_args!("the provider refuses the code: {code}")))?)
        })
    }

    /// A token for a user who signs in on another device, with a code that is shown here.
    ///
    /// # Errors
    /// `sign-in-failed`, `unreachable`.
    pub(crate) fn by_device(&self) -> Result<ProviderToken, Failure> {
        let endpoint = self.metadata.device_authorization_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| failed("the identity provider has no sign-in on other devices"))?;
        self.runtime.block_on(async {
            let scopes = self.scopes();
            let form = [("client_id", &*self.client.client_id), ("scope", &*scopes)];
            let (status, body) = exchange(self.http.post(endpoint).form(&form)).await?;
            if !status.is_success() {
                return Err(failed(format_args!("the provider gives no code for a device (status {status})")));
            }
            let device: DeviceAuthorization = read("the provider's code for a device", &body)?;
            let (uri, code) = (plain(&device.verification_uri), plain(&device.user_code));
            eprintln!("Open this URL on any device:\n\n    {uri}\n\nand enter the code {code}\n");
            if let Some(uri) = &device.verification_uri_complete {
                eprintln!("The code is already in this URL:\n\n    {}\n", plain(uri));
            }
            self.poll(&device).await
        })
    }

    /// Asks for the token until the user has signed in on the device.
    async fn poll(&self, device: &DeviceAuthorization) -> Result<ProviderToken, Failure> {
        let deadline = Instant::now() + Duration::from_secs(device.expires_in).min(DEVICE_MAX);
        let mut interval = Duration::from_secs(device.interval.unwrap_or(5).clamp(1, 60));
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", &*device.device_code),
            ("client_id", &*self.client.client_id),
        ];
        while Instant::now() + interval < deadline {
            sleep(interval).await;
            match ask(&self.http, &self.metadata.token_endpoint, &form).await? {
                Ok(response) => return self.token_of(response),
                Err(code) if code == "authorization_pending" => {}
                Err(code) if code == "slow_down" => interval += Duration::from_secs(5),
                Err(code) => return Err(failed(format_args!("the provider refuses: {code}"))),
            }
        }
        Err(failed("the code has expired: nobody signed in with it"))
    }

    fn authorization_url(&self, redirect_uri: &str, state: &str, verifier: &str) -> Result<Url, Failure> {
        let mut url = Url::parse(&self.metadata.authorization_endpoint).map_err(failed)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &self.scopes())
            .append_pair("state", state)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())))
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// The scopes to ask for, with that of refresh tokens where the provider has it.
    fn scopes(&self) -> String {
        let scopes = &self.client.scopes;
        let is_offered = self.metadata.scopes_supported.iter().any(|scope| scope == OFFLINE);
        if is_offered && !scopes.split(' ').any(|scope| scope == OFFLINE) {
            return format!("{scopes} {OFFLINE}");
        }
        scopes.clone()
    }

    fn token_of(&self, response: TokenResponse) -> Result<ProviderToken, Failure> {
        let renewal = Renewal {
            token_endpoint: self.metadata.token_endpoint.clone(),
            client_id: self.client.client_id.clone(),
            refresh_token: String::new(),
            uses_id_token: self.client.uses_id_token,
            expires_at: 0,
        };
        renewal.token_of(response)
    }
}

impl Metadata {
    /// Checks that the document is the issuer's, and that nothing goes over a network unencrypted.
    fn check(&self, issuer: &str) -> Result<(), Failure> {
        if self.issuer != issuer {
            return Err(failed(format_args!("the provider says that it is {}", plain(&self.issuer))));
        }
        let endpoints = [&self.authorization_endpoint, &self.token_endpoint];
        endpoints.into_iter().chain(&self.device_authorization_endpoint).try_for_each(|url| check_encrypted(url))
    }
}

/// Checks that nothing goes to a URL over a network unencrypted.
fn check_encrypted(text: &str) -> Result<(), Failure> {
    let url = Url::parse(text).map_err(failed)?;
    if url.scheme() != "https" && !loopback::is_loopback(&url) {
        return Err(failed(format_args!("{} must begin with https:", plain(text))));
    }
    Ok(())
}

impl Renewal {
    /// Whether the token expires soon.
    pub(crate) fn is_due(&self) -> bool {
        now_ms().saturating_add(EARLY.as_millis() as u64) >= self.expires_at
    }

    /// Whether the token has expired.
    pub(crate) fn is_late(&self) -> bool {
        now_ms() >= self.expires_at
    }

    /// A newer token.
    ///
    /// # Errors
    /// `sign-in-failed` if the provider gives none any more, `unreachable`.
    pub(crate) fn renew(&self) -> Result<ProviderToken, Failure> {
        let (http, runtime) = client()?;
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", &*self.refresh_token), ("client_id", &*self.client_id)];
        let response = runtime.block_on(ask(&http, &self.token_endpoint, &form))?;
        self.token_of(response.map_err(|code| failed(format_args!("the provider gives no newer token: {code}")))?)
    }

    /// The token in a response, and how the next one is got: by a new refresh token, or by the same again.
    fn token_of(&self, response: TokenResponse) -> Result<ProviderToken, Failure> {
        let TokenResponse { access_token, id_token, refresh_token, expires_in, .. } = response;
        let token = if self.uses_id_token { id_token } else { access_token };
        let token = token.ok_or_else(|| failed("the provider gives no token of the kind that the platform accepts"))?;
        let refresh_token = refresh_token.unwrap_or_else(|| self.refresh_token.clone());
        let lasts = || now_ms().saturating_add(expires_in.unwrap_or(300).saturating_mul(1_000));
        let expires_at = expiry_of(&token).unwrap_or_else(lasts);
        let renewal = (!refresh_token.is_empty()).then(|| Self { refresh_token, expires_at, ..self.clone() });
        Ok(ProviderToken { token, renewal })
    }
}

/// Sends a form to a token endpoint; the outer error is the connection's, the inner one the provider's code.
async fn ask(
    http: &reqwest::Client,
    endpoint: &str,
    form: &[(&str, &str)],
) -> Result<Result<TokenResponse, String>, Failure> {
    let (status, body) = exchange(http.post(endpoint).form(form)).await?;
    let response: TokenResponse = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(code) = &response.error {
        return Ok(Err(plain(code)));
    }
    Ok(if status.is_success() { Ok(response) } else { Err(format!("status {status}")) })
}

/// When a JSON Web Token says that it expires, in milliseconds since 1970. Nobody has checked what it says: it only
/// decides when a newer one is asked for.
fn expiry_of(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims["exp"].as_u64().map(|seconds| seconds.saturating_mul(1_000))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Opens a URL in the user's browser, if that can be done: the URL is printed too.
fn open_browser(url: &str) {
    let own = std::env::var("BROWSER").ok().filter(|program| !program.is_empty());
    let of_system = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(own.as_deref().unwrap_or(of_system));
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Some of these programs end with the browser.
    std::thread::spawn(move || command.status());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewal(expires_at: u64) -> Renewal {
        Renewal {
            token_endpoint: "https://id.test/token".to_owned(),
            client_id: "elias".to_owned(),
            refresh_token: "first".to_owned(),
            uses_id_token: true,
            expires_at,
        }
    }

    #[test]
    fn a_token_is_replaced_before_it_expires() {
        assert!(renewal(0).is_due() && renewal(0).is_late());
        let soon = renewal(now_ms() + 30_000);
        assert!(soon.is_due() && !soon.is_late());
        assert!(!renewal(now_ms() + 3_600_000).is_due());
    }

    #[test]
    fn the_token_of_the_right_kind_is_taken_and_the_newest_refresh_token_kept() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1700000000}"#);
        let id_token = format!("e30.{claims}.signature");
        let response = |refresh_token: Option<&str>| TokenResponse {
            id_token: Some(id_token.clone()),
            access_token: Some("opaque".to_owned()),
            refresh_token: refresh_token.map(str::to_owned),
            ..TokenResponse::default()
        };
        let taken = renewal(0).token_of(response(Some("second"))).expect("a token");
        let next = taken.renewal.expect("it can be replaced");
        assert_eq!((taken.token, next.expires_at), (id_token.clone(), 1_700_000_000_000));
        assert_eq!(next.refresh_token, "second");
        let again = renewal(0).token_of(response(None)).expect("a token").renewal.expect("it can be replaced");
        assert_eq!(again.refresh_token, "first", "a provider may keep it");
        let access = Renewal { uses_id_token: false, ..renewal(0) };
        assert_eq!(access.token_of(response(None)).expect("a token").token, "opaque");
        assert!(access.token_of(TokenResponse::default()).is_err());
        for none in ["", "a.b.c", "opaque", "e30.e30.x"] {
            assert_eq!(expiry_of(none), None, "{none}");
        }
    }

    #[test]
    fn nothing_goes_over_a_network_unencrypted() {
        let metadata = |endpoint: &str| Metadata {
            issuer: "https://id.test".to_owned(),
            authorization_endpoint: "https://id.test/authorize".to_owned(),
            token_endpoint: endpoint.to_owned(),
            device_authorization_endpoint: None,
            scopes_supported: Vec::new(),
            authorization_response_iss_parameter_supported: false,
        };
        for good in ["https://id.test/token", "http://127.0.0.1:9/token", "http://localhost/token"] {
            assert!(metadata(good).check("https://id.test").is_ok(), "{good}");
        }
        for bad in ["http://id.test/token", "ftp://id.test", "token", ""] {
            assert!(metadata(bad).check("https://id.test").is_err(), "{bad}");
        }
        assert!(metadata("https://id.test/token").check("https://other.test").is_err());
        assert!(check_encrypted("http://id.test").is_err(), "nor is the document that names these read");
    }
}
