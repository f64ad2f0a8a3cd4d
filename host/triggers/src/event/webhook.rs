//! Signatures of webhooks, as the Standard Webhooks specification has them (version 1, symmetric: HMAC-SHA256).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elias_delivery::clock::Now;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;

/// The header with the message's id, which is the same for each attempt.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// Seconds that a message's time may differ from the present, before and after it.
pub const TOLERANCE_SECONDS: u64 = 300;

const SECRET_PREFIX: &str = "whsec_";
const VERSION_PREFIX: &str = "v1,";
/// Signatures of a message that are looked at: a sender who changes its secret sends two.
const SIGNATURES_MAX: usize = 10;

/// A text that is not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ and 24 to 64 bytes in Base64")]
pub struct InvalidSecret;

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerificationError {
    /// The id or the time is missing or malformed.
    #[error("the headers webhook-id and webhook-timestamp must be an id and seconds since 1970")]
    Malformed,
    /// It is older than five minutes: it may be replayed.
    #[error("the webhook was signed too long ago")]
    TooOld,
    /// It is of a time that has not come.
    #[error("the webhook was signed in the future")]
    TooNew,
    /// No signature is that of a secret.
    #[error("no signature of the webhook is valid")]
    WrongSignature,
}

/// A secret that sender and receiver share: 24 to 64 bytes, written as `whsec_` and Base64. Neither shown nor compared.
#[derive(Clone)]
pub struct WebhookSecret(Vec<u8>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(InvalidSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if (24..=64).contains(&key.len()) { Ok(Self(key)) } else { Err(InvalidSecret) }
    }
}

impl WebhookSecret {
    /// The value of `webhook-signature` for a message. The id must have no dot, which separates what is signed.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signature = self.mac(id, timestamp, body).finalize().into_bytes();
        format!("{VERSION_PREFIX}{}", STANDARD.encode(signature))
    }

    /// In the same time, whatever is wrong about the signature.
    fn is_signature(&self, signature: &[u8], id: &str, timestamp: u64, body: &[u8]) -> bool {
        self.mac(id, timestamp, body).verify_slice(signature).is_ok()
    }

    fn mac(&self, id: &str, timestamp: u64, body: &[u8]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of every length")
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        mac
    }
}

/// Verifies a message by the values of its three headers. Any of the secrets may have signed it, since secrets are
/// changed while messages are under way.
///
/// # Errors
/// Why it is not believed.
pub fn verify(
    secrets: &[WebhookSecret],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: Now,
) -> Result<(), VerificationError> {
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u64 = timestamp.parse().map_err(|_| VerificationError::Malformed)?;
    if !digits || id.is_empty() || id.contains('.') {
        return Err(VerificationError::Malformed);
    }
    let now = now.unix_ms() / 1_000;
    if now.saturating_sub(seconds) > TOLERANCE_SECONDS {
        return Err(VerificationError::TooOld);
    }
    if seconds.saturating_sub(now) > TOLERANCE_SECONDS {
        return Err(VerificationError::TooNew);
    }
    let signed = |signature: &[u8]| secrets.iter().any(|secret| secret.is_signature(signature, id, seconds, body));
    let known = signatures.split(' ').filter_map(|signature| signature.strip_prefix(VERSION_PREFIX));
    let mut decoded = known.take(SIGNATURES_MAX).filter_map(|signature| STANDARD.decode(signature).ok());
    if decoded.any(|signature| signed(&signature)) { Ok(()) } else { Err(VerificationError::WrongSignature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret(text: &str) -> WebhookSecret {
        text.parse().expect("a secret")
    }

    fn verified(secrets: &[WebhookSecret], signatures: &str, now: u64) -> Result<(), VerificationError> {
        verify(secrets, ID, &TIME.to_string(), signatures, BODY, Now::from_unix_ms(now * 1_000))
    }

    #[test]
    fn signatures_are_those_of_the_specification() {
        assert_eq!(secret(SECRET).sign(ID, TIME, BODY), SIGNATURE);
        assert_eq!(verified(&[secret(SECRET)], SIGNATURE, TIME), Ok(()));
    }

    #[test]
    fn one_of_several_secrets_and_signatures_is_enough() {
        let old = secret(&format!("whsec_{}", STANDARD.encode([7; 32])));
        let both = format!("v1a,abc {} {SIGNATURE}", old.sign(ID, TIME, b"another body"));
        assert_eq!(verified(&[old.clone(), secret(SECRET)], &both, TIME), Ok(()));
        let after =
            |others: usize| format!("{}{SIGNATURE}", format!("{} ", old.sign(ID, TIME, b"another")).repeat(others));
        assert_eq!(verified(&[secret(SECRET)], &after(9), TIME), Ok(()));
        let refused = Err(VerificationError::WrongSignature);
        assert_eq!(verified(&[secret(SECRET)], &after(10), TIME), refused, "so many are looked at");
        assert_eq!(verified(&[old], SIGNATURE, TIME), refused);
    }

    #[test]
    fn old_new_and_malformed_messages_are_refused() {
        let secrets = [secret(SECRET)];
        assert_eq!(verified(&secrets, SIGNATURE, TIME + 300), Ok(()));
        assert_eq!(verified(&secrets, SIGNATURE, TIME + 301), Err(VerificationError::TooOld));
        assert_eq!(verified(&secrets, SIGNATURE, TIME - 301), Err(VerificationError::TooNew));
        for signatures in ["", "v1,", "v1,%%%", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v2,AAAA"] {
            assert_eq!(verified(&secrets, signatures, TIME), Err(VerificationError::WrongSignature), "{signatures}");
        }
        for (id, timestamp) in [("", "1614265330"), ("a.b", "1614265330"), (ID, ""), (ID, "+1614265330"), (ID, "now")] {
            let now = Now::from_unix_ms(TIME * 1_000);
            assert_eq!(verify(&secrets, id, timestamp, SIGNATURE, BODY, now), Err(VerificationError::Malformed));
        }
    }

    #[test]
    fn secrets_are_bounded_and_not_shown() {
        for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_%%%"] {
            assert_eq!(text.parse::<WebhookSecret>().err(), Some(InvalidSecret), "{text}");
        }
        assert_eq!(format!("{:?}", secret(SECRET)), "WebhookSecret(..)");
    }
}
