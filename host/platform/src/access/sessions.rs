//! Sessions of browsers: whose they are, and how long they last.
//!
//! A session is no copy of permissions. It says whose it is, and at each look the permissions are worked out anew: it
//! ends with its token or its user, and a role that changes changes it.

use super::oidc::User;
use super::token::{Bearer, Match};
use super::{Access, Principal, key_of};
use elias_api::{Actor, Code, ConsoleSession, Error, Result};
use elias_contract::hexadecimal;
use elias_store::{Store, StoredSession, now_ms};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest that a session lasts without a request.
pub const SESSION_IDLE: Duration = Duration::from_secs(3600);
/// The longest that a session lasts.
pub const SESSION_LASTS: Duration = Duration::from_secs(12 * 3600);
/// Sessions of one principal at a time; the oldest ends when there is one more.
pub const SESSIONS_MAX: u32 = 10;
/// How often it is written down at most that a session was used.
pub(super) const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// Characters of a `User-Agent` that are kept.
const USER_AGENT_CHARS: usize = 200;

/// The prefix of a session among credentials. A client cannot send it: bearer tokens that begin with it are refused.
pub(super) const SESSION: &str = "session_";

/// Whose a session is, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum SessionSource {
    /// Who has the host's own token; `key` says which one, from which it cannot be found.
    Operator { key: String },
    /// Who has a token of the store's.
    Token { id: String },
    /// A user of the identity provider with this `iss`, as it described the user at the sign-in.
    User { issuer: String, user: User },
}

/// The browser that signs in.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Its IP address.
    pub address: String,
    /// Its `User-Agent`; it may be anything.
    pub user_agent: String,
}

/// A session that was opened.
pub struct OpenedSession {
    /// The value for the cookie. It is here and nowhere else.
    pub cookie: Zeroizing<String>,
    /// The session.
    pub session: ConsoleSession,
    /// Its principal, until the session ends.
    pub principal: Arc<Principal>,
}

/// A session as a credential, from the value of its cookie.
pub(crate) fn credential_of(cookie: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{SESSION}{cookie}"))
}

/// The id of the session that a credential is; `None` for a token.
pub(crate) fn session_id(credential: &str) -> Option<String> {
    credential.strip_prefix(SESSION).and_then(Bearer::parse).map(|bearer| bearer.id().to_owned())
}

/// When a session ends if nothing else happens, in milliseconds since 1970.
fn end_of(session: &ConsoleSession) -> i64 {
    session.expires_at.min(session.used_at.saturating_add(millis(SESSION_IDLE)))
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Writes down that a session was used.
async fn touch(store: &Store, id: &str, now: i64) -> Result<()> {
    let mut scope = store.host_write().await?;
    scope.touch_session(id, now).await?;
    Ok(scope.commit().await?)
}

impl Access {
    /// Opens a session for the owner of a token of ours.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate); `unauthenticated` for a token of the identity provider, whose users
    /// sign in there.
    pub(crate) async fn open_session(&self, token: &str, browser: &Browser) -> Result<OpenedSession> {
        let is_operator = self.is_operator(&key_of(token));
        if !is_operator && !token.starts_with("elias_") {
            let message = "a token is `elias_ID_SECRET`; users of the identity provider sign in with the provider";
            return Err(Error::new(Code::Unauthenticated, message));
        }
        let principal = self.authenticate(token, &browser.address).await?;
        let source = match is_operator {
            true => SessionSource::Operator { key: self.operator_id() },
            false => SessionSource::Token { id: principal.name.clone() },
        };
        self.insert_session(&source, principal, browser).await
    }

    /// Opens a session for a user whom the identity provider has authenticated just now.
    ///
    /// # Errors
    /// `unauthenticated` if the user is disabled, `no-role`, `store-unavailable`.
    pub(super) async fn open_user_session(&self, user: User, browser: &Browser) -> Result<OpenedSession> {
        let issuer = self.oidc.as_ref().map(|oidc| oidc.issuer().to_owned()).unwrap_or_default();
        let principal = Arc::new(self.principal_of_user(user.clone(), &browser.address).await?);
        self.insert_session(&SessionSource::User { issuer, user }, principal, browser).await
    }

    async fn insert_session(
        &self,
        source: &SessionSource,
        principal: Arc<Principal>,
        browser: &Browser,
    ) -> Result<OpenedSession> {
        let bearer = Bearer::generate();
        let now = now_ms();
        let user_agent = browser.user_agent.chars().filter(|letter| !letter.is_control());
        let session = ConsoleSession {
            id: bearer.id().to_owned(),
            tenant: principal.tenant.clone(),
            principal: principal.name.clone(),
            address: browser.address.clone(),
            user_agent: user_agent.take(USER_AGENT_CHARS).collect(),
            created_at: now,
            used_at: now,
            expires_at: principal.expires_at.min(now.saturating_add(millis(SESSION_LASTS))),
        };
        let source = serde_json::to_string(source).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let actor = Actor { name: principal.name.clone(), address: browser.address.clone() };
        let stored = StoredSession { session, hash: bearer.hash(), source };
        let mut scope = self.store.write(&principal.tenant).await?;
        scope.this_tenant().await?;
        let ended = scope.insert_session(&stored, SESSIONS_MAX, &actor).await?;
        scope.commit().await?;
        if ended > 0 {
            self.forget();
        }
        let principal = Principal { expires_at: end_of(&stored.session), ..Principal::clone(&principal) };
        Ok(OpenedSession { cookie: bearer.text(), session: stored.session, principal: Arc::new(principal) })
    }

    /// Authenticates the value of a session's cookie, sent from `address`, and writes down that it was used.
    ///
    /// # Errors
    /// `unauthenticated`, `rate-limited`; `store-unavailable` if the store is away and the session was not seen lately.
    pub(crate) async fn authenticate_session(&self, cookie: &str, address: &str) -> Result<Arc<Principal>> {
        let credential = credential_of(cookie);
        let principal = self.authenticate_credential(&credential, address).await?;
        let key = key_of(&credential);
        if !self.touched.contains_key(&key)
            && let Some(id) = session_id(&credential)
        {
            self.touched.insert(key, ());
            // The request does not wait for the writes of others, nor for a store that is away.
            let (store, now) = (self.store.clone(), now_ms());
            tokio::spawn(async move {
                if let Err(error) = touch(&store, &id, now).await {
                    tracing::debug!(session = %id, %error, "the use of a session cannot be stored; it may end sooner");
                }
            });
        }
        Ok(principal)
    }

    /// The principal of a session, by the value of its cookie; `None` if it has ended.
    pub(super) async fn look_up_session(&self, cookie: &str, address: &str) -> Result<Option<Principal>> {
        let Some(bearer) = Bearer::parse(cookie) else { return Ok(None) };
        let found = self.store.host_read().await?.session(bearer.id()).await?;
        let Some(StoredSession { session, hash, source }) = found else { return Ok(None) };
        let expires_at = end_of(&session);
        if expires_at <= now_ms() || bearer.matches(&hash) != Match::Yes {
            return Ok(None);
        }
        let Ok(source) = serde_json::from_str(&source) else { return Ok(None) };
        let principal = match source {
            SessionSource::Operator { key } => (key == self.operator_id()).then(Principal::operator),
            SessionSource::Token { id } => {
                let found = self.store.host_read().await?.token(&id).await?;
                match found {
                    Some((token, _)) => self.principal_of_token(&token).await?,
                    None => None,
                }
            }
            SessionSource::User { issuer, user } => match &self.oidc {
                Some(oidc) if oidc.issuer() == issuer => Some(self.principal_of_user(user, address).await?),
                _ => None,
            },
        };
        Ok(principal.map(|principal| Principal { expires_at: principal.expires_at.min(expires_at), ..principal }))
    }

    /// Names the host's own token, which another one may replace.
    fn operator_id(&self) -> String {
        hexadecimal(&Sha256::digest(self.operator))
    }
}
