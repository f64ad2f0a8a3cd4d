//! Tokens: `elias_ID_SECRET`. The id finds the row, which has a hash of the secret: SHA-256, which suffices for 256
//! random bits. A slow hash, made for passwords, would only let strangers cause work.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use elias_api::{Code, Error, NewToken, Result, Token};
use elias_names::TenantId;
use elias_store::{TenantScope, now_ms};
use rand::RngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest that a token is valid.
pub const TOKEN_DAYS_MAX: u32 = 3_650;
const DAY_MS: i64 = 24 * 3600 * 1000;
const SECRET_BYTES: usize = 32;
/// The prefix of a hash, before the SHA-256 in hexadecimal.
const FAST: &str = "sha256:";
/// The prefix of a hash of a former release.
const SLOW: &str = "$argon2";

/// Whether a token is the one that was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    /// [`Bearer::matches_slow`] knows.
    Slow,
}

/// The token as it is sent.
#[derive(Clone)]
pub(super) struct Bearer {
    id: String,
    secret: Zeroizing<String>,
}

impl Bearer {
    pub(super) fn generate() -> Self {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        OsRng.fill_bytes(&mut *secret);
        Self { id: ulid::Ulid::new().to_string(), secret: Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret)) }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Reads the id and the secret, `ID_SECRET`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('_')?;
        if ulid::Ulid::from_string(id).is_err() || secret.len() > 2 * SECRET_BYTES {
            return None;
        }
        Some(Self { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// The id and the secret, as [`Self::parse`] reads them.
    pub(super) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}_{}", self.id, *self.secret))
    }

    /// The hash that is stored.
    pub(super) fn hash(&self) -> String {
        let digest = Sha256::digest(self.secret.as_bytes());
        digest.iter().fold(String::from(FAST), |hash, byte| hash + &format!("{byte:02x}"))
    }

    /// Whether this is what was stored, in a time that does not depend on where they differ.
    pub(super) fn matches(&self, hash: &str) -> Match {
        if hash.starts_with(SLOW) {
            return Match::Slow;
        }
        if self.hash().as_bytes().ct_eq(hash.as_bytes()).into() { Match::Yes } else { Match::No }
    }

    /// The same for a hash of a former release, which says itself how much work it takes. Not for asynchronous threads.
    pub(super) fn matches_slow(&self, hash: &str) -> bool {
        PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(self.secret.as_bytes(), &hash).is_ok())
    }

    /// As former releases stored it.
    #[cfg(test)]
    pub(super) fn slow_hash(&self) -> String {
        use argon2::password_hash::{PasswordHasher, SaltString};
        let params = argon2::Params::new(8 << 10, 2, 1, None).expect("they are good");
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let salt = SaltString::generate(&mut OsRng);
        argon2.hash_password(self.secret.as_bytes(), &salt).expect("hashed").to_string()
    }

    /// The token with this id and another secret.
    #[cfg(test)]
    pub(super) fn guess(&self) -> Self {
        Self { id: self.id.clone(), ..Self::generate() }
    }
}

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "elias_{}", *self.text())
    }
}

impl FromStr for Bearer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.strip_prefix("elias_").and_then(Self::parse).ok_or(())
    }
}

/// Checks that the user and the organization are there.
pub(super) async fn check_members(new: &NewToken, scope: &mut TenantScope) -> Result<()> {
    let disabled = |what: &str, id: &str| {
        Err(Error::new(
            Code::WrongState,
            format!("the {what} {id} is disabled; elias {what}s set {id} --disabled=false"),
        ))
    };
    let own = match &new.user_id {
        None => None,
        Some(id) => {
            let user = scope.user(id).await?;
            if !user.is_in_force() {
                return disabled("user", id);
            }
            if new.organization_id.is_some() && new.organization_id != user.organization {
                let message = format!("organization_id: the user {id} is of another organization; leave it out");
                return Err(Error::new(Code::BadInput, message));
            }
            user.organization
        }
    };
    if let Some(id) = own.as_ref().or(new.organization_id.as_ref())
        && !scope.organization(id).await?.is_in_force()
    {
        return disabled("organization", id);
    }
    Ok(())
}

/// The token that is to be created, with the id of its secret.
pub(super) fn token(new: &NewToken, bearer: &Bearer, tenant: &TenantId, by: &str) -> Result<Token> {
    if !(1..=TOKEN_DAYS_MAX).contains(&new.days) {
        return Err(Error::new(Code::BadInput, format!("days: must be between 1 and {TOKEN_DAYS_MAX}")));
    }
    let texts = [Some(&new.name), new.user_id.as_ref(), new.organization_id.as_ref()];
    if texts.into_iter().flatten().any(|text| text.len() > 200 || text.chars().any(char::is_control)) {
        return Err(Error::new(
            Code::BadInput,
            "name, user_id and organization_id have at most 200 bytes and no control characters",
        ));
    }
    if new.components.as_ref().is_some_and(|components| components.len() > 1_000) {
        return Err(Error::new(Code::BadInput, "components: at most 1000"));
    }
    let now = now_ms();
    Ok(Token {
        id: bearer.id.clone(),
        tenant: tenant.clone(),
        name: new.name.clone(),
        role: new.role.clone(),
        components: new.components.clone(),
        user_id: new.user_id.clone(),
        organization_id: new.organization_id.clone(),
        created_at: now,
        created_by: by.to_owned(),
        expires_at: now.saturating_add(i64::from(new.days) * DAY_MS),
        revoked_at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_matches_its_hash() {
        let bearer = Bearer::generate();
        let (hash, slow) = (bearer.hash(), bearer.slow_hash());
        assert!(hash.starts_with(FAST) && hash.len() == FAST.len() + 64 && !hash.contains(&**bearer.secret));
        let sent: Bearer = bearer.to_string().parse().expect("it is read back");
        assert_eq!(
            (sent.matches(&hash), sent.matches(&slow), sent.matches_slow(&slow)),
            (Match::Yes, Match::Slow, true)
        );
        let empty = Bearer { id: bearer.id.clone(), secret: Zeroizing::new(String::new()) };
        for other in [Bearer::generate(), bearer.guess(), empty] {
            assert!(other.matches(&hash) == Match::No && !other.matches_slow(&slow));
        }
        for none in ["", "not a hash", "sha256:", "sha256:00", "$argon2", "$argon2id$v=19$m=8192,t=2,p=1$c2FsdA$"] {
            assert!(sent.matches(none) != Match::Yes && !sent.matches_slow(none), "{none}");
        }
        for text in ["", "elias_", "elias_x_y", "Bearer x", &format!("elias_{}", bearer.id)] {
            assert!(text.parse::<Bearer>().is_err(), "{text}");
        }
    }
}
