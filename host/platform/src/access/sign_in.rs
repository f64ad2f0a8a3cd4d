//! Signing in at an identity provider with a browser: the authorization code flow of OpenID Connect Core 1.0 with PKCE
//! (RFC 7636), by the advice of RFC 9700.
//!
//! The crates `oauth2` and `openidconnect` are not used: the flow is one URL and one form, tokens are checked by the
//! verifier that the gateway has anyway, and the second crate would bring another one with other cryptography.
//!
//! The host keeps nothing of a sign-in that was begun. What is to be compared at its end is in a cookie of the browser:
//! strangers cannot fill a table, any host on the store can end what another began, and an answer that another browser
//! got is refused.

use super::oidc::{Denial, FetchKeys, Oidc, OidcClient};
use super::{Access, Browser, OpenedSession};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use elias_api::{Code, Error, Result, SignInClient};
use elias_store::now_ms;
use rand::RngCore;
use rand::rngs::OsRng;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

/// How long what a provider says of itself is used.
const DISCOVERED_FOR: Duration = Duration::from_secs(3600);
/// How long a provider that could not be asked is not asked again, whoever wants to sign in.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// Random bytes of a state, a nonce and a verifier.
const RANDOM_BYTES: usize = 32;
/// Bytes of a path to return to.
const RETURN_BYTES_MAX: usize = 1_000;
/// Bytes of an authorization code.
const CODE_BYTES_MAX: usize = 4_096;

/// What a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).
#[derive(Debug, Deserialize)]
struct ProviderMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    /// Whether every answer has the issuer (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The provider's metadata, asked for when somebody wants to sign in.
#[derive(Default)]
pub(super) struct SignIns {
    /// Locked while the provider is asked, so that it is asked once.
    discovered: Mutex<Option<Discovered>>,
}

struct Discovered {
    at: Instant,
    metadata: std::result::Result<Arc<ProviderMetadata>, String>,
}

/// A sign-in that was begun.
pub struct BegunSignIn {
    /// The URL of the provider that the browser is sent to.
    pub location: String,
    /// What the browser has to bring back.
    pub cookie: SignInCookie,
}

/// The values with which the end of a sign-in is compared.
#[derive(Clone)]
pub struct SignInCookie {
    state: Zeroizing<String>,
    nonce: Zeroizing<String>,
    verifier: Zeroizing<String>,
    /// The path of the console to return to.
    pub return_to: String,
}

/// The parameters with which a provider sends a browser back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignInAnswer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// The provider's response to the code.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenResponse {
    id_token: Option<String>,
    error: Option<String>,
}

impl SignInCookie {
    fn generate(return_to: &str) -> Self {
        let return_to = return_to.to_owned();
        Self { state: random(), nonce: random(), verifier: random(), return_to }
    }
}

impl fmt::Display for SignInCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let return_to = URL_SAFE_NO_PAD.encode(&self.return_to);
        write!(f, "{}.{}.{}.{return_to}", *self.state, *self.nonce, *self.verifier)
    }
}

impl FromStr for SignInCookie {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let mut parts = text.split('.');
        let mut value = || {
            let part = parts.next().filter(|part| part.len() == RANDOM_BYTES.div_ceil(3) * 4 - 1);
            part.map(|part| Zeroizing::new(part.to_owned())).ok_or(())
        };
        let (state, nonce, verifier) = (value()?, value()?, value()?);
        let return_to = parts.next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).ok_or(())?;
        let return_to = String::from_utf8(return_to).map_err(|_| ())?;
        let rest = parts.next();
        if rest.is_some() || !is_return_path(&return_to) {
            return Err(());
        }
        Ok(Self { state, nonce, verifier, return_to })
    }
}

/// Whether a browser may be sent to a path after a sign-in: only to the console's own. (`//host` and `/\host` would be
/// other hosts.)
fn is_return_path(path: &str) -> bool {
    path.starts_with("/console/")
        && path.len() <= RETURN_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

fn random() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    OsRng.fill_bytes(&mut *bytes);
    Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))
}

/// The code challenge of a verifier (RFC 7636, method S256).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// The credentials of a confidential client (RFC 6749, 2.3.1).
fn basic(id: &str, secret: &str) -> Zeroizing<String> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = Zeroizing::new(format!("{}:{}", encode(id), encode(secret)));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(credentials.as_bytes())))
}

fn failed(message: &str) -> Error {
    Error::new(Code::SignInFailed, message)
}

impl Oidc {
    /// What the provider says of itself.
    async fn metadata(&self, fetch: &dyn FetchKeys) -> Result<Arc<ProviderMetadata>> {
        let mut discovered = self.sign_ins.discovered.lock().await;
        let is_fresh =
            |one: &&Discovered| one.at.elapsed() < if one.metadata.is_ok() { DISCOVERED_FOR } else { FAILED_FOR };
        let metadata = match discovered.as_ref().filter(is_fresh) {
            Some(one) => one.metadata.clone(),
            None => {
                let metadata = self.discover(fetch).await.map(Arc::new);
                if let Err(error) = &metadata {
                    tracing::warn!(issuer = %self.issuer(), %error, "the identity provider cannot be asked");
                }
                *discovered = Some(Discovered { at: Instant::now(), metadata: metadata.clone() });
                metadata
            }
        };
        metadata.map_err(|_| {
            Error::new(Code::AuthUnavailable, "the identity provider cannot be reached; try again in a moment")
        })
    }

    async fn discover(&self, fetch: &dyn FetchKeys) -> std::result::Result<ProviderMetadata, String> {
        let issuer = self.issuer();
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document = fetch.fetch(&url).await?;
        let metadata: ProviderMetadata =
            serde_json::from_slice(&document).map_err(|error| format!("{url}: {error}"))?;
        if metadata.issuer != issuer {
            return Err(format!("{url} is of the issuer {}", metadata.issuer));
        }
        let is_encrypted = issuer.starts_with("https:");
        for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint] {
            let scheme = Url::parse(endpoint).map_err(|error| format!("{endpoint}: {error}"))?.scheme().to_owned();
            if scheme != "https" && (is_encrypted || scheme != "http") {
                return Err(format!("{endpoint} must begin with https:"));
            }
        }
        Ok(metadata)
    }
}

impl Access {
    /// Whether users of the identity provider can sign in with a browser.
    pub(crate) fn has_sign_in(&self) -> bool {
        self.oidc.as_ref().is_some_and(|oidc| oidc.config().client.is_some())
    }

    /// The client that `elias login` is at the identity provider, if there is one.
    pub(crate) fn command_line_client(&self) -> Option<SignInClient> {
        let config = self.oidc.as_ref()?.config();
        let client = config.client.as_ref()?;
        let client_id = client.command_line.clone()?;
        let uses_id_token = client_id == config.audience;
        Some(SignInClient {
            issuer: config.issuer.clone(),
            client_id,
            scopes: client.scopes.clone(),
            audience: config.audience.clone(),
            uses_id_token,
        })
    }

    /// Begins a sign-in that ends at `redirect_uri`, and leads back to `return_to` or, where that is no path of the
    /// console, to its first page.
    ///
    /// # Errors
    /// `not-found` if the host is no client of a provider; `auth-unavailable`.
    pub(crate) async fn begin_sign_in(
        &self,
        fetch: &dyn FetchKeys,
        redirect_uri: &str,
        return_to: &str,
    ) -> Result<BegunSignIn> {
        let (oidc, client) = self.provider()?;
        let metadata = oidc.metadata(fetch).await?;
        let cookie = SignInCookie::generate(if is_return_path(return_to) { return_to } else { "/console/" });
        let mut url = Url::parse(&metadata.authorization_endpoint).map_err(|error| failed(&error.to_string()))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &client.scopes)
            .append_pair("state", &cookie.state)
            .append_pair("nonce", &cookie.nonce)
            .append_pair("code_challenge", &challenge(&cookie.verifier))
            .append_pair("code_challenge_method", "S256");
        Ok(BegunSignIn { location: url.into(), cookie })
    }

    /// Ends a sign-in: exchanges the provider's code for an ID token, and opens a session for its user.
    ///
    /// # Errors
    /// `sign-in-failed`, with the reason in the log; `no-role`, `auth-unavailable`, `unauthenticated` for a user who is
    /// disabled, `rate-limited` for an address with many that fail, `store-unavailable`.
    pub(crate) async fn end_sign_in(
        &self,
        fetch: &dyn FetchKeys,
        cookie: &SignInCookie,
        answer: &SignInAnswer,
        redirect_uri: &str,
        browser: &Browser,
    ) -> Result<OpenedSession> {
        // A stranger who makes up cookies could else have the host ask the provider without end.
        let (address, now_ms) = (browser.address.parse().ok(), u64::try_from(now_ms()).unwrap_or_default());
        self.attempts.check(address, now_ms)?;
        let ended = self.exchange_code(fetch, cookie, answer, redirect_uri, browser).await;
        if let Err(error) = &ended {
            self.attempts.count(address, now_ms);
            // A provider or a store that is away is nobody's attempt.
            if !matches!(error.code(), Code::AuthUnavailable | Code::StoreUnavailable | Code::NotFound) {
                self.security.sign_in_failed(None, None, &browser.address, error.code());
            }
        }
        ended
    }

    async fn exchange_code(
        &self,
        fetch: &dyn FetchKeys,
        cookie: &SignInCookie,
        answer: &SignInAnswer,
        redirect_uri: &str,
        browser: &Browser,
    ) -> Result<OpenedSession> {
        let (oidc, client) = self.provider()?;
        let metadata = oidc.metadata(fetch).await?;
        let code = checked_code(&metadata, cookie, answer).map_err(|reason| told(&reason, browser))?;
        let id_token = exchange(fetch, client, &metadata, code, redirect_uri, &cookie.verifier).await;
        let id_token = id_token.map_err(|reason| told(&reason, browser))?;
        let user = oidc.user_of_id_token(&id_token, client, &cookie.nonce);
        // A token with a right signature may say what is wrong with it.
        let refuse = |denied: Denial| match denied.error.is_some() {
            true => denied.told(&browser.address),
            false => told(&denied.reason, browser),
        };
        self.open_user_session(user.map_err(refuse)?, browser).await
    }

    fn provider(&self) -> Result<(&Oidc, &OidcClient)> {
        let found = self.oidc.as_ref().and_then(|oidc| Some((oidc, oidc.config().client.as_ref()?)));
        let message = "no identity provider is set up for browsers; platform operators set --oidc-client-id";
        found.ok_or_else(|| Error::new(Code::NotFound, message))
    }
}

/// Writes down why a sign-in failed; the error for the browser says no more than that it did.
fn told(reason: &str, browser: &Browser) -> Error {
    tracing::info!(%reason, address = %browser.address, "a sign-in at the identity provider failed");
    failed("the identity provider's answer was refused; sign in again")
}

/// The code of an answer that was meant for the browser with this cookie.
fn checked_code<'a>(
    metadata: &ProviderMetadata,
    cookie: &SignInCookie,
    answer: &'a SignInAnswer,
) -> std::result::Result<&'a str, String> {
    let state = answer.state.as_deref().unwrap_or_default();
    if !bool::from(state.as_bytes().ct_eq(cookie.state.as_bytes())) {
        return Err("the state is of another sign-in".to_owned());
    }
    match &answer.iss {
        Some(issuer) if *issuer != metadata.issuer => return Err("the answer is of another issuer".to_owned()),
        None if metadata.authorization_response_iss_parameter_supported => {
            return Err("the answer has no issuer".to_owned());
        }
        _ => {}
    }
    if let Some(error) = &answer.error {
        return Err(format!("the provider refuses: {}", plain(error)));
    }
    answer
        .code
        .as_deref()
        .filter(|code| code.len() <= CODE_BYTES_MAX)
        .ok_or_else(|| "the answer has no code".to_owned())
}

/// Exchanges a code for an ID token; why there is none.
async fn exchange(
    fetch: &dyn FetchKeys,
    client: &OidcClient,
    metadata: &ProviderMetadata,
    code: &str,
    redirect_uri: &str,
    verifier: &str,
) -> std::result::Result<Zeroizing<String>, String> {
    let authorization = client.secret.as_ref().map(|secret| basic(&client.id, secret));
    // A public client names itself in the form.
    let client_id = authorization.is_none().then_some(("client_id", client.id.as_str()));
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ];
    let form = Serializer::new(String::new()).extend_pairs(pairs.into_iter().chain(client_id)).finish();
    let authorization = authorization.as_ref().map(|authorization| authorization.as_str());
    let (status, body) = fetch.post_form(&metadata.token_endpoint, form, authorization).await?;
    let response: TokenResponse = serde_json::from_slice(&body).unwrap_or_default();
    match (status, response) {
        (200, TokenResponse { id_token: Some(id_token), .. }) => Ok(Zeroizing::new(id_token)),
        (_, TokenResponse { error: Some(error), .. }) => Err(format!("the code was refused: {}", plain(&error))),
        _ => Err(format!("the token endpoint responds with status {status} and no ID token")),
    }
}

/// An error code of a provider, for the log.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(sends_issuer: bool) -> ProviderMetadata {
        ProviderMetadata {
            issuer: "https://id.test".to_owned(),
            authorization_endpoint: "https://id.test/authorize".to_owned(),
            token_endpoint: "https://id.test/token".to_owned(),
            authorization_response_iss_parameter_supported: sends_issuer,
        }
    }

    fn answer(state: &str, iss: Option<&str>) -> SignInAnswer {
        let (state, iss) = (Some(state.to_owned()), iss.map(str::to_owned));
        SignInAnswer { code: Some("the code".to_owned()), state, iss, error: None }
    }

    #[test]
    fn a_cookie_is_read_back_and_nothing_else_is_one() {
        let cookie = SignInCookie::generate("/console/services/shop?tab=log#end");
        let read: SignInCookie = cookie.to_string().parse().expect("it is read back");
        assert_eq!((&*read.state, &*read.nonce, &*read.verifier), (&*cookie.state, &*cookie.nonce, &*cookie.verifier));
        assert_eq!(read.return_to, cookie.return_to);
        assert!(cookie.verifier.len() >= 43, "RFC 7636 asks for 43 characters: {}", cookie.verifier.len());
        let text = cookie.to_string();
        for wrong in ["", ".", "a.b.c.d", &text[1..], &format!("{text}.x")] {
            assert!(wrong.parse::<SignInCookie>().is_err(), "{wrong}");
        }
        for path in ["//evil.test/", "/console/\\evil", "https://evil.test", "/v1/", "/console/a b", "/console"] {
            let moved = SignInCookie::generate(path).to_string();
            assert!(moved.parse::<SignInCookie>().is_err(), "{path}");
        }
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        // RFC 6749, 2.3.1, with characters that have to be encoded.
        assert_eq!(*basic("a b", "c:d"), format!("Basic {}", STANDARD.encode("a+b:c%3Ad")));
    }

    #[test]
    fn an_answer_is_for_the_browser_and_of_the_issuer_that_were_asked() {
        let cookie = SignInCookie::generate("/console/");
        let other = SignInCookie::generate("/console/");
        let check = |sends_issuer: bool, answer: &SignInAnswer| {
            checked_code(&metadata(sends_issuer), &cookie, answer).map(str::to_owned).ok()
        };
        let good = Some("the code".to_owned());
        let issuer = Some("https://id.test");
        assert_eq!(check(false, &answer(&cookie.state, None)), good);
        assert_eq!(check(true, &answer(&cookie.state, issuer)), good);
        assert_eq!(check(false, &answer(&cookie.state, Some("https://evil.test"))), None, "mix-up (RFC 9207)");
        assert_eq!(check(true, &answer(&cookie.state, None)), None, "the issuer was left out");
        assert_eq!(check(false, &answer(&other.state, None)), None, "another browser's");
        assert_eq!(check(false, &SignInAnswer::default()), None);
        let refused = SignInAnswer { error: Some("access_denied".to_owned()), ..answer(&cookie.state, None) };
        assert_eq!(check(false, &refused), None);
        let long = SignInAnswer { code: Some("x".repeat(CODE_BYTES_MAX + 1)), ..answer(&cookie.state, None) };
        assert_eq!(check(false, &long), None);
    }
}
