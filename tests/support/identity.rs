//! An identity provider (OpenID Connect) for tests: keys, the authorization code flow with PKCE, codes of devices, and
//! refresh tokens. Nobody has to type a password: whoever comes is the user that the test has set.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The client that it knows, which is the audience of its tokens too.
pub const CLIENT: &str = "elias";

/// An identity provider that is ended with the test.
pub struct IdentityProvider {
    /// Its URL, which is the issuer too.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    key: SigningKey,
    state: Mutex<State>,
}

struct State {
    claims: Value,
    /// How long its tokens last.
    seconds: u64,
    codes: HashMap<String, HashMap<String, String>>,
    /// Whether the user has entered the code of a device.
    is_approved: bool,
    /// Names codes and refresh tokens.
    count: u32,
    refresh_token: String,
    polls: u32,
}

type Pairs = HashMap<String, String>;

impl IdentityProvider {
    /// One whose user has these claims.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start(claims: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let state = State {
            claims,
            seconds: 600,
            codes: HashMap::new(),
            is_approved: false,
            count: 0,
            refresh_token: String::new(),
            polls: 0,
        };
        let key = SigningKey::from_bytes(&[7; 32]);
        let shared = Arc::new(Shared { url: url.clone(), key, state: Mutex::new(state) });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move { respond(stream, &shared).await });
            }
        });
        Self { url, shared }
    }

    /// The flags of a platform whose users it has.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let jwks = format!("{}/jwks", self.url);
        let flags = ["--oidc-issuer", &self.url, "--oidc-jwks", &jwks, "--oidc-audience", CLIENT];
        let more = ["--oidc-client-id", CLIENT, "--private-network", "127.0.0.0/8"];
        flags.into_iter().chain(more).map(str::to_owned).collect()
    }

    /// Has its next user have these claims.
    pub fn set_claims(&self, claims: Value) {
        self.shared.state().claims = claims;
    }

    /// Has its next tokens last for so long.
    pub fn set_seconds(&self, seconds: u64) {
        self.shared.state().seconds = seconds;
    }

    /// Enters the code of a device.
    pub fn approve(&self) {
        self.shared.state().is_approved = true;
    }

    /// How often a device has asked for its token.
    #[must_use]
    pub fn polls(&self) -> u32 {
        self.shared.state().polls
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }

    fn get(&self, path: &str, query: &Pairs) -> (u16, String, Value) {
        let url = &self.url;
        match path {
            "/.well-known/openid-configuration" => {
                let metadata = json!({
                    "issuer": url,
                    "authorization_endpoint": format!("{url}/authorize"),
                    "token_endpoint": format!("{url}/token"),
                    "device_authorization_endpoint": format!("{url}/device"),
                    "scopes_supported": ["openid", "profile", "email", "offline_access"],
                    "authorization_response_iss_parameter_supported": true,
                });
                (200, String::new(), metadata)
            }
            "/jwks" => {
                let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
                let key = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1", "x": x });
                (200, String::new(), json!({ "keys": [key] }))
            }
            "/authorize" => {
                let value = |name: &str| query.get(name).cloned().unwrap_or_default();
                if value("client_id") != CLIENT || value("code_challenge_method") != "S256" {
                    return (400, String::new(), json!({ "error": "invalid_request" }));
                }
                let mut state = self.state();
                state.count += 1;
                let code = format!("code-{}", state.count);
                state.codes.insert(code.clone(), query.clone());
                let issuer = encode(url);
                let location =
                    format!("{}?code={code}&state={}&iss={issuer}", value("redirect_uri"), encode(&value("state")));
                (302, location, Value::Null)
            }
            _ => (404, String::new(), Value::Null),
        }
    }

    fn post(&self, path: &str, form: &Pairs) -> (u16, Value) {
        let value = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let refuse = |error: &str| (400, json!({ "error": error }));
        if value("client_id") != CLIENT {
            return refuse("invalid_client");
        }
        let mut state = self.state();
        match (path, value("grant_type")) {
            ("/device", _) => {
                let uri = format!("{}/activate", self.url);
                (
                    200,
                    json!({
                        "device_code": "device-1", "user_code": "WDJB-MJHT", "verification_uri": uri,
                        "expires_in": 600, "interval": 1,
                    }),
                )
            }
            ("/token", "authorization_code") => {
                let Some(asked) = state.codes.remove(value("code")) else { return refuse("invalid_grant") };
                let is_right = asked.get("redirect_uri").is_some_and(|uri| uri == value("redirect_uri"))
                    && asked.get("code_challenge").is_some_and(|sent| *sent == challenge(value("code_verifier")));
                if !is_right {
                    return refuse("invalid_grant");
                }
                (200, self.tokens(&mut state, asked.get("nonce")))
            }
            ("/token", "urn:ietf:params:oauth:grant-type:device_code") => {
                state.polls += 1;
                if value("device_code") != "device-1" {
                    return refuse("invalid_grant");
                }
                if !state.is_approved {
                    return refuse("authorization_pending");
                }
                (200, self.tokens(&mut state, None))
            }
            ("/token", "refresh_token") => {
                // Each is for one time.
                if state.refresh_token.is_empty() || state.refresh_token != value("refresh_token") {
                    return refuse("invalid_grant");
                }
                (200, self.tokens(&mut state, None))
            }
            _ => refuse("unsupported_grant_type"),
        }
    }

    fn tokens(&self, state: &mut State, nonce: Option<&String>) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let mut claims =
            json!({ "iss": self.url, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + state.seconds });
        for (name, value) in state.claims.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        state.count += 1;
        claims["jti"] = json!(state.count);
        state.refresh_token = format!("refresh-{}", state.count);
        json!({
            "access_token": "opaque", "token_type": "Bearer", "expires_in": state.seconds,
            "id_token": self.sign(&claims), "refresh_token": state.refresh_token,
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({ "alg": "EdDSA", "kid": "k1", "typ": "JWT" })), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).to_bytes());
        format!("{signed}.{signature}")
    }
}

/// Reads one request, and responds.
async fn respond(mut stream: TcpStream, shared: &Shared) {
    let mut sent = Vec::new();
    let (head, body) = loop {
        let mut piece = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut piece).await else { return };
        sent.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&sent).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0_usize) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (status, location, document) = match method {
        "POST" => {
            let (status, document) = shared.post(path, &pairs(&body));
            (status, String::new(), document)
        }
        _ => shared.get(path, &pairs(query)),
    };
    let document = document.to_string();
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nlocation: {location}\r\ncontent-length: \
         {}\r\nconnection: close\r\n\r\n",
        document.len()
    );
    let _ = stream.write_all((head + &document).as_bytes()).await; // the client may have left
}

/// Reads a form or a query.
fn pairs(text: &str) -> Pairs {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// Encodes a value for a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Decodes a value of a form or a query.
#[must_use]
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The code challenge of a verifier (RFC 7636, S256).
fn challenge(verifier: &str) -> String {
    let digest = elias_contract::digest(verifier.as_bytes());
    let bytes: Vec<u8> = (0..digest.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digest[at..at + 2], 16).expect("hexadecimal digits"))
        .collect();
    URL_SAFE_NO_PAD.encode(bytes)
}
