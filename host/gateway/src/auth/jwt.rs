//! JSON Web Tokens (RFC 7519) as RFC 8725 advises, with keys of a JSON Web Key Set (RFC 7517) that the host fetches.

use super::{AuthMethod, Identity, JwtRules};
use crate::bounded::BoundedMap;
use crate::clock::Now;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The most keys of a set that are kept.
pub const MAX_KEYS: usize = 64;

/// Half of how many verified tokens a verifier remembers.
const HALF_CACHE: usize = 256;

/// The longest token that is remembered, in bytes: what its claims take is a multiple of that.
const MAX_CACHED_BYTES: usize = 4 * 1024;

/// The least seconds between two requests for newer keys.
const REFRESH_INTERVAL_SECONDS: u64 = 60;

/// Seconds after which keys are asked for anew in any case, so that one which its issuer withdrew does not last.
const KEYS_AGE_SECONDS: u64 = 3600;

/// Why a token does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There are no keys yet to check tokens with.
    NoKeys,
    /// Not a token, or too long.
    Malformed,
    /// Its header asks for what is not supported.
    Header,
    /// Its algorithm is not among those that are allowed.
    Algorithm,
    /// It names a key that the set does not have.
    UnknownKey,
    /// Its signature is wrong.
    Signature,
    /// It has expired, or does not say when it does. Its signature is right, as for all that follow.
    Expired,
    /// It is not valid yet.
    Early,
    /// It is from another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// It names no subject.
    Subject,
}

impl Failure {
    /// The reason, for the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoKeys => "the keys for tokens were not fetched yet",
            Self::Malformed => "the token is malformed or too long",
            Self::Header => "the token's header is not supported",
            Self::Algorithm => "the token's algorithm is not allowed",
            Self::UnknownKey => "no key for the token",
            Self::Signature => "the token's signature is wrong",
            Self::Expired => "the token has expired, or says not when it does",
            Self::Early => "the token is not valid yet",
            Self::Issuer => "the token is from another issuer",
            Self::Audience => "the token is for another audience",
            Self::Subject => "the token must have a subject (the claim `sub`)",
        }
    }
}

/// Checks tokens with the keys that it is given. It fetches none: ask [`JwtVerifier::needs_keys`] now and then, fetch
/// [`JwtRules::jwks`], and call [`JwtVerifier::set_keys`].
///
/// Verified tokens are remembered by their digest, at most 512, until the keys change: checking a signature takes some
/// hundred microseconds.
pub struct JwtVerifier {
    rules: JwtRules,
    keys: RwLock<Arc<Keys>>,
    verified: Mutex<BoundedMap<[u8; 32], VerifiedToken>>,
    /// When [`JwtVerifier::needs_keys`] last said yes, in seconds since 1970; 0 for never.
    requested_at: AtomicU64,
    /// 1 if a token named an unknown key since then.
    missing: AtomicU64,
}

#[derive(Default)]
struct Keys {
    all: Vec<Key>,
    since: Option<u64>,
}

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
}

#[derive(Clone)]
struct VerifiedToken {
    identity: Arc<Identity>,
    from: u64,
    until: u64,
}

impl std::fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtVerifier").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl JwtVerifier {
    /// A verifier without keys, which wants some.
    #[must_use]
    pub fn new(rules: JwtRules) -> Self {
        Self {
            rules,
            keys: RwLock::default(),
            verified: Mutex::new(BoundedMap::new(HALF_CACHE)),
            requested_at: AtomicU64::new(0),
            missing: AtomicU64::new(0),
        }
    }

    /// The rules for tokens.
    #[must_use]
    pub fn rules(&self) -> &JwtRules {
        &self.rules
    }

    /// Whether newer keys are to be fetched: there are none, they are an hour old, or a token named an unknown one.
    /// Says yes at most once a minute, whatever tokens come, so a caller that hears it is to fetch.
    pub fn needs_keys(&self, now: Now) -> bool {
        let now = now.unix_seconds;
        let since = self.keys().since;
        // A clock that was set back makes keys old, too.
        let old = since.is_none_or(|since| now.abs_diff(since) >= KEYS_AGE_SECONDS);
        if !old && self.missing.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let requested_at = self.requested_at.load(Ordering::Relaxed);
        let due = requested_at == 0 || now.abs_diff(requested_at) >= REFRESH_INTERVAL_SECONDS;
        // Of callers at one time, one hears yes.
        let mine = due
            && self
                .requested_at
                .compare_exchange(requested_at, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            self.missing.store(0, Ordering::Relaxed);
        }
        mine
    }

    /// Takes new keys in the place of the old ones, and says how many of them can be used. Left out are keys for
    /// encryption, symmetric ones, those of algorithms that are not allowed, RSA keys of less than 2048 bits, and what
    /// is beyond [`MAX_KEYS`].
    pub fn set_keys(&self, set: &JwkSet, now: Now) -> usize {
        let all: Vec<Key> =
            set.keys.iter().filter_map(|jwk| usable(jwk, &self.rules.algorithms)).take(MAX_KEYS).collect();
        let count = all.len();
        let keys = Arc::new(Keys { all, since: Some(now.unix_seconds) });
        *self.keys.write() = keys;
        self.verified.lock().clear();
        count
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read())
    }

    /// The identity of the token's subject.
    ///
    /// # Errors
    /// [`Failure`]. Clients are told no more than that a token is not valid, unless its signature was found right.
    pub fn verify(&self, token: &str, now: Now) -> Result<Arc<Identity>, Failure> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Failure::Malformed);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let known = self.verified.lock().get(&digest).cloned();
        let verified = match known {
            Some(verified) => verified,
            None => {
                let keys = self.keys();
                let verified = self.verify_signature(token, &keys)?;
                let mut cache = self.verified.lock();
                // Under the lock, so that what old keys have verified is not kept beyond them.
                if token.len() <= MAX_CACHED_BYTES && Arc::ptr_eq(&keys, &self.keys()) {
                    cache.insert(digest, verified.clone());
                }
                verified
            }
        };
        // Also for a token that is known: time goes on.
        if now.unix_seconds >= verified.until.saturating_add(self.rules.leeway_seconds) {
            return Err(Failure::Expired);
        }
        if now.unix_seconds.saturating_add(self.rules.leeway_seconds) < verified.from {
            return Err(Failure::Early);
        }
        Ok(verified.identity)
    }

    fn verify_signature(&self, token: &str, keys: &Keys) -> Result<VerifiedToken, Failure> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Failure::Malformed)?;
        check_header(&header)?;
        if !self.rules.algorithms.contains(&header.alg) {
            return Err(Failure::Algorithm);
        }
        if keys.since.is_none() {
            return Err(Failure::NoKeys);
        }
        let key = keys.for_token(&header).ok_or_else(|| {
            self.missing.store(1, Ordering::Relaxed);
            Failure::UnknownKey
        })?;
        // The claims are checked below, by a clock that is given, and strictly.
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &validation)
            .map_err(|_| Failure::Signature)?
            .claims;
        self.check_claims(claims)
    }

    /// When a token with these claims is refused, in seconds since 1970.
    pub(super) fn expires_at(&self, claims: &Map<String, Value>) -> Option<u64> {
        claims.get("exp").and_then(numeric_date).map(|until| until.saturating_add(self.rules.leeway_seconds))
    }

    fn check_claims(&self, claims: Map<String, Value>) -> Result<VerifiedToken, Failure> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("iss") != Some(&self.rules.issuer) {
            return Err(Failure::Issuer);
        }
        let is_mine =
            |audience: &Value| audience.as_str().is_some_and(|it| self.rules.audience.iter().any(|a| a == it));
        let for_me = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_mine),
            Some(one) => is_mine(one),
            None => false,
        };
        if !for_me {
            return Err(Failure::Audience);
        }
        let until = claims.get("exp").and_then(numeric_date).ok_or(Failure::Expired)?;
        let from = match claims.get("nbf") {
            Some(date) => numeric_date(date).ok_or(Failure::Early)?,
            None => 0,
        };
        let subject = text("sub").ok_or(Failure::Subject)?.to_owned();
        let user_id = text(&self.rules.user_claim).map(str::to_owned);
        let organization_id = text(&self.rules.organization_claim).map(str::to_owned);
        let identity = Identity { subject, user_id, organization_id, claims, method: AuthMethod::Jwt };
        Ok(VerifiedToken { identity: Arc::new(identity), from, until })
    }
}

/// RFC 7519, section 2: seconds since 1970, perhaps with a fraction.
fn numeric_date(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| (0.0..1e15).contains(seconds))?;
        // In range, as was just seen.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(seconds as u64)
    })
}

/// The members that a header must not have: extensions that have to be understood (RFC 7515, section 4.1.11), and the
/// type of a token that is for something else (RFC 8725, section 3.11).
fn check_header(header: &Header) -> Result<(), Failure> {
    let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
    let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
    let is_access = matches!(kind, None | Some("jwt" | "at+jwt"));
    let plain = header.crit.is_none() && header.enc.is_none() && header.zip.is_none();
    let extended = header.extras.inner().contains_key("b64");
    if is_access && plain && !extended { Ok(()) } else { Err(Failure::Header) }
}

impl Keys {
    /// The key that the token names. A token that names none is checked with the only key for its algorithm.
    fn for_token(&self, header: &Header) -> Option<&Key> {
        let mut fit = self
            .all
            .iter()
            .filter(|key| key.algorithms.contains(&header.alg) && (header.kid.is_none() || key.id == header.kid));
        match (fit.next(), fit.next()) {
            (Some(_), Some(_)) if header.kid.is_none() => None,
            (first, _) => first,
        }
    }
}

/// The key, if it is for signatures by an allowed algorithm.
fn usable(jwk: &Jwk, allowed: &[Algorithm]) -> Option<Key> {
    let common = &jwk.common;
    if common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
        return None;
    }
    if common.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return None;
    }
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let fit: &[Algorithm] = match &jwk.algorithm {
        // 342 characters are 2048 bits, 1366 are 8192.
        AlgorithmParameters::RSA(key) if (342..=1366).contains(&key.n.len()) && key.e.len() <= 8 => {
            &[RS256, RS384, RS512, PS256, PS384, PS512]
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[EdDSA],
        _ => return None,
    };
    let named = match common.key_algorithm {
        Some(name) => Some(Algorithm::try_from(name).ok()?),
        None => None,
    };
    let mut algorithms = fit.to_vec();
    algorithms.retain(|algorithm| allowed.contains(algorithm) && named.is_none_or(|named| named == *algorithm));
    if algorithms.is_empty() {
        return None;
    }
    Some(Key { id: common.key_id.clone(), algorithms, decoding: DecodingKey::from_jwk(jwk).ok()? })
}
