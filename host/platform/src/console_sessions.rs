//! Sessions of browsers in the web console: opened with a token or at the identity provider, listed, and ended.

use crate::access::{
    AccessTarget, BegunSignIn, Browser, FetchKeys, OpenedSession, Permission, SignInAnswer, SignInCookie,
    credential_of, session_id,
};
use crate::platform::Platform;
use crate::session::{Credential, Session};
use elias_api::{Code, ConsoleSession, Error, Result, SignInClient};
use elias_names::TenantId;
use std::sync::Arc;

impl Platform {
    /// The origin at which browsers reach the admin API and the web console, if the configuration says it.
    #[must_use]
    pub fn console_origin(&self) -> Option<&str> {
        self.config().console_origin.as_deref()
    }

    /// Opens a session for the owner of a token of the platform's. A session has the permissions that its token has at
    /// the time of each request, and ends with it.
    ///
    /// # Errors
    /// `unauthenticated`, `rate-limited`, `store-unavailable`.
    pub async fn open_session(&self, token: &str, browser: &Browser) -> Result<OpenedSession> {
        self.access().open_session(token, browser).await
    }

    /// Authenticates the value of a session's cookie. The caller has checked that the request comes from the console's
    /// own pages.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub async fn authenticate_session(&self, cookie: &str, address: impl Into<String>) -> Result<Session> {
        let address = address.into();
        let principal = self.access().authenticate_session(cookie, &address).await?;
        Ok(Session { principal, address, credential: Some(Credential(Arc::new(credential_of(cookie)))) })
    }

    /// Whether users of the identity provider can sign in with a browser.
    #[must_use]
    pub fn has_sign_in(&self) -> bool {
        self.config().fetch.is_some() && self.access().has_sign_in()
    }

    /// The client that `elias login` is at the identity provider.
    ///
    /// # Errors
    /// `not-found` if there is none.
    pub fn command_line_client(&self) -> Result<SignInClient> {
        let message = "no identity provider is set up for the command line; platform operators set --oidc-client-id";
        self.access().command_line_client().ok_or_else(|| Error::new(Code::NotFound, message))
    }

    /// Begins a sign-in at the identity provider that ends at `redirect_uri`, and leads to the console's path
    /// `return_to`.
    ///
    /// # Errors
    /// `not-found` if there is no provider for browsers; `auth-unavailable`.
    pub async fn begin_sign_in(&self, redirect_uri: &str, return_to: &str) -> Result<BegunSignIn> {
        self.access().begin_sign_in(self.fetch()?, redirect_uri, return_to).await
    }

    /// Ends a sign-in by the provider's answer, and opens a session for its user.
    ///
    /// # Errors
    /// `sign-in-failed`, `no-role`, `auth-unavailable`, `unauthenticated` for a user who is disabled,
    /// `store-unavailable`.
    pub async fn end_sign_in(
        &self,
        cookie: &SignInCookie,
        answer: &SignInAnswer,
        redirect_uri: &str,
        browser: &Browser,
    ) -> Result<OpenedSession> {
        self.access().end_sign_in(self.fetch()?, cookie, answer, redirect_uri, browser).await
    }

    fn fetch(&self) -> Result<&dyn FetchKeys> {
        let fetch = self.config().fetch.as_deref();
        fetch.ok_or_else(|| Error::new(Code::NotFound, "this host has no client for identity providers"))
    }

    /// The tenant's sessions of browsers after the id `after`, by id: all of them with the permission to manage access,
    /// one's own without it.
    ///
    /// # Errors
    /// `forbidden` for another tenant; `store-unavailable`.
    pub async fn console_sessions(
        &self,
        session: &Session,
        tenant: &TenantId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ConsoleSession>> {
        let owner = owner(session, tenant)?;
        Ok(self.store().read(tenant).await?.sessions(owner, after, limit).await?)
    }

    /// Ends a session of a browser, here at once and on other hosts within seconds: one's own, or with the permission
    /// to manage access any of the tenant's.
    ///
    /// # Errors
    /// `not-found`, also for another's session; `forbidden` for another tenant; `store-unavailable`.
    pub async fn end_session(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let owner = owner(session, tenant)?;
        let mut scope = self.store().write(tenant).await?;
        scope.end_session(id, owner, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(())
    }

    /// Ends the session that this is; does nothing for one of a token.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn sign_out(&self, session: &Session) -> Result<()> {
        let Some(id) = session.id() else { return Ok(()) };
        match self.end_session(session, &session.principal.tenant, &id).await {
            Err(error) if error.code() == Code::NotFound => Ok(()), // it was ended meanwhile
            ended => ended,
        }
    }
}

impl Session {
    /// The id of the browser's session that this is; `None` for one of a token.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.credential.as_ref().and_then(|Credential(credential)| session_id(credential))
    }
}

/// Whose sessions a principal may see and end: its own, or with the permission to manage access everybody's (`None`).
fn owner<'a>(session: &'a Session, tenant: &TenantId) -> Result<Option<&'a str>> {
    match session.require(Permission::Access, tenant, AccessTarget::Tenant) {
        Ok(()) => Ok(None),
        Err(_) if session.principal.tenant == *tenant => Ok(Some(&session.principal.name)),
        Err(error) => Err(error),
    }
}
